"""Slices through loss landscapes: loss and accuracy along one direction, in Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.figures.base.plot_style import apply_style, heading, margins
from cnnviz.figures.landscape.plots import DIRECTIONS, LOSS, SurfacePanel

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.landscape.results import Surface

LOSS_COLOUR, ACCURACY_COLOUR = "#0072b2", "#d55e00"
LIMIT = 5.0  # nats: slices are drawn up to here, as in Li et al. 2018
_FAINT = 0.3
_GAP = 0.16  # share of the width between two panels, for their axes


def slice_surface(found: Surface, along: int) -> tuple[dict[str, np.ndarray], float]:
    """The line of a surface along direction 1 or 2 through the network, or nearest to it, and where it lies on the
    other direction: ({"steps", "loss", "accuracy", "loss_error", "accuracy_error"}, offset)."""
    steps, other = (found.alphas, found.betas) if along == 1 else (found.betas, found.alphas)
    nearest = int(np.argmin(np.abs(other)))
    names = ("loss", "accuracy", "loss_error", "accuracy_error")
    lines = {n: getattr(found, n)[:, nearest] if along == 1 else getattr(found, n)[nearest] for n in names}
    return {"steps": steps, **lines}, float(other[nearest])


def slices_figure(
    panels: Sequence[SurfacePanel],
    along: int = 1,
    log: bool = False,
    others: Sequence[Sequence[Surface]] = (),
    height: int = 560,
) -> Figure:
    """Loss (left axis, up to LIMIT) and accuracy (right axis) along one direction, one plot a panel. Plotly.

    Bars are one standard error over the images. `others`: for each panel, surfaces of other direction pairs,
    drawn faintly behind it."""
    from plotly import graph_objects as go

    figure = go.Figure()
    count = len(panels)
    lowest = _find_lowest(panels, along) if log else 0.0
    for number, panel in enumerate(panels, 1):
        for other in others[number - 1] if others else ():
            _add_slice(figure, other, along, number, faint=True)
        _add_slice(figure, panel.surface, along, number, faint=False)
        wide = (1 - (count - 1) * _GAP) / count
        start = (number - 1) * (wide + _GAP)
        _set_slice_axes(figure, number, (start, start + wide), along, log, lowest)
        figure.add_annotation(heading(panel.heading(), start + wide / 2))
    for number in range(1, count + 1):
        _colour_axes(figure, number)
    return apply_style(
        figure, height, showlegend=False, dragmode=False, hovermode="x unified", margin=margins(66, 70, 58, 58)
    )


def _axis_names(number: int) -> tuple[str, str, str]:
    """(x, axis of the loss, axis of the accuracy) of a panel."""
    first = 2 * number - 1
    return f"x{number}" if number > 1 else "x", f"y{first}" if first > 1 else "y", f"y{first + 1}"


def _add_slice(figure: Figure, found: Surface, along: int, number: int, faint: bool) -> None:
    from plotly import graph_objects as go

    line, _ = slice_surface(found, along)
    x, loss_axis, accuracy_axis = _axis_names(number)
    losses = np.where(np.isfinite(line["loss"]), line["loss"], np.nan)
    for values, errors, axis, colour, words in (
        (losses, line["loss_error"], loss_axis, LOSS_COLOUR, "loss %{y:.4~g} nats"),
        (100 * line["accuracy"], 100 * line["accuracy_error"], accuracy_axis, ACCURACY_COLOUR, "accuracy %{y:.1f} %"),
    ):
        trace = go.Scatter(x=np.float32(line["steps"]), y=np.float32(values), xaxis=x, yaxis=axis, mode="lines")
        dash = "solid" if colour == LOSS_COLOUR else "dash"
        trace.update(line={"color": colour, "width": 1.2 if faint else 2.6, "dash": dash}, showlegend=False)
        if faint:
            trace.update(opacity=_FAINT, hoverinfo="skip")
        else:
            bars = {"array": np.float32(errors), "thickness": 1.2, "width": 2, "color": colour}
            trace.update(opacity=1.0, error_y=bars, hovertemplate=f"{words}<extra></extra>")
        figure.add_trace(trace)


def _find_lowest(panels: Sequence[SurfacePanel], along: int) -> float:
    values = np.concatenate([slice_surface(p.surface, along)[0]["loss"] for p in panels])
    values = values[np.isfinite(values) & (values > 0)]
    return float(values.min()) * 0.8 if values.size else 0.01


def _set_slice_axes(
    figure: Figure, number: int, domain: tuple[float, float], along: int, log: bool, lowest: float
) -> None:
    x, loss_axis, accuracy_axis = _axis_names(number)
    reach: dict[str, Any] = {"range": [np.log10(max(lowest, 1e-4)), np.log10(LIMIT)], "type": "log", "dtick": "D2"}
    right = {"overlaying": loss_axis, "side": "right", "range": [0, 100], "showgrid": False}
    axes = {
        x: {"domain": domain, "anchor": loss_axis, "title": {"text": DIRECTIONS[along - 1]}},
        loss_axis: {"anchor": x, "title": {"text": LOSS}, **(reach if log else {"range": [0, LIMIT]})},
        accuracy_axis: {"anchor": x, "title": {"text": "accuracy [%]"}, **right},
    }
    figure.update_layout({f"{axis[0]}axis{axis[1:]}": layout for axis, layout in axes.items()})


def _colour_axes(figure: Figure, number: int) -> None:
    """Numbers and titles in the colour of their lines."""
    _, loss_axis, accuracy_axis = _axis_names(number)
    for axis, colour in ((loss_axis, LOSS_COLOUR), (accuracy_axis, ACCURACY_COLOUR)):
        figure.layout[f"yaxis{axis[1:]}"].update(title_font_color=colour, tickfont_color=colour)
