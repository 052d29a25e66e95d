// One block a layer, as high as its maps are large. The list under them holds the same layers by name, for the
// keyboard, for small windows and for those who know what they want.
function draw(component) {
  const { data, parentElement, setTriggerValue } = component
  let strip = parentElement.querySelector(".strip")
  if (!strip) {
    strip = document.createElement("div")
    strip.className = "strip"
    const blocks = document.createElement("div")
    blocks.className = "blocks"
    blocks.setAttribute("aria-hidden", "true")  // the list says the same
    const tip = document.createElement("div")
    tip.className = "tip"
    tip.setAttribute("aria-hidden", "true")
    tip.popover = "manual"  // above everything, whatever scrolls or clips
    const label = document.createElement("label"), words = document.createElement("span")
    words.className = "label"
    words.setAttribute("aria-hidden", "true")  // the list has the name, without its options
    label.append(words, document.createElement("select"))
    strip.append(label, blocks, tip)
    parentElement.append(strip)
  }
  const blocks = strip.querySelector(".blocks"), list = strip.querySelector("select"), tip = strip.querySelector(".tip")
  strip.querySelector(".label").textContent = data.label
  const pick = (name) => { if (name !== data.chosen) setTriggerValue("pick", name) }
  const signature = data.layers.map((layer) => layer.name).join("\n")
  if (strip.signature !== signature) {
    strip.signature = signature
    blocks.replaceChildren(...data.layers.map((layer) => {
      const block = document.createElement("i")
      block.className = layer.kind
      block.style.setProperty("--share", layer.share)
      return block
    }))
    list.replaceChildren(...data.layers.map((layer) => new Option(layer.name, layer.name)))
  }
  list.setAttribute("aria-label", data.label)
  list.value = data.chosen
  const chosen = data.layers.find((layer) => layer.name === data.chosen)
  list.title = chosen ? `${chosen.name} · ${chosen.words}` : ""
  data.layers.forEach((layer, place) => blocks.children[place].classList.toggle("chosen", layer.name === data.chosen))
  const at = data.layers.findIndex((layer) => layer.name === data.chosen), mark = blocks.children[at]
  if (mark) {  // in sight, without moving the page
    const left = mark.offsetLeft - blocks.clientWidth / 2
    if (mark.offsetLeft < blocks.scrollLeft || mark.offsetLeft + mark.offsetWidth > blocks.scrollLeft + blocks.clientWidth)
      blocks.scrollLeft = left
  }
  list.onchange = () => pick(list.value)
  const under = (event) => {  // the block nearest to the pointer: thin ones shall be hit, too
    const all = [...blocks.children]
    const first = all.findIndex((block) => block.getBoundingClientRect().right >= event.clientX)
    return first < 0 ? all.length - 1 : first
  }
  blocks.onclick = (event) => { if (data.layers.length) pick(data.layers[under(event)].name) }
  blocks.onpointermove = (event) => {
    const place = under(event), layer = data.layers[place]
    if (!layer) return
    const box = blocks.children[place].getBoundingClientRect()
    tip.textContent = `${layer.name} · ${layer.words}`
    if (!tip.matches(":popover-open")) tip.showPopover()
    const middle = Math.min(Math.max(box.left + box.width / 2, tip.offsetWidth / 2 + 6), innerWidth - tip.offsetWidth / 2 - 6)
    tip.style.left = `${middle}px`
    tip.style.top = `${blocks.getBoundingClientRect().bottom + 6}px`
    ;[...blocks.children].forEach((block, n) => block.classList.toggle("under", n === place))
  }
  blocks.onpointerleave = () => {
    if (tip.matches(":popover-open")) tip.hidePopover()
    ;[...blocks.children].forEach((block) => block.classList.remove("under"))
  }
}
