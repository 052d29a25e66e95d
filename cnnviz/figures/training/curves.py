"""Loss and accuracy of recorded trainings on one axis, in Plotly: a colour a run, solid what was held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, CHOSEN
from cnnviz.figures.base.plot_style import apply_style, heading, legend_above, margins, plain_text

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
    _set_axes(figure, measures, axis_title, log)
    apply_style(figure, height)
    space = margins(60, 16, 62, 52)
    figure.update_layout(margin=space, dragmode=False, hovermode="closest", legend=legend_above(13, 1.07))
    if mark is not None:
        figure.update_layout(shapes=_draw_line(len(measures), mark[0] / unit))
        _add_mark_words(figure, mark[0] / unit, mark[1])
    if moments:
        figure.frames = [
            go.Frame(name=name, layout={"shapes": _draw_line(len(measures), place / unit)})
            for name, place in moments.items()
        ]
    return figure


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


def _set_axes(figure: Figure, measures: Sequence[str], title: str, log: bool) -> None:
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
    figure.update_layout(layout, meta={"panels": count})


def _draw_line(panels: int, x: float) -> list[dict[str, Any]]:
    line = {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": {"color": CHOSEN, "width": 2}}
    ends = ["" if not place else str(place + 1) for place in range(panels)]
    return [{**line, "xref": f"x{end}", "yref": f"y{end} domain"} for end in ends]


def _add_mark_words(figure: Figure, x: float, words: str) -> None:
    text = {**heading(words, x), "xref": "x", "yref": "y domain", "yshift": 2, "font": {"size": 13, "color": CHOSEN}}
    figure.add_annotation(text)
