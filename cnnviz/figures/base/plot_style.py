"""Plotly style that all figures share: fonts, margins, legends, curves, and a mode bar that only saves the picture."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.figures.base.colors import CHOSEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from plotly.graph_objects import Figure

INK, RULE = "#181c24", "#e3e7ec"
_AXIS = {
    "gridcolor": RULE,
    "linecolor": "#8b95a5",
    "zeroline": False,
    "title": {"font": {"size": 15}},
    "automargin": True,
    "tickfont": {"size": 13},
}
_LAYOUT = {
    "template": "none",
    "paper_bgcolor": "#ffffff",
    "plot_bgcolor": "#ffffff",
    "font": {"family": "Arial, Liberation Sans, Helvetica, sans-serif", "size": 14, "color": INK},
    "margin": {"l": 62, "r": 16, "t": 16, "b": 56},
    "hoverlabel": {"font": {"size": 13}, "align": "left"},
    "legend": {"font": {"size": 13}, "itemsizing": "constant"},
}
_AXES = re.compile(r"[xy]axis\d*")


def apply_style(
    figure: Figure, height: int = 560, x: dict[str, Any] | None = None, y: dict[str, Any] | None = None, **layout: Any
) -> Figure:
    """The figure in the common style, `height` pixels high; changed in place and returned.

    `x`, `y`: settings of all its axes of a kind; `layout`: any others of Plotly's, each with its own dict where Plotly
    nests. Given here, all is checked once: each `update_…` of Plotly costs as much again."""
    found = figure.layout.to_plotly_json()
    axes = {"xaxis", "yaxis"} | {name for name in (*found, *layout) if _AXES.fullmatch(name)}
    styled = {name: _merge(_AXIS, (x if name[0] == "x" else y) or {}) for name in axes}
    figure.layout = _merge(_merge(_merge(_merge(found, _LAYOUT), styled), {"height": height}), layout)
    return figure


def _merge(settings: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Settings as Plotly nests them, those of `over` before the others; a title may be its text alone."""
    merged = dict(settings)
    for name, value in over.items():
        setting = {"text": value} if name == "title" and isinstance(value, str) else value
        under = merged.get(name)
        merged[name] = _merge(under, setting) if isinstance(under, dict) and isinstance(setting, dict) else setting
    return merged


def upright(x: float, panel: str = "", **line: Any) -> dict[str, Any]:
    """A shape: a line over the whole height of a panel at the value `x`. `panel`: the number of its axes, "" for the
    first; `line`: Plotly's colour, width and dash."""
    ends = {"x0": x, "x1": x, "y0": 0, "y1": 1, "xref": f"x{panel}", "yref": f"y{panel} domain"}
    return {"type": "line", **ends, "line": line}


def plot_config(file_name: str, kind: str = "png") -> dict[str, Any]:
    """Plotly's configuration: one button that saves the figure at 2×. `kind`: "png" or "svg"."""
    saved = {"format": kind, "filename": file_name, "scale": 2}
    buttons = [["toImage"]]
    return {
        "displaylogo": False,
        "modeBarButtons": buttons,
        "displayModeBar": True,
        "toImageButtonOptions": saved,
    }


def margins(left: int, right: int, top: int, bottom: int) -> dict[str, int]:
    """Pixels around the plot, as Plotly names them."""
    return {"l": left, "r": right, "t": top, "b": bottom}


def legend_above(size: int = 12, y: float = 1) -> dict[str, Any]:
    """A legend in one line over the plot, in letters of `size` pixels."""
    return {"orientation": "h", "x": 0, "y": y, "yanchor": "bottom", "font": {"size": size}}


def plain_text(text: str) -> str:
    """Text of others, e.g. a class's name, for Plotly, which reads tags, entities and %{…} in what it writes."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("%{", "%\u2060{")


def heading(text: str, middle: float, **font: str) -> dict[str, Any]:
    """An annotation over a panel. `middle`: of the panel, as a share of the figure's width."""
    place = {"x": middle, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "center", "yanchor": "bottom"}
    return {"text": text, **place, "yshift": 6, "showarrow": False, "font": {"size": 16, **font}}


def ring(size: float = 13, width: float = 3) -> dict[str, Any]:
    """A marker that rings what is chosen and hides nothing."""
    return {"size": size, "color": "rgba(0,0,0,0)", "line": {"color": CHOSEN, "width": width}}


def reveal_curve(values: np.ndarray, drawn: int | None) -> np.ndarray:
    """The values (K,) of a curve that draws itself: those behind number `drawn` are NaN, which Plotly leaves out; all
    of them are there for None."""
    revealed = np.array(values, float)
    if drawn is not None:
        revealed[drawn + 1 :] = np.nan
    return revealed


def find_range(values: np.ndarray, share: float = 0.06) -> list[float]:
    """From 0 to a little above the largest of the values: an axis that stays while its curve draws itself."""
    known = np.asarray(values, float)
    return [0.0, max(float(np.max(known[np.isfinite(known)], initial=0.0)) * (1 + share), 1e-3)]


def add_curve(
    figure: Figure,
    x: Sequence[Any] | np.ndarray,
    y: Sequence[Any] | np.ndarray,
    hover: str,
    line: dict[str, Any],
    size: int | None = 6,
    **trace: Any,
) -> None:
    """Add a line with a marker of `size` pixels at every value. `line`: Plotly's colour, width and dash; `hover`: the
    template without its box for the trace; `trace`: any other of Plotly's settings."""
    marker = {} if size is None else {"marker": {"size": size}}
    figure.add_scatter(
        x=x, y=y, mode="lines+markers", line=line, hovertemplate=f"{hover}<extra></extra>", **marker, **trace
    )
