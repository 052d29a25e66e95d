"""Pruned, weight-normed and spectral-normed weights: as torch.nn.utils stores them in parts, in their older
form ("weight_g") and as parametrizations ("parametrizations.weight.original0"). They are put together as the network
does in eval mode."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_PARAMETRISED = re.compile(r"^(.*?)parametrizations\.(\w+)\.(original[01]?|0\._[uv])$")
_PART = {"original0": "g", "original1": "v", "original": "orig", "0._u": "u", "0._v": "v"}
SAID = {
    "pruned": "{} tensors are pruned: their masks were applied.",
    "normed": "{} weights are kept as length and direction (weight norm): they were multiplied.",
    "spectral": "{} weights are kept with their largest singular vectors (spectral norm): they were divided by it.",
}


def join_parts(tensors: Mapping[str, Tensor], warnings: list[str]) -> dict[str, Tensor]:
    """`tensors` with the parts of every weight replaced by the weight, where the first of them stood; what only looks
    like parts stays. `warnings` says what was done."""
    parts: dict[str, dict[str, tuple[str, Tensor]]] = {}  # {weight: {part: (key in the file, values)}}
    for key, value in tensors.items():
        name, part = _split_name(key)
        if part and name not in tensors:
            parts.setdefault(name, {})[part] = (key, value)
    made: dict[str, tuple[str, Tensor]] = {}  # {key in the file: (weight, values)}
    gone: set[str] = set()
    counts = dict.fromkeys(SAID, 0)
    for name, found in parts.items():
        for kind, needed, join in _KINDS:
            if set(needed) == found.keys() and (weight := join(*(found[part][1] for part in needed))) is not None:
                keys = [key for key, _ in found.values()]
                made[keys[0]] = name, weight
                gone.update(keys)
                counts[kind] += 1
    warnings += [SAID[kind].format(count) for kind, count in counts.items() if count]
    kept: dict[str, Tensor] = {}
    for key, value in tensors.items():  # in their order, which may be all that names them
        if key in made:
            kept[made[key][0]] = made[key][1]
        elif key not in gone:
            kept[key] = value
    return kept


def _split_name(key: str) -> tuple[str, str]:
    """("conv.weight", "g") for both names of that part; (key, "") for other tensors."""
    if found := _PARAMETRISED.match(key):
        return found[1] + found[2], _PART[found[3]]
    name, _, part = key.rpartition("_")
    return (name, part) if part in ("orig", "mask", "g", "u", "v") else (key, "")


def _join_pruned(orig: Tensor, mask: Tensor) -> Tensor | None:
    return orig * mask if orig.shape == mask.shape else None


def _join_normed(length: Tensor, direction: Tensor) -> Tensor | None:
    """g · v / ‖v‖, a norm for each entry of g (Salimans and Kingma 2016, arXiv:1602.07868, section 2)."""
    if length.ndim not in (0, direction.ndim) or any(
        own not in (1, size) for own, size in zip(length.shape, direction.shape, strict=False)
    ):
        return None
    over = [axis for axis in range(direction.ndim) if length.ndim == 0 or length.shape[axis] == 1]
    norm = direction.double().square().sum(over, keepdim=True).sqrt()
    return (direction.double() * (length.double() / norm)).to(direction.dtype)


def _join_spectral(orig: Tensor, left: Tensor, right: Tensor) -> Tensor | None:
    """W / uᵀWv (Miyato et al. 2018, arXiv:1802.05957, section 2.1); W as a matrix with the rows that u has."""
    for axis in range(min(orig.ndim, 2)):
        matrix = orig.movedim(axis, 0).flatten(1) if orig.ndim > 1 else orig[:, None]
        if left.shape == matrix.shape[:1] and right.shape == matrix.shape[1:]:
            return orig / (left @ (matrix @ right))
    return None


_KINDS: tuple[tuple[str, tuple[str, ...], Callable[..., Tensor | None]], ...] = (
    ("pruned", ("orig", "mask"), _join_pruned),
    ("normed", ("g", "v"), _join_normed),
    ("spectral", ("orig", "u", "v"), _join_spectral),
)
