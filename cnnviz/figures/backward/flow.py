"""Gradients layer by layer as Plotly figures: norms on a log axis, and the gains of residual blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES
from cnnviz.figures.base.plot_style import add_curve, apply_style, legend_above, margins
from cnnviz.wording import plural

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.backward.flow import BlockGains, GradientFlow

WEIGHTS, ACTIVATIONS = "weights", "activations"
_TITLES = {WEIGHTS: "‖∂L/∂W‖ / ‖W‖", ACTIVATIONS: "‖∂L/∂h‖ of the layer's output"}
STEEP = (
    10.0  # the first layer's norm over the last one's from which it is called exploding, or below 1 / that vanishing
)


def flow_figure(flows: Sequence[tuple[str, GradientFlow]], measure: str = WEIGHTS, height: int = 560) -> Figure:
    """A curve for each (name, flow) over the layers, input side on the left, on a log axis. `measure`: WEIGHTS or
    ACTIVATIONS. A norm of 0 has no place on it and is left out."""
    from plotly import graph_objects as go

    figure = go.Figure()
    for number, (name, flow) in enumerate(flows):
        values = flow.relative if measure == WEIGHTS else flow.signal
        shown = np.where(np.isfinite(values) & (values > 0), values, np.nan)
        place = np.arange(1, len(values) + 1)
        line = {"color": CATEGORIES[number % len(CATEGORIES)], "width": 2.6, "dash": "dot" if number % 2 else "solid"}
        hover = f"%{{customdata}}: %{{y:.3~g}}, {name}"
        add_curve(figure, place, shown, hover, line, size=5, name=name, customdata=list(flow.layers))
    every = {"dtick": 1} if max(len(flow.layers) for _, flow in flows) <= 12 else {}
    return apply_style(
        figure,
        height,
        x=dict(every, title="layer, from the image on", showgrid=False),
        y=dict(title=_TITLES[measure], type="log", exponentformat="power", dtick=_decades(flows, measure)),
        legend=legend_above(15),
        showlegend=True,
        dragmode=False,
        margin=margins(76, 12, 34, 50),
    )


def _decades(flows: Sequence[tuple[str, GradientFlow]], measure: str) -> int:
    """Decades between two marks of the axis."""
    every = np.concatenate([flow.relative if measure == WEIGHTS else flow.signal for _, flow in flows])
    every = every[np.isfinite(every) & (every > 0)]
    return max(1, round(np.log10(every.max() / every.min()) / 8)) if every.size else 1


def gains_figure(gains: Sequence[tuple[str, BlockGains]], height: int = 560) -> Figure:
    """On the left what each block does to the gradient, of at most two networks also by branch and by shortcut; on the
    right the product of the totals from the last block down."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=2, column_widths=[0.5, 0.5], horizontal_spacing=0.11)
    for number, (name, one) in enumerate(gains):
        colour = CATEGORIES[(0, 4, 2, 3)[number % 4]]
        place = np.arange(1, len(one.blocks) + 1)
        lines = [(f"{name}: whole block", one.total, colour, "solid")]
        if one.residual and len(gains) <= 2:
            lines += [
                ("branch F′ alone", one.branch, CATEGORIES[2], "dash"),
                ("shortcut alone", one.shortcut, "#5b6470", "dot"),
            ]
        for words, values, ink, dash in lines:
            line = {"color": ink, "width": 2.6, "dash": dash}
            hover = f"%{{customdata}}: %{{y:.3~g}}, {words}"
            add_curve(
                figure, place, values, hover, line, 6, name=words, customdata=list(one.blocks), xaxis="x", yaxis="y"
            )
        line = {"color": colour, "width": 2.6}
        hover = f"from the end to %{{customdata}}: %{{y:.3~g}}, {name}"
        add_curve(
            figure,
            place,
            one.product,
            hover,
            line,
            6,
            name=name,
            showlegend=False,
            customdata=list(one.blocks),
            xaxis="x2",
            yaxis="y2",
        )
    return apply_style(
        figure,
        height,
        x=dict(title="block, from the image on", showgrid=False),
        yaxis=dict(title="gain ‖∂L/∂x‖ / ‖∂L/∂y‖", rangemode="tozero"),
        yaxis2=dict(title="product of the gains from the end", type="log", exponentformat="power"),
        legend=legend_above(13),
        showlegend=True,
        dragmode=False,
        margin=margins(66, 12, 34, 50),
        meta={"panels": 2},
    )


def flow_sentence(name: str, flow: GradientFlow, measure: str = WEIGHTS) -> str:
    """What was measured of one network: first against last layer, and the word for it."""
    values = flow.relative if measure == WEIGHTS else flow.signal
    first, last = float(values[0]), float(values[-1])
    ends = f"{norm_text(first)} in the first layer, {norm_text(last)} in the last"
    return f"{name}: {ends}, **{_call_trend(first, last)}**."


def is_growing(flow: GradientFlow) -> bool:
    """True if the gradient over the weights is larger in the first layer than in the last one, by STEEP."""
    return float(flow.relative[0]) > STEEP * float(flow.relative[-1])


def _call_trend(first: float, last: float) -> str:
    if not (np.isfinite(first) and np.isfinite(last)):
        return "not known"
    if first == 0:
        return "no gradient reaches the first layer"
    if last == 0:
        return "no gradient in the last layer"
    if first > STEEP * last:
        return f"growing {norm_text(first / last)}-fold towards the input"
    return f"shrinking {norm_text(last / first)}-fold towards the input" if last > STEEP * first else "of one order"


def gains_sentence(name: str, found: BlockGains) -> str:
    """What was measured of the blocks of one network."""
    middle = float(np.median(found.total))
    whole = f"{name}: median gain {norm_text(middle)} a block, {norm_text(float(found.product[0]))} over all"
    if not found.residual:
        return f"{whole} {plural(len(found.blocks), 'block')}."
    branch, shortcut = (norm_text(float(np.nanmedian(part))) for part in (found.branch, found.shortcut))
    return f"{whole} {plural(len(found.blocks), 'block')}; median of the branch {branch}, of the shortcut {shortcut}."


def norm_text(value: float) -> str:
    """0.12, 3.5, 4·10⁵: two digits."""
    if not np.isfinite(value):
        return "not a number"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}·10{str(int(power)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
