"""Activation statistics of a channel over a corpus: a histogram of maxima, and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.charts import share_text, value_text
from cnnviz.figures.base.colors import CHOSEN
from cnnviz.figures.base.plot_style import apply_style, margins, upright
from cnnviz.wording import plural

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.index.records import ChannelStatistics

RULES = {
    "gradient": "Gradient: the signal passes a rectifier on its way down where the image had opened it, whatever its "
    "sign, so that pixels which would weaken the unit show as well.",
    "deconvnet": "Deconvnet: a rectifier lets positive signals down, whether the image had opened it or not, so that "
    "only what strengthens the unit is followed; position comes from the pooling switches alone.",
    "guided": "Guided: a rectifier lets down what is positive and where the image had opened it, both conditions at "
    "once, which leaves the sharpest picture and the least of the unit's own differences.",
}  # what the choice of a rule changes


def bin_names(edges: Sequence[float]) -> list[str]:
    """What each bin of half octaves holds, one more than `edges`."""
    inner = [f"{value_text(a)} to {value_text(b)}" for a, b in zip(edges, edges[1:], strict=False)]
    return ["0 and below", *inner, f"above {value_text(edges[-1])}"]


def maxima_histogram(counts: np.ndarray, edges: Sequence[float], least: float | None, height: int = 215) -> Figure:
    """Images by their strongest unit of one channel, in half octaves; `counts` (B,), `edges` (B - 1,).

    `least`: the value that wins a place among the winners, drawn as a line. Plotly."""
    from plotly import graph_objects as go

    filled = np.flatnonzero(counts)
    first, last = (int(filled[0]), int(filled[-1])) if len(filled) else (0, 1)
    shown = list(range(max(first - 1, 0), min(last + 2, len(counts))))
    names = bin_names(edges)
    figure = go.Figure()
    fill = {"color": ["#b5bcc6" if i == 0 else "#33638d" for i in shown]}
    hover = [f"{plural(int(counts[i]), 'image')}: {names[i]}" for i in shown]
    bars = go.Bar(x=shown, y=[int(counts[i]) for i in shown], width=0.92, marker=fill)
    figure.add_trace(bars.update(hovertext=hover, hoverinfo="text"))
    step = 2 * max(1, round(len(shown) / 8))  # whole octaves, about four of them
    ticks = [i for i in shown if 1 < i < len(edges) and i - shown[0] >= step // 2 and (i - 1) % step == 0]
    marks, words = [i - 0.5 for i in ticks], [value_text(edges[i - 1]) for i in ticks]
    if shown[0] == 0:
        marks, words = [0.0, *marks], ["≤ 0", *words]
    line = [] if least is None or least <= 0 else [upright(_place(least, edges), color=CHOSEN, width=2)]
    letters, ends = {"tickfont": {"size": 12}}, [shown[0] - 0.6, shown[-1] + 0.6]
    across = {"title": {"text": "maximum of an image", "font": {"size": 13}}, "range": ends, **letters}
    return apply_style(
        figure,
        height,
        x={**across, "tickvals": marks, "ticktext": words, "showgrid": False, "tickangle": 0},
        y={"title": {"text": "images", "font": {"size": 13}}, "rangemode": "tozero", **letters},
        shapes=line,
        margin=margins(48, 8, 6, 44),
        bargap=0.05,
    )


def _place(value: float, edges: Sequence[float]) -> float:
    """Where `value` stands on an axis whose whole numbers are the middles of the bins."""
    low = int(np.searchsorted(edges, value, side="left"))
    if low == 0 or low >= len(edges) or edges[low - 1] <= 0:
        return float(low)
    return low - 0.5 + float(np.log2(value / edges[low - 1]) / np.log2(edges[low] / edges[low - 1]))


def statistics_sentence(found: ChannelStatistics, channel: int, edges: Sequence[float]) -> str:
    """Maximum, median of the images' maxima, mean, density, and whether the channel is dead."""
    counts = found.histogram[channel]
    images = int(counts.sum())
    if found.dead[channel]:
        return f"Dead over these {plural(images, 'image')}: no unit is ever above 0; the highest value is " + (
            f"{value_text(float(found.maximum[channel]))}."
        )
    middle = int(np.searchsorted(np.cumsum(counts), (images + 1) / 2))
    text = (
        f"Maximum per image over {plural(images, 'image')}: highest {value_text(float(found.maximum[channel]))}, "
        f"median {_describe_bin(middle, edges)}."
    )
    if counts[0]:
        text += f" In {plural(int(counts[0]), 'image')} ({share_text(counts[0] / images)}) no unit is above 0."
    if found.sampled:
        mean, density = value_text(float(found.mean[channel])), share_text(found.density[channel])
        text += f" On average a unit is {mean}; {density} of the units are above 0 "
        text += f"(looked at: {plural(found.sampled, 'image')})."
    return text


def _describe_bin(place: int, edges: Sequence[float]) -> str:
    if place == 0:
        return "0 or below"
    return f"{value_text(edges[place - 1])} to {value_text(edges[min(place, len(edges) - 1)])}"


def classes_sentence(classes: dict[str, int], entropy: float, selective: float) -> str:
    """The class histogram of a channel's winners in words."""
    total = sum(classes.values())
    ranked = sorted(classes.items(), key=lambda item: -item[1])
    named = ", ".join(f"{label} {count}" for label, count in ranked[:4]) + ("…" if len(ranked) > 4 else "")
    tail = "" if np.isnan(selective) else f" Selectivity {selective:.2f} (1: one class; entropy {entropy:.2f} bits)."
    return f"Classes of the {plural(total, 'winner')}: {named}.{tail}"
