"""A channel before and after batch norm as histograms: what enters, normalised, and scaled and shifted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.figures.base.charts import value_text
from cnnviz.figures.base.colors import CATEGORIES, CHOSEN
from cnnviz.figures.base.plot_style import apply_style, margins, upright

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.normalisation.channel import NormChannel

BINS, GAP = 48, 0.07  # of a histogram; share of the width between two panels
ENTERS, LEAVES = "#8b95a5", CATEGORIES[0]
BATCH, RUNNING = CATEGORIES[0], CATEGORIES[1]


def histogram(values: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """(middles (BINS,), per cent of the values in each bin), over low … high, which is widened where it is a point."""
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(values, BINS, (low, high))
    return (edges[1:] + edges[:-1]) / 2, 100 * counts / values.size


def channel_figure(found: NormChannel, running: bool, gamma: float, beta: float, height: int = 430) -> Figure:
    """Three histograms: x with the mean and ± one deviation of the batch and of the running statistics; x̂, normalised
    by those of the batch or the `running` ones; y = γ x̂ + β, with the outline of x behind it. Plotly."""
    from plotly import graph_objects as go

    figure = go.Figure()
    values, normal = found.values.ravel(), found.normalise(running).ravel()
    after = gamma * normal + beta
    low, high = float(min(values.min(), after.min())), float(max(values.max(), after.max()))
    panels = (
        (values, ENTERS, values.min(), values.max()),
        (normal, LEAVES, normal.min(), normal.max()),
        (after, LEAVES, low, high),
    )
    for at, (part, colour, start, end) in enumerate(panels):
        middles, shares = histogram(part, float(start), float(end))
        bars = go.Bar(x=middles, y=shares, marker={"color": colour}, **_axes(at), showlegend=False)
        figure.add_trace(bars.update(hovertemplate="%{x:.3g}: %{y:.2f} % of the values<extra></extra>"))
    middles, shares = histogram(values, low, high)
    outline = {"color": "#181c24", "width": 1.6, "shape": "hvh", "dash": "dot"}
    figure.add_scatter(
        x=middles, y=shares, mode="lines", line=outline, **_axes(2), name="x", hoverinfo="skip", showlegend=False
    )
    _mark(figure, found.mean, found.var, BATCH, "batch", 0.99)
    if np.isfinite(found.running_mean):
        _mark(figure, found.running_mean, found.running_var, RUNNING, "running", 0.84)
    wide = (1 - 2 * GAP) / 3
    sign, residual = "+" if beta >= 0 else "−", float(np.abs(after - values).max())
    titles = (
        f"<b>x</b>, what enters: μ {value_text(found.mean)}, σ {value_text(float(np.sqrt(found.var)))}",
        f"<b>x̂</b> = (x − μ) / √(σ² + ε), {'running' if running else 'batch'} μ and σ²",
        f"<b>y</b> = {gamma:.3g} x̂ {sign} {abs(beta):.3g}: largest |y − x| {residual:.2g}",
    )
    layout: dict[str, Any] = {}
    for at, title in enumerate(titles):
        start, end = at * (wide + GAP), "" if at == 0 else str(at + 1)
        layout[f"xaxis{end}"] = {"domain": (start, start + wide), "anchor": f"y{end}", "showgrid": False}
        layout[f"xaxis{end}"]["title"] = {"text": title}
        layout[f"yaxis{end}"] = {"anchor": f"x{end}", "rangemode": "tozero"}
    layout["yaxis"] |= {"title": {"text": "values [%]"}}
    figure.add_shape(upright(0, "2", color=CHOSEN, width=1.5))
    return apply_style(
        figure,
        height,
        **layout,
        x=dict(title_font={"size": 14}),
        bargap=0,
        dragmode=False,
        margin=margins(56, 10, 40, 56),
        meta={"panels": 3},
    )


def _axes(at: int) -> dict[str, str]:
    return {"xaxis": "x", "yaxis": "y"} if at == 0 else {"xaxis": f"x{at + 1}", "yaxis": f"y{at + 1}"}


def _mark(figure: Figure, mean: float, var: float, colour: str, name: str, top: float) -> None:
    """A line at the mean and a bar of one deviation each way, in the first panel."""
    sigma, bar = float(np.sqrt(var)), {"color": colour, "width": 6}
    figure.add_shape(upright(mean, color=colour, width=2.5))
    figure.add_shape(type="line", x0=mean - sigma, x1=mean + sigma, y0=top, y1=top, xref="x", yref="y domain", line=bar)
    place = {"x": mean + sigma, "y": top, "xref": "x", "yref": "y domain", "xanchor": "left", "yanchor": "middle"}
    figure.add_annotation(text=f" {name} μ ± σ", showarrow=False, font={"size": 13, "color": colour}, **place)
