"""Sanity check of attributions as a curve: rank correlation while layers are randomised from the top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.plot_style import add_curve, apply_style, legend_above, margins
from cnnviz.figures.base.text import shorten

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def cascade_figure(layers: Sequence[str], correlation: np.ndarray, absolute: np.ndarray, height: int = 230) -> Figure:
    """Spearman's ρ with the trained network's map, over the depth down to which weights are random; "" is trained.
    `correlation`, `absolute` (K,): of the maps and of their magnitudes; one curve where both are equal."""
    from plotly import graph_objects as go

    names = ["trained", *layers[1:]]
    lines = [("of the magnitudes", absolute, "#33638d", "solid")]
    if not np.allclose(correlation, absolute, equal_nan=True):
        lines.append(("with signs", correlation, "#d55e00", "dot"))
    figure = go.Figure()
    for name, values, colour, dash in lines:
        line, hover = {"color": colour, "width": 2.4, "dash": dash}, "down to %{text}: ρ = %{y:.3f}"
        add_curve(figure, list(range(len(names))), values, hover, line, 7, name=name, text=names)
    figure.add_hline(y=0, line={"color": "#8b95a5", "width": 1})
    ticks = {"tickvals": list(range(len(names))), "ticktext": [shorten(name, 11, 110) for name in names]}
    lowest = min([-0.15, *(float(v) - 0.1 for v in correlation if np.isfinite(v))])
    return apply_style(
        figure,
        height,
        x=dict(ticks, tickangle=-30, showgrid=False, tickfont={"size": 12}),
        y=dict(title="rank correlation ρ", range=[lowest, 1.08], title_font={"size": 13}),
        legend=legend_above(),
        showlegend=len(lines) > 1,
        margin=margins(52, 10, 26, 8),
        dragmode=False,
    )
