const REST = 180  // milliseconds without a move after which the server is told

function drag(frame, image, data, tell) {
  let grip = frame.querySelector(".grip")
  if (!data.grip) { if (grip) grip.remove(); return }
  if (!grip) {
    grip = document.createElement("div")
    grip.className = "grip"
    grip.setAttribute("aria-hidden", "true")  // the number fields do the same by keyboard
    grip.appendChild(document.createElement("canvas"))
    frame.appendChild(grip)
  }
  const { left, top, width, height, source, step, most, at } = data.grip
  grip.title = data.grip.hint
  const put = (side, share) => { grip.style[side] = `${100 * share}%` }
  put("left", left / data.width); put("top", top / data.height)
  put("width", width / data.width); put("height", height / data.height)
  const canvas = grip.firstChild
  if (!grip.held) canvas.width = canvas.height = 0  // the picture itself shows where it is
  grip.at = at
  const show = ([dx, dy]) => {
    canvas.width = width; canvas.height = height
    const pen = canvas.getContext("2d"), wrap = (value, size) => ((value % size) + size) % size
    const x = wrap(dx * step, width), y = wrap(dy * step, height)
    for (const i of [x - width, x]) for (const j of [y - height, y])
      pen.drawImage(image, source[0], source[1], width, height, i, j, width, height)
  }
  grip.onpointerdown = (event) => {
    if (event.button !== 0 || !image.complete) return
    event.preventDefault()
    grip.setPointerCapture(event.pointerId)
    grip.held = { x: event.clientX, y: event.clientY, from: grip.at, told: grip.at, now: grip.at }
  }
  grip.onpointermove = (event) => {
    const held = grip.held
    if (!held) return
    const size = step * image.clientWidth / data.width  // pixels of the screen a step
    const moved = [event.clientX - held.x, event.clientY - held.y]
    const now = held.from.map((value, i) => Math.max(-most, Math.min(most, value + Math.round(moved[i] / size))))
    if (String(now) === String(held.now)) return
    held.now = now
    show(now)
    clearTimeout(held.rest)
    held.rest = setTimeout(() => say(held), REST)
  }
  const say = (held) => {
    if (String(held.now) === String(held.told)) return
    held.told = held.now
    tell(held.now)
  }
  grip.onpointerup = grip.onpointercancel = () => {
    const held = grip.held
    if (!held) return
    clearTimeout(held.rest)
    grip.held = null
    say(held)
  }
}
