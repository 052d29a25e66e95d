"""What a name such as `variant:resnet18.512b-256` describes: a published network with another head or other channels.

The name says what was changed: the network of the catalogue, then a part for each change, between dots.
`in1`: the first convolution takes one channel. `512-256`: widths of the hidden linear layers at the end, input side
first, whatever number of classes follows; `512b`: with batch norm behind the layer; `512w`: a layer of weights alone,
without bias; a first `b`: the features are normalised, too; `0`: the last linear layer alone, where the network has
hidden ones. Hidden layers that are as published stay as they are; ReLU and dropout follow each of the others."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cnnviz.errors import BadInput, unknown
from cnnviz.models.catalogue.architecture import published

PREFIX = "variant:"
MOST_LAYERS, MOST_UNITS, MOST_CHANNELS = 5, 8_192, 64  # a link may name any variant: bounds for memory
_STEM, _WORD = re.compile(r"in([1-9]\d?)"), re.compile(r"([1-9]\d{0,4})(w?)(b?)")
_FORM = "Write it as variant:NETWORK.in1 (input channels), variant:NETWORK.512-256 (hidden layers), or both."


@dataclass(frozen=True, slots=True)
class HiddenLayer:
    """A linear layer before the last one. `bias`: it has one. `norm`: batch norm follows."""

    width: int
    bias: bool = True
    norm: bool = False

    @property
    def word(self) -> str:
        """As in the name, e.g. "512b"."""
        return f"{self.width}{'' if self.bias else 'w'}{'b' if self.norm else ''}"


@dataclass(frozen=True, slots=True)
class Head:
    """Linear layers behind the features. `hidden`: all but the last. `norm`: the features are normalised first."""

    hidden: tuple[HiddenLayer, ...]
    norm: bool = False

    @property
    def words(self) -> str:
        """As in the name, e.g. "b-512b-256"; "0" for the last layer alone."""
        return "-".join([*(["b"] if self.norm else []), *(layer.word for layer in self.hidden)]) or "0"


@dataclass(frozen=True, slots=True)
class NetworkVariant:
    """What a name describes. `channels`: of the input, `head`: its layers; None: as published."""

    base: str
    channels: int | None = None
    head: Head | None = None

    @property
    def name(self) -> str:
        """The only name of this variant, e.g. "variant:resnet18.in1.512-256"."""
        parts = [self.base, f"in{self.channels}" if self.channels else "", self.head.words if self.head else ""]
        return PREFIX + ".".join(filter(None, parts))


def parse_variant(rest: str) -> NetworkVariant:
    """The variant that `rest`, without the prefix, describes. Raises as `architecture`."""
    base, *parts = rest.split(".")
    if base not in published():
        unknown("architecture", base, published())
    channels = int(found[1]) if parts and (found := _STEM.fullmatch(parts[0])) else None
    heads = parts[1:] if channels else parts
    head = _parse_head(heads[0]) if len(heads) == 1 else None
    variant = NetworkVariant(base, channels, head)
    if not parts or variant.name != PREFIX + rest or (channels or 1) > MOST_CHANNELS:
        raise BadInput(f"{rest[:80]!r} is no variant of {base}. {_FORM}")
    return variant


def _parse_head(text: str) -> Head | None:
    """None if it cannot be read."""
    words = [] if text == "0" else text.split("-")
    norm = bool(words) and words[0] == "b"
    found = [_WORD.fullmatch(word) for word in words[norm:]]
    if len(found) > MOST_LAYERS or any(match is None or int(match[1]) > MOST_UNITS for match in found):
        return None
    return Head(tuple(HiddenLayer(int(m[1]), not m[2], bool(m[3])) for m in found if m), norm)


def describe_assumption(name: str) -> str:
    """What the tensors of a variant leave open, as a sentence; "" for a name that is none or leaves nothing open."""
    if not name.startswith(PREFIX) or (head := parse_variant(name.removeprefix(PREFIX)).head) is None:
        return ""
    order = ", after the batch norm" if any(layer.norm for layer in head.hidden) else ""
    return f"Between the layers of its head, ReLU{order}, is assumed." if head.hidden else ""
