"""A picture that can be clicked: pixels stay pixels, boxes are drawn over it, clicks come back exact."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from app.components import dragging
from app.components.dragging import Grip
from app.components.newest import in_order, numbered
from cnnviz.figures.base.encode import data_url

_CSS = """
.frame { position: relative; display: inline-block; line-height: 0; max-width: 100%; }
.frame img { display: block; max-width: 100%; height: auto; }
.frame.main:not(.fill) img { width: calc(var(--cnnviz-room, var(--natural)) * var(--ratio)); }  /* presented */
.frame.fill { width: 100%; }
.frame.fill.main { width: min(100%, calc(var(--cnnviz-room, 9999px) * var(--ratio))); }
.frame.fill img { width: 100%; }
.frame.live { cursor: crosshair; }
.frame:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
svg { position: absolute; inset: 0; width: 100%; height: 100%; pointer-events: none; }
.label {
  position: absolute; font-size: calc(var(--letters, 13px) * var(--cnnviz-letters, 1)); line-height: 1.2;
  white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
  color: #181c24;  /* the gutters below are white in every theme */
}
"""

_JS = """
function draw(component) {
  const { data, parentElement, setTriggerValue } = component
  let frame = parentElement.querySelector(".frame")
  if (!frame) {
    frame = document.createElement("div")
    frame.appendChild(document.createElement("img"))
    frame.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "svg"))
    parentElement.appendChild(frame)
  }
  const main = data.height >= 400
  frame.className = "frame" + (data.fill ? " fill" : "") + (data.live ? " live" : "") + (main ? " main" : "")
  frame.style.setProperty("--natural", data.height + "px")
  frame.style.setProperty("--ratio", data.width / data.height)
  const image = frame.querySelector("img"), drawing = frame.querySelector("svg")
  if (image.src !== data.src) image.src = data.src
  const sharpen = () => {  // whole pixels when enlarged, smooth when a narrow window reduces the picture
    const scale = image.clientWidth / data.width  // letters grow with the picture, and stay readable in a small one
    const whole = !main || data.fill || Math.abs(scale - Math.round(scale)) < 0.02  // or captions break
    image.style.imageRendering = data.crisp && scale >= 1 && whole ? "pixelated" : "auto"
    frame.style.setProperty("--letters", `${Math.max(12.5, 13 * scale)}px`)
  }
  image.onload = sharpen
  if (!frame.watcher) frame.watcher = new ResizeObserver(() => frame.sharpen())
  frame.sharpen = sharpen
  frame.watcher.observe(frame)
  image.alt = data.alt
  image.width = data.width
  image.height = data.height
  drawing.setAttribute("viewBox", `0 0 ${data.width} ${data.height}`)
  drawing.setAttribute("preserveAspectRatio", "none")
  drawing.replaceChildren()
  for (const box of data.boxes) {
    for (const [colour, width] of [["#ffffff", 4.5], [box.colour, 2.5]]) {
      const shape = document.createElementNS("http://www.w3.org/2000/svg", "rect")
      shape.setAttribute("x", box.x); shape.setAttribute("y", box.y)
      shape.setAttribute("width", box.width); shape.setAttribute("height", box.height)
      shape.setAttribute("fill", "none"); shape.setAttribute("stroke", colour)
      shape.setAttribute("stroke-width", width); shape.setAttribute("vector-effect", "non-scaling-stroke")
      drawing.appendChild(shape)
    }
  }
  frame.querySelectorAll(".label").forEach((old) => old.remove())
  for (const label of data.labels) {
    const words = document.createElement("span")
    words.className = "label"
    words.textContent = words.title = label.text
    words.style.left = `${100 * label.x / data.width}%`
    words.style.top = `${100 * label.y / data.height}%`
    words.style.width = `${100 * label.width / data.width}%`
    frame.appendChild(words)
  }
  frame.onclick = !data.live ? null : (event) => {
    const place = image.getBoundingClientRect()
    const x = (event.clientX - place.left) / place.width * data.width
    const y = (event.clientY - place.top) / place.height * data.height
    setTriggerValue("click", [Math.max(0, x), Math.max(0, y)])
  }
  drag(frame, image, data, (steps) => setTriggerValue("drag", steps))
  return () => frame.watcher.disconnect()
}
"""

_render = st.components.v2.component("cnnviz_picture", css=_CSS + dragging.CSS, js=in_order(dragging.JS + _JS))


@dataclass(frozen=True, slots=True)
class Frame:
    """A rectangle in the picture's own pixels."""

    left: float
    top: float
    width: float
    height: float
    colour: str = "#e85d04"


@dataclass(frozen=True, slots=True)
class Label:
    """A line of words over the picture, at a place and of a width in its own pixels, of a size that can be read
    whatever the window does to the picture. What has no room ends in "…" and is there when pointed at."""

    left: float
    top: float
    width: float
    text: str


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
) -> None:
    """Show `png`, whose coordinates are `size` = (width, height), with frames and labels over it.

    `on_click(x, y)` runs before the page is drawn again, with the point in those coordinates. `crisp`:
    nearest neighbour when the browser scales. `fill`: as wide as the column. `on_drag(right, down)` runs alike when
    the `grip` was dragged to another place."""

    def clicked() -> None:
        point: Any = st.session_state.get(key, {}).get("click")
        if point and on_click is not None:
            on_click(float(point[0]), float(point[1]))

    def dragged() -> None:
        steps: Any = st.session_state.get(key, {}).get("drag")
        if steps and on_drag is not None:
            on_drag(int(steps[0]), int(steps[1]))

    boxes = [{"x": f.left, "y": f.top, "width": f.width, "height": f.height, "colour": f.colour} for f in frames or []]
    _render(
        key=key,
        data=numbered(key, {
            "src": data_url(png), "width": size[0], "height": size[1], "alt": alt, "boxes": boxes,
            "live": on_click is not None, "crisp": crisp, "fill": fill,
            "labels": [{"x": one.left, "y": one.top, "width": one.width, "text": one.text} for one in labels],
            "grip": asdict(grip) if grip else None,
        }),
        on_click_change=clicked,
        on_drag_change=dragged,
    )  # fmt: skip
