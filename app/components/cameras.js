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
