"""Drawings as SVG in the page: sharp at any size, side by side where there is room, and clickable. A narrow
window gets drawings of its own where they are given, so that letters stay readable."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.components.newest import in_order, numbered
from cnnviz.figures.base.scene import Scene

_CSS = """
.drawings { display: flex; flex-wrap: wrap; gap: 12px 20px; align-items: flex-start; }
.drawing { min-width: 0; }
.drawing svg {
  display: block; width: 100%; height: auto; max-height: var(--cnnviz-room, none);  /* the presenter's screen */
  background: var(--cnnviz-paper, transparent); border-radius: 6px;  /* the dark theme's */
}
.drawing text, .drawing path, .drawing polygon { pointer-events: none; }  /* the box below them is meant */
.live [data-item] { cursor: pointer; }
.live [data-item]:hover { stroke: #e85d04; stroke-width: 2.5px; }
"""

_JS = """
function draw(component) {
  const { data, parentElement, setTriggerValue } = component
  let frame = parentElement.querySelector(".drawings")
  if (!frame) {
    frame = document.createElement("div")
    parentElement.appendChild(frame)
  }
  frame.className = "drawings" + (data.live ? " live" : "")
  frame.draw = () => {
    const narrow = data.narrow.length > 0 && frame.clientWidth > 0 && frame.clientWidth < data.turn
    if (frame.drawn === data.stamp + narrow) return
    frame.replaceChildren()
    for (const part of narrow ? data.narrow : data.parts) {
      const holder = document.createElement("div")
      holder.className = "drawing"
      holder.style.flex = `${part.width} 1 ${Math.round(part.width * data.least)}px`
      holder.style.maxWidth = `${Math.round(part.width * data.most)}px`
      holder.innerHTML = part.svg
      const svg = holder.firstElementChild
      svg.setAttribute("role", "img")
      svg.setAttribute("aria-label", part.alt)
      frame.appendChild(holder)
    }
    frame.drawn = data.stamp + narrow
  }
  frame.draw()
  if (!frame.watcher) frame.watcher = new ResizeObserver(() => frame.draw())
  frame.watcher.observe(frame)
  frame.onclick = !data.live ? null : (event) => {
    const hit = event.target.closest("[data-item]")
    if (hit) setTriggerValue("click", hit.dataset.item)
  }
  return () => frame.watcher.disconnect()
}
"""

_render = st.components.v2.component("cnnviz_drawing", css=_CSS, js=in_order(_JS))


def drawing(
    scenes: list[Scene],
    alts: list[str],
    key: str,
    on_click: Callable[[str], None] | None = None,
    least: float = 0.84,
    most: float = 1.9,
    narrow: list[Scene] | None = None,
) -> None:
    """Show scenes side by side; below each other where one would shrink to less than `least` of its size.

    `narrow`: shown instead where one line of `scenes` would shrink to less than `least` of its size; they have
    the same descriptions. `on_click(item)` runs before the page is drawn again, with the item of the shape under
    the mouse."""

    def clicked() -> None:
        item: Any = st.session_state.get(key, {}).get("click")
        if item and on_click is not None:
            on_click(str(item))

    parts, small = _parts(scenes, alts), _parts(narrow, alts) if narrow else []
    stamp = str(hash(tuple(part["svg"] for part in (*parts, *small))))
    turn = round(least * sum(part["width"] for part in parts))
    _render(
        key=key,
        data=numbered(key, {
            "parts": parts, "narrow": small, "turn": turn, "stamp": stamp, "live": on_click is not None,
            "least": least, "most": most,
        }),
        on_click_change=clicked,
    )  # fmt: skip


def _parts(scenes: list[Scene], alts: list[str]) -> list[dict[str, Any]]:
    """What the browser needs of each scene."""
    return [
        {"svg": scene.svg(), "width": round(scene.width), "alt": alt} for scene, alt in zip(scenes, alts, strict=True)
    ]
