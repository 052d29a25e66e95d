"""Loss landscape in words: centre, provenance, a point of the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.device import describe_precision
from cnnviz.wording import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cnnviz.landscape.results import Surface

SLICE = "This is a slice, not the landscape."


def centre_note(found: Surface) -> str:
    """Loss and accuracy of the network itself: in float32 where the surface says them, else at the point of the
    grid nearest to it. Short."""
    loss, accuracy = _find_centre(found)
    if not np.isfinite(loss):
        return "the loss of the network itself overflows" if np.isinf(loss) else ""
    return f"centre: loss {loss:.3g} nats, accuracy {100 * accuracy:.1f} %"


def _find_centre(found: Surface) -> tuple[float, float]:
    said = found.meta.get("centre")
    if isinstance(said, list | tuple) and len(said) == 2 and all(isinstance(part, int | float) for part in said):
        return float(said[0]), float(said[1])
    i, j = int(np.argmin(np.abs(found.alphas))), int(np.argmin(np.abs(found.betas)))
    return float(found.loss[i, j]), float(found.accuracy[i, j])


def provenance(found: Surface) -> str:
    """What a surface was computed on, as far as it says so: images, seed, statistics, precision, cosine."""
    meta = found.meta
    grid = f"{len(found.alphas)}×{len(found.betas)} points"
    parts = [
        plural(_number(meta["images"]), "image") if _is_count(meta.get("images")) else "",
        f"of {meta['source']}" if isinstance(meta.get("source"), str) else "",
        meta["trained"] if isinstance(meta.get("trained"), str) else "",
        f"direction seed {meta['seed']}" if meta.get("seed") is not None else "",
        f"{meta['statistics']} batch statistics" if isinstance(meta.get("statistics"), str) else "",
        describe_precision(meta),
        f"loss: {meta['loss']}, mean over the classes" if isinstance(meta.get("loss"), str) else "",
        _cosine(meta),
        f"median of {plural(meta['median of'], 'plane')}, bars half the distance of the quartiles"
        if "median of" in meta
        else "",
    ]
    return f"{grid}, " + ", ".join(part for part in parts if part) if any(parts) else grid


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: int) -> str:
    return f"{value:,}"


def _cosine(meta: Mapping[str, Any]) -> str:
    value = meta.get("cosine")
    return f"cosine of the directions {value:+.3f}" if isinstance(value, int | float) else ""


def point_text(alpha: float, beta: float) -> str:
    """A point of the plane: (0.25, −0.10)."""
    return f"({alpha:.2f}, {beta:.2f})".replace("-", "−")
