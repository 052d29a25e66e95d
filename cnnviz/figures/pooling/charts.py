"""Pooling invariance as Plotly figures: unchanged units over shifts and layer by layer; what is left of location."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES
from cnnviz.figures.base.plot_style import apply_style
from cnnviz.figures.base.text import shorten
from cnnviz.figures.equivariance.charts import to_percent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.pooling.global_pooling import GlobalPooling

CHOSEN, BEFORE, AFTER = "#e85d04", "#8b95a5", CATEGORIES[0]
UNCHANGED = "units unchanged [%]"
_LEGEND = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 13}}


def shares_figure(
    offsets: np.ndarray, before: np.ndarray, after: np.ndarray, chosen: int | None = None, height: int = 350
) -> Figure:
    """The share of unchanged units, 0 … 1, over shifts `offsets` (K,): before and after a pooling layer."""
    from plotly import graph_objects as go

    figure = go.Figure()
    for name, shares, colour, dash in (("before pooling", before, BEFORE, "dash"), ("after", after, AFTER, "solid")):
        figure.add_scatter(
            x=offsets, y=100 * shares, mode="lines+markers", name=name, marker={"size": 6},
            line={"color": colour, "width": 2.6, "dash": dash},
            hovertemplate=f"%{{x}} pixels: %{{y:.1f}} %, {name}<extra></extra>",
        )  # fmt: skip
    here = np.flatnonzero(offsets == chosen)
    for shares in (before, after) if len(here) else ():
        figure.add_scatter(
            x=offsets[here], y=100 * shares[here], mode="markers", showlegend=False, hoverinfo="skip",
            marker={"size": 13, "color": "rgba(0,0,0,0)", "line": {"color": CHOSEN, "width": 3}},
        )  # fmt: skip
    apply_style(figure, height)
    figure.update_xaxes(title="shift to the right [pixels]", title_font={"size": 13}, showgrid=False)
    figure.update_yaxes(title=UNCHANGED, range=[0, 102], title_font={"size": 13})
    figure.update_layout(legend=_LEGEND, dragmode=False, margin={"l": 52, "r": 8, "t": 42, "b": 44})
    return figure


def layers_figure(
    names: Sequence[str], before: Sequence[float], after: Sequence[float], chosen: str, height: int = 350
) -> Figure:
    """Every pooling layer as a row of two bars, shares 0 … 1, the first layer on top; the chosen one's name is
    orange. The y values are the names, for clicks."""
    from plotly import graph_objects as go

    figure = go.Figure()
    for name, shares, colour in (("before pooling", before, BEFORE), ("after", after, AFTER)):
        figure.add_bar(
            y=list(names), x=100 * np.asarray(shares), orientation="h", name=name, text=_percent_texts(shares),
            textposition="outside", textfont={"size": 13}, hovertemplate=f"%{{y}}: %{{x:.1f}} %, {name}<extra></extra>",
            marker={"color": colour},
        )  # fmt: skip
    apply_style(figure, min(height, 150 + 70 * len(names)))
    letters = 13 if len(names) <= 6 else 11
    shown = {name: shorten(name, letters, 110) for name in names}
    shown[chosen] = f'<b><span style="color:{CHOSEN}">{shown.get(chosen, "")}</span></b>'
    figure.update_yaxes(
        autorange="reversed", tickvals=list(names), ticktext=[shown[name] for name in names],
        tickfont={"size": letters}, showgrid=False,
    )  # fmt: skip
    figure.update_xaxes(title=UNCHANGED, range=[0, 116], tickvals=[0, 25, 50, 75, 100], title_font={"size": 13})
    figure.update_layout(legend={**_LEGEND, "traceorder": "normal"}, dragmode=False, bargap=0.28, barmode="group",
                         margin={"l": 52, "r": 8, "t": 42, "b": 44})  # fmt: skip
    return figure


def _percent_texts(shares: Sequence[float]) -> list[str]:
    return [f"{100 * share:.0f} %" for share in shares]


def location_figure(offsets: np.ndarray, found: GlobalPooling, chosen: int | None = None, height: int = 320) -> Figure:
    """How much is changed by a shift, relative L2 over `offsets` (K,): the flattened map, its average, its maximum."""
    from plotly import graph_objects as go

    figure = go.Figure()
    lines = (("flattened, for a dense layer", found.flat, CATEGORIES[4], "dash"),
             ("global average pooling", found.average, CATEGORIES[0], "solid"),
             ("global max pooling", found.maximum, CATEGORIES[2], "solid"))  # fmt: skip
    for name, changes, colour, dash in lines:
        figure.add_scatter(
            x=offsets, y=to_percent(changes), mode="lines+markers", name=name, marker={"size": 6},
            line={"color": colour, "width": 2.8, "dash": dash},
            hovertemplate=f"%{{x}} pixels: %{{y:.3~g}} %, {name}<extra></extra>",
        )  # fmt: skip
    if chosen is not None:
        figure.add_vline(x=chosen, line={"color": CHOSEN, "width": 2})
    apply_style(figure, height)
    figure.update_xaxes(title="shift to the right [pixels]", showgrid=False)
    figure.update_yaxes(title="relative change [%]", rangemode="tozero")
    figure.update_layout(legend={**_LEGEND, "font": {"size": 14}}, dragmode=False,
                         margin={"l": 60, "r": 10, "t": 32, "b": 46})  # fmt: skip
    return figure
