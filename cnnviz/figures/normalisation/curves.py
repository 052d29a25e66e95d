"""Curves of normalisation: means over the size of a batch, bytes that training holds, channels of one pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.figures.base.charts import count_text
from cnnviz.figures.base.colors import CATEGORIES, CHOSEN
from cnnviz.figures.base.plot_style import add_curve, apply_style, legend_above, margins

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.normalisation.memory import ActivationMemory
    from cnnviz.studies.normalisation.response import LocalResponse

BEFORE, AFTER, NEIGHBOURS = "#8b95a5", CATEGORIES[0], "rgba(232,93,4,0.14)"
GAP = 0.12  # share of the width between two panels


def means_figure(sizes: np.ndarray, means: Mapping[str, np.ndarray], height: int = 300) -> Figure:
    """The mean by which the same values are normalised, over the size of the batch `sizes` (K,); {norm: (K,)}."""
    from plotly import graph_objects as go

    figure = go.Figure()
    for (name, values), colour in zip(
        means.items(), (CATEGORIES[0], CATEGORIES[1], CATEGORIES[2], CATEGORIES[3]), strict=False
    ):
        line = {"color": colour, "width": 2.8, "dash": "solid" if name == "Batch norm" else "dash"}
        add_curve(figure, sizes, values, f"{name}, N = %{{x}}: μ = %{{y:.4~g}}", line, 6, name=name)
    return apply_style(
        figure,
        height,
        x=dict(title="images in the batch, N", showgrid=False),
        y=dict(title="mean μ", zeroline=True, zerolinecolor="#8b95a5"),
        dragmode=False,
        margin=margins(60, 10, 32, 46),
        legend=legend_above(14),
    )


def memory_figure(found: ActivationMemory, images: int, height: int = 440) -> Figure:
    """Two panels: MB that a batch holds in each layer; and how they add up during the pass, against one image after
    another, whose graph is freed before the next. Plotly."""
    from plotly import graph_objects as go

    figure = go.Figure()
    held, single = found.held(images) / 1e6, found.held(1) / 1e6
    places = np.arange(1, len(held) + 1)
    names = list(found.layers)
    bars = go.Bar(x=places, y=held, customdata=names, marker={"color": CATEGORIES[0]}, showlegend=False)
    figure.add_trace(bars.update(hovertemplate="%{customdata}: %{y:.3~g} MB<extra></extra>"))
    lines = (
        (f"a batch of {images}: {count_text(1e6 * held.sum())}B", np.cumsum(held), CATEGORIES[0], "solid"),
        (f"one image after another: {count_text(1e6 * single.sum())}B", np.cumsum(single), CHOSEN, "dash"),
    )
    for name, values, colour, dash in lines:
        line = {"color": colour, "width": 2.8, "dash": dash}
        hover = "up to %{customdata}: %{y:.4~g} MB"
        add_curve(figure, places, values, hover, line, 4, name=name, xaxis="x2", yaxis="y2", customdata=names)
    wide = (1 - GAP) / 2
    across = {"title": {"text": "layers that keep something, in order"}, "showgrid": False}
    layout: dict[str, Any] = {
        "xaxis": {**across, "domain": (0, wide), "anchor": "y"},
        "xaxis2": {**across, "domain": (wide + GAP, 1), "anchor": "y2"},
        "yaxis": {"title": {"text": "kept of each layer [MB]"}, "rangemode": "tozero"},
        "yaxis2": {"title": {"text": "held so far [MB]"}, "rangemode": "tozero", "anchor": "x2"},
    }
    return apply_style(
        figure,
        height,
        **layout,
        bargap=0.1,
        dragmode=False,
        margin=margins(62, 12, 34, 50),
        meta={"panels": 2},
        legend=legend_above(14),
    )


def response_figure(found: LocalResponse, channel: int, factor: float = 1.0, height: int = 440) -> Figure:
    """The channels of one pixel before and after; a band over the neighbours that enter for `channel`. `factor`: what
    the values afterwards are multiplied by. Plotly."""
    from plotly import graph_objects as go

    figure, channels = go.Figure(), np.arange(len(found.before))
    after = "after" if factor == 1.0 else "after, times kᵝ"
    for name, values, colour in (("before", found.before, BEFORE), (after, factor * found.after, AFTER)):
        bars = go.Bar(x=channels, y=values, name=name, marker={"color": colour})
        figure.add_trace(bars.update(hovertemplate=f"channel %{{x}}: %{{y:.4~g}}, {name}<extra></extra>"))
    first, last = int(found.first[channel]) - 0.5, int(found.last[channel]) + 0.5
    figure.add_vrect(first, last, fillcolor=NEIGHBOURS, line={"color": CHOSEN, "width": 1.5}, layer="below")
    return apply_style(
        figure,
        height,
        x=dict(title="channel", showgrid=False),
        y=dict(title="activation", zeroline=True, zerolinecolor="#8b95a5"),
        barmode="group",
        bargap=0.15,
        bargroupgap=0,
        dragmode=False,
        margin=margins(60, 10, 34, 46),
        legend=legend_above(14),
    )


def bowls_figure(bowls: Sequence[tuple[str, Any, np.ndarray]], height: int = 430) -> Figure:
    """A panel for each (title, least-squares problem, path (steps + 1, 2)): lines of equal loss and the path of
    gradient descent, with one unit equally long on all axes. Plotly."""
    from plotly import graph_objects as go

    figure, count = go.Figure(), len(bowls)
    wide = (1 - (count - 1) * GAP) / count
    layout: dict[str, Any] = {}
    reach = 1.2 * max(float(np.abs(path[0] - problem.best).max()) for _, problem, path in bowls)
    for at, (title, problem, path) in enumerate(bowls):
        end, start = "" if at == 0 else str(at + 1), at * (wide + GAP)
        axes = {"xaxis": f"x{end}", "yaxis": f"y{end}"}
        xs, ys = (middle + np.linspace(-2 * reach, 2 * reach, 161) for middle in problem.best)
        losses = problem.loss(np.stack(np.meshgrid(xs, ys), axis=-1))
        contour = go.Contour(x=xs, y=ys, z=np.sqrt(losses), showscale=False, ncontours=18, hoverinfo="skip", **axes)
        contour.update(contours={"coloring": "lines"}, colorscale=[[0, "#33638d"], [1, "#c9ced6"]], line={"width": 1.4})
        figure.add_trace(contour)
        left = np.abs(path - problem.best).max(axis=1) > 3 * reach
        path = path[: left.argmax() + 1] if left.any() else path  # what leaves is drawn to where it has left
        line = {"color": CHOSEN, "width": 2.4}
        add_curve(figure, path[:, 0], path[:, 1], "(%{x:.3g}, %{y:.3g})", line, 6, **axes, showlegend=False)
        star = {"symbol": "star", "size": 14, "color": "#181c24"}
        best = {"x": problem.best[:1], "y": problem.best[1:]}
        figure.add_scatter(**best, mode="markers", marker=star, showlegend=False, hoverinfo="skip", **axes)
        ranges = [[float(middle - reach), float(middle + reach)] for middle in problem.best]
        layout[f"xaxis{end}"] = {"domain": (start, start + wide), "anchor": f"y{end}", "range": ranges[0]}
        layout[f"yaxis{end}"] = {"anchor": f"x{end}", "scaleanchor": f"x{end}", "range": ranges[1]}
        layout[f"xaxis{end}"] |= {"title": {"text": f"w₁ · {title}"}, "showgrid": False}
        layout[f"yaxis{end}"] |= {"title": {"text": "w₂"}, "showgrid": False}
    space = margins(56, 10, 34, 48)
    return apply_style(figure, height, **layout, dragmode=False, margin=space, meta={"panels": count})
