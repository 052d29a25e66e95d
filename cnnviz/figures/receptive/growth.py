"""Growth of the receptive field over the layers as a Plotly figure, with the image's side and runs of one stride."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, GREY, to_hex, viridis
from cnnviz.figures.base.plot_style import add_curve, apply_style, legend_above, margins, ring
from cnnviz.figures.base.text import shorten, size_text
from cnnviz.wording import plural

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.receptive.growth import EffectiveSize, Growth

_LINE, _IMAGE, _MOST, _HALF = GREY, "#8b95a5", CATEGORIES[5], CATEGORIES[3]
_BANDS = ("rgba(51,99,141,0.05)", "rgba(51,99,141,0.12)")


def depth_colours(count: int) -> list[str]:
    """One colour of viridis for each of `count` layers, first to last; its palest end is left out."""
    places = np.linspace(0, 215, max(count, 1)).round().astype(int)
    return [to_hex(viridis()[at]) for at in places[:count]]


def growth_figure(growth: Growth, chosen: str, effective: Sequence[EffectiveSize] = (), height: int = 470) -> Figure:
    """The longer side of the field over layers, as they run; markers have the colours of the nested boxes, the
    `chosen` layer a frame. Layers that see the whole image are crosses at the image's side. `effective`: boxes of
    half and of 95 % of the gradient. Bands are runs of one stride. The x values are the layers' names, for clicks."""
    from plotly import graph_objects as go

    names = [row.layer for row in growth.rows]
    side, figure = max(growth.image), go.Figure()
    places, whole = growth.spatial, [row for row in growth.rows if row.whole]
    facts = [[size_text(row.size), row.kind, _stride_text(row.stride)] for row in places]
    hover = "%{x}: %{customdata[0]} pixels<br>%{customdata[1]}, %{customdata[2]}"
    layers, sides = [row.layer for row in places], [max(row.size) for row in places]
    line = {"color": _LINE, "width": 2.2}
    add_curve(figure, layers, sides, hover, line, 11, name="theoretical field", customdata=facts)
    figure.data[-1].marker.color = depth_colours(len(places))
    if whole:
        crosses = go.Scatter(x=[row.layer for row in whole], y=[side] * len(whole), mode="markers")
        crosses.update(name="sees everything", marker={"symbol": "x", "size": 9, "color": _LINE})
        hover = "%{x}: no place of its own, it sees all that lies below<extra></extra>"
        figure.add_trace(crosses.update(hovertemplate=hover))
    for colour, name, boxes in (
        (_MOST, "95 % of the gradient", [one.most for one in effective]),
        (_HALF, "half of the gradient", [one.half for one in effective]),
    ):
        if boxes:
            layers, sides = [one.layer for one in effective], [max(box) for box in boxes]
            facts = [[size_text(box), f"{max(one.sigma):.1f}"] for one, box in zip(effective, boxes, strict=True)]
            hover = f"%{{x}}: %{{customdata[0]}} pixels hold {name}<br>σ %{{customdata[1]}} pixels"
            line = {"color": colour, "width": 2.6}
            add_curve(figure, layers, sides, hover, line, 7, name=name, customdata=facts)
    _mark_chosen(figure, growth, chosen)
    _mark_strides(figure, growth, names)
    figure.add_hline(y=side, line={"color": _IMAGE, "width": 1.6, "dash": "dash"})
    place = {"x": 0, "xref": "paper", "y": side, "xanchor": "left", "yanchor": "bottom"}
    words = f" the image: {plural(side, 'pixel')}"
    figure.add_annotation(place, text=words, showarrow=False, font={"size": 13, "color": _LINE})
    if (first := growth.exceeding) is not None:
        place = {"x": first.layer, "y": max(first.size), "ax": -10, "ay": -44, "xanchor": "right"}
        words, looks = f"{size_text(first.size)}: larger than the image", {"bgcolor": "rgba(255,255,255,0.8)"}
        figure.add_annotation(place, text=words, showarrow=True, arrowhead=2, font={"size": 13}, **looks)
    top = 1.14 * max([side, *(max(row.size) for row in places)])  # room for the names of the bands
    every = -(-len(names) // 36)
    shown = names[::every]
    ticks = {"tickvals": shown, "ticktext": [shorten(name, 11, 90) for name in shown], "tickfont": {"size": 11}}
    order = {"type": "category", "categoryorder": "array", "categoryarray": names}
    return apply_style(
        figure,
        height,
        x=dict(ticks | order, tickangle=-90, showgrid=False, range=[-0.5, len(names) - 0.5]),
        y=dict(title="side of the field [pixels]", range=[0, top]),
        legend=legend_above(y=1.01),
        showlegend=bool(whole or effective),
        hovermode="closest",
        dragmode=False,
        margin=margins(60, 8, 34, 8),
    )


def _mark_chosen(figure: Figure, growth: Growth, chosen: str) -> None:
    here = [row for row in growth.rows if row.layer == chosen]
    if here:
        level = max(growth.image) if here[0].whole else max(here[0].size)
        figure.add_scatter(x=[chosen], y=[level], mode="markers", showlegend=False, hoverinfo="skip", marker=ring(19))


def stride_runs(strides: Sequence[float]) -> list[tuple[int, int, float]]:
    """(first, last, stride) of each run of equal strides."""
    runs: list[tuple[int, int, float]] = []
    for at, stride in enumerate(strides):
        if runs and runs[-1][2] == stride:
            runs[-1] = (runs[-1][0], at, stride)
        else:
            runs.append((at, at, stride))
    return runs


def _mark_strides(figure: Figure, growth: Growth, names: list[str]) -> None:
    """A band for every run of one stride; its name where there is room."""
    runs = stride_runs([max(row.stride) for row in growth.rows])
    for number, (first, last, stride) in enumerate(runs):
        band = {"x0": first - 0.5, "x1": last + 0.5, "y0": 0, "y1": 1, "yref": "paper"}
        figure.add_shape(band, type="rect", line_width=0, fillcolor=_BANDS[number % 2], layer="below")
        wide = (last - first + 1) / len(names)
        if wide >= 0.11:
            words = f"stride {stride:g}" if stride else "no place"
        else:
            words = f"{stride:g}" if stride else ""
        place = {"x": (first + last) / 2, "y": 1, "yref": "paper", "yanchor": "top"}
        figure.add_annotation(place, text=words, showarrow=False, font={"size": 12, "color": _LINE})


def _stride_text(stride: tuple[float, float]) -> str:
    return f"stride {stride[0]:g}" if stride[0] == stride[1] else f"stride {stride[0]:g}×{stride[1]:g}"
