"""Loss surface over the epochs of a training, beside the trajectory of its weights in their principal plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.figures.base.plot_style import INK, heading, margins, plain_text
from cnnviz.figures.landscape.plots import (
    PATH,
    SurfacePanel,
    add_plane,
    hover_data,
    plane_axes,
    surface_arrays,
    surfaces_figure,
)
from cnnviz.figures.landscape.scale import LossScale

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.landscape.results import Surface, Trajectory

WIDE = 0.40  # share of the width that each of two panels takes
PLAY = 350  # milliseconds of an epoch
_HOVER = (
    "epoch %{customdata[0]:.0f}<br>true loss %{customdata[1]:.3~g} nats, accuracy %{customdata[2]:.1f} %<br>"
    "%{customdata[3]:.0f} % of its way is out of the plane<extra></extra>"
)


def training_figure(
    title: str,
    epochs: Mapping[int, Surface],
    scale: LossScale,
    epoch: int | None = None,
    path: Trajectory | None = None,
    plane: Surface | None = None,
    height: int = 560,
) -> Figure:
    """Left the surface around each snapshot, in fixed directions, with a slider; right the `path` of the weights over
    `plane`, its present epoch marked. Either may be absent: `epochs` may be {}, `path` None. Plotly.

    `epoch`: the one shown first, by default the last."""
    panels = [SurfacePanel(title, epochs[_choose_epoch(epochs, epoch)])] if epochs else []
    figure = surfaces_figure(panels, scale, height)
    now = None
    if path is not None:
        wide = (0.56, 0.905) if epochs else (0.2, 0.75)
        now = _add_path(figure, path, plane, scale, wide, 0 if epochs else None)
    if epochs:
        figure.update_layout(scene={"domain": {"x": (0, 0.49 if path is not None else 0.91), "y": (0, 1)}})
        figure.layout.annotations[0].update(
            x=0.23 if path is not None else 0.45, text=f"<b>{plain_text(title)}</b>, along its training"
        )
        figure.data[0].showscale = True
        _add_slider(figure, epochs, scale, _choose_epoch(epochs, epoch), path, now)
    space = margins(8, 10, 44, 118) if epochs else margins(66, 10, 44, 60)
    figure.update_layout(margin=space, showlegend=False)
    return figure


def _choose_epoch(epochs: Mapping[int, Surface], epoch: int | None) -> int:
    return epoch if epoch is not None and epoch in epochs else max(epochs)


def _add_path(
    figure: Figure,
    path: Trajectory,
    plane: Surface | None,
    scale: LossScale,
    wide: tuple[float, float],
    beside: int | None,
) -> int:
    """Draw the way; returns the number of the trace that marks the present epoch."""
    from plotly import graph_objects as go

    if plane is not None:
        add_plane(figure, SurfacePanel("", plane), scale, ("x", "y"), beside is None)
    x, y = np.asarray(path.positions, np.float64).T
    where = {"xaxis": "x", "yaxis": "y", "showlegend": False}
    facts = np.stack([path.epochs, path.loss, 100 * path.accuracy, 100 * path.residual], axis=1)
    figure.add_trace(
        go.Scatter(x=x, y=y, mode="lines", line={"color": "#ffffff", "width": 5}, hoverinfo="skip", **where)
    )
    way = go.Scatter(x=x, y=y, mode="lines+markers", line={"color": PATH, "width": 2.5}, **where)
    way.update(marker={"size": 7, "color": PATH, "line": {"color": "#ffffff", "width": 1}})
    figure.add_trace(way.update(customdata=np.float32(facts), hovertemplate=_HOVER))
    here = {"size": 15, "color": "rgba(255,255,255,0.9)", "line": {"color": INK, "width": 3}}
    figure.add_trace(go.Scatter(x=x[-1:], y=y[-1:], mode="markers", hoverinfo="skip", marker=here, **where))
    figure.update_layout(plane_axes(1, wide, True))
    figure.update_layout(plot_bgcolor="#ffffff")
    figure.update_xaxes(title_text="principal direction 1")
    figure.update_yaxes(title_text="principal direction 2")
    figure.add_annotation(heading("<b>Training trajectory</b>", sum(wide) / 2))
    return len(figure.data) - 1


def _add_slider(
    figure: Figure,
    epochs: Mapping[int, Surface],
    scale: LossScale,
    epoch: int,
    path: Trajectory | None,
    now: int | None,
) -> None:
    from plotly import graph_objects as go

    frames = []
    for number, found in epochs.items():
        data: list[Any] = [go.Surface(**surface_arrays(found, scale), customdata=hover_data(found))]
        if path is not None and now is not None:
            at = int(np.argmin(np.abs(path.epochs - number)))
            mark = path.positions[at : at + 1]
            data.append(go.Scatter(x=np.float64(mark[:, 0]), y=np.float64(mark[:, 1])))
            if number == epoch:
                figure.data[now].update(x=data[1].x, y=data[1].y)
        frames.append(go.Frame(name=str(number), data=data, traces=[0] if now is None else [0, now]))
    figure.frames = frames
    at_once = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    playing = {**at_once, "fromcurrent": True, "frame": {"duration": PLAY, "redraw": True}}
    steps = [{"label": str(n), "method": "animate", "args": [[str(n)], at_once]} for n in epochs]
    words = {"currentvalue": {"prefix": "epoch ", "font": {"size": 16}}, "font": {"size": 12}}
    place: dict[str, Any] = {"x": 0.16, "len": 0.74, "y": -0.01, "pad": {"t": 34, "b": 8}}
    slider = {"active": list(epochs).index(epoch), "steps": steps, **words, **place}
    play = {"label": "▶", "method": "animate", "args": [None, playing]}
    pause = {"label": "❚❚", "method": "animate", "args": [[None], at_once]}
    place = {"direction": "left", "x": 0.0, "y": -0.01, "xanchor": "left", "yanchor": "top", "pad": {"t": 52}}
    menu = {"type": "buttons", "buttons": [play, pause], "showactive": False, "font": {"size": 14}, **place}
    figure.update_layout(sliders=[slider], updatemenus=[menu])
