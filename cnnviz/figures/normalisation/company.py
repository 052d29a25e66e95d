"""One image in growing company: the images of the batch, the answers as stacked bars, and many draws as a curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, CHOSEN, GUTTER
from cnnviz.figures.base.encode import rgb_png
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.figures.base.plot_style import add_curve, apply_style, legend_above, margins
from cnnviz.figures.base.text import shorten
from cnnviz.figures.equivariance.panels import Strip, fit_photo, place_pixels

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.normalisation.company import CompanyAnswers, CompanySpread

TILE, GAP, ACROSS, MARGIN = 64, 4, 8, 86  # pixels, tiles a row, pixels for the words at the right
OTHERS = "#c9ced6"
FEWEST, MOST = 0.15, 6  # a class with less is among the others; so many have a colour


def batch_strip(images: Sequence[np.ndarray], ends: Sequence[int]) -> Strip:
    """The images of a batch, uint8 (H, W, C), in rows of eight, the first being the one that is asked about; beside a
    row the size of the batches of `ends` that end with it."""
    rows = -(-len(images) // ACROSS)
    pitch = TILE + GAP
    canvas = np.full((rows * pitch - GAP, ACROSS * pitch + MARGIN, 3), GUTTER, np.uint8)
    for at, pixels in enumerate(images):
        row, column = divmod(at, ACROSS)
        place_pixels(canvas, fit_photo(to_rgb(pixels), TILE), row * pitch, column * pitch, TILE)
    told: dict[int, list[int]] = {}
    for end in ends:
        told.setdefault((end - 1) // ACROSS, []).append(end)
    words = tuple(
        (float(ACROSS * pitch), row * pitch + TILE / 2 - 10.0, float(MARGIN), f"N = {found[-1]}")
        for row, found in told.items()
    )
    return Strip(rgb_png(canvas), (canvas.shape[1], canvas.shape[0]), words)


def choose_classes(found: CompanyAnswers) -> list[int]:
    """The classes that get a colour: that of evaluation first, then those that reach FEWEST in any batch."""
    usual = int(found.evaluation.argmax())
    most = np.nan_to_num(np.vstack([found.evaluation, found.training])).max(axis=0)
    order = [int(k) for k in np.argsort(-most) if k != usual and most[k] >= FEWEST]
    return [usual, *order[: MOST - 1]]


def answers_figure(found: CompanyAnswers, names: Sequence[str], height: int = 460) -> Figure:
    """A column for evaluation and one for each batch: the probabilities of the classes on top of each other, and above
    the column which class wins. Plotly."""
    from plotly import graph_objects as go

    columns = ["evaluation", *(f"N = {count + 1}" for count in found.companions)]
    values = np.vstack([found.evaluation, found.training])
    figure, chosen = go.Figure(), choose_classes(found)
    for place, k in enumerate(chosen):
        bars = go.Bar(
            x=columns, y=100 * values[:, k], name=shorten(names[k], 13, 150), marker={"color": CATEGORIES[place]}
        )
        figure.add_trace(bars.update(hovertemplate=f"%{{x}}: {names[k]} %{{y:.1f}} %<extra></extra>"))
    rest = 100 * (1 - values[:, chosen].sum(axis=1))
    bars = go.Bar(x=columns, y=np.maximum(rest, 0), name="all others", marker={"color": OTHERS})
    figure.add_trace(bars.update(hovertemplate="%{x}: all others %{y:.1f} %<extra></extra>"))
    notes = []
    for column, row in zip(columns, values, strict=True):
        usual, known = chosen[0], not np.isnan(row[0])
        winner = int(row.argmax()) if known else usual
        text = f"<b>{shorten(names[winner], 14, 90)}</b><br>{100 * row[winner]:.0f} %" if known else "not<br>possible"
        colour = CHOSEN if winner != usual else "#181c24"
        above = {"x": column, "y": 101, "yanchor": "bottom", "showarrow": False}
        notes.append({"text": text, "font": {"size": 14, "color": colour}, **above})
    return apply_style(
        figure,
        height,
        x={"tickfont": {"size": 14}, "showgrid": False},
        y={"title": "probability [%]", "range": [0, 116], "tickvals": [0, 25, 50, 75, 100]},
        annotations=notes,
        barmode="stack",
        bargap=0.18,
        dragmode=False,
        margin=margins(56, 8, 40, 34),
        legend={**legend_above(14), "traceorder": "normal"},
    )


def spread_figure(found: CompanySpread, name: str, height: int = 330) -> Figure:
    """Over the size of the batch: the share of draws with another answer than in evaluation, and the probability of
    that answer, `name`, on average. Plotly."""
    from plotly import graph_objects as go

    figure = go.Figure()
    sizes = [str(count + 1) for count in found.companions]
    mean = 100 * np.nanmean(np.where(np.isnan(found.probability), 0.0, found.probability), axis=0)
    label = shorten(name, 13, 110)
    line = {"color": CATEGORIES[0], "width": 2.6}
    add_curve(figure, sizes, mean, "N = %{x}: %{y:.1f} % on average", line, 8, name=f"{label}, on average")
    line = {"color": CHOSEN, "width": 2.6, "dash": "dash"}
    add_curve(
        figure, sizes, 100 * found.changed, "N = %{x}: %{y:.0f} % of the draws", line, 8, name="another class wins"
    )
    return apply_style(
        figure,
        height,
        x={"title": "images in the batch", "type": "category", "showgrid": False},
        y={"title": f"of {len(found.winners)} draws [%]", "range": [0, 116], "tickvals": [0, 25, 50, 75, 100]},
        dragmode=False,
        margin=margins(56, 8, 40, 48),
        legend=legend_above(13),
    )
