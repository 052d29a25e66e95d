"""Pooling invariance as Plotly figures: unchanged units over shifts and by layer; location after global pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, CHOSEN
from cnnviz.figures.base.plot_style import (
    add_curve,
    apply_style,
    legend_above,
    margins,
    reveal_curve,
    ring,
    upright,
)
from cnnviz.figures.base.text import shorten
from cnnviz.figures.equivariance.charts import to_percent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.pooling.global_pooling import GlobalPooling

BEFORE, AFTER = "#8b95a5", CATEGORIES[0]
UNCHANGED = "units unchanged [%]"
_SMALL = {"size": 13}


def shares_figure(
    offsets: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    chosen: int | None = None,
    height: int = 350,
    drawn: int | None = None,
) -> Figure:
    """The share of unchanged units, 0 … 1, over shifts `offsets` (K,): before and after a pooling layer. `drawn`:
    number of the last offset that the curves are drawn to; None: all."""
    from plotly import graph_objects as go

    figure = go.Figure()
    for name, shares, colour, dash in (("before pooling", before, BEFORE, "dash"), ("after", after, AFTER, "solid")):
        line = {"color": colour, "width": 2.6, "dash": dash}
        percent = reveal_curve(100 * shares, drawn)
        add_curve(figure, offsets, percent, f"%{{x}} pixels: %{{y:.1f}} %, {name}", line, name=name)
    here = np.flatnonzero(offsets == chosen)
    for shares in (before, after) if len(here) else ():
        at = {"x": offsets[here], "y": 100 * shares[here]}
        figure.add_scatter(**at, mode="markers", showlegend=False, hoverinfo="skip", marker=ring())
    ends = [float(offsets[0]) - 0.6, float(offsets[-1]) + 0.6]
    return apply_style(
        figure,
        height,
        x={"title": {"text": "shift to the right [pixels]", "font": _SMALL}, "showgrid": False, "range": ends},
        y={"title": {"text": UNCHANGED, "font": _SMALL}, "range": [0, 102]},
        legend=legend_above(13),
        dragmode=False,
        margin=margins(52, 8, 42, 44),
    )


def layers_figure(
    names: Sequence[str], before: Sequence[float], after: Sequence[float], chosen: str, height: int = 350
) -> Figure:
    """Every pooling layer as a row of two bars, shares 0 … 1, the first layer on top; the chosen one's name is
    orange. The y values are the names, for clicks."""
    from plotly import graph_objects as go

    figure = go.Figure()
    for name, shares, colour in (("before pooling", before, BEFORE), ("after", after, AFTER)):
        bars = go.Bar(y=list(names), x=100 * np.asarray(shares), orientation="h", name=name, marker={"color": colour})
        bars.update(text=[f"{100 * share:.0f} %" for share in shares], textposition="outside", textfont={"size": 13})
        figure.add_trace(bars.update(hovertemplate=f"%{{y}}: %{{x:.1f}} %, {name}<extra></extra>"))
    letters = 13 if len(names) <= 6 else 11
    shown = {name: shorten(name, letters, 110) for name in names}
    shown[chosen] = f'<b><span style="color:{CHOSEN}">{shown.get(chosen, "")}</span></b>'
    ticks = {"tickvals": list(names), "ticktext": [shown[name] for name in names], "tickfont": {"size": letters}}
    return apply_style(
        figure,
        min(height, 150 + 70 * len(names)),
        x={"title": {"text": UNCHANGED, "font": _SMALL}, "range": [0, 116], "tickvals": [0, 25, 50, 75, 100]},
        y={**ticks, "autorange": "reversed", "showgrid": False},
        bargap=0.28,
        barmode="group",
        dragmode=False,
        margin=margins(52, 8, 42, 44),
        legend={**legend_above(13), "traceorder": "normal"},
    )


def location_figure(offsets: np.ndarray, found: GlobalPooling, chosen: int | None = None, height: int = 320) -> Figure:
    """How much is changed by a shift, relative L2 over `offsets` (K,): the flattened map, its average, its maximum."""
    from plotly import graph_objects as go

    figure = go.Figure()
    lines = (
        ("flattened, for a dense layer", found.flat, CATEGORIES[4], "dash"),
        ("global average pooling", found.average, CATEGORIES[0], "solid"),
        ("global max pooling", found.maximum, CATEGORIES[2], "solid"),
    )
    for name, changes, colour, dash in lines:
        line = {"color": colour, "width": 2.8, "dash": dash}
        add_curve(figure, offsets, to_percent(changes), f"%{{x}} pixels: %{{y:.3~g}} %, {name}", line, name=name)
    return apply_style(
        figure,
        height,
        x={"title": "shift to the right [pixels]", "showgrid": False},
        y={"title": "relative change [%]", "rangemode": "tozero"},
        shapes=[] if chosen is None else [upright(chosen, color=CHOSEN, width=2)],
        legend=legend_above(14),
        dragmode=False,
        margin=margins(60, 10, 32, 46),
    )
