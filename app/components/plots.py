"""Plotly figures that answer: scenes whose cameras move together, points that can be clicked, a slider over
frames. Plotly's own script comes out of the installed package; the browser gets it once a visit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.newest import in_order, numbered

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_CSS = """
.cnnviz-plot { position: relative; width: 100%; container-type: inline-size; }
.cnnviz-plot .saves { position: absolute; top: 0; right: 0; display: flex; gap: 6px; }
.cnnviz-plot .saves button {
  font: 14px var(--st-font, sans-serif); padding: 2px 9px; border-radius: 8px; cursor: pointer;
  border: 1px solid var(--st-border-color, #d5dae1); background: transparent;
  color: var(--cnnviz-ink, var(--st-text-color, #181c24));
}
@container (max-width: 800px) { .cnnviz-plot .saves { position: static; justify-content: flex-end; } }
.cnnviz-plot .saves button:hover { border-color: var(--st-primary-color); color: var(--st-primary-color); }
.cnnviz-plot.live .nsewdrag { cursor: crosshair; }
"""

_LINK = """
const sceneNames = (layout) => Object.keys(layout).filter((name) => /^scene[0-9]*$/.test(name))
const linkCameras = (plot, ended) => {
  const scenes = () => sceneNames(plot.layout)
  let waiting = null
  const follow = (change) => {
    const moved = Object.keys(change).find(name => /^scene[0-9]*[.]camera$/.test(name))
    if (!moved) return null
    return Object.fromEntries(scenes().map(name => [name + ".camera", change[moved]]))
  }
  plot.on("plotly_relayouting", (change) => {
    const all = follow(change)
    if (!all) return
    if (!waiting) requestAnimationFrame(() => { const last = waiting; waiting = null; Plotly.relayout(plot, last) })
    waiting = all
  })
  const cameras = () => scenes().map((name) => plot._fullLayout[name]._scene.getCamera())
  const far = (eye, other) => !other || ["x", "y", "z"].some((axis) => Math.abs(eye[axis] - other[axis]) > 1e-3)
  let told = null
  const turned = (camera) => {
    told = { ...camera.eye }
    if (scenes().length > 1) Plotly.relayout(plot, Object.fromEntries(scenes().map(name => [name + ".camera", camera])))
    if (ended) ended(camera.eye)
  }
  plot.on("plotly_relayout", (change) => {
    const all = follow(change)
    if (all && Object.keys(change).length === 1) turned(Object.values(all)[0])  // more keys: of our own doing
  })
  // Where frames are slow, a scene still turns after the button was let go, and Plotly tells nobody.
  plot.addEventListener("pointerdown", () => {
    const before = cameras()
    window.addEventListener("pointerup", () => setTimeout(() => {
      const moved = cameras().find(({ eye }, n) => before[n] && far(eye, before[n].eye) && far(eye, told))
      if (moved) turned(moved)
    }, 400), { once: true })
  })
}
"""

_JS = (
    _LINK
    + """
function draw(component) {
  const { data, parentElement, setTriggerValue } = component
  let frame = parentElement.querySelector(".cnnviz-plot")
  if (!frame) {
    frame = document.createElement("div")
    frame.innerHTML = '<div class="plot"></div><div class="saves"></div>'
    parentElement.appendChild(frame)
  }
  frame.className = "cnnviz-plot" + (data.live.includes("point") ? " live" : "")
  const plot = frame.querySelector(".plot"), saves = frame.querySelector(".saves")
  // In a narrow window the picture is lower, its headings are smaller, and scenes are seen from farther away.
  const wide = frame.clientWidth || 1080, narrow = wide < 800
  const presented = getComputedStyle(document.documentElement).getPropertyValue("--cnnviz-present")
  const most = presented && data.height > 400 ? Math.max(data.height, window.innerHeight - 285) : data.height
  const high = Math.round(Math.min(most, Math.max(350, 0.6 * wide)))
  plot.style.height = high + "px"
  const fitted = (figure) => {
    figure.layout.height = high
    if (narrow) for (const note of figure.layout.annotations || []) note.font = { ...note.font, size: 12 }
    for (const name of sceneNames(figure.layout)) {
      const scene = figure.layout[name], part = scene.domain.x[1] - scene.domain.x[0]
      frame.away = Math.max(1, (narrow ? 1.25 : wide < 1060 ? 1.05 : 0.9) * (high - 70) / (part * wide))
      if (narrow) for (const axis of [scene.xaxis, scene.yaxis, scene.zaxis]) {
        axis.tickfont.size = 10
        axis.title.font.size = 11
      }
      for (const axis of "xyz") scene.camera.eye[axis] *= frame.away
    }
    return figure
  }
  plot.setAttribute("role", "img")
  plot.setAttribute("aria-label", data.alt)
  frame.say = (kind, value) => { if (data.live.includes(kind)) setTriggerValue(kind, value) }
  let over = false
  const paint = () => {
    if (over || parentElement.newest !== data.number) return
    if (!window.Plotly) { setTimeout(paint, 30); return }
    if (frame.drawn === data.stamp) return
    const figure = fitted(JSON.parse(data.figure))
    const seen = frame.drawn && plot.layout && plot.layout.scene && plot.layout.scene.camera
    if (seen) for (const name of sceneNames(figure.layout)) figure.layout[name].camera = seen
    frame.drawn = data.stamp
    const config = { displayModeBar: false, responsive: true, doubleClick: "reset", scrollZoom: false }
    Plotly.react(plot, { ...figure, config }).then(() => {
      if (frame.heard) return
      frame.heard = true
      linkCameras(plot, (eye) => frame.say("camera", [eye.x, eye.y, eye.z].map((v) => v / frame.away)))
      plot.on("plotly_click", (event) => {
        const hit = event.points[0]
        frame.say("point", [hit.x, hit.y, hit.xaxis ? hit.xaxis._id : hit.fullData.scene])
      })
      plot.on("plotly_sliderchange", (event) => {
        clearTimeout(frame.slid)
        frame.slid = setTimeout(() => frame.say("frame", event.step.label), 700)
      })
    })
  }
  paint()
  saves.replaceChildren(...["png", "svg"].map((format) => {
    const button = document.createElement("button")
    button.textContent = format.toUpperCase()
    button.title = "Save the picture as " + format.toUpperCase()
    button.onclick = () => Plotly.downloadImage(plot, {
      format, filename: data.name, width: plot.clientWidth, height: high, scale: format === "png" ? 2 : 1,
    })
    return button
  }))
  if (!frame.watcher) {
    frame.watcher = new ResizeObserver(() => {
      if (frame.drawn && plot.clientWidth) Plotly.Plots.resize(plot)
    })
  }
  frame.watcher.observe(plot)
  return () => { over = true; frame.watcher.disconnect() }
}
"""
)


def _plotly_source() -> str:
    import plotly

    return (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


# As text of a script element: the file is no module and must see the window as `this`.
_LIBRARY = """
export default function () {
  if (window.Plotly || document.getElementById("cnnviz-plotly")) return
  const script = document.createElement("script")
  script.id = "cnnviz-plotly"
  script.textContent = SOURCE
  document.head.appendChild(script)
}
"""


# Two components, so that the four megabytes are a message of their own that never changes: Streamlit sends such
# a message once and then only its hash.
_library = st.components.v2.component(
    "cnnviz_plotly", js=_LIBRARY.replace("SOURCE", json.dumps(_plotly_source())), isolate_styles=False
)
_render = st.components.v2.component("cnnviz_plot", css=_CSS, js=in_order(_JS), isolate_styles=False)


def plot(figure: "Figure", alt: str, key: str, name: str, **answers: Callable[[Any], None]) -> None:
    """Show a figure as wide as the column, with buttons that save it as `name`.png and .svg.

    Where it has several scenes, their cameras move together. `answers`: on_point([x, y, axis or scene]) for a
    click, on_camera([x, y, z]) after a turn, on_frame(label) after the slider has rested; each runs before the
    page is drawn again."""
    live = [kind.removeprefix("on_") for kind in answers]

    def answer(kind: str) -> Callable[[], None]:
        def told() -> None:
            value = st.session_state.get(key, {}).get(kind)
            if value is not None and f"on_{kind}" in answers:
                answers[f"on_{kind}"](value)

        return told

    drawn = figure.to_json()
    _library(key=f"{key}_library")
    _render(
        key=key,
        data=numbered(key, {
            "figure": drawn, "stamp": str(hash(drawn)), "height": figure.layout.height, "alt": alt, "name": name,
            "live": live,
        }),
        on_point_change=answer("point"), on_camera_change=answer("camera"), on_frame_change=answer("frame"),
    )  # fmt: skip


def as_page(figure: "Figure") -> str:
    """The figure as one HTML file that needs no network, its cameras linked as here."""
    after = _LINK + 'linkCameras(document.getElementById("{plot_id}"), null)'
    return figure.to_html(include_plotlyjs=True, auto_play=False, post_script=after, config={"displaylogo": False})
