"""Charts of noise in training: the error of a Monte-Carlo mean, clouds of two outputs, evidence, survival, blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, CHOSEN, GREY
from cnnviz.figures.base.plot_style import add_curve, apply_style, legend_above, margins, plain_text, ring

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.noise.blocks import BlocksRemoved
    from cnnviz.studies.noise.drop_connect import MaskedOutputs
    from cnnviz.studies.noise.dropout import MonteCarloError
    from cnnviz.studies.noise.evidence import ClassEvidence

KEPT, GONE = CATEGORIES[0], "#c3c9d1"


def error_figure(found: MonteCarloError, height: int = 400) -> Figure:
    """Distance of the mean of T passes from the mean of all and from the scaled pass, over T, both axes logarithmic."""
    from plotly import graph_objects as go

    figure = go.Figure()
    lines = (
        ("to the mean of all masks", found.to_mean, CATEGORIES[0], "solid"),
        ("σ/√T", found.expected, GREY, "dot"),
        ("to the scaled pass", found.to_scaled, CATEGORIES[4], "dash"),
    )
    for name, errors, colour, dash in lines:
        line = {"color": colour, "width": 2.8, "dash": dash}
        add_curve(figure, found.counts, errors, f"T = %{{x}}: %{{y:.3g}}, {name}", line, name=name)
    return apply_style(
        figure,
        height,
        x=dict(
            title="passes T in the mean",
            type="log",
            tickvals=found.counts.tolist(),
            ticktext=[f"{c}" for c in found.counts],
        ),
        y=dict(title="distance over classes (L2)", type="log", dtick="D2", exponentformat="power", minor_ticks=""),
        legend=legend_above(14),
        dragmode=False,
        margin=margins(70, 10, 36, 48),
    )


def clouds_figure(pair: Sequence[MaskedOutputs], names: tuple[str, str], height: int = 400) -> Figure:
    """A point a mask: two outputs under dropout and under DropConnect, side by side on common axes; the dashed ellipse
    holds 86 % of what the formulas expect (2 standard deviations)."""
    from plotly.subplots import make_subplots

    titles = [f"{_KINDS[one.kind]}: correlation {one.measured[2]:+.2f}".replace("-", "−") for one in pair]
    figure = make_subplots(1, len(pair), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.05)
    for column, (one, colour) in enumerate(zip(pair, (CATEGORIES[0], CATEGORIES[4]), strict=False), 1):
        x, y = one.values.T
        marker = {"color": colour, "size": 5, "opacity": 0.45}
        hover = f"{names[0]} %{{x:.3g}}, {names[1]} %{{y:.3g}}<extra></extra>"
        figure.add_scatter(
            x=x, y=y, mode="markers", marker=marker, hovertemplate=hover, showlegend=False, row=1, col=column
        )
        ellipse = find_ellipse(one)
        line = {"color": "#181c24", "width": 2, "dash": "dash"}
        figure.add_scatter(
            x=ellipse[0], y=ellipse[1], mode="lines", line=line, hoverinfo="skip", showlegend=False, row=1, col=column
        )
        figure.add_scatter(
            x=[one.mean[0]],
            y=[one.mean[1]],
            mode="markers",
            marker=ring(),
            hoverinfo="skip",
            showlegend=False,
            row=1,
            col=column,
        )
    lows, highs = (edge([one.values for one in pair], axis=(0, 1)) for edge in (np.min, np.max))
    pads = 0.06 * (highs - lows + 1e-9)
    figure.update_annotations(font={"size": 16})
    return apply_style(
        figure,
        height,
        x=dict(title=names[0], range=[lows[0] - pads[0], highs[0] + pads[0]]),
        y=dict(range=[lows[1] - pads[1], highs[1] + pads[1]]),
        yaxis=dict(title=names[1]),
        dragmode=False,
        margin=margins(62, 10, 36, 48),
        meta={"panels": len(pair)},
    )


_KINDS = {"dropout": "Dropout", "dropconnect": "DropConnect"}


def find_ellipse(one: MaskedOutputs) -> np.ndarray:
    """(2, 61): the points two standard deviations from the expected mean, by the expected covariance."""
    joint = one.correlation * float(one.deviation.prod())
    covariance = np.array([[one.deviation[0] ** 2, joint], [joint, one.deviation[1] ** 2]])
    values, vectors = np.linalg.eigh(covariance)
    angle = np.linspace(0, 2 * np.pi, 61)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    return np.asarray(one.mean[:, None] + 2 * vectors @ (np.sqrt(np.maximum(values, 0))[:, None] * circle))


def evidence_figure(found: ClassEvidence, keep: np.ndarray, names: tuple[str, str], height: int = 400) -> Figure:
    """What every feature adds to the margin, largest first; blue while it stays under the mask `keep` (D,), else
    grey."""
    from plotly import graph_objects as go

    order = np.argsort(-found.added, kind="stable")
    stays = keep[order]
    figure = go.Figure()
    for name, chosen, colour in (("stays", stays, KEPT), ("dropped", ~stays, GONE)):
        hover = [f"feature {number}: {found.added[number]:.3g}, {name}" for number in order[chosen]]
        bars = go.Bar(x=np.flatnonzero(chosen), y=found.added[order][chosen], name=name, marker={"color": colour})
        figure.add_trace(bars.update(hovertext=hover, hoverinfo="text"))
    return apply_style(
        figure,
        height,
        x=dict(title="feature, by what it adds", showgrid=False),
        y=dict(title="for {} against {}".format(*map(plain_text, names)), zeroline=True, zerolinecolor="#8b95a5"),
        legend=legend_above(14),
        dragmode=False,
        bargap=0.05,
        barmode="overlay",
        margin=margins(66, 10, 36, 48),
    )


def margin_figure(
    margins_found: np.ndarray, whole: float, chosen: float, spread: float, names: tuple[str, str], height: int = 400
) -> Figure:
    """The margin of the answer under many masks as a histogram, the margin without a mask and that of the chosen one;
    below 0 the other class is ahead."""
    from plotly import graph_objects as go

    figure = go.Figure()
    figure.add_trace(
        go.Histogram(
            x=margins_found,
            nbinsx=50,
            marker={"color": KEPT},
            hovertemplate="%{x}: %{y} masks<extra></extra>",
            showlegend=False,
        )
    )
    figure.add_vline(x=0, line={"color": "#181c24", "width": 2})
    figure.add_vline(x=whole, line={"color": CATEGORIES[2], "width": 3})
    figure.add_vline(x=chosen, line={"color": CHOSEN, "width": 3, "dash": "dot"})
    reach = max(abs(whole) + 4 * spread, 1e-6)
    low = min(-0.15 * reach, float(margins_found.min()), whole - 4 * spread)
    return apply_style(
        figure,
        height,
        x=dict(
            title="score of {} less that of {}".format(*map(plain_text, names)), range=[low, max(reach, whole * 1.1)]
        ),
        y=dict(title="masks", showgrid=False),
        dragmode=False,
        margin=margins(62, 10, 20, 48),
    )


def survival_figure(survival: np.ndarray, alive: np.ndarray, blocks: Sequence[str], height: int = 400) -> Figure:
    """p_l as a line over the blocks; below it the blocks of one draw, `alive` (L,) bool: full while it runs."""
    from plotly import graph_objects as go

    figure, places = go.Figure(), np.arange(1, len(survival) + 1)
    line = {"color": CATEGORIES[0], "width": 2.8}
    add_curve(figure, places, survival, "block %{x}: p = %{y:.3f}", line, 5, name="probability to survive, p_l")
    for name, chosen, colour in (("runs in this draw", alive, CATEGORIES[2]), ("dropped", ~alive, GONE)):
        marker = {"color": colour, "size": 13, "symbol": "square", "line": {"color": "#5b6470", "width": 1}}
        hover = [f"{blocks[at]}, {name}<extra></extra>" for at in np.flatnonzero(chosen).tolist()]
        figure.add_scatter(
            x=places[chosen],
            y=np.full(chosen.sum(), 0.06),
            mode="markers",
            marker=marker,
            name=name,
            hovertemplate=hover,
        )
    return apply_style(
        figure,
        height,
        x=dict(title="residual block l, input side first", showgrid=False),
        y=dict(title="p_l", range=[0, 1.04]),
        legend=legend_above(13),
        dragmode=False,
        margin=margins(56, 8, 34, 46),
    )


def removed_figure(
    networks: Sequence[tuple[str, BlocksRemoved]], classes: int, chosen: str = "", height: int = 400
) -> Figure:
    """Answers kept when one block is removed, a bar a block and network; the dotted line is chance, 1 / `classes`.
    The x values are the names of the blocks, for clicks."""
    from plotly import graph_objects as go

    figure = go.Figure()
    for (title, found), colour in zip(networks, (CATEGORIES[0], CATEGORIES[1]), strict=False):
        shares = 100 * found.kept
        bars = go.Bar(x=list(found.blocks), y=shares, name=title, marker={"color": colour})
        figure.add_trace(bars.update(hovertemplate=f"{title} without %{{x}}: %{{y:.0f}} %<extra></extra>"))
    gone = [name for name, kind in zip(networks[-1][1].blocks, networks[-1][1].kinds, strict=True) if not kind]
    if gone:
        marker = {"symbol": "x", "size": 10, "color": GREY}
        figure.add_scatter(
            x=gone,
            y=[3] * len(gone),
            mode="markers",
            marker=marker,
            name=f"{networks[-1][0]}: changes the shape",
            hovertemplate="%{x} changes the shape<extra></extra>",
        )
    figure.add_hline(y=100 / max(classes, 1), line={"color": GREY, "width": 1.5, "dash": "dot"})
    names = list(networks[0][1].blocks)
    shown = {name: f"<b><span style='color:{CHOSEN}'>{name}</span></b>" if name == chosen else name for name in names}
    return apply_style(
        figure,
        height,
        x=dict(
            tickvals=names,
            ticktext=[shown[name] for name in names],
            tickangle=-60,
            tickfont={"size": 12},
            showgrid=False,
        ),
        y=dict(title="answers kept [%]", range=[0, 101]),
        legend=legend_above(14),
        dragmode=False,
        barmode="group",
        bargap=0.25,
        margin=margins(60, 8, 36, 70),
    )


def turns_figure(
    degrees: np.ndarray, probabilities: np.ndarray, names: Sequence[str], label: int, height: int = 340
) -> Figure:
    """The probabilities of the right class `label` and of the three others that come first anywhere, over the angle."""
    from plotly import graph_objects as go

    figure, best = go.Figure(), probabilities.max(0)
    others = [int(c) for c in np.argsort(-best, kind="stable") if c != label][:3]
    colours = CATEGORIES[2], CATEGORIES[4], CATEGORIES[3], CATEGORIES[5]
    for number, (which, colour) in enumerate(zip([label, *others], colours, strict=False)):
        line = {"color": colour, "width": 3.2 if number == 0 else 2.2, "dash": "solid" if number == 0 else "dash"}
        shares = 100 * probabilities[:, which]
        name = plain_text(names[which])
        add_curve(figure, degrees, shares, f"%{{x}}°: %{{y:.1f}} %, {name}", line, name=name)
    return apply_style(
        figure,
        height,
        x=dict(title="turned by [degrees, counter-clockwise]", tickvals=list(range(0, 360, 45)), showgrid=False),
        y=dict(title="probability [%]", range=[0, 103]),
        legend=legend_above(14),
        dragmode=False,
        margin=margins(60, 10, 34, 48),
    )
