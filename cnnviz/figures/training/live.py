"""Curves of trainings that are under way, on axes that stay while they grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.plot_style import apply_style, margins
from cnnviz.figures.training.curves import TITLES, curves_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.training.record.curves import RunCurve

LEAST = 1e-3  # epochs


def live_figure(
    curves: Sequence[RunCurve], labels: Mapping[str, str], epochs: float, begun: Mapping[str, float], height: int
) -> Figure:
    """As `curves_figure` along epochs, from 0 to `epochs`, which the runs will have in the end; empty axes for none.

    `begun`: {run: epochs that the weights it began with had been trained}, where it is a fork."""
    moved = [replace(curve, x=curve.x + begun.get(curve.run, 0.0)) for curve in curves]
    figure = curves_figure(moved, labels, height=height)
    if not moved:
        _draw_empty(figure, height)
    figure.update_xaxes(range=[0, max(epochs, LEAST)])
    figure.update_layout(yaxis2={"range": [0, 101]})
    return figure


def _draw_empty(figure: Figure, height: int) -> None:
    """The two panels of `curves_figure` without a curve."""
    for place, title in enumerate(TITLES.values()):
        end = str(place + 1) if place else ""
        nothing = np.array([np.nan])
        figure.add_scatter(x=nothing, y=nothing, xaxis=f"x{end}", yaxis=f"y{end}", showlegend=False)
        x = {"domain": (0.555 * place, 0.445 + 0.555 * place), "anchor": f"y{end}", "title": {"text": "epoch"}}
        y = {"anchor": f"x{end}", "title": {"text": title}, "range": [0, 2.5]}
        figure.update_layout({f"xaxis{end}": x, f"yaxis{end}": y})
    apply_style(figure, height)
    figure.update_layout(margin=margins(60, 16, 62, 52), dragmode=False, meta={"panels": len(TITLES)})
