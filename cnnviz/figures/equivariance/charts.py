"""Equivariance errors as Plotly figures: by layer, over shifts, over a square of shifts, under other transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, CHOSEN, viridis
from cnnviz.figures.base.plot_style import (
    add_curve,
    apply_style,
    find_range,
    legend_above,
    margins,
    plain_text,
    reveal_curve,
    ring,
    upright,
)
from cnnviz.figures.base.text import shorten

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.equivariance.shift import ShiftMap

EXACT = 1e-5  # relative; below it float32 maps are equal but for rounding, see studies.equivariance.EXACT
ERROR = "relative error [%]"
_ERROR_TITLE = {"text": ERROR, "font": {"size": 13}}
_LINE, _INSIDE, _MARK = "#33638d", "#009e73", "#8b95a5"


def to_percent(errors: Sequence[float] | np.ndarray) -> np.ndarray:
    """Relative errors as %, NaN where they are not finite; rounding counts as 0."""
    values = np.asarray(errors, float)
    values = np.where(np.isfinite(values), values, np.nan)
    return np.where(values <= EXACT, 0.0, 100 * values)


def layers_figure(
    names: Sequence[str],
    strides: Sequence[float],
    errors: Sequence[float],
    chosen: str,
    height: int = 230,
    top: float | None = None,
) -> Figure:
    """The error of every layer as a bar, coloured by the layer's total stride; the chosen one has a frame. The
    x values are the layers' names, for clicks. `top`: the error at the axis's upper end, to stand beside others."""
    from plotly import graph_objects as go

    figure, values = go.Figure(), to_percent(errors)
    for number, stride in enumerate(sorted(set(strides))):
        own = [i for i, s in enumerate(strides) if s == stride]
        words = f"stride {stride:g}" if stride else "no location"
        hover, colour = f"%{{x}}: %{{y:.3~g}} %, {words}<extra></extra>", CATEGORIES[number % len(CATEGORIES)]
        bars = go.Bar(x=[names[i] for i in own], y=values[own], name=words, width=0.82, marker={"color": colour})
        figure.add_trace(bars.update(hovertemplate=hover))
    empty = [name for name, value in zip(names, values, strict=True) if np.isnan(value)]
    if empty:
        cross = {"symbol": "x-thin", "size": 8, "line": {"width": 2, "color": _MARK}}
        points = go.Scatter(x=empty, y=[0] * len(empty), mode="markers", marker=cross, cliponaxis=False)
        words = "nothing to compare"
        figure.add_trace(points.update(name=words, hovertemplate=f"%{{x}}: {words}<extra></extra>"))
    if chosen in names:
        error = values[list(names).index(chosen)]
        frame = {"color": "rgba(0,0,0,0)", "line": {"color": CHOSEN, "width": 3}}
        figure.add_bar(x=[chosen], y=[error], width=0.82, showlegend=False, hoverinfo="skip", marker=frame)
    letters = 9 if len(names) > 30 else 10 if len(names) > 24 else 11
    order = {"categoryorder": "array", "categoryarray": list(names), "tickvals": list(names), "showgrid": False}
    ticks = {"ticktext": [shorten(name, 10, 78) for name in names], "tickfont": {"size": letters}, "tickangle": -90}
    return apply_style(
        figure,
        height,
        x=order | ticks,
        y={"title": _ERROR_TITLE, **_error_range(top)},
        barmode="overlay",
        legend=legend_above(),
        showlegend=True,
        dragmode=False,
        margin=margins(52, 6, 26, 8),
    )


def curve_figure(
    offsets: np.ndarray,
    errors: np.ndarray,
    inside: np.ndarray | None,
    stride: float,
    chosen: int | None = None,
    axis: str = "shift to the right [pixels]",
    height: int = 230,
    top: float | None = None,
    drawn: int | None = None,
) -> Figure:
    """The error over shifts `offsets` (K,), with a line at every multiple of the stride. `inside` (K,): that of
    units without padding in their field. `chosen`: the shift that is shown elsewhere on the page. `top`: as for
    `layers_figure`; None: the curves' own. `drawn`: number of the last offset that the curves are drawn to; None:
    all."""
    from plotly import graph_objects as go

    figure, values = go.Figure(), to_percent(errors)
    lines = [("all units", values, _LINE, "solid")]
    if inside is not None and np.isfinite(inside).any():
        lines.append(("units that see no padding", to_percent(inside), _INSIDE, "dot"))
    for name, line, colour, dash in lines:
        hover, looks = f"%{{x}} pixels: %{{y:.3~g}} %, {name}", {"color": colour, "width": 2.4, "dash": dash}
        add_curve(figure, offsets, reveal_curve(line, drawn), hover, looks, name=name)
    here = np.flatnonzero(offsets == chosen) if chosen is not None else np.zeros(0, int)
    if len(here):
        at = {"x": offsets[here], "y": values[here]}
        figure.add_scatter(**at, mode="markers", name="this shift", hoverinfo="skip", marker=ring())
    room = (offsets[-1] - offsets[0]) / 30
    ends = [float(offsets[0] - room), float(offsets[-1] + room)]
    top = find_top(errors, *([] if inside is None else [inside])) if top is None else top
    return apply_style(
        figure,
        height,
        x={"title": {"text": axis, "font": {"size": 13}}, "showgrid": False, "range": ends},
        y={"title": _ERROR_TITLE, **_error_range(top)},
        shapes=[upright(mark, color=_MARK, width=1.2, dash="dash") for mark in stride_marks(offsets, stride)],
        legend=legend_above(),
        showlegend=len(lines) > 1 or bool(len(here)),
        dragmode=False,
        margin=margins(52, 10, 26, 42),
    )


def find_top(*errors: Sequence[float] | np.ndarray) -> float:
    """The largest of several sets of relative errors, for axes that stand side by side; what is not finite does not
    count."""
    return max(float(np.max(values, where=np.isfinite(values), initial=0.0)) for values in map(np.asarray, errors))


def _error_range(top: float | None) -> dict[str, Any]:
    """Of an axis of errors: from 0, up to a little more than `top`."""
    if top is None:
        return {"rangemode": "tozero"}
    return {"range": find_range(to_percent([top]))}


def stride_marks(offsets: np.ndarray, stride: float) -> list[float]:
    """The multiples of the stride within the offsets; none for a layer without location."""
    if not stride:
        return []
    first, last = np.ceil(offsets.min() / stride), np.floor(offsets.max() / stride)
    return [float(n * stride) for n in np.arange(first, last + 1)]


def map_figure(
    found: ShiftMap, masked: bool, chosen: tuple[int, int], height: int = 560, top: float | None = None
) -> Figure:
    """The error over a square of shifts, rows downwards; right of it over horizontal and over diagonal shifts.

    "0" stands where both maps are equal but for rounding. `masked`: of the units without padding in their field.
    `chosen`: (rows, columns), framed. `top`: as for `layers_figure`. The square has the axes x and y."""
    from plotly import graph_objects as go

    errors = found.relative_inside if masked else found.relative
    values, reach, offsets = to_percent(errors), int(found.offsets[-1]), found.offsets
    colours = [[i / 16, "rgb({},{},{})".format(*viridis()[min(16 * i, 255)])] for i in range(17)]
    bar = {"title": {"text": "[%]", "side": "top"}, "x": 0.48, "xanchor": "left", "thickness": 16}
    highest = max(float(np.nanmax(values, initial=0.0)) if top is None else float(to_percent([top])[0]), 1e-3)
    square = go.Heatmap(z=values, x=offsets, y=offsets, zmin=0, zmax=highest, xgap=1, ygap=1)
    square.update(colorscale=colours, colorbar=bar, hovertemplate="down %{y}, right %{x}: %{z:.3~g} %<extra></extra>")
    figure = go.Figure(square)
    rows, cols = np.nonzero(errors <= EXACT)
    zeros = go.Scatter(x=offsets[cols], y=offsets[rows], mode="text", text=["0"] * len(rows), hoverinfo="skip")
    figure.add_trace(zeros.update(showlegend=False, textfont={"color": "#ffffff", "size": 13}))
    looks, dashed = {"color": _LINE, "width": 2.4}, {"color": _MARK, "width": 1.2, "dash": "dash"}
    for number, line in ((2, values[reach]), (3, np.diagonal(values))):
        axes = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
        add_curve(figure, offsets, line, "%{x} pixels: %{y:.3~g} %", looks, None, showlegend=False, **axes)
        for mark in stride_marks(offsets, max(found.stride)):
            figure.add_shape(upright(mark, str(number), **dashed))
    if max(map(abs, chosen)) <= reach:
        row, col = chosen
        place = {"x0": col - 0.5, "x1": col + 0.5, "y0": row - 0.5, "y1": row + 0.5}
        figure.add_shape(place, type="rect", line={"color": CHOSEN, "width": 3})
    _set_map_axes(figure, reach, max(found.stride), _error_range(top))
    return apply_style(figure, height, dragmode=False, margin=margins(60, 10, 34, 52))


def _set_map_axes(figure: Figure, reach: int, stride: float, error_range: dict[str, Any]) -> None:
    step = max(1, round(min(stride, reach))) if stride >= 2 else 2
    ticks = [int(n) for n in range(-(reach // step) * step, reach + 1, step)]
    shared = {"tickvals": ticks, "showgrid": False}
    square, curve = {**shared, "constrain": "domain"}, {**shared, "domain": [0.66, 1]}
    error = {"title": ERROR, **error_range}
    figure.update_layout(
        xaxis={**square, "title": "shift to the right [pixels]", "domain": [0, 0.46]},
        yaxis={**square, "title": "shift down [pixels]", "autorange": "reversed", "scaleanchor": "x"},
        xaxis2={**curve, "title": "shift to the right alone [pixels]", "anchor": "y2"},
        xaxis3={**curve, "title": "shift down and right [pixels each]", "anchor": "y3"},
        yaxis2={**error, "domain": [0.6, 1], "anchor": "x2"},
        yaxis3={**error, "domain": [0, 0.4], "anchor": "x3"},
    )


def wobble_figure(offsets: np.ndarray, shares: np.ndarray, names: Sequence[str], height: int = 300) -> Figure:
    """The probabilities `shares` (K, classes shown) over shifts `offsets` (K,), a line a class."""
    from plotly import graph_objects as go

    figure = go.Figure()
    for number, name in enumerate(names):
        line = {"color": CATEGORIES[number % len(CATEGORIES)], "width": 2.4}
        hover = f"%{{x}} pixels: {(shown := plain_text(name))} %{{y:.1f}} %"
        add_curve(figure, offsets, 100 * shares[:, number], hover, line, 5, name=shown)
    return apply_style(
        figure,
        height,
        x=dict(title="shift to the right [pixels]", showgrid=False),
        y=dict(title="probability [%]", range=[0, 102]),
        dragmode=False,
        showlegend=True,
        margin=margins(56, 10, 30, 46),
    )


def beyond_figure(
    names: Sequence[str], errors: Sequence[float], costs: Sequence[float], chosen: str, height: int = 240
) -> Figure:
    """The error under each transform as a bar, the chosen one framed; a mark for what resampling alone costs.
    The x values are the names, for clicks."""
    from plotly import graph_objects as go

    fill = {"color": _LINE, "line": {"color": CHOSEN, "width": [3 if n == chosen else 0 for n in names]}}
    bars = go.Bar(x=list(names), y=to_percent(errors), name="error", width=0.7, marker=fill)
    figure = go.Figure(bars.update(hovertemplate="%{x}: %{y:.3~g} %<extra></extra>"))
    dash = {"symbol": "line-ew", "size": 26, "line": {"width": 3, "color": CATEGORIES[1]}}
    marks = go.Scatter(x=list(names), y=to_percent(costs), mode="markers", marker=dash)
    marks.update(hovertemplate="%{x}: interpolation alone %{y:.3~g} %<extra></extra>")
    figure.add_trace(marks.update(name="interpolating there and back, alone"))
    return apply_style(
        figure,
        height,
        x=dict(categoryorder="array", categoryarray=list(names), showgrid=False),
        y=dict(title=ERROR, rangemode="tozero"),
        dragmode=False,
        legend=legend_above(),
        margin=margins(56, 10, 28, 30),
    )
