"""How alike an attribution stays while the layers are randomised from the top: one curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.plot_style import apply_style
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
        figure.add_scatter(
            x=list(range(len(names))), y=values, mode="lines+markers", name=name, text=names, marker={"size": 7},
            line={"color": colour, "width": 2.4, "dash": dash}, hovertemplate="down to %{text}: ρ = %{y:.3f}"
            "<extra></extra>",
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": "#8b95a5", "width": 1})
    apply_style(figure, height)
    figure.update_xaxes(
        tickvals=list(range(len(names))), ticktext=[shorten(name, 11, 110) for name in names], tickangle=-30,
        showgrid=False, tickfont={"size": 12},
    )  # fmt: skip
    lowest = min([-0.15, *(float(v) - 0.1 for v in correlation if np.isfinite(v))])
    figure.update_yaxes(title="rank correlation ρ", range=[lowest, 1.08],
                        title_font={"size": 13})  # fmt: skip
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 12}}
    figure.update_layout(legend=legend, showlegend=len(lines) > 1, dragmode=False,
                         margin={"l": 52, "r": 10, "t": 26, "b": 8})  # fmt: skip
    return figure
