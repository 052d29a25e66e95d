"""The steps of a chain: convolution, norm, activation, pooling, linear layer; each as a word and as numbers.

A word is what stands in a chain's name between two hyphens: `conv16k5`, `max3s2`, `bn`, `relu`, `linear10`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from cnnviz.errors import BadInput

Pair = tuple[int, int]  # rows, columns
MOST = 65_536  # channels, features; a kernel's side, a stride, a padding are at most 512
_SIDE = 512
ACTIVATIONS = {  # word: PyTorch's class
    "relu": "ReLU",
    "relu6": "ReLU6",
    "leaky": "LeakyReLU",
    "prelu": "PReLU",
    "elu": "ELU",
    "selu": "SELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "mish": "Mish",
    "hardswish": "Hardswish",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
}
POOLS = {"max": "MaxPool2d", "avg": "AvgPool2d", "adaptiveavg": "AdaptiveAvgPool2d", "adaptivemax": "AdaptiveMaxPool2d"}
NORMS = {"bn": "BatchNorm2d", "instancenorm": "InstanceNorm2d", "groupnorm": "GroupNorm"}
ENDS = {"softmax": "Softmax", "logsoftmax": "LogSoftmax"}
OTHERS = {"conv": "Conv2d", "linear": "Linear", "flatten": "Flatten", "dropout": "Dropout"}
KINDS = {**OTHERS, **NORMS, **ACTIVATIONS, **POOLS, **ENDS}  # word: PyTorch's class
DEFAULTS = {"leaky": 0.01, "elu": 1.0, "dropout": 0.5, "bn": 1e-5, "instancenorm": 1e-5, "groupnorm": 1e-5}
_NUMBER = r"(\d{1,6}(?:\.\d{1,12})?)"
_FORMS = {  # what may follow the kind: a letter, what stands behind it
    "conv": {"": "width", "k": "kernel", "s": "stride", "p": "padding", "d": "dilation", "g": "groups", "n": "bias"},
    "linear": {"": "width", "n": "bias"},
    "max": {"": "kernel", "s": "stride", "p": "padding", "c": "ceil"},
    "avg": {"": "kernel", "s": "stride", "p": "padding", "c": "ceil"},
    "adaptiveavg": {"": "kernel"},
    "adaptivemax": {"": "kernel"},
    "bn": {"e": "value", "n": "affine"},
    "instancenorm": {"e": "value", "n": "affine"},
    "groupnorm": {"": "groups", "e": "value", "n": "affine"},
    "leaky": {"": "value"},
    "elu": {"": "value"},
    "dropout": {"": "value"},
    "prelu": {"": "width"},
}
_NEEDED = {"conv": ("width", "kernel"), "linear": ("width",), "groupnorm": ("groups",)} | {
    pool: ("kernel",) for pool in POOLS
}
_FLAGS = {"bias": False, "affine": False, "ceil": True}  # what the letter alone means
_PART = re.compile(rf"([a-z]?)(?:{_NUMBER}(?:x(\d{{1,5}}))?)?")


@dataclass(frozen=True, slots=True)
class ChainStep:
    """One step of a chain.

    `kind`: a key of KINDS. `width`: output channels of a convolution, output features of a linear layer, slopes of a
    PReLU (0: one a channel). `kernel`, `stride`, `padding`, `dilation`: (rows, columns) of a convolution or a pooling;
    `kernel` of an adaptive pooling is its output size. `groups`: of a convolution or a group norm. `bias`: False for a
    layer without. `affine`: False for a norm without weights. `ceil`: pooling rounds sizes up. `value`: slope of a
    leaky ReLU, alpha of an ELU, probability of a dropout, epsilon of a norm.

    Raises BadInput for a kind that is not known and numbers out of range."""

    kind: str
    width: int = 0
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    bias: bool = True
    affine: bool = True
    ceil: bool = False
    value: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadInput(f"A chain has no step {self.kind!r}. Its steps: {', '.join(KINDS)}.")
        if self.value is None and self.kind in DEFAULTS:
            object.__setattr__(self, "value", DEFAULTS[self.kind])
        sides = (*self.kernel, *self.stride, *self.padding, *self.dilation)
        if not all(0 <= side <= _SIDE for side in sides) or min(*self.kernel, *self.stride, *self.dilation) < 1:
            raise BadInput(f"Kernel, stride and dilation of {self.kind} must lie between 1 and {_SIDE}, got {sides}.")
        least = 1 if "width" in _NEEDED.get(self.kind, ()) else 0
        if not least <= self.width <= MOST or not 1 <= self.groups <= MOST:
            raise BadInput(f"{self.kind} must have 1 to {MOST:,} channels or features, got {self.width}.")
        if self.kind == "dropout" and not 0 <= (self.value or 0) <= 1:
            raise BadInput(f"The probability of a dropout lies between 0 and 1, got {self.value}.")

    @property
    def is_weighted(self) -> bool:
        """True for a convolution or a linear layer."""
        return self.kind in ("conv", "linear")

    @property
    def has_tensors(self) -> bool:
        """True if a weights file holds something of it."""
        return self.is_weighted or self.kind in ("bn", "prelu") or (self.kind in NORMS and self.affine)

    @property
    def word(self) -> str:
        """How it stands in a chain's name: "conv16k5p2", "max2", "relu"."""
        parts = [self.kind]
        for letter, field in _FORMS.get(self.kind, {}).items():
            parts.append(self._write(letter, field))
        return "".join(parts)

    def _write(self, letter: str, field: str) -> str:
        value = getattr(self, field)
        if field in _FLAGS:
            return letter if value is _FLAGS[field] else ""
        if field == "value":
            default = DEFAULTS[self.kind]
            return "" if value in (None, default) else letter + f"{value:.12f}".rstrip("0").rstrip(".")
        usual = self.kernel if field == "stride" and self.kind in POOLS else (0, 0) if field == "padding" else (1, 1)
        if field in ("kernel", "stride", "padding", "dilation"):
            needed = field in _NEEDED.get(self.kind, ())
            rows, columns = value
            text = f"{rows}" if rows == columns else f"{rows}x{columns}"
            return "" if value == usual and not needed else letter + text
        if field == "groups":
            return "" if value == 1 and self.kind == "conv" else f"{letter}{value}"
        return f"{letter}{value}" if value else ""


def parse_step(word: str) -> ChainStep:
    """The step that a word names. Raises BadInput, showing the forms that are known, for any other word."""
    kind = next((k for k in sorted(KINDS, key=len, reverse=True) if word.startswith(k) and _is_rest(k, word)), None)
    if kind is None:
        raise BadInput(
            f"A chain has no step {word[:40]!r}. Steps are e.g. conv16k3p1, bn, relu, max2, avg2, adaptiveavg1, "
            "flatten, dropout0.5, linear10, logsoftmax."
        )
    values = _read_parts(kind, word[len(kind) :])
    if values is None or any(field not in values for field in _NEEDED.get(kind, ())):
        raise BadInput(f"The step {word[:40]!r} of a chain can't be read: it is written like {_EXAMPLES[kind]}.")
    if kind in ("max", "avg"):
        values.setdefault("stride", values["kernel"])
    return ChainStep(kind, **values)


_EXAMPLES = {kind: kind for kind in KINDS} | {
    "conv": "conv16k5, with s2, p1x2, d2, g4 for stride, padding, dilation, groups and n for no bias",
    "linear": "linear120, or linear120n without bias",
    "max": "max2, or max3s2p1c for kernel 3, stride 2, padding 1, sizes rounded up",
    "avg": "avg2, or avg3s2p1c for kernel 3, stride 2, padding 1, sizes rounded up",
    "adaptiveavg": "adaptiveavg1 or adaptiveavg7x7",
    "adaptivemax": "adaptivemax1 or adaptivemax7x7",
    "bn": "bn, or bne0.001n for epsilon 0.001 and no weights",
    "groupnorm": "groupnorm8",
    "leaky": "leaky0.2",
    "dropout": "dropout0.5",
    "prelu": "prelu, or prelu1 for one slope",
}


def _is_rest(kind: str, word: str) -> bool:
    return _read_parts(kind, word[len(kind) :]) is not None


def _read_parts(kind: str, rest: str) -> dict[str, Any] | None:
    """The fields that the end of a word gives, in the order of the form; None if it can't be read."""
    forms, order = _FORMS.get(kind, {}), list(_FORMS.get(kind, {}))
    values: dict[str, Any] = {}
    last = -1
    while rest:
        match = _PART.match(rest)
        if not match or not match[0]:
            return None
        letter: str = match[1]
        number: str | None = match[2]
        second: str | None = match[3]
        if letter not in forms or order.index(letter) <= last:
            return None
        last, field = order.index(letter), forms[letter]
        if (number is None) != (field in _FLAGS):
            return None
        if number is None:
            values[field] = _FLAGS[field]
        elif field == "value":
            values[field] = float(number)
        elif "." in number:
            return None
        elif field in ("width", "groups"):
            if second:
                return None
            values[field] = int(number)
        else:
            values[field] = (int(number), int(second or number))
        if second and field not in ("kernel", "stride", "padding", "dilation"):
            return None
        rest = rest[match.end() :]
    return values
