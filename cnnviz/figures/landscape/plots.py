"""Loss surfaces in 3-D and contour plots side by side, on one scale of height and colour, in Plotly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.figures.base.colors import CHOSEN
from cnnviz.figures.base.plot_style import INK, RULE, apply_style, heading, margins, plain_text
from cnnviz.figures.landscape.scale import LossScale, fill_gaps

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.landscape.results import Surface

DIRECTIONS = ("direction 1 [filter norms]", "direction 2 [filter norms]")
LOSS = "loss [nats]"
CAMERA = (0.95, -1.85, 1.15)  # of a fresh view, in units of the scene
LEVELS = (0.1, 10.0, 0.5)  # nats: first, last, step, as in Li et al. 2018
PATH, MARK = "#d55e00", CHOSEN
_LIGHT = {"ambient": 0.72, "diffuse": 0.55, "specular": 0.06, "roughness": 0.9, "fresnel": 0.05}
_GAP, _BAR = 0.055, 0.925  # shares of the width: between two panels, and where the colour bar stands


@dataclass(frozen=True, slots=True)
class SurfacePanel:
    """One surface of a picture. `title`: the network; `note`: below it, e.g. its accuracy."""

    title: str
    surface: Surface
    note: str = ""

    def heading(self) -> str:
        """Title and note for Plotly."""
        return f"<b>{plain_text(self.title)}</b>" + (f"<br>{self.note}" if self.note else "")


def turn_camera(eye: Sequence[float], places: int) -> list[tuple[float, float, float]]:
    """`places` + 1 eyes (x, y, z) of one turn about the vertical, counter-clockwise from above; the first and the last
    are `eye`."""
    x, y, z = eye
    angles = [2 * math.pi * place / places for place in range(places)]
    turned = [(x * math.cos(a) - y * math.sin(a), x * math.sin(a) + y * math.cos(a), z) for a in angles]
    return [*turned, (x, y, z)]


def surfaces_figure(
    panels: Sequence[SurfacePanel], scale: LossScale, height: int = 560, camera: Sequence[float] = CAMERA
) -> Figure:
    """The surfaces in 3-D, one scene each (scene, scene2, …), all seen from `camera`. Plotly.

    A point not evaluated yet is drawn as interpolated between its neighbours."""
    from plotly import graph_objects as go

    traces: list[Any] = []
    headings: list[Any] = []
    scenes: dict[str, Any] = {}
    bar, colours, lines = colour_bar(scale), scale.colours(), _surface_lines(scale)
    for number, panel in enumerate(panels, 1):
        found, name = panel.surface, "scene" if number == 1 else f"scene{number}"
        trace = go.Surface(
            x=np.float32(found.alphas),
            y=np.float32(found.betas),
            **surface_arrays(found, scale),
            cmin=scale.ends[0],
            cmax=scale.ends[1],
            colorscale=colours,
            colorbar=bar,
            customdata=hover_data(found),
            hovertemplate=HOVER,
            showscale=number == len(panels),
            contours=lines,
            lighting=_LIGHT,
            scene=name,
        )
        traces.append(trace)
        headings.append(_heading(panel, _domain(number, len(panels))))
        scenes[name] = _scene_layout(scale, _domain(number, len(panels)), camera)
    look: dict[str, Any] = {"margin": margins(0, 0, 50, 0), "hoverlabel": {"bgcolor": "#ffffff"}}
    return apply_style(go.Figure(traces), height, annotations=headings, **look, **scenes)


def surface_arrays(found: Surface, scale: LossScale) -> dict[str, np.ndarray]:
    """The arrays of a surface's trace that depend on its losses: heights and colours, (B, A)."""
    heights = scale.height(fill_gaps(found.loss)).T
    return {"z": heights, "surfacecolor": heights}


def contours_figure(
    panels: Sequence[SurfacePanel],
    scale: LossScale,
    height: int = 560,
    chosen: tuple[float, float] | None = None,
    dotted: Sequence[np.ndarray] = (),
) -> Figure:
    """The planes from above: colours by the scale, lines at the losses 0.1, 0.6, 1.1, … 9.6. Plotly.

    `chosen`: a point, in filter norms, that is marked on every plane. `dotted`: for each panel, (A, B) bool, the
    points of its grid that carry a dot."""
    from plotly import graph_objects as go

    figure, marks = go.Figure(), {"mode": "markers", "hoverinfo": "skip", "showlegend": False}
    for number, panel in enumerate(panels, 1):
        x, y = ("x", "y") if number == 1 else (f"x{number}", f"y{number}")
        add_plane(figure, panel, scale, (x, y), number == len(panels))
        if dotted:
            i, j = np.nonzero(dotted[number - 1])
            at = {"x": np.float32(panel.surface.alphas[i]), "y": np.float32(panel.surface.betas[j])}
            dot = {"size": 4, "color": MARK, "line": {"color": "#ffffff", "width": 0.5}}
            figure.add_trace(go.Scatter(**at, marker=dot, xaxis=x, yaxis=y, **marks))
        points = [(0.0, 0.0, "#ffffff", "circle")] + ([(*chosen, MARK, "x")] if chosen else [])
        across, upwards, colours, symbols = (list(part) for part in zip(*points, strict=True))
        dot = {"size": 11, "color": colours, "symbol": symbols, "line": {"color": INK, "width": 1.5}}
        figure.add_trace(go.Scatter(x=across, y=upwards, marker=dot, xaxis=x, yaxis=y, **marks))
        figure.add_annotation(_heading(panel, _domain(number, len(panels))))
        figure.update_layout(plane_axes(number, _domain(number, len(panels)), number == 1, panel.surface))
    return apply_style(
        figure, height, margin=margins(66, 10, 58, 58), hoverlabel={"bgcolor": "#ffffff"}, dragmode=False
    )


def add_plane(
    figure: Figure, panel: SurfacePanel, scale: LossScale, axes: tuple[str, str], bar: bool, numbers: bool = True
) -> None:
    """One plane from above on these axes of the figure, with its lines. `numbers`: on the lines; they take a browser
    longer than all else."""
    from plotly import graph_objects as go

    found = panel.surface
    where = {"x": np.float32(found.alphas), "y": np.float32(found.betas), "xaxis": axes[0], "yaxis": axes[1]}
    plane = go.Heatmap(**where, z=surface_arrays(found, scale)["z"], zsmooth="best")
    plane.update(zmin=scale.ends[0], zmax=scale.ends[1], colorscale=scale.colours(), colorbar=colour_bar(scale))
    figure.add_trace(plane.update(customdata=hover_data(found), hovertemplate=HOVER, showscale=bar))
    first, last, step = LEVELS
    lines = go.Contour(**where, z=np.float32(np.clip(fill_gaps(found.loss), 0, last + step)).T)
    lines.update(contours={"start": first, "end": last, "size": step, "coloring": "none", "showlabels": numbers})
    lines.update(contours={"labelfont": {"size": 12, "color": "#ffffff"}, "labelformat": ".1f"})
    lines.update(line={"color": "rgba(255,255,255,0.8)", "width": 1.1})
    figure.add_trace(lines.update(hoverinfo="skip", showscale=False, showlegend=False))


def plane_axes(number: int, domain: tuple[float, float], named: bool, found: Surface | None = None) -> dict[str, Any]:
    """The layout of the axes of panel `number`; `named`: the second direction stands beside it. They end where
    the grid of `found` ends."""
    tail = "" if number == 1 else str(number)
    common = {"zeroline": False, "showgrid": False, "constrain": "domain"}
    across: dict[str, Any] = {} if found is None else _axis_range(found.alphas)
    upwards: dict[str, Any] = {} if found is None else _axis_range(found.betas)
    title = {"text": DIRECTIONS[1] if named else ""}
    across |= {"title": {"text": DIRECTIONS[0]}, "domain": domain, "anchor": f"y{tail}", **common}
    upwards |= {"title": title, "anchor": f"x{tail}", "scaleanchor": f"x{tail}", **common}
    return {f"xaxis{tail}": across, f"yaxis{tail}": upwards}


def _axis_range(steps: np.ndarray) -> dict[str, Any]:
    """The range of an axis; a grid of one step has none."""
    return {"range": [float(steps[0]), float(steps[-1])]} if len(steps) > 1 else {}


# --- what the panels share --------------------------------------------------------------------------------

HOVER = (
    "direction 1: %{x:.2f}, direction 2: %{y:.2f}<br>loss %{customdata[0]:.4~g} ± %{customdata[2]:.2~g} nats"
    "<br>accuracy %{customdata[1]:.1f} ± %{customdata[3]:.1f} %<extra></extra>"
)


def hover_data(found: Surface) -> np.ndarray:
    """(B, A, 4) float32: loss, accuracy in percent, and their standard errors, for TOLD."""
    parts = (found.loss, 100 * found.accuracy, found.loss_error, 100 * found.accuracy_error)
    return np.stack([np.asarray(part, np.float32).T for part in parts], axis=2)


def colour_bar(scale: LossScale) -> dict[str, Any]:
    """The colour bar that all panels share."""
    values, texts = scale.ticks()
    place = {"x": _BAR, "xanchor": "left", "len": 0.82, "thickness": 16, "outlinewidth": 0}
    ticks = {"tickvals": values, "ticktext": texts, "tickfont": {"size": 13}}
    return {"title": {"text": LOSS, "side": "right", "font": {"size": 15}}, **ticks, **place}


def _domain(number: int, count: int) -> tuple[float, float]:
    """The share of the width that panel `number` takes."""
    wide = (_BAR - 0.015 - (count - 1) * _GAP) / count
    start = (number - 1) * (wide + _GAP)
    return round(start, 4), round(start + wide, 4)


def _heading(panel: SurfacePanel, domain: tuple[float, float]) -> dict[str, Any]:
    return heading(panel.heading(), sum(domain) / 2, color=INK)


def _scene_layout(scale: LossScale, domain: tuple[float, float], camera: Sequence[float]) -> dict[str, Any]:
    values, texts = scale.ticks()
    look = {"gridcolor": RULE, "zeroline": False, "showspikes": False, "backgroundcolor": "#ffffff"}

    def axis(name: str, **more: Any) -> dict[str, Any]:
        return {**look, "tickfont": {"size": 12}, "title": {"text": name, "font": {"size": 14}}, **more}

    return {
        "domain": {"x": domain, "y": (0, 1)},
        "aspectmode": "manual",
        "aspectratio": {"x": 1, "y": 1, "z": 0.72},
        "camera": {"eye": dict(zip("xyz", camera, strict=True)), "center": {"x": -0.08, "y": -0.04, "z": -0.12}},
        "dragmode": "turntable",
        "xaxis": axis("direction 1", nticks=5),
        "yaxis": axis("direction 2", nticks=5),
        "zaxis": axis("loss", range=_height_range(scale), tickvals=values, ticktext=texts),
    }


def _height_range(scale: LossScale) -> tuple[float, float]:
    low, high = scale.ends
    return low - 0.04 * (high - low), high + 0.02 * (high - low)


def _surface_lines(scale: LossScale) -> dict[str, Any]:
    low, high = scale.ends
    steps = {"start": low, "end": high, "size": (high - low) / 14}
    lines = {"show": True, "color": "rgba(255,255,255,0.45)", "width": 1, "highlight": False, **steps}
    return {"z": lines, "x": {"highlight": False}, "y": {"highlight": False}}
