"""Layers over time: a heat map of a training's gradients, updates, weights or dead channels, in Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.figures.base.colors import to_hex, viridis
from cnnviz.figures.base.plot_style import apply_style, margins

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True, slots=True)
class LayerMeasure:
    """What a heat map shows. `title`: of the bar of colours; `log`: on a logarithmic scale; `notice`: what to see."""

    title: str
    log: bool
    notice: str


MEASURES = {
    "gradient": LayerMeasure(
        "gradient norm",
        True,
        "whether the first layers' gradients are as large as the last ones', or fade towards "
        "the input (vanish), or grow (explode)",
    ),
    "update": LayerMeasure(
        "update / weight norm",
        True,
        "the ratio of a step's change to the weights: about 1e-3 is a healthy pace, far "
        "below it a layer hardly moves, far above it is thrown about",
    ),
    "weight": LayerMeasure("weight norm", True, "which layers grow, and when weight decay holds them"),
    "dead": LayerMeasure(
        "dead channels [%]", False, "rectifiers that silence channels for the whole batch: those learn nothing"
    ),
}
_MOST_NAMES = 40  # on the axis
_MOST_LOOKS = 500  # columns; more are thinned out evenly


def layers_figure(
    x: np.ndarray, names: Sequence[str], table: np.ndarray, measure: str, x_title: str = "step", height: int = 560
) -> Figure:
    """A row a layer, the input's at the top, a column a look. Plotly.

    `x`: (T,) ascending, steps or epochs. `table`: (T, layers) of `measure`, one of MEASURES; NaN stays empty, and a
    value of 0 has the lowest colour and is told when pointed at."""
    from plotly import graph_objects as go

    told = MEASURES[measure]
    chosen = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_LOOKS)).round().astype(int))
    values = np.asarray(table, float)[chosen].T * (1 if told.log else 100)
    shown, bar = _scale(values, told)
    figure = go.Figure(
        go.Heatmap(
            x=np.float32(np.asarray(x, float)[chosen]),
            y=list(names),
            z=np.float32(shown),
            customdata=np.float32(values),
            colorscale=[[n / 15, to_hex(viridis()[round(n * 17)])] for n in range(16)],
            colorbar={"title": {"text": told.title, "side": "right"}, "thickness": 16, **bar.pop("colorbar")},
            hovertemplate=f"%{{y}}<br>{told.title} %{{customdata:.3~g}} at {x_title} %{{x:.4~g}}<extra></extra>",
            hoverongaps=False,
            **bar,
        )
    )
    every = max(1, -(-len(names) // _MOST_NAMES))
    return apply_style(
        figure,
        height,
        x=dict(title_text=x_title, showgrid=False),
        y=dict(type="category", autorange="reversed", tickvals=list(names)[::every], showgrid=False),
        margin=margins(60, 16, 30, 52),
        dragmode=False,
    )


def _scale(values: np.ndarray, told: LayerMeasure) -> tuple[np.ndarray, dict[str, Any]]:
    """The values as they are coloured, and the ends and marks of the bar."""
    if not told.log:
        return values, {"zmin": 0, "zmax": 100, "colorbar": {}}
    positive = values[np.isfinite(values) & (values > 0)]
    low, high = (np.log10(positive.min()), np.log10(positive.max())) if positive.size else (-1.0, 0.0)
    low, high = (low, high) if high - low > 0.1 else (low - 0.05, high + 0.05)
    with np.errstate(divide="ignore", invalid="ignore"):
        shown = np.where(values > 0, np.log10(values), np.where(values == 0, low, np.nan))
    marks = np.arange(np.ceil(low), np.floor(high) + 1)
    marks = marks if len(marks) > 1 else np.linspace(low, high, 4)
    words = [f"{10**mark:.2g}" if mark % 1 or -3 < mark < 4 else f"1e{mark:.0f}" for mark in marks]
    return shown, {"zmin": low, "zmax": high, "colorbar": {"tickvals": list(marks), "ticktext": words}}
