"""Loss and accuracy of recorded trainings on one axis, in Plotly: a colour a run, solid what was held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, CHOSEN
from cnnviz.figures.base.plot_style import apply_style, heading, legend_above, margins, plain_text, upright

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.training.record.curves import RunCurve

TITLES = {"loss": "Loss [nats]", "accuracy": "Accuracy [%]"}
PARTS = {"step": "training, per step", "train": "training", "test": "test"}
_AXES = {"epochs": "epoch", "steps": "step"}
_LINES: dict[str, dict[str, Any]] = {
    "step": {"width": 1.2},
    "train": {"width": 2, "dash": "dot"},
    "test": {"width": 2.6},
}
_FAINT = 0.45
_GAP = 0.11  # share of the width between two panels
HOUR, MINUTE = 3600, 60


def curves_figure(
    curves: Sequence[RunCurve],
    labels: Mapping[str, str],
    axis: str = "epochs",
    log: bool = False,
    mark: tuple[float, str] | None = None,
    moments: Mapping[str, float] | None = None,
    height: int = 560,
) -> Figure:
    """A panel for each measure that there is, loss and accuracy. Plotly.

    `labels`: {run: how the legend calls it}, in the order of their colours. `axis`: "epochs", "steps" or "time" of the
    curves; `log`: the loss on a logarithmic axis. `mark`: a place on the axis with a line through all panels, and its
    words. `moments`: {name: place}; a frame for each, which puts the line there."""
    from plotly import graph_objects as go

    figure = go.Figure()
    measures = [measure for measure in TITLES if any(curve.measure == measure for curve in curves)]
    unit, axis_title = choose_unit(curves, axis)
    colours = dict(zip(labels, CATEGORIES * (len(labels) // len(CATEGORIES) + 1), strict=False))
    ordered = sorted(curves, key=lambda one: list(PARTS).index(one.part))
    named = {curve.run: curve for curve in ordered}  # the boldest of a run stands in the legend
    for curve in ordered:
        place, in_legend = measures.index(curve.measure), curve is named[curve.run]
        _add_curve(figure, curve, place, unit, colours[curve.run], labels[curve.run], in_legend)
    marked = {} if mark is None else _write_mark(len(measures), mark[0] / unit, mark[1])
    if moments:
        figure.frames = [
            {"name": name, "layout": {"shapes": _draw_line(len(measures), place / unit)}}
            for name, place in moments.items()
        ]
    return apply_style(
        figure,
        height,
        margin=margins(60, 16, 62, 52),
        dragmode=False,
        hovermode="closest",
        legend=legend_above(13, 1.07),
        **_lay_out_axes(measures, axis_title, log),
        **marked,
    )


def choose_unit(curves: Sequence[RunCurve], axis: str) -> tuple[float, str]:
    """What a value of x is divided by, and the title of the axis."""
    if axis != "time":
        return 1, _AXES[axis]
    longest = max((float(np.nanmax(curve.x)) for curve in curves), default=0.0)
    if longest > 3 * HOUR:
        return HOUR, "time [h]"
    return (MINUTE, "time [min]") if longest > 3 * MINUTE else (1, "time [s]")


def _add_curve(figure: Figure, curve: RunCurve, place: int, unit: float, colour: str, label: str, named: bool) -> None:
    per_cent = curve.measure == "accuracy"
    number = "%{y:.1f} %" if per_cent else "%{y:.4~g} nats"
    few = curve.part != "step" and len(curve.x) <= 12
    figure.add_scatter(
        x=np.float32(curve.x / unit),
        y=np.float32(curve.y * (100 if per_cent else 1)),
        xaxis=f"x{place + 1}" if place else "x",
        yaxis=f"y{place + 1}" if place else "y",
        mode="lines+markers" if few else "lines",
        marker={"size": 6},
        line={"color": colour, **_LINES[curve.part]},
        opacity=_FAINT if curve.part == "step" else 1.0,
        name=plain_text(label),
        legendgroup=curve.run,
        showlegend=named,
        hovertemplate=f"{plain_text(label)}, {PARTS[curve.part]}<br>{number} at %{{x:.4~g}}<extra></extra>",
    )


def _lay_out_axes(measures: Sequence[str], title: str, log: bool) -> dict[str, Any]:
    count = max(len(measures), 1)
    wide = (1 - (count - 1) * _GAP) / count
    layout: dict[str, Any] = {}
    for place, measure in enumerate(measures):
        end, start = "" if not place else str(place + 1), place * (wide + _GAP)
        layout[f"xaxis{end}"] = {"domain": (start, start + wide), "anchor": f"y{end}", "title": {"text": title}}
        layout[f"xaxis{end}"]["rangemode"] = "tozero"
        layout[f"yaxis{end}"] = {"anchor": f"x{end}", "title": {"text": TITLES[measure]}}
        if measure == "loss" and log:
            layout[f"yaxis{end}"] |= {"type": "log", "dtick": 1}
        elif measure == "loss":
            layout[f"yaxis{end}"]["rangemode"] = "tozero"
    return {**layout, "meta": {"panels": count}}


def _draw_line(panels: int, x: float) -> list[dict[str, Any]]:
    return [upright(x, "" if not place else str(place + 1), color=CHOSEN, width=2) for place in range(panels)]


def _write_mark(panels: int, x: float, words: str) -> dict[str, Any]:
    """A line through all panels at `x`, with its words above the first: of a layout."""
    text = {**heading(words, x), "xref": "x", "yref": "y domain", "yshift": 2, "font": {"size": 13, "color": CHOSEN}}
    return {"shapes": _draw_line(panels, x), "annotations": [text]}
