"""Which elementwise function of one tensor a few steps of code compute together, and whether it is a rectifier."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

MOST_STEPS = 40  # of one function; what is longer is cut
_DUNDERS = {"truediv": "div", "rtruediv": "div", "itruediv": "div", "invert": "bitwise_not", "neg": "neg"}
_MORE = frozenset("hardswish leaky_relu setitem and or xor softsign tanhshrink logsigmoid rrelu".split())
_CASTS = frozenset("to float double half bfloat16 type type_as bool int long contiguous clone".split())
Function = Callable[[Tensor], Tensor]


class Step:
    """One elementwise step of a function of a single tensor, the leaf, which is a step without `func`.

    `args`, `kwargs`: of `func`; steps stand for the tensors that they compute, other tensors are constants. `tensor`:
    what it has computed, None once that is gone or was overwritten. `hold`: keeps the leaf's tensor
    while it is needed."""

    def __init__(self, name: str = "", func: Any = None, args: tuple[Any, ...] = (), kwargs: Any = None) -> None:
        self.name, self.func, self.args, self.kwargs = name, func, args, dict(kwargs or {})
        self.shape: tuple[int, ...] = ()
        self.hold: Tensor | None = None
        self.substitute: Tensor | None = None  # stands for `tensor` in the graph of gradients
        self.settled = False  # whether it is known what stands for it
        self.unknown = False  # neither linear nor a known function
        self._tensor: Callable[[], Tensor | None] = lambda: None

    @property
    def tensor(self) -> Tensor | None:
        """What the step has computed."""
        return self._tensor()

    def set_tensor(self, tensor: Tensor | None) -> None:
        """Note, without keeping it, what the step has computed; None: it was overwritten."""
        self._tensor = (lambda: None) if tensor is None else weakref.ref(tensor)
        if tensor is not None:
            self.shape = tuple(tensor.shape)

    @property
    def inputs(self) -> list[Step]:
        """The steps that it reads."""
        return [value for value in (*self.args, *self.kwargs.values()) if isinstance(value, Step)]

    @property
    def leaf(self) -> Step:
        """The step at which the function begins."""
        return self.ancestors()[0]

    def ancestors(self) -> list[Step]:
        """All steps that lead to this one, which is the last; what is read comes before what reads it."""
        found: dict[int, Step] = {}

        def visit(step: Step) -> None:
            if id(step) not in found:
                for child in step.inputs:
                    visit(child)
                found[id(step)] = step

        visit(self)
        return list(found.values())

    def describe(self, start: Step) -> str | None:
        """The function from `start` to here in words, "mul(x, sigmoid(x))"; None if it reads something else too."""
        if self is start:
            return "x"
        if self.func is None:
            return None
        words = [_word(value, start) for value in (*self.args, *self.kwargs.items())]
        return None if None in words else f"{self.name}({', '.join(str(word) for word in words)})"

    def evaluate(self, start: Step, values: Tensor) -> Tensor:
        """The function from `start` to here of other `values`, which are not changed."""
        known: dict[int, Tensor] = {id(start): values}
        for step in self.ancestors():
            if step.func is not None and id(step) not in known and all(id(child) in known for child in step.inputs):
                args = [_fill(value, known, values) for value in step.args]
                kwargs = {key: _fill(value, known, values) for key, value in step.kwargs.items()}
                known[id(step)] = step.func(*args, **kwargs)
        return known[id(self)]

    def rerun(self, inputs: list[Tensor]) -> Tensor:
        """The step with other tensors for those that it reads."""
        known = {id(child): tensor for child, tensor in zip(self.inputs, inputs, strict=True)}
        args = [_fill(value, known, inputs[0]) for value in self.args]
        kwargs = {key: _fill(value, known, inputs[0]) for key, value in self.kwargs.items()}
        assert self.func is not None
        found: Tensor = self.func(*args, **kwargs)
        return found


def _word(value: Any, start: Step) -> str | None:
    if isinstance(value, Step):
        return value.describe(start)
    if isinstance(value, tuple):  # a keyword
        word = _word(value[1], start)
        return None if word is None else f"{value[0]}={word}"
    if isinstance(value, Tensor):
        return f"{value.item():g}" if not value.is_complex() else str(value.item())
    return str(value)


def _fill(value: Any, known: dict[int, Tensor], values: Tensor) -> Any:
    if isinstance(value, Step):
        return known[id(value)].clone()  # the step may work in place
    if isinstance(value, Tensor):
        return value.to(values.device, values.dtype if value.is_floating_point() else None)
    return value


@lru_cache(maxsize=1024)
def is_elementwise(name: str) -> bool:
    """Whether a function of torch of that name can work element by element; whether a call does, its result tells."""
    for candidate in (name, _DUNDERS.get(name, ""), name[1:] if name[:1] in ("r", "i") else ""):
        packet = getattr(torch.ops.aten, candidate, None) if candidate else None
        if packet is not None and any(torch.Tag.pointwise in getattr(packet, o).tags for o in packet.overloads()):
            return True
    return name in _CASTS or name in _MORE


def find_constant(tensor: Tensor) -> Tensor | None:
    """The one value of a tensor that no gradient reaches, without dimensions; None if it has several."""
    if tensor.requires_grad or tensor.numel() == 0:
        return None
    first = tensor.detach().reshape(-1)[0].clone()
    return first if tensor.numel() == 1 or bool((tensor == first).all()) else None


def set_where(values: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`values[mask] = value` as a function that returns a new tensor."""
    return torch.where(mask, torch.as_tensor(value, dtype=values.dtype, device=values.device), values)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a function of one number is: a "rectifier", "plain" (linear, or a gate: it levels off on both sides alike),
    or "unknown". `slope`: a rectifier under its own name, whose derivative is taken; None: the function itself."""

    kind: str
    slope: Function | None = None


_PROBE = torch.cat([torch.linspace(-8, 8, 321, dtype=torch.float64), torch.tensor([-60.0, -30.0, 30.0, 60.0]).double()])
_NAMED: tuple[Function, ...] = (
    F.selu,
    F.silu,
    F.gelu,
    lambda x: F.gelu(x, approximate="tanh"),
    lambda x: x * torch.sigmoid(1.702 * x),
    F.mish,
    F.softplus,
    F.hardswish,
)


def judge(step: Step, start: Step) -> Verdict:
    """What the function from `start` to `step` is, by its values at a few hundred places."""
    try:
        with torch.no_grad():
            values = step.evaluate(start, _PROBE)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return Verdict("unknown")
    if not isinstance(values, Tensor) or values.shape != _PROBE.shape or values.is_complex():
        return Verdict("unknown")
    return classify(_PROBE, values.double())


def classify(x: Tensor, y: Tensor) -> Verdict:
    """What a function is that takes the values `y` at the places `x`, which lie symmetrically about 0."""
    if not y.isfinite().all():
        return Verdict("unknown")
    for slope in _find_candidates(x, y):
        if _equal(slope(x), y):
            return Verdict("rectifier", slope)
    return Verdict("plain" if _is_linear(x, y) or _is_gate(x, y) else "unknown")


def _find_candidates(x: Tensor, y: Tensor) -> Iterator[Function]:
    """Rectifiers that `y` may be: those with a parameter take it from `y`."""
    top, bottom = float(y.max()), -float(y.min())
    below = float(y[(x + 1).abs().argmin()])  # at −1
    if top > 0:
        yield torch.relu if top >= float(x.max()) else lambda x: F.hardtanh(x, 0.0, top)
    if 0 < -below < 0.999:
        yield lambda x: F.leaky_relu(x, -below)
    if bottom > 0:
        yield lambda x: F.elu(x, bottom)
        yield lambda x: F.celu(x, bottom)
    yield from _NAMED


def _equal(first: Tensor, second: Tensor) -> bool:
    return bool(torch.allclose(first, second, rtol=1e-5, atol=1e-6))


def _is_linear(x: Tensor, y: Tensor) -> bool:
    first, last = int(x.argmin()), int(x.argmax())
    slope = (y[last] - y[first]) / (x[last] - x[first])
    return _equal(y[first] + slope * (x - x[first]), y)


def _is_gate(x: Tensor, y: Tensor) -> bool:
    order = x.argsort()
    y = y[order]
    level = _equal(y[:1], y[1:2]) and _equal(y[-1:], y[-2:-1])
    return level and _equal(y + y.flip(0), (y[:1] + y[-1:]).expand_as(y))
