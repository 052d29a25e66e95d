"""Equivariance of a time series as a Plotly figure: series, responses and pooled responses, and errors over shifts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, CHOSEN
from cnnviz.figures.base.plot_style import add_curve, apply_style, find_range, margins, reveal_curve, ring
from cnnviz.figures.equivariance.charts import ERROR, stride_marks, to_percent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.equivariance.signal import SignalShift

FIRST, SECOND, BEFORE, AFTER = CATEGORIES[0], CATEGORIES[1], "#8b95a5", CATEGORIES[0]
_ROWS, _RIGHT, _MARK = ((0.72, 0.95), (0.36, 0.61), (0.0, 0.25)), 0.68, "#8b95a5"


def signal_figure(
    found: SignalShift,
    stride: int,
    pool_stride: int,
    shifts: np.ndarray,
    over: list[SignalShift],
    height: int = 540,
    drawn: int | None = None,
) -> Figure:
    """Left: series, responses, pooled responses, with what of these has changed ringed; right, over `shifts` (K,), the
    error of the response and the shares of unchanged units. `over`: the study at each of them; `found`: at one.
    `drawn`: number of the last shift that the curves are drawn to; None: all."""
    from plotly import graph_objects as go

    figure = go.Figure()
    units = np.arange(len(found.response)) * stride
    pooled = np.arange(len(found.pooled)) * stride * pool_stride
    _add_pair(figure, 1, np.arange(len(found.signal)), (found.signal, "x"), (found.shifted, "T(x)"))
    _add_pair(figure, 2, units, (found.moved, "T(f(x))"), (found.response_shifted, "f(T(x))"))
    _add_pair(figure, 3, pooled, (found.pooled, "pooled, without the shift"), (found.pooled_shifted, "with it"))
    apart = _differ(found.moved, found.response_shifted)
    _add_rings(figure, 2, units[apart], found.response_shifted[apart])
    changed = _differ(found.pooled, found.pooled_shifted)
    _add_rings(figure, 3, pooled[changed], found.pooled_shifted[changed])
    _add_curves(figure, shifts, over, drawn)
    step = next((i for i, one in enumerate(over) if np.array_equal(one.shifted, found.shifted)), None)
    for axis in (4, 5) if step is not None else ():
        _add_line(figure, axis, float(shifts[step]), CHOSEN, "solid")
    for mark in stride_marks(shifts, float(stride)) if stride > 1 else ():
        _add_line(figure, 4, mark, _MARK, "dash")
    apply_style(figure, height)
    _set_axes(figure, len(found.signal), shifts, to_percent([one.error for one in over]))
    _add_headings(figure, found, int(apart.sum()))
    figure.update_layout(showlegend=False, dragmode=False, margin=margins(48, 8, 8, 44))
    return figure


def _differ(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Which values differ so far that it can be seen: by more than 1 % of the largest."""
    return np.abs(second - first) > 0.01 * max(float(np.abs(first).max()), 1e-12)


def _add_pair(
    figure: Figure, row: int, x: np.ndarray, first: tuple[np.ndarray, str], second: tuple[np.ndarray, str]
) -> None:
    """Two rows of numbers over the same times: blue without, orange with the shift."""
    for (values, name), colour, dash in ((first, FIRST, "dot"), (second, SECOND, "solid")):
        line, trace = {"color": colour, "width": 2.4, "dash": dash}, {"xaxis": f"x{row}", "yaxis": f"y{row}"}
        hover = f"{name}: %{{y:.3g}} at %{{x}}"
        add_curve(figure, x, values, hover, line, 4 if len(x) > 40 else 7, name=name, **trace)


def _add_rings(figure: Figure, row: int, x: np.ndarray, y: np.ndarray) -> None:
    axes = {"xaxis": f"x{row}", "yaxis": f"y{row}"}
    figure.add_scatter(x=x, y=y, mode="markers", hoverinfo="skip", name="changed", marker=ring(12, 1.8), **axes)


def _add_curves(figure: Figure, shifts: np.ndarray, over: list[SignalShift], drawn: int | None) -> None:
    lines = (
        (4, to_percent([one.error for one in over]), "error", "#33638d", "solid"),
        (5, np.array([100 * one.unchanged for one in over]), "before pooling", BEFORE, "dash"),
        (5, np.array([100 * one.pooled_unchanged for one in over]), "after", AFTER, "solid"),
    )
    for axis, values, name, colour, dash in lines:
        line, trace = {"color": colour, "width": 2.4, "dash": dash}, {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
        values = reveal_curve(values, drawn)
        add_curve(figure, shifts, values, f"shift by %{{x}}: %{{y:.3~g}} %, {name}", line, 5, name=name, **trace)


def _add_line(figure: Figure, axis: int, x: float, colour: str, dash: str) -> None:
    place = {"x0": x, "x1": x, "y0": 0, "y1": 1, "xref": f"x{axis}", "yref": f"y{axis} domain"}
    figure.add_shape(place, type="line", line={"color": colour, "width": 1.4, "dash": dash})


def _set_axes(figure: Figure, length: int, shifts: np.ndarray, errors: np.ndarray) -> None:
    small = {"title_font": {"size": 13}, "tickfont": {"size": 12}}
    for row, domain in enumerate(_ROWS, 1):
        title = {"title": {"text": "time", "font": {"size": 13}}} if row == 3 else {"showticklabels": False}
        name = "" if row == 1 else str(row)
        across = {"domain": [0, 0.6], "anchor": f"y{row}", "range": [-1, length], **small, **title}
        upwards = {"domain": list(domain), "anchor": f"x{row}", **small}
        figure.update_layout({f"xaxis{name}": across, f"yaxis{name}": upwards})
    ends = [float(shifts[0]) - 0.5, float(shifts[-1]) + 0.5]
    shift = {"domain": [_RIGHT, 1], "title": "shift", "showgrid": False, "range": ends, **small}
    figure.update_layout(
        xaxis4={**shift, "anchor": "y4"},
        yaxis4={"domain": [0.58, 0.95], "anchor": "x4", "title": ERROR, "range": find_range(errors), **small},
        xaxis5={**shift, "anchor": "y5"},
        yaxis5={"domain": [0, 0.34], "anchor": "x5", "title": "unchanged [%]", "range": [0, 105], **small},
    )


def _add_headings(figure: Figure, found: SignalShift, apart: int) -> None:
    """What each row shows, above it, its two lines in their colours."""

    def two(first: str, second: str) -> str:
        return f'<span style="color:{FIRST}">● {first}</span>   <span style="color:#b36f00">● {second}</span>'

    kept = f'<span style="color:#5b6470">● before</span>   <span style="color:{AFTER}">● after</span>'
    said = (
        (0.0, 1.0, f"<b>Series</b>   {two('x', 'T(x), shifted')}"),
        (0.0, 0.66, f"<b>Response</b>   {two('T(f(x)), moved', 'f(T(x))')}   {apart} of {len(found.moved)} apart"),
        (0.0, 0.30, f"<b>Pooled</b>   {two('of f(x), not moved', 'of f(T(x))')}"),
        (_RIGHT, 1.0, "<b>f(T(x)) against T(f(x))</b>"),
        (_RIGHT, 0.39, f"<b>Unchanged</b>   {kept}"),
    )
    for x, y, text in said:
        place = {"x": x, "y": y, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "middle"}
        figure.add_annotation(place, text=text, showarrow=False, font={"size": 14})
