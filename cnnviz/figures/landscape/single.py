"""One loss surface in 3-D beside its contour plot, in Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnviz.figures.base.plot_style import heading, margins
from cnnviz.figures.landscape.plots import CAMERA, SurfacePanel, add_plane, plane_axes, surfaces_figure
from cnnviz.figures.landscape.scale import LossScale

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_SCENE, _PLANE = (0.0, 0.47), (0.55, 0.915)  # shares of the width


def empty_figure(panel: SurfacePanel, scale: LossScale, height: int = 560, camera: Sequence[float] = CAMERA) -> Figure:
    """The axes of `single_figure` with nothing on them yet. `panel`: any surface that ends where the axes shall.
    Plotly."""
    figure = single_figure(panel, scale, height, camera)
    for trace in figure.data:  # without any point Plotly draws no scene
        trace.update(opacity=0, hoverinfo="skip", hovertemplate=None)
    return figure


def single_figure(
    panel: SurfacePanel, scale: LossScale, height: int = 560, camera: Sequence[float] = CAMERA, numbers: bool = True
) -> Figure:
    """The surface on the left, the plane with its lines on the right, on one scale of colour; `numbers`: on the
    lines. Plotly."""
    figure = surfaces_figure([panel], scale, height, camera)
    figure.data[0].showscale = False
    add_plane(figure, SurfacePanel("", panel.surface), scale, ("x", "y"), bar=True, numbers=numbers)
    figure.update_layout(scene={"domain": {"x": _SCENE, "y": (0, 1)}}, dragmode=False)
    figure.update_layout(plane_axes(1, _PLANE, True, panel.surface))
    figure.layout.annotations[0].update(x=sum(_SCENE) / 2)
    figure.add_annotation(heading("<b>From above</b>", sum(_PLANE) / 2))
    figure.update_layout(margin=margins(8, 10, 48, 58))
    return figure
