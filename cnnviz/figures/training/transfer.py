"""Learning from few images in Plotly: networks cut after each layer, attempts, and dense against convolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, CHOSEN
from cnnviz.figures.base.plot_style import add_curve, apply_style, legend_above, margins

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.learning.attempts import Attempt
    from cnnviz.studies.learning.efficiency import EfficiencyStudy
    from cnnviz.studies.learning.transfer import TransferStudy
    from cnnviz.training.state import Epoch

WORDS = {
    "BnB": "BnB: own layers, frozen",
    "BnB+": "BnB+: own layers, fine-tuned",
    "AnB": "AnB: other half's layers, frozen",
    "AnB+": "AnB+: other half's layers, fine-tuned",
}
_LINES = {  # kind: (colour, dash)
    "BnB": (CATEGORIES[0], "solid"),
    "BnB+": (CATEGORIES[5], "dot"),
    "AnB": (CATEGORIES[4], "solid"),
    "AnB+": (CATEGORIES[1], "dot"),
}
_BASE = "#8b95a5"
_NUDGE = 0.04  # of a layer's width, from one kind's points to the next one's


def transfer_figure(study: TransferStudy, height: int = 520) -> Figure:
    """Accuracy on B over the last layer that was taken over, input side first: means over the seeds with their standard
    deviation, and the network trained on B alone as a line with a band. Where a fall shows, it is marked. Plotly."""
    from plotly import graph_objects as go

    figure, places = go.Figure(), np.arange(1, len(study.layers) + 1)
    mean, deviation = 100 * study.bases[:, 1].mean(), 100 * _deviation(study.bases[:, 1:])[0]
    figure.add_hrect(mean - deviation, mean + deviation, fillcolor=_BASE, opacity=0.18, line_width=0)
    base = f"trained on B alone: {mean:.1f} ± {deviation:.1f} %"
    line = {"color": _BASE, "width": 2}
    ends = [0.5, len(places) + 0.5]
    figure.add_scatter(x=ends, y=[mean] * 2, mode="lines", line=line, name="B alone", hovertemplate=base)
    for number, (kind, (colour, dash)) in enumerate(_LINES.items()):
        values = 100 * study.accuracy[kind]
        spreads = _deviation(values)
        bars = {"type": "data", "array": spreads, "color": colour, "thickness": 1.5, "width": 4}
        hover = [
            f"{kind}, up to {layer}: {middle:.1f} ± {spread:.1f} %"
            for layer, middle, spread in zip(study.layers, values.mean(0), spreads, strict=True)
        ]
        add_curve(
            figure,
            places + _NUDGE * (number - 1.5),
            values.mean(0),
            "%{text}",
            {"color": colour, "width": 2.6, "dash": dash},
            size=8,
            name=WORDS[kind],
            text=hover,
            error_y=bars,
        )
    _mark(figure, study)
    names = [f"{layer}<br>{n} of {len(places)}" for n, layer in enumerate(study.layers, 1)]
    return apply_style(
        figure,
        height,
        x=dict(tickvals=places, ticktext=names, range=ends, showgrid=False, title="last layer taken over"),
        y=dict(title="accuracy on B [%]"),
        legend=legend_above(13, 1.02),
        margin=margins(60, 16, 84, 76),
        dragmode=False,
    )


def _mark(figure: Figure, study: TransferStudy) -> None:
    """Words below the points where a fall shows."""
    for kind, words, falls in (
        ("BnB", "co-adaptation", study.co_adaptation.falls),
        ("AnB", "specificity", study.specificity.falls),
    ):
        for layer in falls:
            place = study.layers.index(layer)
            low = 100 * (study.accuracy[kind][:, place].mean() - _deviation(study.accuracy[kind])[place])
            figure.add_annotation(
                x=place + 1 + _NUDGE * (list(_LINES).index(kind) - 1.5),
                y=low,
                text=words,
                showarrow=True,
                arrowhead=2,
                ax=-30,
                ay=34,
                font={"size": 13, "color": CHOSEN},
                arrowcolor=CHOSEN,
            )


def _deviation(values: np.ndarray) -> np.ndarray:
    """(L,) standard deviation of (S, L) over the seeds; 0 of a single one."""
    return values.std(0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])


def attempts_figure(
    attempts: Sequence[Attempt], histories: Mapping[str, Sequence[Epoch]], epochs: int, height: int = 440
) -> Figure:
    """Accuracy over the epochs, a colour an attempt: thick on the test images, dotted on the training images. Plotly.

    `histories`: {name of an attempt: the epochs that it has finished}; `epochs`: how many there will be."""
    from plotly import graph_objects as go

    figure = go.Figure()
    for attempt, colour in zip(attempts, CATEGORIES, strict=False):
        history = histories.get(attempt.name, ())
        if not history:
            continue
        x = [epoch.epoch for epoch in history]
        words = {"test": "test images", "train": "training images"}
        for part, line in (("test", {"width": 2.6}), ("train", {"width": 1.6, "dash": "dot"})):
            y = [100 * getattr(epoch, f"{part}_accuracy") for epoch in history]
            hover = f"{attempt.title}<br>epoch %{{x}}: %{{y:.1f}} % of the {words[part]}"
            add_curve(
                figure,
                x,
                y,
                hover,
                {"color": colour, **line},
                size=5 if part == "test" else 3,
                name=attempt.title,
                legendgroup=attempt.name,
                showlegend=part == "test",
            )
    return apply_style(
        figure,
        height,
        x=dict(title="epoch", range=[0.5, max(epochs, 2) + 0.5], **{"dtick": 1} if epochs <= 12 else {}),
        y=dict(title="accuracy [%]", range=[0, 102]),
        legend=legend_above(13, 1.02),
        margin=margins(60, 16, 84, 52),
        dragmode=False,
    )


def efficiency_figure(study: EfficiencyStudy, height: int = 520) -> Figure:
    """Accuracy over the number of training images, log scale, a colour a network: thick on the test images as they are,
    dotted on moved ones; means over the seeds with their standard deviation. Plotly."""
    from plotly import graph_objects as go

    figure = go.Figure()
    for name, colour in zip(study.networks, (CATEGORIES[4], CATEGORIES[0], *CATEGORIES), strict=False):
        for values, words, dash in zip(100 * study.accuracy[name], ("", ", moved"), ("solid", "dot"), strict=True):
            spreads = _deviation(values)
            hover = [
                f"{name}{words}, {count} of each class: {mean:.1f} ± {spread:.1f} %"
                for count, mean, spread in zip(study.counts, values.mean(0), spreads, strict=True)
            ]
            bars = {"type": "data", "array": spreads, "color": colour, "thickness": 1.5, "width": 4}
            line = {"color": colour, "width": 2.6, "dash": dash}
            add_curve(
                figure,
                np.array(study.counts, float),
                values.mean(0),
                "%{text}",
                line,
                size=8,
                name=f"{name}{words}",
                text=hover,
                error_y=bars,
            )
    ticks = list(study.counts)
    return apply_style(
        figure,
        height,
        x=dict(type="log", tickvals=ticks, ticktext=[f"{n:,}" for n in ticks], title="images of each class"),
        y=dict(title="accuracy on test images [%]"),
        legend=legend_above(13, 1.02),
        margin=margins(60, 16, 60, 64),
        dragmode=False,
    )
