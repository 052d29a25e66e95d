const INK_SIDE = 512, INK_WIDTH = 44  // pixels of the canvas, and of a line
const APART = 2  // steps of the grid between two points that are kept

function draw(component) {
  const { data, parentElement, setTriggerValue } = component
  let canvas = parentElement.querySelector(".sketch")
  if (!canvas) {
    canvas = document.createElement("canvas")
    canvas.className = "sketch"
    canvas.width = canvas.height = INK_SIDE
    canvas.setAttribute("role", "img")
    parentElement.appendChild(canvas)
  }
  canvas.setAttribute("aria-label", data.alt)
  const steps = data.alphabet.length, scale = INK_SIDE / steps
  const write = (line) => line.map(([x, y]) => data.alphabet[x] + data.alphabet[y]).join("")
  const read = (part) => (part.match(/../g) || []).map((pair) => [...pair].map((one) => data.alphabet.indexOf(one)))
  const paint = (line) => {
    const pen = canvas.getContext("2d")
    pen.strokeStyle = "#ffffff"
    pen.lineWidth = INK_WIDTH
    pen.lineCap = pen.lineJoin = "round"
    pen.beginPath()
    for (const [x, y] of [line[0], ...line]) pen.lineTo((x + 0.5) * scale, (y + 0.5) * scale)
    pen.stroke()
  }
  if (!canvas.line) {
    canvas.strokes = data.ink.split(".").filter(Boolean)
    canvas.getContext("2d").clearRect(0, 0, INK_SIDE, INK_SIDE)
    for (const part of canvas.strokes) paint(read(part))
    canvas.dataset.stamp = data.ink
  }
  const place = (event) => {
    const box = canvas.getBoundingClientRect()
    const step = (share) => Math.max(0, Math.min(steps - 1, Math.floor(share * steps)))
    return [step((event.clientX - box.left) / box.width), step((event.clientY - box.top) / box.height)]
  }
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId)
    canvas.line = [place(event)]
    paint(canvas.line)
  }
  canvas.onpointermove = (event) => {
    if (!canvas.line) return
    const [x, y] = place(event), [oldX, oldY] = canvas.line.at(-1)
    if (Math.hypot(x - oldX, y - oldY) < APART) return
    canvas.line.push([x, y])
    paint(canvas.line.slice(-2))
  }
  canvas.onpointerup = canvas.onpointercancel = () => {
    if (!canvas.line) return
    canvas.strokes.push(write(canvas.line))
    canvas.line = null
    setTriggerValue("ink", canvas.strokes.join("."))
  }
}
