"""Errors of equivariance as Plotly figures: layer by layer, over shifts, over a square of shifts, beyond shifts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, viridis
from cnnviz.figures.base.plot_style import apply_style
from cnnviz.figures.base.text import shorten

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.equivariance.shift import ShiftMap

CHOSEN = "#e85d04"
EXACT = 1e-5  # relative; below it float32 maps are equal but for rounding, see studies.equivariance.EXACT
ERROR = "relative error [%]"
_LINE, _INSIDE, _MARK = "#33638d", "#009e73", "#8b95a5"


def to_percent(errors: Sequence[float] | np.ndarray) -> np.ndarray:
    """Relative errors as %, NaN where they are not finite; rounding counts as 0."""
    values = np.asarray(errors, float)
    values = np.where(np.isfinite(values), values, np.nan)
    return np.where(values <= EXACT, 0.0, 100 * values)


def layers_figure(
    names: Sequence[str], strides: Sequence[float], errors: Sequence[float], chosen: str, height: int = 230
) -> Figure:
    """The error of every layer as a bar, coloured by the layer's total stride; the chosen one has a frame. The
    x values are the layers' names, for clicks."""
    from plotly import graph_objects as go

    figure, values = go.Figure(), to_percent(errors)
    for number, stride in enumerate(sorted(set(strides))):
        own = [i for i, s in enumerate(strides) if s == stride]
        words = f"stride {stride:g}" if stride else "no location"
        figure.add_bar(
            x=[names[i] for i in own], y=values[own], name=words, hovertemplate=f"%{{x}}: %{{y:.3~g}} %, {words}"
            "<extra></extra>", width=0.82, marker={"color": CATEGORIES[number % len(CATEGORIES)]},
        )  # fmt: skip
    empty = [name for name, value in zip(names, values, strict=True) if np.isnan(value)]
    if empty:
        figure.add_scatter(
            x=empty, y=[0] * len(empty), mode="markers", name="nothing to compare", cliponaxis=False,
            marker={"symbol": "x-thin", "size": 8, "line": {"width": 2, "color": _MARK}},
            hovertemplate="%{x}: nothing to compare<extra></extra>",
        )  # fmt: skip
    if chosen in names:
        figure.add_bar(
            x=[chosen], y=[values[list(names).index(chosen)]], width=0.82, showlegend=False, hoverinfo="skip",
            marker={"color": "rgba(0,0,0,0)", "line": {"color": CHOSEN, "width": 3}},
        )  # fmt: skip
    apply_style(figure, height)
    letters = 9 if len(names) > 30 else 10 if len(names) > 24 else 11
    figure.update_xaxes(
        categoryorder="array", categoryarray=list(names), tickvals=list(names), showgrid=False, tickangle=-90,
        ticktext=[shorten(name, 10, 78) for name in names], tickfont={"size": letters},
    )  # fmt: skip
    figure.update_yaxes(title=ERROR, rangemode="tozero", title_font={"size": 13})
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 12}}
    figure.update_layout(barmode="overlay", legend=legend, showlegend=True, dragmode=False,
                         margin={"l": 52, "r": 6, "t": 26, "b": 8})  # fmt: skip
    return figure


def curve_figure(
    offsets: np.ndarray,
    errors: np.ndarray,
    inside: np.ndarray | None,
    stride: float,
    chosen: int | None = None,
    axis: str = "shift to the right [pixels]",
    height: int = 230,
) -> Figure:
    """The error over shifts `offsets` (K,), with a line at every multiple of the stride. `inside` (K,): that of
    units without padding in their field. `chosen`: the shift that is shown elsewhere on the page."""
    from plotly import graph_objects as go

    figure, values = go.Figure(), to_percent(errors)
    for mark in stride_marks(offsets, stride):
        figure.add_vline(x=mark, line={"color": _MARK, "width": 1.2, "dash": "dash"})
    lines = [("all units", values, _LINE, "solid")]
    if inside is not None and np.isfinite(inside).any():
        lines.append(("units that see no padding", to_percent(inside), _INSIDE, "dot"))
    for name, line, colour, dash in lines:
        figure.add_scatter(
            x=offsets, y=line, mode="lines+markers", name=name, line={"color": colour, "width": 2.4, "dash": dash},
            marker={"size": 6}, hovertemplate=f"%{{x}} pixels: %{{y:.3~g}} %, {name}<extra></extra>",
        )  # fmt: skip
    here = [] if chosen is None else np.flatnonzero(offsets == chosen)
    if len(here):
        figure.add_scatter(
            x=offsets[here], y=values[here], mode="markers", name="this shift", hoverinfo="skip",
            marker={"size": 13, "color": "rgba(0,0,0,0)", "line": {"color": CHOSEN, "width": 3}},
        )  # fmt: skip
    apply_style(figure, height)
    figure.update_xaxes(title=axis, title_font={"size": 13}, showgrid=False)
    figure.update_yaxes(title=ERROR, rangemode="tozero", title_font={"size": 13})
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 12}}
    figure.update_layout(legend=legend, showlegend=len(lines) > 1 or bool(len(here)), dragmode=False,
                         margin={"l": 52, "r": 10, "t": 26, "b": 42})  # fmt: skip
    return figure


def stride_marks(offsets: np.ndarray, stride: float) -> list[float]:
    """The multiples of the stride within the offsets; none for a layer without location."""
    if not stride:
        return []
    first, last = np.ceil(offsets.min() / stride), np.floor(offsets.max() / stride)
    return [float(n * stride) for n in np.arange(first, last + 1)]


def map_figure(found: ShiftMap, masked: bool, chosen: tuple[int, int], height: int = 560) -> Figure:
    """The error over a square of shifts, rows downwards; right of it over horizontal and over diagonal shifts.

    "0" stands where both maps are equal but for rounding. `masked`: of the units without padding in their field.
    `chosen`: (rows, columns), framed. The square has the axes x and y."""
    from plotly import graph_objects as go

    errors = found.relative_inside if masked else found.relative
    values, reach, offsets = to_percent(errors), int(found.offsets[-1]), found.offsets
    colours = [[i / 16, "rgb({},{},{})".format(*viridis()[min(16 * i, 255)])] for i in range(17)]
    bar = {"title": {"text": "[%]", "side": "top"}, "x": 0.48, "xanchor": "left", "thickness": 16}
    figure = go.Figure(go.Heatmap(
        z=values, x=offsets, y=offsets, colorscale=colours, zmin=0, xgap=1, ygap=1, colorbar=bar,
        zmax=max(float(np.nanmax(values, initial=0.0)), 1e-3),
        hovertemplate="down %{y}, right %{x}: %{z:.3~g} %<extra></extra>",
    ))  # fmt: skip
    rows, cols = np.nonzero(errors <= EXACT)
    figure.add_scatter(
        x=offsets[cols], y=offsets[rows], mode="text", text=["0"] * len(rows), hoverinfo="skip", showlegend=False,
        textfont={"color": "#ffffff", "size": 13},
    )  # fmt: skip
    for number, line in ((2, values[reach]), (3, np.diagonal(values))):
        figure.add_scatter(
            x=offsets, y=line, xaxis=f"x{number}", yaxis=f"y{number}", mode="lines+markers", showlegend=False,
            line={"color": _LINE, "width": 2.4}, hovertemplate="%{x} pixels: %{y:.3~g} %<extra></extra>",
        )  # fmt: skip
        for mark in stride_marks(offsets, max(found.stride)):
            figure.add_shape(
                type="line", x0=mark, x1=mark, y0=0, y1=1, xref=f"x{number}", yref=f"y{number} domain",
                line={"color": _MARK, "width": 1.2, "dash": "dash"},
            )  # fmt: skip
    if max(map(abs, chosen)) <= reach:
        row, col = chosen
        figure.add_shape(type="rect", x0=col - 0.5, x1=col + 0.5, y0=row - 0.5, y1=row + 0.5,
                         line={"color": CHOSEN, "width": 3})  # fmt: skip
    _set_map_axes(figure, reach, max(found.stride))
    apply_style(figure, height)
    figure.update_layout(dragmode=False, margin={"l": 60, "r": 10, "t": 34, "b": 52})
    return figure


def _set_map_axes(figure: Figure, reach: int, stride: float) -> None:
    step = max(1, round(min(stride, reach))) if stride >= 2 else 2
    ticks = [int(n) for n in range(-(reach // step) * step, reach + 1, step)]
    shared = {"tickvals": ticks, "showgrid": False}
    figure.update_layout(
        xaxis={**shared, "title": "shift to the right [pixels]", "constrain": "domain", "domain": [0, 0.46]},
        yaxis={**shared, "title": "shift down [pixels]", "autorange": "reversed", "scaleanchor": "x",
               "constrain": "domain"},
        xaxis2={**shared, "title": "shift to the right alone [pixels]", "domain": [0.66, 1], "anchor": "y2"},
        xaxis3={**shared, "title": "shift down and right [pixels each]", "domain": [0.66, 1], "anchor": "y3"},
        yaxis2={"title": ERROR, "domain": [0.6, 1], "rangemode": "tozero", "anchor": "x2"},
        yaxis3={"title": ERROR, "domain": [0, 0.4], "rangemode": "tozero", "anchor": "x3"},
    )  # fmt: skip


def wobble_figure(offsets: np.ndarray, shares: np.ndarray, names: Sequence[str], height: int = 300) -> Figure:
    """The probabilities `shares` (K, classes shown) over shifts `offsets` (K,), a line a class."""
    from plotly import graph_objects as go

    figure = go.Figure()
    for number, name in enumerate(names):
        figure.add_scatter(
            x=offsets, y=100 * shares[:, number], mode="lines+markers", name=name, marker={"size": 5},
            line={"color": CATEGORIES[number % len(CATEGORIES)], "width": 2.4},
            hovertemplate=f"%{{x}} pixels: {name} %{{y:.1f}} %<extra></extra>",
        )  # fmt: skip
    apply_style(figure, height)
    figure.update_xaxes(title="shift to the right [pixels]", showgrid=False)
    figure.update_yaxes(title="probability [%]", range=[0, 102])
    figure.update_layout(dragmode=False, showlegend=True, margin={"l": 56, "r": 10, "t": 30, "b": 46})
    return figure


def beyond_figure(
    names: Sequence[str], errors: Sequence[float], costs: Sequence[float], chosen: str, height: int = 240
) -> Figure:
    """The error under each transform as a bar, the chosen one framed; a mark for what resampling alone costs.
    The x values are the names, for clicks."""
    from plotly import graph_objects as go

    figure = go.Figure(go.Bar(
        x=list(names), y=to_percent(errors), name="error", width=0.7, hovertemplate="%{x}: %{y:.3~g} %<extra></extra>",
        marker={"color": _LINE, "line": {"color": CHOSEN, "width": [3 if n == chosen else 0 for n in names]}},
    ))  # fmt: skip
    figure.add_scatter(
        x=list(names), y=to_percent(costs), mode="markers", name="interpolating there and back, alone",
        marker={"symbol": "line-ew", "size": 26, "line": {"width": 3, "color": CATEGORIES[1]}},
        hovertemplate="%{x}: interpolation alone %{y:.3~g} %<extra></extra>",
    )  # fmt: skip
    apply_style(figure, height)
    figure.update_xaxes(categoryorder="array", categoryarray=list(names), showgrid=False)
    figure.update_yaxes(title=ERROR, rangemode="tozero")
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 12}}
    figure.update_layout(dragmode=False, legend=legend, margin={"l": 56, "r": 10, "t": 28, "b": 30})
    return figure
