const MAIN = 230000  // pixels of a picture that is the page's own, which takes all the room there is
const LEAST_SCALE = 0.64  // of a picture with words in its gutters
const BESIDE = 40  // pixels for a line of words below it

function draw(component) {
  const { data, parentElement, setTriggerValue } = component
  let frame = parentElement.querySelector(".frame")
  if (!frame) {
    frame = document.createElement("div")
    frame.appendChild(document.createElement("img"))
    frame.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "svg"))
    const scroller = document.createElement("div")
    scroller.className = "scroller"
    scroller.appendChild(frame)
    parentElement.appendChild(scroller)
  }
  const main = data.width * data.height >= MAIN
  frame.className = "frame" + (data.fill ? " fill" : "") + (data.live ? " live" : "") + (main ? " main" : "")
  frame.style.setProperty("--natural", data.height + "px")
  // Words stand in the gutters of the picture: in a window too narrow for them it is moved sideways, not made smaller.
  const sheet = data.labels.length > 4 && main
  frame.style.minWidth = sheet ? `${Math.round(LEAST_SCALE * data.width)}px` : ""
  frame.style.setProperty("--ratio", data.width / data.height)
  const image = frame.querySelector("img"), drawing = frame.querySelector("svg")
  if (image.src !== data.src) image.src = data.src
  const sharpen = () => {  // whole pixels when enlarged, smooth when a narrow window reduces the picture
    const scale = image.clientWidth / data.width  // letters grow with the picture, and stay readable in a small one
    const whole = !main || data.fill || Math.abs(scale - Math.round(scale)) < 0.02  // or captions break
    image.style.imageRendering = data.crisp && scale >= 1 && whole ? "pixelated" : "auto"
    frame.style.setProperty("--letters", `${Math.max(12.5, 13 * scale)}px`)
    const scroller = frame.parentElement  // what is moved sideways is moved by the keyboard, too
    if (scroller.scrollWidth > scroller.clientWidth) scroller.tabIndex = 0
    else scroller.removeAttribute("tabindex")
  }
  const layOut = () => {
    if (main || data.fill) frame.style.setProperty("--room", `${Math.floor(roomBelow(frame) - BESIDE)}px`)
    sharpen()
  }
  image.onload = sharpen
  if (!frame.watcher) frame.watcher = new ResizeObserver(() => frame.sharpen())
  frame.sharpen = sharpen
  frame.watcher.observe(frame)
  frame.leave?.()
  addEventListener("resize", layOut)
  frame.leave = () => removeEventListener("resize", layOut)
  layOut()
  image.alt = data.alt
  image.width = data.width
  image.height = data.height
  drawing.setAttribute("viewBox", `0 0 ${data.width} ${data.height}`)
  drawing.setAttribute("preserveAspectRatio", "none")
  drawing.replaceChildren()
  for (const box of data.boxes) {
    const filled = box.fill !== "none"
    for (const [colour, width] of filled ? [["none", 0]] : [["#ffffff", 4.5], [box.colour, 2.5]]) {
      const shape = document.createElementNS("http://www.w3.org/2000/svg", "rect")
      shape.setAttribute("x", box.x); shape.setAttribute("y", box.y)
      shape.setAttribute("width", box.width); shape.setAttribute("height", box.height)
      shape.setAttribute("fill", box.fill); shape.setAttribute("stroke", colour)
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
  let spot = frame.querySelector(".spot")
  if (!spot) {
    spot = document.createElement("div")
    spot.className = "spot"
    spot.setAttribute("aria-hidden", "true")
    spot.hidden = true
    frame.appendChild(spot)
  }
  frame.onpointermove = (event) => {
    const place = image.getBoundingClientRect(), { clientX: x, clientY: y } = event
    if (event.pointerType === "touch") return
    tellPointed(frame, data.group, [(x - place.left) / place.width, (y - place.top) / place.height])
  }
  frame.onpointerleave = frame.onpointercancel = () => tellPointed(frame, data.group, null)
  frame.deafen?.()
  frame.deafen = hearPointed(frame, data.group, (place) => {
    spot.hidden = !Array.isArray(place)
    if (!spot.hidden) [spot.style.left, spot.style.top] = place.map((share) => `${100 * share}%`)
  })
  drag(frame, image, data, (steps) => setTriggerValue("drag", steps))
  return () => { frame.leave(); frame.watcher.disconnect(); frame.deafen() }
}
