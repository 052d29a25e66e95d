"""ImageNet history as Plotly figures: top-5 error by year, and accuracy against parameters and multiply-adds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnviz.figures.base.charts import count_text
from cnnviz.figures.base.colors import CATEGORIES, GREY
from cnnviz.figures.base.plot_style import INK, apply_style
from cnnviz.wording import plural

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.studies.anatomy.history import ChallengeResult, PublishedModel

_KINDS = {  # kind of result: (colour, words)
    "before": ("#b5bcc6", "before deep networks"),
    "winner": ("#0072b2", "winner of the challenge"),
    "entry": ("#56b4e9", "other entry"),
    "paper": ("#f0c05a", "one network, from the paper"),
}
_FAMILIES = ("AlexNet", "VGG", "Inception", "ResNet", "DenseNet", "MobileNet", "SqueezeNet", "NIN", "Plain")
_NAMED = {  # points that carry their name, and where it stands: pixels right and down
    "alexnet": (-70, 12),
    "vgg16": (60, 70),
    "googlenet": (-64, 34),
    "resnet50": (-62, -46),
    "resnet152": (96, 6),
    "densenet121": (-70, -34),
    "mobilenet_v2": (-40, 38),
    "mobilenet_v3_large": (-70, -22),
    "squeezenet1_0": (104, 4),
    "inception_v3": (56, -78),
}


def timeline_figure(results: Sequence[ChallengeResult], human: ChallengeResult, height: int = 560) -> Figure:
    """Top-5 error, percent, as bars under their years, with the human's as a line. Plotly."""
    from plotly import graph_objects as go

    figure = go.Figure()
    for kind, (colour, words) in _KINDS.items():
        own = [(i, r) for i, r in enumerate(results) if r.kind == kind]
        errors, hover = [r.top5 for _, r in own], [_describe_result(r) for _, r in own]
        bars = go.Bar(x=[i for i, _ in own], y=errors, name=words, width=0.78, marker={"color": colour})
        bars.update(text=[str(e) for e in errors], textposition="outside", textfont={"size": 14, "color": INK})
        figure.add_trace(bars.update(hovertext=hover, hoverinfo="text", cliponaxis=False))
    figure.add_hline(y=human.top5, line={"dash": "dash", "color": "#d55e00", "width": 2})
    figure.add_annotation(
        {"x": len(results) - 0.45, "y": human.top5, "xanchor": "right", "yanchor": "bottom", "align": "right"},
        text=f"<b>human {human.top5} %</b>",
        hovertext=_describe_result(human),
        font={"color": "#b34700", "size": 13},
        showarrow=False,
    )
    ticks = [
        r.name.replace(", ", "<br>").replace("-", "-<br>", r.name.count("-") and len(r.name) > 10) for r in results
    ]
    figure.update_xaxes(tickvals=list(range(len(results))), ticktext=ticks, showgrid=False)
    figure.update_yaxes(title="top-5 error, %", range=[0, 31])
    _add_years(figure, results)
    return apply_style(
        figure,
        height,
        x=dict(tickfont={"size": 12}, autotickangles=[0, -45, -90], range=[-0.6, len(results) - 0.4]),
        legend={"x": 0.99, "y": 0.98, "xanchor": "right", "yanchor": "top"},
        margin={"t": 34, "r": 40},
    )


def _add_years(figure: Figure, results: Sequence[ChallengeResult]) -> None:
    """The years above the bars, with a rule between them."""
    for year in sorted({r.year for r in results}):
        own = [i for i, r in enumerate(results) if r.year == year]
        place = {"x": (own[0] + own[-1]) / 2, "y": 1.0, "yref": "paper", "yanchor": "bottom"}
        figure.add_annotation(place, text=f"<b>{year}</b>", showarrow=False, font={"size": 15})
        if own[0]:
            figure.add_vline(x=own[0] - 0.5, line={"color": "#d5dae1", "width": 1})


def _describe_result(result: ChallengeResult) -> str:
    layers = f"<br>{plural(result.layers, 'layer')} with weights" if result.layers else ""
    return f"<b>{result.name}</b>, {result.year}: {result.top5} %<br>{result.condition}{layers}<br>{result.source}"


def bubble_figure(models: Sequence[PublishedModel], height: int = 560) -> Figure:
    """Top-1 accuracy against multiply-adds; the area of a circle is the number of parameters. Plotly.

    Circles are filled where the figures are torchvision's own, rings where they are from a paper."""
    from plotly import graph_objects as go

    figure = go.Figure()
    others = sorted({m.family for m in models} - set(_FAMILIES))
    colours = dict(zip(_FAMILIES, (*CATEGORIES[:7], "#7a4fa3", "#000000"), strict=True))
    for family in (*others, *(f for f in _FAMILIES if any(m.family == f for m in models))):
        own = sorted((m for m in models if m.family == family), key=lambda m: (not _is_torchvision(m), -m.parameters))
        colour = colours.get(family, "#c9cfd7")
        circles = {
            "size": [_diameter(m.parameters) for m in own],
            "color": [_fill_colour(m, colour) for m in own],
            "line": {"color": colour, "width": 2},
            "opacity": 0.5 if family in others else 0.85,
        }
        points = go.Scatter(x=[m.macs / 1e9 for m in own], y=[m.top1 for m in own], mode="markers", name=family)
        figure.add_trace(points.update(marker=circles, hovertext=[_describe_model(m) for m in own], hoverinfo="text"))
    ticks = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
    figure.update_xaxes(
        type="log", tickvals=ticks, ticktext=[f"{t:g}" for t in ticks], title="G multiply-adds, one image"
    )
    figure.update_yaxes(title="top-1 accuracy on ImageNet-1K, %", range=[47, 91])
    _add_size_legend(figure)
    for model in models:
        if model.name in _NAMED:
            right, down = _NAMED[model.name]
            place = {"x": math.log10(model.macs / 1e9), "y": model.top1, "ax": right, "ay": down}
            looks = {"font": {"size": 14, "color": INK}, "bgcolor": "rgba(255,255,255,0.7)"}
            figure.add_annotation(place, text=model.name, arrowhead=0, arrowwidth=1, arrowcolor="#8b95a5", **looks)
    return apply_style(figure, height, legend={"x": 1.01, "y": 1.0, "yanchor": "top"}, margin={"r": 130})


def _diameter(parameters: int) -> float:
    """Pixels; the area grows with the number: 138 M parameters have 47."""
    return max(5.0, 4.0 * math.sqrt(parameters / 1e6))


def _fill_colour(model: PublishedModel, colour: str) -> str:
    return colour if _is_torchvision(model) else "rgba(255,255,255,0)"


def _is_torchvision(model: PublishedModel) -> bool:
    """Whether the figures are torchvision's own."""
    return model.source.startswith("torchvision")


def _describe_model(model: PublishedModel) -> str:
    facts = (
        f"top-1 {model.top1:g} % · {plural(count_text(model.parameters), 'parameter')} · {count_text(model.macs)} MACs"
    )
    return f"<b>{model.name}</b> ({model.family})<br>{facts}<br>{model.condition}<br>{model.source}"


def _add_size_legend(figure: Figure) -> None:
    """The scale of the circles, in the lower right corner, away from all points."""
    letters = {"size": 13, "color": GREY}
    for macs, parameters in ((11.0, 5_000_000), (26.0, 25_000_000), (70.0, 100_000_000)):
        circle = {"size": _diameter(parameters), "color": "#ffffff", "line": {"color": GREY, "width": 1.5}}
        figure.add_scatter(x=[macs], y=[49.4], mode="markers+text", marker=circle, showlegend=False, hoverinfo="skip")
        figure.data[-1].update(text=[f"{parameters // 1_000_000} M"], textposition="top center", textfont=letters)
    place = {"x": 2.0, "y": 55.4, "xanchor": "right", "align": "right"}  # x: the logarithm of 100
    figure.add_annotation(place, text="area: parameters<br>ring: figure from a paper", showarrow=False, font=letters)
