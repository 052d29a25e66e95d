"""A picture that can be clicked: pixels stay pixels, boxes are drawn over it, clicks come back exact."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from app.components.newest import keep_newest, number_data
from app.components.source import read_source
from cnnviz.figures.base.encode import data_url

_render = st.components.v2.component(
    "cnnviz_picture",
    css=read_source("picture.css", "dragging.css"),
    js=keep_newest(read_source("room.js", "pointer.js", "dragging.js", "picture.js")),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A rectangle in the picture's own pixels."""

    left: float
    top: float
    width: float
    height: float
    colour: str = "#e85d04"
    fill: str = "none"  # a colour: covers what lies under it, and has no border


@dataclass(frozen=True, slots=True)
class Label:
    """A line of words over the picture, at a place and of a width in its own pixels, of a size that can be read
    whatever the window does to the picture. What has no room ends in "…" and is there when pointed at."""

    left: float
    top: float
    width: float
    text: str


@dataclass(frozen=True, slots=True)
class Grip:
    """A part of the picture that can be dragged, in the picture's own pixels.

    The part at `left`, `top` of this size shows the part at `source` (left, top), moved by whole steps round its
    edges. It follows the pointer in the browser alone; where the pointer rests or is let go, the server is told.
    `step`: pixels of the picture a step; `most`: steps each way; `at`: steps to the right and down now; `hint`: shown
    when pointed at."""

    left: float
    top: float
    width: float
    height: float
    source: tuple[float, float]
    step: float
    most: int
    at: tuple[int, int]
    hint: str


def picture(
    png: bytes,
    size: tuple[int, int],
    alt: str,
    key: str,
    frames: list[Frame] | None = None,
    on_click: Callable[[float, float], None] | None = None,
    crisp: bool = True,
    fill: bool = False,
    labels: Sequence[Label] = (),
    grip: Grip | None = None,
    on_drag: Callable[[int, int], None] | None = None,
    group: str = "",
) -> None:
    """Show `png`, whose coordinates are `size` = (width, height), with frames and labels over it.

    `on_click(x, y)` runs before the page is drawn again, with the point in those coordinates. `crisp`:
    nearest neighbour when the browser scales. `fill`: as wide as the column. `on_drag(right, down)` runs alike when
    the `grip` was dragged to another place. `group`: pictures of one group mark the place that one is pointed at."""

    def clicked() -> None:
        point: Any = st.session_state.get(key, {}).get("click")
        if point and on_click is not None:
            on_click(float(point[0]), float(point[1]))

    def dragged() -> None:
        steps: Any = st.session_state.get(key, {}).get("drag")
        if steps and on_drag is not None:
            on_drag(int(steps[0]), int(steps[1]))

    data = {
        **picture_data(png, size, frames, labels, grip),
        "alt": alt,
        "live": on_click is not None,
        "crisp": crisp,
        "fill": fill,
        "group": group,
    }
    _render(key=key, data=number_data(key, data), on_click_change=clicked, on_drag_change=dragged)


def picture_data(
    png: bytes,
    size: tuple[int, int],
    frames: Sequence[Frame] | None = None,
    labels: Sequence[Label] = (),
    grip: Grip | None = None,
) -> dict[str, Any]:
    """What the browser draws of a picture, see `picture`: also a frame of a motion."""
    return {
        "src": data_url(png),
        "width": size[0],
        "height": size[1],
        "boxes": box_data(frames or []),
        "labels": [{"x": one.left, "y": one.top, "width": one.width, "text": one.text} for one in labels],
        "grip": asdict(grip) if grip else None,
    }


def box_data(frames: Sequence[Frame]) -> list[dict[str, Any]]:
    """What the browser draws of rectangles over a picture."""
    return [
        {"x": one.left, "y": one.top, "width": one.width, "height": one.height, "colour": one.colour, "fill": one.fill}
        for one in frames
    ]


def labelled_picture(drawn: Any, alt: str, key: str, group: str = "") -> None:
    """Show what was drawn with its words over it: `drawn.png`, `.size` and `.words`, one (left, top, width, text) for
    each label. `group`: as for `picture`."""
    picture(drawn.png, drawn.size, alt, key, labels=[Label(*words) for words in drawn.words], group=group)


def labelled_data(drawn: Any) -> dict[str, Any]:
    """What the browser draws of such a picture: also a frame of a motion."""
    return picture_data(drawn.png, drawn.size, labels=[Label(*words) for words in drawn.words])
