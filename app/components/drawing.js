const BELOW_DRAWING = 30  // pixels for a line of words

function light(frame, item) {  // what an item lights up, while the pointer rests on it
  let any = false
  for (const shape of frame.querySelectorAll("[data-lit-by]")) {
    const lit = item !== undefined && shape.dataset.litBy.split(" ").includes(item)
    shape.classList.toggle("lit", lit)
    any ||= lit
  }
  frame.classList.toggle("lighting", any)
}

function draw(component) {
  const { data, parentElement, setTriggerValue } = component
  let frame = parentElement.querySelector(".drawings")
  if (!frame) {
    frame = document.createElement("div")
    parentElement.appendChild(frame)
  }
  frame.className = "drawings" + (data.live ? " live" : "")
  frame.draw = () => {
    frame.style.setProperty("--room", `${Math.floor(roomBelow(frame) - BELOW_DRAWING)}px`)
    const narrow = data.narrow.length > 0 && frame.clientWidth > 0 && frame.clientWidth < data.turn
    if (frame.drawn === data.stamp + narrow) return
    frame.replaceChildren()
    for (const part of narrow ? data.narrow : data.parts) {
      const holder = document.createElement("div")
      holder.className = "drawing"
      holder.style.flex = `${part.width} 1 ${Math.round(part.width * data.least)}px`
      holder.style.maxWidth = narrow ? "100%" : `${Math.round(part.width * data.most)}px`
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
  frame.leave?.()
  addEventListener("resize", frame.draw)
  const drawn = frame.draw
  frame.leave = () => removeEventListener("resize", drawn)
  frame.onpointerover = (event) => light(frame, event.target.closest("[data-item]")?.dataset.item)
  frame.onpointerleave = () => light(frame, undefined)
  frame.onclick = !data.live ? null : (event) => {
    const hit = event.target.closest("[data-item]")
    if (hit) setTriggerValue("click", hit.dataset.item)
  }
  return () => { frame.leave(); frame.watcher.disconnect() }
}
