"""What a name such as `variant:resnet18.in1.tanh.512b-256` describes: a network of the catalogue that was changed.

The name says how: the network, then a part for each change, between dots, in this order:
- `in1`: the first convolution takes one channel.
- `relu`, `tanh`, `sigmoid`, `leaky`: what its hidden layers apply, see `changes`.
- `nonorm`: without batch norm. `drop30`: dropout of 30 % before its linear layers, see `changes`; `drop0`: none.
- `512-256`: widths of the hidden linear layers at the end, input side first, whatever number of classes follows;
  `512b`: with batch norm behind the layer; `512w`: a layer of weights alone, without bias; a first `b`: the features
  are normalised, too; `0`: the last linear layer alone, where the network has hidden ones. Hidden layers that are as
  published stay as they are; ReLU and dropout follow each of the others, unless the name says otherwise."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cnnviz.errors import BadInput, unknown
from cnnviz.models.catalogue.architecture import published, registered

PREFIX = "variant:"
MOST_LAYERS, MOST_UNITS, MOST_CHANNELS = 5, 8_192, 64  # a link may name any variant: bounds for memory
_WORD = re.compile(r"([1-9]\d{0,4})(w?)(b?)")
ACTIVATIONS = ("relu", "tanh", "sigmoid", "leaky")
MOST_DROPPED = 90  # percent
_PARTS = re.compile(
    r"(?:in(?P<channels>[1-9]\d?)(?:\.|$))?(?:(?P<activation>relu|tanh|sigmoid|leaky)(?:\.|$))?"
    r"(?:(?P<norm>nonorm)(?:\.|$))?(?:drop(?P<dropout>0|[1-9]\d?)(?:\.|$))?(?P<head>[\dbw-]+)?"
)
_FORM = (
    "Write it as variant:NETWORK with one or several of these parts, in this order, each after a dot: in1 (input "
    "channels), relu, tanh, sigmoid or leaky (activation), nonorm, drop50 (percent), 512-256 (hidden layers)."
)


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
    """What a name describes. `channels`: of the input, `head`: its layers, `activation`: one of ACTIVATIONS, `dropout`:
    percent; None: as published. `norm`: False without batch norm."""

    base: str
    channels: int | None = None
    head: Head | None = None
    activation: str | None = None
    norm: bool = True
    dropout: int | None = None

    @property
    def name(self) -> str:
        """The only name of this variant, e.g. "variant:resnet18.in1.512-256"; "variant:resnet18" if nothing changes."""
        parts = [
            self.base,
            f"in{self.channels}" if self.channels else "",
            self.activation or "",
            "" if self.norm else "nonorm",
            "" if self.dropout is None else f"drop{self.dropout}",
            self.head.words if self.head else "",
        ]
        return PREFIX + ".".join(filter(None, parts))


def parse_variant(rest: str) -> NetworkVariant:
    """The variant that `rest`, without the prefix, describes. Raises UnknownName for a network that the catalogue has
    not, BadInput for changes that cannot be read."""
    base, _, changes = rest.partition(".")
    if base not in published() and base not in registered():
        unknown("architecture", base, registered())
    if (parts := _PARTS.fullmatch(changes)) is None:
        raise BadInput(f"{rest[:80]!r} is no variant of {base}. {_FORM}")
    channels, dropout = (None if parts[part] is None else int(parts[part]) for part in ("channels", "dropout"))
    head = _parse_head(parts["head"]) if parts["head"] else None
    variant = NetworkVariant(base, channels, head, parts["activation"], parts["norm"] is None, dropout)
    bounded = (channels or 1) <= MOST_CHANNELS and (dropout or 0) <= MOST_DROPPED
    if not changes or variant.name != PREFIX + rest or not bounded:
        raise BadInput(f"{rest[:80]!r} is no variant of {base}. {_FORM}")
    if head is not None and not variant.norm and (head.norm or any(layer.norm for layer in head.hidden)):
        raise BadInput(f"{rest[:80]!r} asks for a head with batch norm and for none. Leave out nonorm, or the b.")
    return variant


def find_base(name: str) -> str:
    """The network of the catalogue that a variant changes; any other name itself."""
    return parse_variant(name.removeprefix(PREFIX)).base if name.startswith(PREFIX) else name


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
    variant = parse_variant(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
    if variant is None or variant.activation or (head := variant.head) is None:
        return ""
    order = ", after the batch norm" if any(layer.norm for layer in head.hidden) else ""
    return f"Between the layers of its head, ReLU{order}, is assumed." if head.hidden else ""
