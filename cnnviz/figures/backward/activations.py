"""An activation and its slope, what a layer gives it as a histogram beneath, and products of slopes. Plotly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, CHOSEN
from cnnviz.figures.base.plot_style import apply_style, legend_above, margins, upright

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.backward.activations import ActivationFunction, PreActivations

REACH = 6.0  # of the axis to either side of 0
_FLAT = "#8b95a5"


def activation_figure(
    function: ActivationFunction,
    x: float,
    given: PreActivations,
    flat: float,
    products: list[tuple[str, np.ndarray]],
    height: int = 560,
) -> Figure:
    """On the left f and f′ with the point `x`, and beneath them the histogram of `given`, gray where |f′| < `flat`; on
    the right `products` (name, (n,)) over the number of layers on a log axis, as magnitudes."""
    from plotly import graph_objects as go

    figure, at = go.Figure(), np.linspace(-REACH, REACH, 481)
    for name, curve, colour, dash in (
        (f"f, {function.title}", function.value, CATEGORIES[0], "solid"),
        ("slope f′", function.slope, CATEGORIES[4], "dash"),
    ):
        line, hover = {"color": colour, "width": 3, "dash": dash}, "%{x:.2f}: %{y:.3~g}<extra></extra>"
        figure.add_scatter(x=at, y=curve(at), mode="lines", name=name, line=line, hovertemplate=hover)
        dot = {"size": 13, "color": colour, "line": {"color": CHOSEN, "width": 3}}
        here = curve(np.array([x]))
        figure.add_scatter(x=[x], y=here, mode="markers", marker=dot, showlegend=False, hovertemplate=hover)
    _add_histogram(figure, function, given, flat)
    for number, (name, values) in enumerate(products):
        line = {"color": CATEGORIES[(2, 3, 6)[number % 3]], "width": 2.6, "dash": ("solid", "dash", "dot")[number % 3]}
        figure.add_scatter(
            x=np.arange(1, len(values) + 1),
            y=np.where(np.abs(values) > 0, np.abs(values), np.nan),
            mode="lines",
            name=name,
            line=line,
            hovertemplate="%{x} in a row: %{y:.2~g}<extra></extra>",
            xaxis="x3",
            yaxis="y3",
        )
    left, right, ends = [0.0, 0.58], [0.7, 1.0], [-REACH, REACH]
    return apply_style(
        figure,
        height,
        xaxis={"domain": left, "range": ends},
        yaxis={"domain": [0.44, 1.0], "range": [-1.6, 3.2], "title": "f(x), f′(x)"},
        xaxis2={"domain": left, "range": ends, "anchor": "y2", "title": "x, what the activation is given"},
        yaxis2={"domain": [0.0, 0.36], "anchor": "x2", "title": "units [%]"},
        xaxis3={"domain": right, "anchor": "y3", "title": "activations in a row"},
        yaxis3={"anchor": "x3", "title": "product of slopes", "type": "log", "exponentformat": "power"},
        shapes=[upright(x, end, color=CHOSEN, width=1.6) for end in ("", "2")],
        meta={"panels": 3},
        legend=legend_above(13),
        dragmode=False,
        bargap=0.04,
        margin=margins(60, 12, 34, 50),
    )


def _add_histogram(figure: Figure, function: ActivationFunction, given: PreActivations, flat: float) -> None:
    edges = np.linspace(-REACH, REACH, 61)
    counts, _ = np.histogram(np.clip(given.values, -REACH, REACH), edges)
    middles = (edges[1:] + edges[:-1]) / 2
    gray = np.abs(function.slope(middles)) < flat
    colours = [_FLAT if one else CATEGORIES[2] for one in gray]
    shares = 100 * counts / max(len(given.values), 1)
    hover = "%{x:.1f}: %{y:.1f} % of the units<extra></extra>"
    figure.add_bar(
        x=middles, y=shares, marker={"color": colours}, showlegend=False, hovertemplate=hover, xaxis="x2", yaxis="y2"
    )
