"""Published networks with the heads and input channels that people give them, found from a file's tensors.

The body's tensors are those of a network of the catalogue, in its order; what follows is a chain of linear layers, and
batch norms between, that begins with the body's features. `description` names and `network` builds such networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cnnviz.errors import CnnvizError
from cnnviz.models.catalogue.architecture import published
from cnnviz.models.catalogue.registry import find
from cnnviz.models.checkpoint.match import Shapes, role
from cnnviz.models.checkpoint.prefixes import align_names
from cnnviz.models.recognise.shapes import find_by_count, published_shapes
from cnnviz.models.variants.description import MOST_LAYERS, Head, HiddenLayer, NetworkVariant, parse_variant

LEAST = 16  # tensors of a body that says enough; smaller networks are chains
_MOST_DIFFERING = 3  # tensors, where the input channels changed: first kernels, weight and bias of the classifier
_OWN_LINEAR = range(1, 4)  # linear layers at the end of a published network


@dataclass(frozen=True, slots=True)
class _Layer:
    """Shapes of one layer at the end of a file: `linear` or a batch norm. `tensors`: how many it has."""

    linear: bool
    inputs: int
    outputs: int
    bias: bool
    tensors: int


def list_variants(file: Shapes) -> list[str]:
    """Names of the variants whose shapes in order `file` may have; the closer to the catalogue the earlier."""
    found = dict.fromkeys(name for name in find_by_count(len(file)) if len(file) >= LEAST)
    found = dict.fromkeys(filter(None, (_change_stem(name, file) for name in found)))
    tail = _read_tail(file)
    for start, head in _list_heads(tail):
        body = len(file) - sum(layer.tensors for layer in tail[start:])
        for own in _OWN_LINEAR:
            for name in find_by_count(body + 2 * own) if body + 2 * own >= LEAST else ():
                if variant := _read_variant(name, file, body, tail[start:], head):
                    found.setdefault(variant)
    return list(found)


def _change_stem(name: str, file: Shapes) -> str | None:
    """The variant of `name` that differs in its input channels alone, and maybe in its number of classes."""
    ours = published_shapes(name)
    stem = next((shape for shape in ours.values() if len(shape) == 4), ())
    theirs = next((shape for shape in file.values() if len(shape) == 4), ())
    differing = sum(a != b for a, b in zip(ours.values(), file.values(), strict=True))
    if not stem or not theirs or _drop_channels(stem) != _drop_channels(theirs) or differing > _MOST_DIFFERING:
        return None
    variant = NetworkVariant(name, theirs[1])
    return variant.name if stem != theirs and _can_be_built(variant) else None


def _drop_channels(kernel: tuple[int, ...]) -> tuple[int, ...]:
    return (kernel[0], *kernel[2:])


def _read_variant(name: str, file: Shapes, body: int, tail: list[_Layer], head: Head) -> str | None:
    """The variant of `name` with the body's first convolution and the head of the file, if the rest of it agrees."""
    ours = published_shapes(name)
    theirs = align_names(file, ours)
    keys = list(ours)
    if not _is_linear_end(ours, keys[body:]) or ours[keys[body]][1] != tail[0].inputs:
        return None
    stem = next((key for key in keys if len(ours[key]) == 4), "")
    pairs = zip(keys[:body], list(theirs.items())[:body], strict=True)
    differing = [
        (key, theirs_shape)
        for key, (their, theirs_shape) in pairs
        if ours[key] != theirs_shape or (role(their) and role(their) != role(key))
    ]
    own = tuple(HiddenLayer(ours[key][0]) for key in keys[body:-2] if len(ours[key]) == 2)
    channels = _read_channels(ours.get(stem, ()), differing, stem)
    if channels is None:
        return None
    if head == Head(own):
        return None
    variant = NetworkVariant(name, channels or None, head)
    return variant.name if _can_be_built(variant) else None


def _read_channels(ours: tuple[int, ...], differing: list[tuple[str, tuple[int, ...]]], stem: str) -> int | None:
    """Input channels of the file if nothing but the first convolution differs, and in them alone; 0 if nothing does."""
    if not differing:
        return 0
    (key, theirs), *others = differing
    alike = len(theirs) == len(ours) == 4 and _drop_channels(theirs) == _drop_channels(ours)
    return theirs[1] if key == stem and alike and not others else None


def _can_be_built(variant: NetworkVariant) -> bool:
    try:
        parse_variant(variant.name.partition(":")[2])
        known = variant.base in published()  # of one's own networks only the whole is recognised
        return known and bool(published_shapes(variant.name)) and find(variant.base).classifier
    except CnnvizError:
        return False


def _is_linear_end(ours: Shapes, keys: list[str]) -> bool:
    """True if `keys` are weights and biases of linear layers in turn, each as wide as the next expects."""
    weights, biases = [ours[key] for key in keys[::2]], [ours[key] for key in keys[1::2]]
    pairs = zip(weights, biases, strict=False)
    fit = all(len(weight) == 2 and bias == (weight[0],) for weight, bias in pairs)
    return bool(keys) and fit and all(a[0] == b[1] for a, b in zip(weights, weights[1:], strict=False))


def _list_heads(tail: list[_Layer]) -> Iterator[tuple[int, Head]]:
    """(start in the tail, head) of every chain that the end of the file may be, the shortest first."""
    for start in reversed(range(len(tail))):
        layers = tail[start:]
        norm = not layers[0].linear
        if norm and len(layers) == 1:
            continue
        hidden: list[HiddenLayer] = []
        for layer, after in zip(layers[norm:], layers[norm + 1 :], strict=False):
            if layer.linear:
                hidden.append(HiddenLayer(layer.outputs, layer.bias, not after.linear))
        if len(hidden) <= MOST_LAYERS and layers[-1].linear and layers[-1].bias:
            yield start, Head(tuple(hidden), norm)


def _read_tail(file: Shapes) -> list[_Layer]:
    """The linear layers and batch norms at the end of a file that follow one another, input side first."""
    groups: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, shape in file.items():
        groups.setdefault(key.rpartition(".")[0], {})[role(key) or key] = shape
    tail: list[_Layer] = []
    for tensors in reversed(groups.values()):
        layer = _read_layer(tensors)
        if layer is None or (tail and layer.outputs != tail[0].inputs):
            break
        if tail and not layer.linear and not tail[0].linear:
            break
        tail.insert(0, layer)
    return tail


def _read_layer(tensors: dict[str, tuple[int, ...]]) -> _Layer | None:
    """None for anything but a linear layer or a batch norm with all four tensors."""
    weight, bias = tensors.get("weight", ()), tensors.get("bias")
    if len(weight) == 2 and tensors.keys() <= {"weight", "bias"} and bias in (None, weight[:1]):
        return _Layer(True, weight[1], weight[0], bias is not None, len(tensors))
    whole = tensors.keys() == {"weight", "bias", "running_mean", "running_var"}
    if len(weight) == 1 and whole and set(tensors.values()) == {weight}:
        return _Layer(False, weight[0], weight[0], True, 4)
    return None
