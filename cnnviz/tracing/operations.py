"""What one call of a torch function is in a layer table: kind, window, multiply-adds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor

from cnnviz.wording import plural

Pair = tuple[int, int]
Window = tuple[int, ...]  # one number a dimension of the layer

LOOKED_THROUGH = set(
    "view view_as reshape reshape_as flatten unflatten ravel permute transpose t movedim swapaxes swapdims squeeze "
    "unsqueeze expand expand_as repeat broadcast_to contiguous to float double half bfloat16 type type_as detach "
    "clone alias get getitem split split_with_sizes chunk unbind tensor_split narrow select index_select gather roll "
    "flip rot90 stack pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle requires_grad cpu cuda "
    "setitem copy identity set".split()
)  # rearrange values, or pass them on, without computing
FACTORIES = set(
    "zeros_like ones_like empty_like full_like rand_like randn_like new_zeros new_ones new_empty new_full new_tensor "
    "zero fill".split()
)  # take shapes alone from their input
_ARITHMETIC = {
    "+": "add iadd radd",
    "−": "sub isub rsub subtract",
    "×": "mul imul rmul multiply",
    "÷": "div idiv rdiv truediv itruediv rtruediv true_divide divide",
    "cat": "cat concat concatenate hstack",
}
_SIGNS = {name: sign for sign, names in _ARITHMETIC.items() for name in names.split()}
_KINDS = {"+": "add", "−": "add", "×": "multiply", "÷": "multiply", "cat": "concat"}
_WORDS = {"+": "sum", "−": "difference", "×": "product", "÷": "quotient", "cat": "concat"}
_NEUTRAL = {"+": 0, "−": 0, "×": 1, "÷": 1}
_NORMS = {
    "batch_norm": "batch norm",
    "layer_norm": "layer norm",
    "group_norm": "group norm",
    "instance_norm": "instance norm",
    "rms_norm": "RMS norm",
    "normalize": "unit length",
}
_ACTIVATION_WORDS = """
relu: ReLU, relu6: ReLU6, leaky_relu: leaky ReLU, prelu: PReLU, rrelu: RReLU, elu: ELU, selu: SELU, celu: CELU,
gelu: GELU, silu: SiLU, mish: Mish, hardswish: hard swish, hardsigmoid: hard sigmoid, hardtanh: hard tanh,
sigmoid: sigmoid, logsigmoid: log sigmoid, tanh: tanh, softplus: softplus, softsign: softsign, softmax: softmax,
threshold: threshold, log_softmax: log softmax, glu: gated linear unit, clamp: clamp, clamp_min: clamp
"""
_ACTIVATIONS = {name.strip(): words.strip() for name, words in (e.split(":") for e in _ACTIVATION_WORDS.split(","))}
_DROPOUTS = set("dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout".split())
_ARGUMENTS = {
    "conv": "input weight bias stride padding dilation groups",
    "conv_transpose": "input weight bias stride padding output_padding groups dilation",
    "max_pool": "input kernel_size stride padding dilation ceil_mode",
    "avg_pool": "input kernel_size stride padding ceil_mode",
    "lp_pool": "input norm_type kernel_size stride ceil_mode",
    "adaptive_avg_pool": "input output_size",
    "adaptive_max_pool": "input output_size",
    "linear": "input weight bias",
    "dropout": "input p",
    "local_response_norm": "input size",
    "hardtanh": "input min_val max_val",
}  # what positional arguments are called


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """One call of a function of torch. `operands`: its tensor arguments that depend on the image.
    `sources`: how many layers these come from. `learned`: whether it uses parameters as well."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    operands: list[Tensor]
    sources: int
    learned: bool
    output: Tensor

    def argument(self, family: str, key: str, default: Any = None) -> Any:
        """The argument `key`, given by place or by name."""
        names = _ARGUMENTS[family].split()
        if names.index(key) < len(self.args):
            return self.args[names.index(key)]
        return self.kwargs.get(key, default)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a call computes. `kind`: as in the layer table. `sign`: a word or mark for it, "+". `detail`:
    what a person wants to know. `kernel`, `stride`, `padding`: (h, w), of one-dimensional layers (w,), of
    three-dimensional ones (d, h, w). `macs`: multiply-adds of one image."""

    kind: str
    sign: str
    detail: str
    kernel: Window | None = None
    stride: Window | None = None
    padding: Window | None = None
    groups: int = 1
    macs: int = 0


def plain_name(func: Any) -> str:
    """ "relu" for torch.relu, Tensor.relu_ and F.relu; "iadd" for Tensor.__iadd__."""
    return str(getattr(func, "__name__", "other")).strip("_")


def describe(call: FunctionCall) -> Operation | None:
    """The operation behind a call that depends on the image; None if it only rearranges values."""
    name = call.name
    family = name.rstrip("d").rstrip("123") if name[-2:] in ("1d", "2d", "3d") else name
    if name in LOOKED_THROUGH or _does_nothing(call):
        return None
    if name in _SIGNS:
        return _join(_SIGNS[name], call)
    if family in _RULES:
        return _RULES[family](call, family)
    if name in _NORMS:
        return Operation("norm", name, _NORMS[name])
    if name in _ACTIVATIONS:
        return Operation("activation", name, _ACTIVATIONS[name])
    if name in _DROPOUTS:
        return Operation("dropout", "dropout", f"dropout {call.argument('dropout', 'p', 0.5):g}")
    return Operation("other", name.replace("_", " "), name.replace("_", " "))


def _does_nothing(call: FunctionCall) -> bool:
    """x + 0 and x · 1, which Python's sum() and default gains write; a concatenation of one."""
    sign = _SIGNS.get(call.name, "")
    if sign == "cat":
        return len(call.operands) == 1
    turned = call.name.startswith("r") and sign in "−÷"  # 0 − x and 1 ÷ x
    return sign in _NEUTRAL and not turned and any(_is_number(a) and a == _NEUTRAL[sign] for a in call.args)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _join(sign: str, call: FunctionCall) -> Operation:
    count = len(call.operands)
    if count > 1:
        return Operation(_KINDS[sign], sign, f"{_WORDS[sign]} of {count}")
    number = next((a for a in call.args if _is_number(a)), None)
    other = f"{number:g}" if number is not None else "learned values" if call.learned else "constants"
    turned = call.name.startswith("r") or (call.args and _is_number(call.args[0]))
    return Operation("other", sign, f"{other} {sign} x" if turned and sign in "−÷" else f"{sign} {other}")


def _convolution(call: FunctionCall, family: str) -> Operation:
    weight, source = call.argument(family, "weight"), call.operands[0]
    shape, rank = tuple(weight.shape), weight.ndim - 2
    groups = call.argument(family, "groups", 1)
    dilation = _to_window(call.argument(family, "dilation", 1), rank)
    kernel, stride = shape[2:], _to_window(call.argument(family, "stride", 1), rank)
    padding = _padding(call.argument(family, "padding", 0), kernel, dilation)
    transposed = family == "conv_transpose"
    channels = shape[1] * groups if transposed else shape[0]
    detail = f"{format_window(kernel)} {'transposed ' * transposed}conv, {channels}"
    depthwise = groups > 1 and groups == source.shape[-rank - 1]
    notes = [
        (max(stride) > 1, f"stride {format_short_window(stride)}"),
        (max(dilation) > 1, f"dilation {format_short_window(dilation)}"),
        (depthwise, "depthwise"),
        (groups > 1 and not depthwise, plural(groups, "group")),
    ]
    detail = ", ".join([detail, *(text for wanted, text in notes if wanted)])
    return Operation("conv", "conv", detail, kernel, stride, padding, groups)


def _linear(call: FunctionCall, family: str) -> Operation:
    weight = call.argument(family, "weight")
    return Operation("linear", "linear", f"linear, {weight.shape[0]}")


def _pool(call: FunctionCall, family: str) -> Operation:
    rank = int(call.name[-2])  # "max_pool2d"
    kernel = _to_window(call.argument(family, "kernel_size"), rank)
    given = call.argument(family, "stride")
    stride = kernel if given is None or given == [] else _to_window(given, rank)
    padding = _to_window(call.argument(family, "padding", 0) if family != "lp_pool" else 0, rank)
    word = {"max_pool": "max", "avg_pool": "average", "lp_pool": "power average"}[family]
    detail = f"{format_window(kernel)} {word}, stride {format_short_window(stride)}" + ", ceil" * bool(
        call.argument(family, "ceil_mode")
    )
    return Operation("pool", family.replace("_", " "), detail, kernel, stride, padding)


def _adaptive(call: FunctionCall, family: str) -> Operation:
    word, rank = "max" if "max" in family else "average", int(call.name[-2])
    return _shrink(call.operands[0], tuple(call.output.shape[-rank:]), word, family.replace("_", " "))


def _shrink(source: Tensor, target: Window, word: str, sign: str) -> Operation:
    """Pooling to a map of `target`, with the window it amounts to where it divides the map evenly."""
    size = tuple(source.shape[-len(target) :])
    window = tuple(n // max(t, 1) for n, t in zip(size, target, strict=True))
    even = all(w * t == n for w, t, n in zip(window, target, size, strict=True))
    detail = f"global {word}" if max(target) == 1 else f"{word} to {format_window(target)}"
    if target == size:
        detail += ", changes nothing"
    return Operation("pool", sign, detail, *((window, window, (0,) * len(target)) if even else (None, None, None)))


def _reduction(call: FunctionCall, family: str) -> Operation:
    """mean, sum, max: over the map a pooling, over channels a maxout, over stacked branches a join."""
    source, before, after = call.operands[0], tuple(call.operands[0].shape), tuple(call.output.shape)
    word = {"mean": "average", "sum": "sum"}.get(family, "max")
    if call.sources > 1:  # of stacked branches
        join = ("other", "max") if word == "max" else ("add", "+")
        return Operation(*join, f"{word} of {call.sources}")
    if len(before) == 4 and after[:2] == before[:2] and prod(after[2:]) == 1:
        return _shrink(source, (1, 1), word, family)
    if word == "max":
        return Operation("activation", "max", f"max of {prod(before) // max(prod(after), 1)}")
    tokens = word == "average" and len(before) == 3 and len(after) == 2
    return Operation("pool" if tokens else "other", family, word)


def _clipped(call: FunctionCall, family: str) -> Operation:
    limits = [call.argument(family, key) for key in ("min_val", "max_val")]
    return Operation("activation", family, "ReLU6" if limits == [0, 6] else _ACTIVATIONS[family])


def _response_norm(call: FunctionCall, family: str) -> Operation:
    return Operation("lrn", "lrn", f"local response norm, {plural(call.argument(family, 'size'), 'map')}")


_RULES: dict[str, Callable[[FunctionCall, str], Operation]] = {
    "conv": _convolution,
    "conv_transpose": _convolution,
    "linear": _linear,
    "max_pool": _pool,
    "avg_pool": _pool,
    "lp_pool": _pool,
    "adaptive_avg_pool": _adaptive,
    "adaptive_max_pool": _adaptive,
    "mean": _reduction,
    "sum": _reduction,
    "max": _reduction,
    "amax": _reduction,
    "maximum": _reduction,
    "local_response_norm": _response_norm,
    "hardtanh": _clipped,
}


def to_pair(value: Any) -> Pair:
    """(h, w) from 3, (3,), (3, 5) or the last two of more."""
    if isinstance(value, int):
        return value, value
    values = [int(n) for n in value]
    return (values[-2], values[-1]) if len(values) > 1 else (values[0], values[0]) if values else (1, 1)


def _to_window(value: Any, rank: int) -> Window:
    """`rank` numbers from 3, (3,) or as many."""
    values = (value,) if isinstance(value, int) else tuple(int(n) for n in value)
    return values * rank if len(values) == 1 else values


def _padding(value: Any, kernel: Window, dilation: Window) -> Window:
    if isinstance(value, str):
        return tuple(d * (k - 1) // 2 if value == "same" else 0 for k, d in zip(kernel, dilation, strict=True))
    return _to_window(value, len(kernel))


def format_window(value: Window) -> str:
    """ "3×5" for (3, 5), "5" for (5,)."""
    return "×".join(str(n) for n in value)


def format_short_window(value: Window) -> str:
    """ "2" for (2, 2), "2×1" for (2, 1)."""
    return str(value[0]) if len(set(value)) == 1 else format_window(value)
