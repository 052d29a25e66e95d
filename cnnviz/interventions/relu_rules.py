"""Backward rules of rectifiers: gradient, deconvnet and guided backpropagation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from cnnviz.errors import BadInput

RULES = ("gradient", "deconvnet", "guided")
_RECTIFIERS = frozenset("relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish softplus hardswish".split())
_BOUNDED = frozenset("clamp clip clamp_min hardtanh threshold".split())  # rectifiers when they cut at 0


class RectifierRule(TorchFunctionMode):
    """Inside `with`, every rectifier that runs, as a module or as a function, in place or not, gets the
    backward pass of `rule`; its forward values are untouched. Thread-local; no module is edited.

    With signal R coming down, x the rectifier's input, f its function:
    - "gradient": R · f′(x), for ReLU the mask x > 0 (Simonyan et al. 2014, arXiv:1312.6034);
    - "deconvnet": max(R, 0) (Zeiler and Fergus, ECCV 2014);
    - "guided": max(R, 0) · f′(x) (Springenberg et al. 2015, arXiv:1412.6806).

    Rectifiers: ReLU, ReLU6, hardtanh and clamp from 0, and the smooth relatives leaky ReLU, PReLU, RReLU,
    ELU, SELU, CELU, GELU, SiLU, Mish, softplus, hardswish, for which f′ is the true derivative. Gates
    (sigmoid, hardsigmoid, tanh) keep their derivative. TorchScript code is not reached. Raises BadInput for
    another rule."""

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = check_rule(rule)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "").strip("_")
        if name not in _RECTIFIERS | _BOUNDED:
            return func(*args, **kwargs)
        x, *rest = args or (kwargs.pop("input"),)
        if not (isinstance(x, Tensor) and x.requires_grad and torch.is_grad_enabled()):
            return func(x, *rest, **kwargs)
        if name in _BOUNDED and not _cuts_at_zero(name, rest, kwargs):
            return func(x, *rest, **kwargs)
        return _Rectify.apply(x, lambda values: func(values, *rest, **kwargs), self.rule, name == "relu")


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
    def forward(ctx: Any, x: Tensor, apply: Callable[[Tensor], Tensor], rule: str, plain: bool) -> Tensor:
        slope = None
        if rule != "deconvnet":
            slope = x > 0 if plain else _slope(x, apply)
        result = apply(x)
        ctx.save_for_backward(slope)
        ctx.rule = rule
        if result is x:
            ctx.mark_dirty(x)  # in place: whoever holds x sees the rectified values, as without the rule
        return result

    @staticmethod
    def backward(ctx: Any, signal: Tensor) -> tuple[Tensor, None, None, None]:
        (slope,) = ctx.saved_tensors
        kept = signal if ctx.rule == "gradient" else signal.clamp_min(0)
        return (kept if slope is None else kept * slope), None, None, None


def _slope(x: Tensor, apply: Callable[[Tensor], Tensor]) -> Tensor:
    """f′(x), for any elementwise function."""
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        result = apply(leaf.clone())  # `apply` may work in place, which a leaf does not allow
        return torch.autograd.grad(result, leaf, torch.ones_like(result))[0]
