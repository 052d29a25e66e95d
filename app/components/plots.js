// Ink, rules and paper of the figures' style, as they are on a dark ground; the colours of data stay what they mean.
const ON_DARK = {
  "#181c24": "#e8ebf0", "#3b4351": "#c3cad5", "#5b6470": "#aab3c0", "#8b95a5": "#8b95a5", "#7f8a99": "#9aa5b4",
  "#e3e7ec": "#303743", "#dde1e7": "#303743", "#d5dae1": "#3a424e", "#c9cfd7": "#4a5361",
}
function drawnOnDark(text) {
  for (const [light, dark] of Object.entries(ON_DARK)) text = text.replaceAll(`"${light}"`, `"${dark}"`)
  const figure = JSON.parse(text)
  figure.layout.paper_bgcolor = figure.layout.plot_bgcolor = "rgba(0,0,0,0)"
  for (const name of sceneNames(figure.layout)) figure.layout[name].bgcolor = "rgba(0,0,0,0)"
  return figure
}

// Letters as large as presenter mode wants them, wherever the figure says how large they are.
function enlargeLetters(figure, factor) {
  const visit = (part) => {
    for (const [name, value] of Object.entries(part)) {
      if (!value || typeof value !== "object") continue
      if (name.endsWith("font") && value.size) value.size *= factor
      else if (!Array.isArray(value) || typeof value[0] === "object") visit(value)
    }
  }
  figure.layout.font = { size: 12, ...figure.layout.font }
  visit(figure.layout)
  visit(figure.data)
  if (figure.layout.margin?.t) figure.layout.margin.t *= factor
  for (const axis of Object.keys(figure.layout).filter((name) => /^[xy]axis/.test(name))) figure.layout[axis].automargin = true
}

const BELOW_PLOT = 12, PANEL = 250, LOWEST = 180, AROUND = 90  // pixels
const BETWEEN = 0.17  // share of the height between panels below each other, for the title of an axis

// Panels that stand beside each other, below each other.
function stackPanels(layout, count) {
  const high = (1 - (count - 1) * BETWEEN) / count
  for (let place = 0; place < count; place++) {
    const end = place ? place + 1 : "", bottom = (count - 1 - place) * (high + BETWEEN)
    layout[`xaxis${end}`].domain = [0, 1]
    layout[`yaxis${end}`].domain = [bottom, bottom + high]
  }
}

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
  const isStacked = () => data.panels > 1 && (frame.clientWidth || 1080) < 500
  let stacked = isStacked()
  const main = data.height > 400  // the page's own figure takes all the height there is, but for its buttons
  const measure = () => {
    const across = frame.clientWidth || 1080
    if (stacked) return Math.min(data.panels * PANEL + AROUND, Math.max(roomBelow(frame) - BELOW_PLOT, data.panels * LOWEST))
    return Math.round(main && across >= 500 ? roomBelow(frame) - BELOW_PLOT : Math.min(data.height, Math.max(350, 0.6 * across)))
  }
  let high = measure()
  plot.style.height = high + "px"
  const letters = parseFloat(getComputedStyle(frame).getPropertyValue("--cnnviz-letters")) || 1
  const fitted = (figure) => {
    figure.layout.height = high
    if (stacked) stackPanels(figure.layout, data.panels)
    if (narrow) for (const note of figure.layout.annotations || []) note.font = { ...note.font, size: 12 }
    if (letters > 1) enlargeLetters(figure, letters)
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
  const move = () => {  // a frame of a motion: the same figure, turned or at another place of its slider
    if (data.camera) {
      const [x, y, z] = data.camera.map((part) => part * frame.away)
      const turned = sceneNames(plot.layout).map((name) => [`${name}.camera.eye`, { x, y, z }])
      Plotly.relayout(plot, Object.fromEntries(turned))
    }
    if (data.frame) {
      const at_once = { mode: "immediate", frame: { duration: 0, redraw: true }, transition: { duration: 0 } }
      Plotly.animate(plot, [data.frame], at_once).then(() => clearTimeout(frame.slid)).catch(() => {})
    }
  }
  let over = false
  const paint = () => {
    if (over || parentElement.newest !== data.number) return
    if (!window.Plotly) {
      loadPlotly()
      setTimeout(paint, 30)
      return
    }
    if (frame.drawn === data.stamp + data.dark + letters) return move()
    high = measure()  // a bar at the foot may have come while the library was on its way
    plot.style.height = high + "px"
    const figure = fitted(data.dark ? drawnOnDark(data.figure) : JSON.parse(data.figure))
    const seen = frame.drawn && plot.layout && plot.layout.scene && plot.layout.scene.camera
    if (seen) for (const name of sceneNames(figure.layout)) figure.layout[name].camera = seen
    frame.drawn = data.stamp + data.dark + letters
    const config = { displayModeBar: false, responsive: true, doubleClick: "reset", scrollZoom: false }
    Plotly.react(plot, { ...figure, config }).then(() => {
      frame.resize()
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
    button.onclick = () => Plotly.downloadImage(data.dark ? fitted(JSON.parse(data.figure)) : plot, {
      format, filename: data.name, width: plot.clientWidth, height: high, scale: format === "png" ? 2 : 1,
    })
    return button
  }))
  const resize = () => {
    if (frame.drawn && frame.clientWidth && isStacked() !== stacked) {  // the window has become narrow, or wide again
      stacked = !stacked
      frame.drawn = ""
      high = measure()
      plot.style.height = high + "px"
      return paint()
    }
    if (!frame.drawn || !main || measure() === high) return
    high = measure()
    plot.style.height = high + "px"
    if (frame.drawn && plot.clientWidth) Plotly.Plots.resize(plot)
  }
  frame.resize = resize
  frame.leave?.()
  for (const kind of ["resize", "cnnviz-drawn"]) addEventListener(kind, resize)
  frame.leave = () => { for (const kind of ["resize", "cnnviz-drawn"]) removeEventListener(kind, resize) }
  if (!frame.watcher) {
    frame.watcher = new ResizeObserver(() => {
      if (frame.drawn && plot.clientWidth) Plotly.Plots.resize(plot)
      frame.resize()
    })
  }
  frame.watcher.observe(plot)
  return () => { over = true; frame.leave(); frame.watcher.disconnect() }
}
