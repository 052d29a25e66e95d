"""Change what a built network applies between its layers: other activations, no batch norm, another dropout."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from cnnviz.errors import BadInput
from cnnviz.models.families.lenet_1998 import ScaledTanh
from cnnviz.models.output import walk_tensors

_MAKERS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "leaky": nn.LeakyReLU,  # slope 0.01 below 0
}
_RECTIFIERS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Hardswish, nn.Softplus),
)
_SQUASHING = (nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Softsign, ScaledTanh)
_DROPOUTS = nn.modules.dropout._DropoutNd
_NORMS = nn.modules.batchnorm._BatchNorm


class DropoutLinear(nn.Linear):
    """A linear layer behind dropout, under the names that the tensors of the layer alone have."""

    def __init__(self, layer: nn.Linear, share: float) -> None:
        super().__init__(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        self.weight, self.bias = layer.weight, layer.bias
        self.dropout = nn.Dropout(share)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.dropout(x))


def replace_activations(
    module: nn.Module, kind: str, name: str, base: str, hidden: Container[str] | None = None
) -> None:
    """Put the activation `kind` in the place of every hidden one: each rectifier (ReLU, leaky, ELU, SiLU, …), or in a
    network without any each tanh and sigmoid, which beside rectifiers are gates. What follows the last layer with
    weights is the output's and stays. `hidden`: names of the hidden ones where the order of the modules does not tell,
    see `find_hidden_activations`. Raises BadInput where there is none, or they are all of this kind already."""
    made = _MAKERS[kind]
    found = list_activations(module, hidden)
    if not found:
        raise BadInput(
            f"{name}: {base} has no activation among its modules. One that is called as a function cannot be replaced."
        )
    if all(type(one) is type(made()) for one in found):
        raise BadInput(f"{name} is {base} itself, whose activation it is. Leave {kind} out of its name.")
    new = {id(one): one if type(one) is type(made()) else made() for one in found}
    _replace(module, lambda one: new.get(id(one), one))


def list_activations(module: nn.Module, hidden: Container[str] | None = None) -> list[nn.Module]:
    """The hidden activations, see `replace_activations`, in order."""
    named = list(module.named_modules())
    last = max((place for place, (_, one) in enumerate(named) if _has_weights(one)), default=0)
    before = [one for _, one in named[:last]] if hidden is None else [one for path, one in named if path in hidden]
    rectifiers: list[nn.Module] = [one for one in before if isinstance(one, _RECTIFIERS)]
    return rectifiers or [one for one in before if isinstance(one, _SQUASHING)]


def _has_weights(module: nn.Module) -> bool:
    return not isinstance(module, nn.PReLU) and any(True for _ in module.parameters(recurse=False))


def remove_norms(module: nn.Module, name: str, base: str) -> None:
    """Let every batch norm pass on what it gets; convolutions keep the biases that they have, or none. Raises BadInput
    where there is none."""
    if not any(isinstance(one, _NORMS) for one in module.modules()):
        raise BadInput(f"{name}: {base} has no batch norm. Leave nonorm out of its name.")
    _replace(module, lambda one: nn.Identity() if isinstance(one, _NORMS) else one)


def set_dropout(module: nn.Module, percent: int, name: str, base: str) -> None:
    """Set the rate of every dropout; in a network without, put one before each linear layer at its end but the first,
    or before the only one. Raises BadInput where nothing changes or there is no linear layer."""
    own = [one for one in module.modules() if isinstance(one, _DROPOUTS)]
    if all(round(100 * one.p) == percent for one in own) if own else not percent:
        raise BadInput(f"{name} is {base} itself, whose dropout it is. Leave drop{percent} out of its name.")
    for one in own:
        one.p = percent / 100
    if own:
        return
    layers = _list_last_linear(module)
    if not layers:
        raise BadInput(f"{name}: {base} has neither dropout nor linear layers at its end, which it could precede.")
    dropped = {id(layer) for layer in (layers[1:] or layers)}
    _replace(module, lambda one: DropoutLinear(one, percent / 100) if id(one) in dropped else one)  # type: ignore[arg-type]


def _list_last_linear(module: nn.Module) -> list[nn.Linear]:
    """The linear layers at the end, in order; norms may stand between."""
    found: list[nn.Linear] = []
    for one in reversed([one for one in module.modules() if _has_weights(one)]):
        if isinstance(one, nn.Linear):
            found.insert(0, one)
        elif not isinstance(one, _NORMS):
            break
    return found


def _replace(module: nn.Module, change: Callable[[nn.Module], nn.Module]) -> None:
    """Put `change(part)` in the place of every part, also where one part has several names."""
    parts = list(module.named_modules(remove_duplicate=False))[1:]
    new = {id(part): change(part) for _, part in parts}
    for path, part in parts:
        if new[id(part)] is not part:
            module.set_submodule(path, new[id(part)])


# --- networks of the user's own ------------------------------------------------------------------------------

_CALLED = "Relu Threshold LeakyRelu Hardtanh Elu Gelu Silu Mish Hardswish Softplus Prelu RreluWithNoise".split()
_SQUASHED = "Tanh Sigmoid Hardsigmoid".split()


class _Passing(torch.autograd.Function):
    """The identity, which leaves its number in the graph of autograd."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, number: int) -> Tensor:
        ctx.number = number
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0], None


class _Mark(nn.Module):
    """In the place of an activation: passes on what it gets."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def forward(self, x: Tensor) -> Tensor:
        return _Passing.apply(x, self.number)


def find_hidden_activations(module: nn.Module, input_size: tuple[int, int, int], name: str, base: str) -> set[str]:
    """Names of the activations that some weights follow, in a network whose code nobody knows: from a pass over noise.

    `module`: built for this, its activations do nothing afterwards. Raises BadInput where one is called as a function,
    which a variant would leave as it is, or the network cannot be tried."""
    active = [(path, one) for path, one in module.named_modules() if isinstance(one, (*_RECTIFIERS, *_SQUASHING))]
    marks = {id(one): _Mark(number) for number, (_, one) in enumerate(active)}
    _replace(module, lambda one: marks.get(id(one), one))
    nodes: list[Any] = list(_list_hidden_nodes(_try(module, input_size, name, base)))
    hidden = [active[node.number] for node in nodes if node.name().startswith(_Passing.__name__)]
    calls = {*_CALLED} if any(isinstance(one, _RECTIFIERS) for _, one in hidden) else {*_CALLED, *_SQUASHED}
    if left := sorted(calls & {node.name().rstrip("0123456789").removesuffix("Backward") for node in nodes}):
        raise BadInput(
            f"{name}: {base} calls {left[0].lower()} as a function, which cannot be replaced. Make it a module of the "
            "network, such as nn.ReLU()."
        )
    return {path for path, _ in hidden}


def refuse_called_dropout(module: nn.Module, input_size: tuple[int, int, int], name: str, base: str) -> None:
    """Raise BadInput for a network that draws random numbers in training otherwise than by modules of dropout.
    `module`: built for this, its dropout is 0 afterwards."""
    for one in module.modules():
        if isinstance(one, _DROPOUTS):
            one.p = 0.0
    first, second = (_try(module, input_size, name, base, seed) for seed in (0, 1))
    for a, b in zip(walk_tensors(first), walk_tensors(second), strict=True):
        if not torch.equal(a, b):
            raise BadInput(
                f"{name}: {base} calls its dropout as a function, which cannot be replaced. Make it a module of the "
                "network, nn.Dropout()."
            )


def _try(module: nn.Module, input_size: tuple[int, int, int], name: str, base: str, seed: int = 0) -> Any:
    """What the network returns in training for noise, always the same."""
    images = torch.rand(2, *input_size, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(seed)
    try:
        return module.train()(images)
    except Exception as error:  # code of the user's own may fail in any way
        raise BadInput(f"{name}: {base} could not be tried ({type(error).__name__}: {str(error)[:120]}).") from error


def _list_hidden_nodes(output: Any) -> Iterator[Any]:
    """The nodes of the graph of autograd that lie before the last weights."""
    waiting = [(tensor.grad_fn, False) for tensor in walk_tensors(output)]
    seen: set[tuple[Any, bool]] = set()
    while waiting:
        node, hidden = waiting.pop()
        if node is None or (node, hidden) in seen:
            continue
        seen.add((node, hidden))
        if hidden:
            yield node
        inputs = [before for before, _ in node.next_functions]
        behind = hidden or any(_is_weight(before) for before in inputs)
        waiting += [(before, behind) for before in inputs]


def _is_weight(node: Any) -> bool:
    """A parameter, or one that is transposed."""
    if node is not None and node.name() == "TBackward0":
        node = node.next_functions[0][0]
    return node is not None and node.name().endswith("AccumulateGrad")
