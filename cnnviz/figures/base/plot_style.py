"""What all Plotly figures share: letters, margins, colours, and a mode bar that only saves the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

INK, RULE = "#181c24", "#e3e7ec"


def apply_style(figure: Figure, height: int = 560) -> Figure:
    """The figure in the common style, `height` pixels high; changed in place and returned."""
    axis = {
        "gridcolor": RULE, "linecolor": "#8b95a5", "zeroline": False, "title_font": {"size": 15}, "automargin": True,
        "tickfont": {"size": 13},
    }  # fmt: skip
    figure.update_layout(
        template="none", height=height, paper_bgcolor="#ffffff", plot_bgcolor="#ffffff",
        font={"family": "Arial, Liberation Sans, Helvetica, sans-serif", "size": 14, "color": INK},
        margin={"l": 62, "r": 16, "t": 16, "b": 56}, hoverlabel={"font_size": 13, "align": "left"},
        legend={"font": {"size": 13}, "itemsizing": "constant"},
    )  # fmt: skip
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure


def plot_config(file_name: str, kind: str = "png") -> dict[str, Any]:
    """Plotly's configuration: one button that saves the figure at 2×. `kind`: "png" or "svg"."""
    return {
        "displaylogo": False, "modeBarButtons": [["toImage"]], "displayModeBar": True,
        "toImageButtonOptions": {"format": kind, "filename": file_name, "scale": 2},
    }  # fmt: skip
