"""The network of a chain, and its Python source: `nn.Sequential` with readable names of layers."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from cnnviz.data.class_names import CIFAR10, MNIST
from cnnviz.errors import BadInput
from cnnviz.models.chains.chain import Chain, Shape, parse_chain
from cnnviz.models.chains.steps import KINDS, NORMS, POOLS, ChainStep

if TYPE_CHECKING:
    from torch import nn

    from cnnviz.data.preprocessing import Preprocessing

Call = tuple[str, tuple[Any, ...], dict[str, Any]]  # class of torch.nn, arguments, named arguments


def build_chain(chain: Chain) -> nn.Module:
    """(N, C, H, W) → (N, classes) scores; random weights. Raises BadInput if the steps do not fit."""
    from torch import nn

    if problem := chain.find_problem():
        raise BadInput(problem)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name, (step, shape) in zip(chain.layer_names, chain.with_inputs(), strict=True):
        kind, arguments, named = describe_call(step, shape)
        layers[name] = getattr(nn, kind)(*arguments, **named)
    return nn.Sequential(layers)


def build_by_name(num_classes: int, *, name: str) -> nn.Module:
    """The network of the chain `name` with `num_classes` outputs."""
    return build_chain(parse_chain(name).with_classes(num_classes))


def describe_call(step: ChainStep, shape: Shape) -> Call:
    """How PyTorch makes the layer of a step that receives `shape`."""
    name, kind = KINDS[step.kind], step.kind
    if kind == "conv":
        options = _list_options(step, stride=(1, 1), padding=(0, 0), dilation=(1, 1))
        options |= {"groups": step.groups} if step.groups > 1 else {}
        return name, (shape[0], step.width, _shorten(step.kernel)), options | _bias(step)
    if kind == "linear":
        return name, (shape[0], step.width), _bias(step)
    if kind in NORMS:
        affine = {"affine": step.affine} if step.affine is (kind == "instancenorm") else {}
        eps = {"eps": step.value} if step.value != 1e-5 else {}
        first = (step.groups, shape[0]) if kind == "groupnorm" else (shape[0],)
        return name if len(shape) == 3 or kind != "bn" else "BatchNorm1d", first, eps | affine
    if kind in ("max", "avg"):
        options = _list_options(step, stride=step.kernel, padding=(0, 0))
        return name, (_shorten(step.kernel),), options | ({"ceil_mode": True} if step.ceil else {})
    if kind in POOLS:
        return name, (_shorten(step.kernel),), {}
    if kind == "prelu":
        return name, (step.width or shape[0],), {}
    if kind in ("softmax", "logsoftmax"):
        return name, (), {"dim": 1}
    return name, (step.value,) if step.value is not None else (), {}


def write_call(call: Call) -> str:
    """A call as Python: "nn.Conv2d(1, 6, 5, padding=2)"."""
    name, arguments, named = call
    return f"nn.{name}({', '.join([*map(repr, arguments), *(f'{key}={value!r}' for key, value in named.items())])})"


def write_source(
    chain: Chain,
    name: str = "my_chain",
    preprocessing: Preprocessing | None = None,
    labels: tuple[str, ...] | None = None,
) -> str:
    """A Python file that registers the chain as `name`: a plugin, which loads the same weights file.

    `preprocessing`: mean and std that it states; None: cnnviz's defaults. `labels`: class names. Raises BadInput if the
    chain is no network."""
    if problem := chain.find_problem():
        raise BadInput(problem)
    calls = {
        layer: write_call(describe_call(step, shape))
        for layer, (step, shape) in zip(chain.layer_names, chain.with_inputs(), strict=True)
    }
    last = max(i for i, step in enumerate(chain.steps) if step.is_weighted)
    head = chain.layer_names[last]
    step, shape = chain.with_inputs()[last]
    kind, arguments, named = describe_call(step, shape)
    marked = write_call((kind, (arguments[0], _Verbatim("num_classes"), *arguments[2:]), named))
    lines = [f"        self.{layer} = {marked if layer == head else call}" for layer, call in calls.items()]
    registered = [f'"{name}"', f"input_size={chain.input_size}", f"classes={chain.classes}"]
    if preprocessing is not None:
        registered += [f"mean={preprocessing.mean}", f"std={preprocessing.std}"]
        registered += [f"resize={preprocessing.resize}"] if preprocessing.resize else []
    if labels:
        registered.append(f"labels={_name_labels(labels)}")
    return _FILE.format(
        title=chain.title,
        name=name,
        registered=",\n    ".join(registered),
        type="".join(part.capitalize() for part in name.split("_")) or "MyChain",
        classes=chain.classes,
        layers="\n".join(lines),
        forward="\n".join(_write_forward(chain)),
    )


_FILE = '''"""{title}. Name this file to cnnviz: `cnnviz show {name} --plugin FILE`, or in CNNVIZ_PLUGINS."""

import cnnviz
from torch import Tensor, nn


@cnnviz.register(
    {registered},
)
class {type}(nn.Module):
    def __init__(self, num_classes: int = {classes}) -> None:
        super().__init__()
{layers}

    def forward(self, x: Tensor) -> Tensor:
{forward}
        return x
'''


class _Verbatim(str):
    """A text that stands in the source as it is, without quotes."""

    def __repr__(self) -> str:
        return str(self)


def _write_forward(chain: Chain) -> list[str]:
    """A line from each convolution or linear layer to the next: "x = self.pool1(self.relu1(self.conv1(x)))"."""
    groups: list[list[str]] = [[]]
    for layer, step in zip(chain.layer_names, chain.steps, strict=True):
        if (step.is_weighted or step.kind == "flatten") and groups[-1]:
            groups.append([])
        groups[-1].append(layer)
    lines = []
    for group in groups:
        text = "x"
        for layer in group:
            text = f"self.{layer}({text})"
        lines.append(f"        x = {text}")
    return lines


def _name_labels(labels: tuple[str, ...]) -> str:
    known = {tuple(MNIST): "mnist", tuple(CIFAR10): "cifar10"}
    return repr(known.get(labels, labels))


def _list_options(step: ChainStep, **usual: tuple[int, int]) -> dict[str, Any]:
    return {key: _shorten(getattr(step, key)) for key, value in usual.items() if getattr(step, key) != value}


def _bias(step: ChainStep) -> dict[str, Any]:
    return {} if step.bias else {"bias": False}


def _shorten(pair: tuple[int, int]) -> int | tuple[int, int]:
    return pair[0] if pair[0] == pair[1] else pair
