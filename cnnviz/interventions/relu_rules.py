"""Backward rules of rectifiers: gradient, deconvnet and guided backpropagation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from cnnviz.errors import BadInput
from cnnviz.interventions.elementwise import (
    MOST_STEPS,
    Function,
    Step,
    Verdict,
    find_constant,
    is_elementwise,
    judge,
    set_where,
)

RULES = ("gradient", "deconvnet", "guided")
REDIRECTED = "redirected"  # for synthesis: no back-projection of a given image
_RECTIFIERS = frozenset("relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish softplus hardswish".split())
_BOUNDED = frozenset("clamp clip clamp_min hardtanh threshold".split())  # rectifiers when they cut at 0
_QUESTIONS = frozenset("size dim stride numel nelement is_contiguous storage_offset element_size".split())
_AUGMENTED = frozenset(
    f"__{name}__" for name in "setitem iadd isub imul itruediv idiv ipow ifloordiv imod iand ior ixor".split()
)
_POSITIONAL = frozenset(
    "relu relu6 hardtanh leaky_relu threshold elu selu celu silu mish hardswish hardsigmoid".split()
)
_VIEWS = frozenset("T mT H mH real imag data".split())  # attributes that are computed; others only describe a tensor


class RectifierRule(TorchFunctionMode):
    """Inside `with`, every rectifier that runs gets the backward pass of `rule`; its forward values are untouched.
    Thread-local; no module is edited.

    With signal R coming down, x the rectifier's input, f its function:
    - "gradient": R · f′(x), for ReLU the mask x > 0 (Simonyan et al. 2014, arXiv:1312.6034);
    - "deconvnet": max(R, 0) (Zeiler and Fergus, ECCV 2014);
    - "guided": max(R, 0) · f′(x) (Springenberg et al. 2015, arXiv:1412.6806);
    - "redirected": R · f′(x), but max(R, 0) for an image of which that is 0 everywhere: where a whole rectifier is
      silent, the signal that asks for more goes through (Olah, Mordvintsev, Schubert, Distill 2017, notes). It is no
      back-projection of an image, but a direction in which to change one whose gradient is 0.

    A rectifier is known by what it computes. Steps that work element by element on one tensor and constants, such as
    `x * (x > 0)`, `torch.maximum(x, 0)`, `x[x < 0] = 0` or the code of an autograd Function, are taken together as a
    function of one number; if its values are those of ReLU, a ReLU clipped from above, leaky ReLU, ELU, SELU, CELU,
    GELU, SiLU, Mish, softplus or hardswish, it is one rectifier. Functions of these names are rectifiers with any
    parameters, as are PReLU and RReLU. Linear functions and gates (sigmoid, hardsigmoid, tanh, also
    `relu6(x + 3) / 6`) keep their derivative. So does any other function: `unjudged` names it. TorchScript code is
    not reached. Raises BadInput for another rule."""

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = rule if rule == REDIRECTED else check_rule(rule)
        self.unjudged: list[str] = []  # elementwise functions that are neither linear nor known
        self._steps: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._verdicts: dict[str, Verdict] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        raw = getattr(func, "__name__", "")
        name = raw.strip("_")
        if name in _QUESTIONS or (name == "get" and getattr(func, "__self__", func).__name__ not in _VIEWS):
            return func(*args, **kwargs)
        if not args and "input" in kwargs:
            args = (kwargs.pop("input"),)
        if self.rule == "gradient":
            return self._run_by_name(func, name, args, kwargs)
        in_place = _works_in_place(raw, args, kwargs)
        if args and is_elementwise(name):
            with torch._C.DisableTorchFunction():
                step = self._extend(func, name, args, kwargs)
            if step is not None:
                return self._run_step(step, func, args, kwargs, in_place)
        return self._run_other(func, name, args, kwargs, in_place)

    def resolve(self, tensor: Tensor) -> Tensor:
        """The tensor that stands for a result of the pass, such as a layer's output, in the graph of gradients."""
        step = self._steps.get(tensor)
        if step is None or not (tensor.requires_grad and torch.is_grad_enabled()):
            return tensor
        with torch._C.DisableTorchFunction():
            found = self._resolve(step)
        if step.unknown and (words := step.describe(step.leaf)) not in self.unjudged:
            self.unjudged.append(str(words))
        return tensor if found is None else found

    def _resolve_all(self, values: Any) -> Any:
        """`values`, a tensor, list, tuple or dict, with what stands for each tensor."""
        if isinstance(values, Tensor):
            return self.resolve(values)
        if isinstance(values, dict):
            return {key: self._resolve_all(value) for key, value in values.items()}
        if type(values) in (list, tuple):
            return type(values)(self._resolve_all(value) for value in values)
        return values

    def _run_by_name(self, func: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        x = args[0] if args else None
        if not (
            isinstance(x, Tensor) and x.requires_grad and torch.is_grad_enabled() and _is_named(name, args, kwargs)
        ):
            return func(*args, **kwargs)
        return self._rectify(x, lambda v: func(v, *args[1:], **kwargs), torch.relu if name == "relu" else None)

    def _rectify(self, x: Tensor, apply: Function, slope: Function | None) -> Tensor:
        with torch._C.DisableTorchFunction():
            found: Tensor = _Rectify.apply(x, apply, self.rule, slope)
        return found

    def _run_other(self, func: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any], in_place: bool) -> Any:
        """A call that is no step of a function of one tensor: what it reads is decided upon now."""
        if not (in_place and args and isinstance(args[0], Tensor)):
            return self._run_by_name(func, name, self._resolve_all(args), self._resolve_all(kwargs))
        first, rest, options = args[0], self._resolve_all(args[1:]), self._resolve_all(kwargs)
        known = self.resolve(first)
        if known is not first:  # the same values, with the other graph
            with torch._C.DisableTorchFunction():
                first.detach_().copy_(known)
        self._forget(first)
        result = self._run_by_name(func, name, (first, *rest), options)
        self._forget(first)
        return result

    def _run_step(self, step: Step, func: Callable[..., Any], args: Any, kwargs: dict[str, Any], in_place: bool) -> Any:
        """A step of a function of one tensor. A rectifier by itself gets its rule at once, any other when its result is
        used by something else: until then it may be a part of one."""
        leaf, first = step.leaf, args[0]
        before = self._steps.get(first) if isinstance(first, Tensor) else None
        if torch.is_grad_enabled() and (not in_place or before is leaf):
            result = self._rectify_step(step, func, args, kwargs, in_place)
            if result is not None:
                return result
        if in_place and (before is None or before is leaf or first._is_view()):
            return self._run_other(func, step.name, args, kwargs, True)
        result = func(*args, **kwargs)
        if in_place:
            result = first
            if before is not None:
                before.set_tensor(None)
        elif not isinstance(result, Tensor) or tuple(result.shape) != leaf.shape:
            return self._run_other(func, step.name, args, kwargs, False)
        elif any(result is value for value in args):
            return result
        step.set_tensor(result)
        step.hold = leaf.tensor
        self._steps[result] = step
        return result

    def _rectify_step(
        self, step: Step, func: Callable[..., Any], args: Any, kwargs: dict[str, Any], in_place: bool
    ) -> Tensor | None:
        """The step's result if all steps from some tensor on are a rectifier together."""
        named = step.inputs == [step.leaf] and _is_named(step.name, step.args, step.kwargs)
        if named and args[0] is step.leaf.tensor:
            result = self._run_by_name(func, step.name, args, kwargs)
        else:
            if self._judge(step, step.leaf).kind != "rectifier":
                return None
            start, slope = self._find_start(step)
            base = None if start is None else self._resolve(start)
            if start is None or base is None:
                return None

            def run(values: Tensor) -> Tensor:
                found = step.evaluate(start, values)
                return values.copy_(found) if in_place else found

            result = self._rectify(base, run, slope)
        if in_place:
            self._forget(result)
        else:
            step.set_tensor(result)
            step.settled = True
            self._steps[result] = step
        return result

    def _find_start(self, step: Step) -> tuple[Step | None, Function | None]:
        """Where the rectifier that `step` ends begins, and its derivative's function. If the tensor where it begins is
        gone, that of a rectifier on the way serves as well: a signal is rectified once or twice."""
        part = False
        for start in step.ancestors()[:-1]:
            verdict = self._judge(step, start)
            if verdict.kind == "rectifier" and start.tensor is not None:
                return start, verdict.slope
            part |= verdict.kind == "rectifier"
            if part and start.settled and start.tensor is not None and step.describe(start) is not None:
                return start, None
        return None, None

    def _judge(self, step: Step, start: Step) -> Verdict:
        if step.inputs == [start] and _is_named(step.name, step.args, step.kwargs):
            return Verdict("rectifier", torch.relu if step.name == "relu" else None)
        key = step.describe(start)
        if key is None:
            return Verdict("unknown")
        if key not in self._verdicts:
            with torch._C.DisableTorchFunction():
                self._verdicts[key] = judge(step, start)
        return self._verdicts[key]

    def _resolve(self, step: Step) -> Tensor | None:
        """What stands for a step in the graph of gradients; None if it can no longer be had."""
        if step.func is None or (step.settled and step.substitute is None):
            return step.tensor
        if not step.settled:
            step.substitute, step.settled = self._substitute(step), True
            step.hold = None
        return step.tensor if step.substitute is None else step.substitute

    def _substitute(self, step: Step) -> Tensor | None:
        """Another tensor of the same values, whose gradients follow the rule; None for the step's own."""
        for start in step.ancestors()[:-1]:
            verdict = self._judge(step, start)
            base = None if verdict.kind == "unknown" else self._resolve(start)
            if base is None:
                continue
            if verdict.kind == "rectifier":
                return self._rectify(base, partial(step.evaluate, start), verdict.slope)
            return None if base is start.tensor and step.tensor is not None else step.evaluate(start, base)
        inputs = [self._resolve(child) for child in step.inputs]
        step.unknown = True
        if any(found is None for found in inputs):
            return None
        if step.tensor is not None and all(f is c.tensor for f, c in zip(inputs, step.inputs, strict=True)):
            return None
        return step.rerun([found for found in inputs if found is not None])

    def _forget(self, tensor: Tensor) -> None:
        """The tensor was overwritten."""
        step = self._steps.pop(tensor, None)
        if step is not None:
            step.set_tensor(None)

    def _extend(self, func: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any]) -> Step | None:
        """The step that a call is in a function of one tensor; None if it is none."""
        values = [*args, *kwargs.values()]
        if "out" in kwargs or any(isinstance(value, list | tuple) for value in values):
            return None
        found = [self._find_step(value) for value in values]
        steps = [step for step in found if isinstance(step, Step)]
        if not steps or any(value is None and given is not None for value, given in zip(found, values, strict=True)):
            return None
        if name == "setitem" and not _is_masked_write(found):
            return None
        step = Step(
            name,
            set_where if name == "setitem" else func,
            tuple(found[: len(args)]),
            dict(zip(kwargs, found[len(args) :], strict=True)),
        )
        roots = [other for other in step.ancestors() if other.func is None]
        return step if len(roots) == 1 and len(step.ancestors()) <= MOST_STEPS else None

    def _find_step(self, value: Any) -> Any:
        """The step that computed a tensor, a constant instead of one of a single value; None for other tensors."""
        if not isinstance(value, Tensor):
            return value
        step = self._steps.get(value)
        if step is None and value.requires_grad:
            step = Step()
            step.set_tensor(value)
            self._steps[value] = step
        return find_constant(value) if step is None else step


def _is_masked_write(values: list[Any]) -> bool:
    """Whether `values`, (x, index, value), are those of x[mask] = number."""
    if len(values) != 3 or not (isinstance(values[0], Step) and isinstance(values[1], Step)):
        return False
    mask = values[1].tensor
    single = not isinstance(values[2], Step)
    return single and mask is not None and mask.dtype == torch.bool and mask.shape == values[0].shape


def _works_in_place(raw: str, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether a call overwrites its first argument: `relu_`, `x += 1`, `x[...] = 0`, `inplace=True`."""
    if raw.startswith("__"):
        return raw in _AUGMENTED
    if raw.endswith("_") or kwargs.get("inplace"):
        return True
    return raw in _POSITIONAL and args[-1] is True and len(args) > 1


def _is_named(name: str, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether the call is a rectifier by its name."""
    return name in _RECTIFIERS or (name in _BOUNDED and _cuts_at_zero(name, list(args[1:]), kwargs))


def check_rule(rule: str) -> str:
    """`rule` if it is one of RULES. Raises BadInput naming them otherwise."""
    if rule not in RULES:
        raise BadInput(f"No rule named {rule!r}. Choose one of: {', '.join(RULES)}.")
    return rule


def _cuts_at_zero(name: str, rest: list[Any], options: dict[str, Any]) -> bool:
    """True if everything below 0, and nothing just above it, becomes 0."""
    low_name, high_name, low, high = {
        "hardtanh": ("min_val", "max_val", -1.0, 1.0),
        "threshold": ("threshold", "value", None, None),
        "clamp_min": ("min", "", None, None),
    }.get(name, ("min", "max", None, None))
    values = dict(zip((low_name, high_name), rest, strict=False)) | options
    low, high = values.get(low_name, low), values.get(high_name, high)
    if not isinstance(low, int | float) or low != 0:
        return False
    if name == "threshold":
        return high == 0
    return high is None or (isinstance(high, int | float) and high > 0)


class _Rectify(torch.autograd.Function):
    """An elementwise function f with the backward pass of a rule.

    f′ is kept instead of the values, so that, unlike plain autograd, neighbouring slices may be rectified
    in place; the deconvnet rule keeps nothing."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, apply: Function, rule: str, named: Function | None) -> Tensor:
        slope = None
        if rule != "deconvnet":
            slope = x > 0 if named is torch.relu else _slope(x, named or apply)
        result = apply(x)
        ctx.save_for_backward(slope)
        ctx.rule = rule
        if result is x:
            ctx.mark_dirty(x)  # in place: whoever holds x sees the rectified values, as without the rule
        return result

    @staticmethod
    def backward(ctx: Any, signal: Tensor) -> tuple[Tensor, None, None, None]:
        (slope,) = ctx.saved_tensors
        if ctx.rule == REDIRECTED:
            return _redirect(signal, slope), None, None, None
        kept = signal if ctx.rule == "gradient" else signal.clamp_min(0)
        return (kept if slope is None else kept * slope), None, None, None


def _redirect(signal: Tensor, slope: Tensor) -> Tensor:
    """R · f′(x), and max(R, 0) for images, the first axis, of which that is 0 everywhere."""
    plain = signal * slope
    silent = ~plain.reshape(len(plain), -1).any(1)
    return torch.where(silent.view(-1, *[1] * (plain.ndim - 1)), signal.clamp_min(0), plain)


def _slope(x: Tensor, apply: Callable[[Tensor], Tensor]) -> Tensor:
    """f′(x), for any elementwise function."""
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        result = apply(leaf.clone())  # `apply` may work in place, which a leaf does not allow
        return torch.autograd.grad(result, leaf, torch.ones_like(result))[0]
