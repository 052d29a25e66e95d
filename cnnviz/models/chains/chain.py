"""A network that is a chain of layers: its name, the shape behind every step, its parts with other settings."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cnnviz.errors import BadInput
from cnnviz.models.chains.steps import ACTIVATIONS, ENDS, NORMS, POOLS, ChainStep, parse_step
from cnnviz.wording import plural

PREFIX = "chain:"
_LONGEST = 256  # steps
_WIDEST = 4096  # pixels a side
_MOST_WEIGHTS, _MOST_UNITS = 2**28, 2**27  # of the whole chain; of one step's output for one image
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})x(\d{1,5})")
_STEMS = {
    "linear": "fc",
    "leaky": "leakyrelu",
    "max": "pool",
    "avg": "pool",
    "adaptiveavg": "pool",
    "adaptivemax": "pool",
    "bn": "bn",
    "instancenorm": "norm",
    "groupnorm": "norm",
    "dropout": "drop",
}  # kind: how layers of it are called, where it is not the kind itself
Shape = tuple[int, ...]  # (C, H, W) or, once flattened, (features,)


@dataclass(frozen=True, slots=True)
class StepOutput:
    """What one step of a chain gives. `layer`: its name in the network. `shape`: (C, H, W) or (features,) for one
    image; None where the step does not fit, and `problem` says why in a sentence."""

    layer: str
    step: ChainStep
    shape: Shape | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of layers. `input_size`: (C, H, W). `steps`: input side first.

    Example:
        >>> from cnnviz.models.chains.chain import parse_chain
        >>> chain = parse_chain("chain:1x28x28-conv6k5p2-relu-max2-flatten-linear10")
        >>> [output.shape for output in chain.check()]
        [(6, 28, 28), (6, 28, 28), (6, 14, 14), (1176,), (10,)]
    """

    input_size: tuple[int, int, int]
    steps: tuple[ChainStep, ...]

    @property
    def name(self) -> str:
        """The name that `cnnviz.build` and `cnnviz.load` take; `parse_chain` reads it."""
        return PREFIX + "-".join(["x".join(map(str, self.input_size)), *(step.word for step in self.steps)])

    @property
    def classes(self) -> int:
        """Outputs of the last convolution or linear layer; 0 if there is none."""
        return next((step.width for step in reversed(self.steps) if step.is_weighted), 0)

    @property
    def title(self) -> str:
        """In words, e.g. "Chain: 2 convolutions, 3 linear layers"."""
        count = {kind: sum(step.kind == kind for step in self.steps) for kind in ("conv", "linear")}
        words = (("conv", "convolution"), ("linear", "linear layer"))
        parts = [f"{count[kind]} {word}{'' if count[kind] == 1 else 's'}" for kind, word in words if count[kind]]
        return f"Chain: {', '.join(parts)}"

    @property
    def label(self) -> str:
        """A short name for pickers: widths of its layers and its input, e.g. "Chain 6-16-120-84-10, 1×28×28"."""
        widths = [str(step.width) for step in self.steps if step.is_weighted]
        shown = widths if len(widths) <= 7 else [*widths[:3], "…", *widths[-3:]]
        return f"Chain {'-'.join(shown)}, {_show(self.input_size)}"

    @property
    def outline(self) -> str:
        """Input, layers and activations in a line, e.g. "1×28×28: 6 of 5×5, max 2, 16 of 5×5, max 2; 84, 10; ReLU"."""
        body = [_outline(step) for step in self.steps if step.kind == "conv" or step.kind in POOLS]
        linear = [str(step.width) for step in self.steps if step.kind == "linear"]
        active = dict.fromkeys(ACTIVATIONS[step.kind] for step in self.steps if step.kind in ACTIVATIONS)
        parts = (", ".join(part) for part in (body, linear, list(active)) if part)
        return f"{_show(self.input_size)}: {'; '.join(parts)}"

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the steps in the network: "conv1", "relu1", "pool1", …, "fc1"."""
        seen: dict[str, int] = {}
        names = []
        for step in self.steps:
            stem = _STEMS.get(step.kind, step.kind)
            seen[stem] = seen.get(stem, 0) + 1
            names.append(f"{stem}{seen[stem]}")
        return tuple(names)

    def check(self) -> tuple[StepOutput, ...]:
        """The output of every step, as far as they fit: after the first that does not, none follows."""
        outputs: list[StepOutput] = []
        shape: Shape = self.input_size
        for layer, step in zip(self.layer_names, self.steps, strict=True):
            try:
                shape = find_output(step, shape)
            except BadInput as error:
                return (*outputs, StepOutput(layer, step, None, str(error)))
            outputs.append(StepOutput(layer, step, shape))
        return tuple(outputs)

    def find_problem(self) -> str:
        """Why the chain is no network, in a sentence; "" if it is one."""
        if not 1 <= len(self.steps) <= _LONGEST:
            return f"A chain has 1 to {_LONGEST} steps, this one has {len(self.steps)}."
        channels, *sides = self.input_size
        if not 1 <= channels <= 64 or not all(1 <= side <= _WIDEST for side in sides):
            return f"The input must have 1 to 64 channels and 1 to {_WIDEST} pixels a side, got {self.input_size}."
        outputs = self.check()
        last = outputs[-1]
        if last.problem:
            return f"{last.layer} ({last.step.word}): {last.problem}"
        if not self.classes:
            return "A chain needs a convolution or a linear layer."
        if last.shape != (self.classes,):
            return f"A chain ends in one score a class: its last step gives {last.shape}. Flatten it."
        weights = sum(count_weights(step, before) for step, before in self.with_inputs())
        if weights > _MOST_WEIGHTS:
            return f"The chain has {weights:,} weights; at most {_MOST_WEIGHTS:,} are allowed."
        units = max(math.prod(output.shape or ()) for output in outputs)
        if max(units, math.prod(self.input_size)) > _MOST_UNITS:
            return (
                f"A layer of the chain has {plural(units, 'unit')} for one image; at most {_MOST_UNITS:,} are allowed."
            )
        return ""

    def with_inputs(self) -> list[tuple[ChainStep, Shape]]:
        """(step, shape that it receives) of all steps that fit."""
        shapes = [output.shape or () for output in self.check()]
        return list(zip(self.steps, [self.input_size, *shapes], strict=False))

    def with_classes(self, classes: int) -> Chain:
        """With another number of outputs of the last convolution or linear layer, and of the norms behind it."""
        steps = list(self.steps)
        last = max(i for i, step in enumerate(steps) if step.is_weighted)
        steps[last] = replace(steps[last], width=classes)
        return replace(self, steps=tuple(steps))

    def with_activation(self, kind: str) -> Chain:
        """With `kind` in the place of every activation but one that closes the chain."""
        *body, last = self.steps
        changed = [ChainStep(kind) if step.kind in ACTIVATIONS else step for step in body]
        return replace(self, steps=(*changed, last))

    def with_pooling(self, kind: str) -> Chain:
        """With every maximum or average pooling of windows turned into `kind`, "max" or "avg"."""
        steps = [replace(step, kind=kind) if step.kind in ("max", "avg") else step for step in self.steps]
        return replace(self, steps=tuple(steps))


def is_chain(name: str) -> bool:
    """True if `name` is meant for a chain's: it begins with "chain:"."""
    return name.startswith(PREFIX)


def parse_chain(name: str) -> Chain:
    """The chain of a name as `Chain.name` writes it, with or without "chain:".

    Raises BadInput, saying which step does not fit and why, unless it is a network."""
    size, *words = name.removeprefix(PREFIX).split("-")
    match = _SIZE.fullmatch(size)
    if match is None or len(words) > _LONGEST:
        raise BadInput(
            f"A chain's name is its input, channels × rows × columns, and up to {_LONGEST} steps, e.g. "
            f"chain:1x28x28-conv6k5-relu-max2-flatten-linear10; got {name[:60]!r}."
        )
    channels, height, width = map(int, match.groups())
    chain = Chain((channels, height, width), tuple(map(parse_step, words)))
    if problem := chain.find_problem():
        raise BadInput(f"The chain {name[:60]!r} is no network. {problem}")
    return chain


def find_output(step: ChainStep, shape: Shape) -> Shape:
    """Shape of a step's output for an input of `shape`, (C, H, W) or (features,).

    Raises BadInput with a sentence if the step does not fit."""
    if step.kind == "flatten":
        return (math.prod(shape),)
    if step.kind == "linear":
        if len(shape) != 1:
            raise BadInput(f"A linear layer needs a vector and gets maps {_show(shape)}: flatten them before.")
        return (step.width,)
    if step.kind == "prelu" and step.width not in (0, 1, shape[0]):
        raise BadInput(f"It has {plural(step.width, 'slope')} for {plural(shape[0], 'channel')}.")
    if step.kind in ("groupnorm",) and shape[0] % step.groups:
        raise BadInput(f"{plural(shape[0], 'channel')} can't be divided into {plural(step.groups, 'group')}.")
    if step.kind == "conv" or step.kind in POOLS or step.kind == "instancenorm":
        if len(shape) != 3:
            raise BadInput("It needs maps, and gets the vector that follows a flatten.")
        return _find_map(step, (shape[0], shape[1], shape[2]))
    if step.kind in NORMS or step.kind in ACTIVATIONS or step.kind in ENDS or step.kind == "dropout":
        return shape
    raise AssertionError(step.kind)


def count_weights(step: ChainStep, shape: Shape) -> int:
    """Number of weights of a step that receives `shape`."""
    if step.kind == "conv":
        return step.width * (shape[0] // step.groups * math.prod(step.kernel) + step.bias)
    if step.kind == "linear":
        return step.width * (shape[0] + step.bias)
    if step.kind in NORMS:
        return 2 * shape[0] * step.affine
    return (step.width or shape[0]) if step.kind == "prelu" else 0


def _find_map(step: ChainStep, shape: tuple[int, int, int]) -> Shape:
    channels, *sides = shape
    if step.kind == "instancenorm":
        return shape
    if step.kind.startswith("adaptive"):
        return (channels, *step.kernel)
    if step.kind == "conv":
        if channels % step.groups or step.width % step.groups:
            raise BadInput(
                f"{channels} and {plural(step.width, 'channel')} can't be divided into {plural(step.groups, 'group')}."
            )
        channels = step.width
    elif any(2 * padding > kernel for padding, kernel in zip(step.padding, step.kernel, strict=True)):
        raise BadInput(f"The padding of a pooling is at most half its kernel, got {step.padding} and {step.kernel}.")
    windows = list(zip(sides, step.kernel, step.stride, step.padding, step.dilation, strict=True))
    found = [_slide(*window, step.ceil) for window in windows]
    if min(found) < 1:
        raise BadInput(f"Its kernel of {_show(step.kernel)} is larger than the maps of {_show(tuple(sides))}.")
    return (channels, *found)


def _slide(side: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool) -> int:
    """Places of a window along one side, 0 or fewer if it is too large. Source: PyTorch, docs of Conv2d, MaxPool2d."""
    room = side + 2 * padding - dilation * (kernel - 1) - 1
    if room < 0:
        return 0
    count = room // stride + 1
    if ceil and room % stride and count * stride < side + padding:  # a window may not begin in the padding behind
        count += 1
    return count


def _outline(step: ChainStep) -> str:
    if step.kind.startswith("adaptive"):
        return f"{step.kind.removeprefix('adaptive')} to {_show(step.kernel)}"
    kernel = str(step.kernel[0]) if step.kernel[0] == step.kernel[1] else _show(step.kernel)
    if step.kind != "conv":
        return f"{step.kind} {kernel}" + (f" stride {step.stride[0]}" if step.stride != step.kernel else "")
    padding = f" padded {_show(step.padding) if step.padding[0] != step.padding[1] else step.padding[0]}"
    text = f"{step.width} of {_show(step.kernel)}" + (padding if any(step.padding) else "")
    return text + (f" stride {step.stride[0]}" if step.stride != (1, 1) else "")


def _show(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
