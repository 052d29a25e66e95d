"""Evolution of filters: a channel a row, a moment a column, each cell the strongest patch over its projection; and how
near the filters of each layer are to their final ones, in Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.figures.base.charts import count_text
from cnnviz.figures.base.colors import CHOSEN, EMPTY, GUTTER, to_hex, viridis
from cnnviz.figures.base.encode import rgb_png
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.figures.base.plot_style import apply_style, margins, upright
from cnnviz.figures.patches.wall import find_contrast, fit_tile, reconstruction_rgb

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.learning.convergence import Convergence
    from cnnviz.studies.learning.evolution import FollowedChannels

SIDE, SCALE = 48, 2  # pixels of a cell on the screen, and of the picture for each of them
_LEFT, _TOP, _LINE = 84, 20, 24  # pixels for the names of channels and of moments; and between two lines
_BESIDE, _WITHIN, _BELOW = 4, 2, 10  # pixels between columns, patch and projection, and channels
_BRIGHTEST = 225  # of viridis: what is brighter is pale on white paper


@dataclass(frozen=True, slots=True)
class EvolutionPicture:
    """`png`: `SCALE` times as large as `size` = (width, height), in which everything else is told. `words`: (left, top,
    width, text) of each label. `columns`: (left, top, width, height) of each moment."""

    png: bytes
    size: tuple[int, int]
    words: list[tuple[int, int, int, str]]
    columns: list[tuple[int, int, int, int]]

    def find_column(self, x: float) -> int | None:
        """The moment at a place; None beside them."""
        gap = _BESIDE / 2
        hits = [n for n, (left, _t, wide, _h) in enumerate(self.columns) if left - gap <= x < left + wide + gap]
        return hits[0] if hits else None


def evolution_picture(found: FollowedChannels, moments: Sequence[int], unit: str) -> EvolutionPicture:
    """The grid of Zeiler and Fergus, Figure 4. `moments`: (T,) how each column is numbered, in `unit`: "epoch".

    The projections of a channel are on one scale: full contrast is that of its median moment."""
    rows, columns = len(found.channels), len(found.steps)
    across, down = SIDE + _BESIDE, 2 * SIDE + _WITHIN + _BELOW
    size = (_LEFT + columns * across, _TOP + rows * down)
    sheet = np.full((size[1] * SCALE, size[0] * SCALE, 3), GUTTER, np.uint8)
    side = SIDE * SCALE
    for row in range(rows):
        signals = [moment[row] for moment in found.projections]
        peaks = [find_contrast(signal) for signal in signals if signal is not None]
        peak = float(np.median(peaks)) if peaks else 1.0
        for column, signal in enumerate(signals):
            patch, top = found.patches[column][row], (_TOP + row * down) * SCALE
            left = (_LEFT + column * across) * SCALE
            below = top + side + _WITHIN * SCALE
            sheet[top : top + side, left : left + side] = _fit(None if patch is None else to_rgb(patch))
            shown = None if signal is None else reconstruction_rgb(signal, max(peak, 1e-12))
            sheet[below : below + side, left : left + side] = _fit(shown)
    words = [(0, 0, _LEFT - 4, unit)]
    words += [(_LEFT + n * across, 0, SIDE, _shorten(number)) for n, number in enumerate(moments)]
    for row, channel in enumerate(found.channels.tolist()):
        lines = enumerate(("channel", str(channel)))
        words += [(0, _TOP + row * down + _LINE * (line + 1), _LEFT - 4, word) for line, word in lines]
    places = [(_LEFT + n * across, _TOP, SIDE, size[1] - _TOP - _BELOW) for n in range(columns)]
    return EvolutionPicture(rgb_png(sheet), size, words, places)


def _fit(pixels: np.ndarray | None) -> np.ndarray:
    side = SIDE * SCALE
    return np.full((side, side, 3), EMPTY, np.uint8) if pixels is None else fit_tile(pixels, side)


def _shorten(number: int) -> str:
    return f"{number:,}" if number < 10_000 else count_text(number)


def convergence_figure(
    found: Convergence,
    x: np.ndarray,
    x_title: str,
    layer: str = "",
    mark: float | None = None,
    log: bool = False,
    height: int = 560,
) -> Figure:
    """A line a layer, from dark at the image to light at the answer: mean cosine of its filters to the final ones.

    `x`: (T,) where the kept moments lie. `layer`: whose tensors are drawn bold, with the range from the first to the
    third quartile of its filters. `mark`: a place on the axis with a line. `log`: moments by log(1 + x)."""
    from plotly import graph_objects as go

    figure = go.Figure()
    places = place_moments(x, log)
    colours = [to_hex(viridis()[round(share * _BRIGHTEST)]) for share in np.linspace(0, 1, len(found.layers))]
    bold = [n for n, name in enumerate(found.layers) if layer and (name == layer or name.startswith(f"{layer}."))]
    _add_scale(figure, found.layers)
    for n in bold:
        _add_band(figure, places, found.low[:, n], found.high[:, n], colours[n])
    for n in sorted(range(len(found.layers)), key=lambda n: n in bold):
        figure.add_scatter(
            x=np.float32(places),
            y=np.float32(found.mean[:, n]),
            customdata=np.float32(np.stack([x, found.low[:, n], found.high[:, n]], 1)),
            mode="lines+markers",
            line={"color": colours[n], "width": 4 if n in bold else 1.4},
            marker={"size": 8 if n in bold else 4},
            opacity=1.0 if n in bold or not bold else 0.6,
            hovertemplate=f"{found.layers[n]}<br>%{{y:.3f}}, quartiles %{{customdata[1]:.3f}} to %{{customdata[2]:.3f}}"
            f"<br>{x_title} %{{customdata[0]:.4~g}}<extra></extra>",
            showlegend=False,
        )
    low = min(0.0, float(np.nanmin(found.mean, initial=0.0)))
    across: dict[str, Any] = {"title": x_title, "range": _pad(places)}
    if log:
        ticks = _choose_ticks(float(np.max(x)))
        across |= {"tickvals": np.log1p(ticks).tolist(), "ticktext": [_shorten(int(tick)) for tick in ticks]}
    lines = []
    if mark is not None:
        lines = [upright(float(place_moments(np.array([mark]), log)[0]), color=CHOSEN, width=2)]
    return apply_style(
        figure,
        height,
        x=across,
        y=dict(title="cosine to the final filters", range=[low * 1.05 - 0.02, 1.03]),
        shapes=lines,
        margin=margins(62, 16, 30, 52),
        dragmode=False,
        hovermode="closest",
    )


def place_moments(x: np.ndarray, log: bool) -> np.ndarray:
    """(T,) where moments are drawn: at themselves, or at log(1 + x)."""
    values = np.asarray(x, float)
    return np.log1p(values) if log else values


def _add_band(figure: Figure, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str) -> None:
    figure.add_scatter(
        x=np.float32(np.concatenate([x, x[::-1]])),
        y=np.float32(np.concatenate([high, low[::-1]])),
        fill="toself",
        fillcolor=colour,
        opacity=0.16,
        mode="none",
        hoverinfo="skip",
        showlegend=False,
    )


def _add_scale(figure: Figure, layers: Sequence[str]) -> None:
    """The bar of colours: which end is the image's."""
    palette = [[n / 15, to_hex(viridis()[round(n / 15 * _BRIGHTEST)])] for n in range(16)]
    bar = {"thickness": 12, "tickvals": [0, 1], "ticktext": ["first", "last"], "title": {"text": "layer"}}
    marker = {"color": [0], "cmin": 0, "cmax": 1, "colorscale": palette, "colorbar": bar, "showscale": len(layers) > 1}
    figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, showlegend=False, hoverinfo="skip")


def _pad(places: np.ndarray) -> list[float]:
    wide = max(float(np.ptp(places)), 1e-6)
    return [float(places.min()) - 0.02 * wide, float(places.max()) + 0.02 * wide]


def _choose_ticks(most: float) -> np.ndarray:
    """0 and the powers of ten, with 2 and 5 times them where there are few."""
    powers = 10.0 ** np.arange(0, np.floor(np.log10(max(most, 1))) + 1)
    factors = [1, 2, 5] if len(powers) < 4 else [1]
    ticks = np.unique(np.outer(powers, factors))
    return np.concatenate([[0.0], ticks[ticks <= most]])
