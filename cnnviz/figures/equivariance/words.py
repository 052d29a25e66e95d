"""Equivariance in words: errors, shifts, changed answers, and the table of shift consistency."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from cnnviz.figures.base.charts import value_text
from cnnviz.figures.equivariance.charts import EXACT
from cnnviz.wording import plural

Shares = tuple[float, float, float, Callable[[float], float], int]
"""(consistency, P(top-1 changes), mean change, standard error of a share, images); shares 0 … 1."""

PADDING = {
    "native": "as trained",
    "circular": "the same amounts, from the opposite side",
    "torus": "so that the whole network lives on a torus",
    "reflect": "mirrored at the border",
    "valid": "none",
}


def error_text(error: float) -> str:
    """A relative error: "43 %", "0 (equal but for rounding)", or that there is nothing to compare."""
    if math.isnan(error):
        return "nothing to compare"
    if math.isinf(error):
        return "infinite (T(f(x)) is 0 everywhere)"
    return "0 (equal but for rounding)" if error <= EXACT else f"{value_text(100 * error)} %"


def shift_sentence(
    shift: tuple[int, int], steps: tuple[int, int], stride: tuple[float, float], error: float, inside: float
) -> str:
    """What the shift of the image is on the map, and the error that is left."""
    if not max(stride):
        moved = "This layer has no location: T leaves it as it is"
    else:
        whole = all(d % s == 0 for d, s in zip(shift, stride, strict=True) if s)
        moved = (
            f"{shift[0]} down and {shift[1]} right are {steps[0]} and {plural(steps[1], 'unit')} at a stride of "
            + (
                plural(f"{max(stride):g}", "pixel")
                + ("" if whole else ", to the nearest whole unit: the shift is no multiple")
            )
        )
    apart = (
        ""
        if math.isnan(inside) or error_text(inside) == error_text(error)
        else f"; over units that see no padding: **{error_text(inside)}**"
    )
    return f"{moved}. Relative error over all channels: **{error_text(error)}**{apart}."


def changed_sentence(share: float, shifts: int) -> str:
    """How often the answer of one image changes."""
    return f"The most probable class is another one under {round(share * shifts)} of {plural(shifts, 'shift')}."


def consistency_table(
    measured: Mapping[str, Shares], published: Sequence[tuple[str, float, float]], jumps: tuple[str, float]
) -> dict[str, list[str]]:
    """Columns of a table: measured networks first, then published ones as (network, consistency %, accuracy %) of Zhang
    and (network, % of images whose class leaves or joins the top 5) of Azulay and Weiss."""
    rows = [(name, *_share_texts(shares)) for name, shares in measured.items()]
    rows += [
        (name, f"{consistency:.2f} %", "", "", f"published by Zhang; accuracy {accuracy:.2f} %")
        for name, consistency, accuracy in published
    ]
    rows += [(jumps[0], "", "", "", f"Azulay and Weiss: {jumps[1]:.0f} % leave or join the top 5 by one pixel")]
    heads = ("network", "consistency", "P(top-1 changes)", "mean change", "images")
    return dict(zip(heads, map(list, zip(*rows, strict=True)), strict=True))


def _share_texts(shares: Shares) -> tuple[str, str, str, str]:
    consistency, change, mean, error, images = shares
    first, second = (f"{100 * share:.1f} ± {100 * error(share):.1f} %" for share in (consistency, change))
    return first, second, f"{100 * mean:.2f} %", f"{images:,}, measured here"
