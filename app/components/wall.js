const LETTERS = 12  // pixels of a caption
const GROWTH = 3, GROWN = 160, LARGEST = 320, LARGEST_CELLS = 640  // times; pixels of a tile under the pointer
const CHOSEN = "#e85d04"
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }

function build(parent) {
  const wall = document.createElement("div")
  wall.className = "wall"
  wall.innerHTML = `
    <div class="box"><div class="keys" role="grid" tabindex="0"><div role="row"><div role="gridcell" id="tile"></div>
      </div></div><canvas class="tiles" role="img"></canvas><div class="length"></div>
      <div class="echo" aria-hidden="true" hidden><i></i><b></b></div></div>
    <div class="foot"><span class="low"></span><canvas class="bar" width="256" height="1" aria-hidden="true"></canvas>
      <span class="high"></span><span class="words"></span></div>
    <div class="loupe" popover="manual" aria-hidden="true"><canvas></canvas><div class="told"></div></div>`
  parent.appendChild(wall)
  return wall
}

function draw(component) {
  const { data, parentElement, setTriggerValue } = component
  const wall = parentElement.querySelector(".wall") || build(parentElement)
  const find = (name) => wall.querySelector(name)
  const box = find(".box"), canvas = find(".tiles"), loupe = find(".loupe"), keys = find(".keys")
  const ratio = () => window.devicePixelRatio || 1
  let frame = 0, over = false, pointed = -1

  const layOut = () => {
    const wide = box.clientWidth || wall.clientWidth
    if (!wide || over) return
    const letters = LETTERS * (parseFloat(getComputedStyle(wall).getPropertyValue("--cnnviz-letters")) || 1)
    const high = Math.floor(roomBelow(wall) - find(".foot").offsetHeight), full = wall.clientWidth
    const plan = planWall(data, full, high, Math.round(letters * 1.4), ratio())
    wall.plan = { ...plan, letters, caption: Math.round(letters * 1.4), shown: Math.min(high, Math.ceil(plan.total)) }
    // beside other columns the wall holds the height down to the foot of the window, whatever its tiles need
    const fills = parseFloat(getComputedStyle(wall).getPropertyValue("--cnnviz-fills")) === 1
    box.style.height = `${fills ? high : wall.plan.shown}px`
    box.classList.toggle("long", plan.total > high + 0.5)
    find(".length").style.height = `${Math.max(0, Math.ceil(plan.total) - wall.plan.shown)}px`
    paint()
  }
  const place = (index) => {  // of a tile, in the whole wall
    const { columns, pitch, line } = wall.plan
    return [PAD + (index % columns) * pitch, PAD + Math.floor(index / columns) * line]
  }

  const paint = () => {
    const sheet = wall.sheet, plan = wall.plan
    if (!sheet || !plan || over || sheet.stamp !== data.stamp) return
    const began = performance.now(), r = ratio(), wide = plan.wide, high = plan.shown, from = box.scrollTop
    canvas.style.width = `${wide}px`
    canvas.style.height = `${high}px`
    if (canvas.width !== Math.round(wide * r)) canvas.width = Math.round(wide * r)
    if (canvas.height !== Math.round(high * r)) canvas.height = Math.round(high * r)
    const pen = canvas.getContext("2d"), style = getComputedStyle(wall)
    pen.setTransform(1, 0, 0, 1, 0, 0)
    pen.clearRect(0, 0, canvas.width, canvas.height)
    pen.fillStyle = style.color
    pen.font = `${plan.letters * r}px ${style.fontFamily}`
    pen.textBaseline = "middle"
    const first = Math.max(0, Math.floor((from - PAD) / plan.line)) * plan.columns
    const end = Math.min(data.items.length, Math.ceil((from + high) / plan.line) * plan.columns)
    canvas.captions = []
    for (let n = first; n < end; n++) {
      const [x, y] = place(n)
      drawTile(pen, sheet, data, n, Math.round(x * r), Math.round((y - from) * r), plan.zoom * r, plan.zoom)
      const room = Math.max(plan.tile.wide, plan.pitch - plan.gutter) * r
      canvas.captions.push(shorten(pen, data.captions[n], room))
      pen.fillText(canvas.captions.at(-1), Math.round(x * r), Math.round((y - from + plan.tile.high + plan.caption / 2 + 1) * r))
    }
    const chosen = data.items.indexOf(data.chosen)
    if (chosen >= first && chosen < end) frameTile(pen, chosen, CHOSEN, r, from)
    const cursor = wall.focused ? wall.cursor : -1
    if (cursor >= first && cursor < end) frameTile(pen, cursor, style.color, r, from, [4 * r, 3 * r])
    canvas.setAttribute("aria-label", data.alt)
    canvas.dataset.stamp = [data.stamp, data.code, data.chosen, data.unit].join(" ")
    canvas.dataset.milliseconds = (performance.now() - began).toFixed(1)
    Object.assign(canvas.dataset, { columns: plan.columns, pitch: plan.pitch, line: plan.line, zoom: plan.zoom })
    Object.assign(canvas.dataset, { wide: plan.tile.wide, high: plan.tile.high, total: plan.total, letters: plan.letters })
  }
  const frameTile = (pen, index, colour, r, from, dashes = []) => {
    const [x, y] = place(index), { wide, high } = wall.plan.tile
    pen.setLineDash(dashes)
    pen.strokeStyle = colour
    pen.lineWidth = PAD * r
    pen.strokeRect((x - PAD / 2) * r, (y - from - PAD / 2) * r, (wide + PAD) * r, (high + PAD) * r)
    pen.setLineDash([])
    if (index === data.items.indexOf(data.chosen) && data.unit) {
      const [left, top, w, h] = unitBox(data, wall.plan.zoom, data.unit)
      markUnit(pen, [(x + left) * r, (y - from + top) * r, w * r, h * r], r)
    }
  }
  const again = () => { if (!frame) frame = requestAnimationFrame(() => { frame = 0; layOut() }) }

  // --- what the pointer is over -----------------------------------------------------------------------------

  const hit = (event) => {
    const at = canvas.getBoundingClientRect(), { columns, pitch, line, tile, zoom } = wall.plan
    const x = event.clientX - at.left - PAD, y = event.clientY - at.top + box.scrollTop - PAD
    const col = Math.floor(x / pitch), index = Math.floor(y / line) * columns + col
    if (x < 0 || col >= columns || index < 0 || index >= data.items.length) return null
    const inside = [x - col * pitch, y - Math.floor(y / line) * line]
    const share = [Math.min(1, inside[0] / tile.wide), Math.min(1, inside[1] / tile.high)]
    return { index, unit: unitAt(data, zoom, ...inside), share, at: [event.clientX, event.clientY] }
  }
  const hide = () => {
    pointed = -1
    tellPointed(wall, data.group, null)
    loupe.classList.remove("open")
    if (loupe.hidePopover && loupe.matches(":popover-open")) loupe.hidePopover()
  }
  const tell = (found) => {
    if (!found || !wall.sheet || wall.sheet.stamp !== data.stamp) { hide(); return }
    const { index, unit, share, at } = found, { tile, zoom } = wall.plan, r = ratio()
    tellPointed(wall, data.group, { item: data.items[index], share: unit && share, unit })
    const longest = Math.max(tile.wide, tile.high), most = data.cells[1] > 1 ? LARGEST_CELLS : LARGEST
    const room = Math.min(0.7 * innerWidth / tile.wide, 0.7 * innerHeight / tile.high, most / longest)
    const grown = roundZoom(zoom * Math.max(1, Math.min(Math.max(GROWTH, GROWN / longest), room)), r)
    const size = sizeTile(data, grown), picture = loupe.firstElementChild
    picture.style.display = size.wide > 1.35 * tile.wide ? "block" : "none"
    picture.style.width = `${size.wide}px`
    picture.style.height = `${size.high}px`
    picture.width = Math.round(size.wide * r)
    picture.height = Math.round(size.high * r)
    const pen = picture.getContext("2d")
    drawTile(pen, wall.sheet, data, index, 0, 0, grown * r, grown)
    if (unit) markUnit(pen, unitBox(data, grown, unit).map((v) => v * r), r)
    const lines = [data.names[index]]
    if (unit && data.cells[1] === 1) lines.push(`(${unit.join(", ")}): ${valueText(data, wall.sheet, index, unit)}`)
    if (data.notes[index]) lines.push(data.notes[index])
    loupe.lastElementChild.replaceChildren(...lines.map((line, n) => {
      const part = document.createElement(n ? "div" : "b")
      part.textContent = line
      return part
    }))
    if (loupe.showPopover && !loupe.matches(":popover-open")) loupe.showPopover()
    if (pointed !== index) loupe.classList.remove("open")
    const { width, height } = { width: loupe.offsetWidth, height: loupe.offsetHeight }
    const whole = picture.style.display === "block"
    const left = whole ? at[0] - share[0] * size.wide : at[0] + 14, top = whole ? at[1] - share[1] * size.high : at[1] + 14
    loupe.style.left = `${Math.max(4, Math.min(left, innerWidth - width - 4))}px`
    loupe.style.top = `${Math.max(4, Math.min(top, innerHeight - height - 4))}px`
    loupe.style.transformOrigin = `${100 * share[0]}% ${100 * share[1]}%`
    loupe.classList.add("open")
    pointed = index
  }
  box.onpointermove = (event) => { if (event.pointerType !== "touch" && wall.plan) tell(hit(event)) }
  box.onpointerleave = box.onpointercancel = hide
  box.onmousedown = (event) => event.preventDefault()  // the arrow keys go on stepping through the channels
  box.onclick = (event) => {
    const found = data.live && wall.plan && hit(event)
    if (found) setTriggerValue("pick", [data.items[found.index], ...(found.unit || [null, null])])
  }
  box.onscroll = () => { hide(); paint() }

  // What another wall of the group is pointed at: the same channel, and the unit at the same place of its map.
  const mark = (other) => {
    const echo = find(".echo"), index = other ? data.items.indexOf(other.item) : -1
    echo.hidden = index < 0 || !wall.plan
    if (echo.hidden) return
    const [x, y] = place(index), { tile, zoom } = wall.plan, [dot, words] = echo.children
    Object.assign(echo.style, { left: `${x}px`, top: `${y}px`, width: `${tile.wide}px`, height: `${tile.high}px` })
    const many = data.cells[0] * data.cells[1] > 1
    const at = (size, part) => Math.min(part, 1 - 1e-6) * size
    const unit = other.unit && (many ? other.unit : unitAt(data, zoom, ...[tile.wide, tile.high].map((size, n) => at(size, other.share[n]))))
    dot.hidden = !unit
    words.textContent = unit && !many && wall.sheet?.stamp === data.stamp ? valueText(data, wall.sheet, index, unit) : ""
    echo.dataset.item = data.items[index]
    echo.dataset.unit = unit ? unit.join() : ""
    if (!unit) return
    const [left, top, w, h] = unitBox(data, zoom, unit)
    Object.assign(dot.style, { left: `${left}px`, top: `${top}px`, width: `${w}px`, height: `${h}px` })
  }

  // --- by keyboard ------------------------------------------------------------------------------------------

  const name = (index) => [data.names[index], data.notes[index]].filter(Boolean).join(", ")
  const move = (index) => {
    wall.cursor = Math.max(0, Math.min(data.items.length - 1, index))
    const cell = find("#tile"), [x, y] = place(wall.cursor), { tile, columns, line, shown } = wall.plan
    cell.textContent = name(wall.cursor)
    cell.setAttribute("aria-colindex", wall.cursor % columns + 1)
    cell.parentElement.setAttribute("aria-rowindex", Math.floor(wall.cursor / columns) + 1)
    cell.setAttribute("aria-selected", data.items[wall.cursor] === data.chosen)
    keys.setAttribute("aria-activedescendant", "tile")
    keys.setAttribute("aria-colcount", columns)
    keys.setAttribute("aria-rowcount", Math.ceil(data.items.length / columns))
    if (!wall.focused) return
    if (y < box.scrollTop) box.scrollTop = y - PAD
    if (y + line > box.scrollTop + shown) box.scrollTop = y + line - shown
    paint()
    const at = canvas.getBoundingClientRect()
    const middle = [at.left + x + tile.wide / 2, at.top + y - box.scrollTop + tile.high / 2]
    const unit = data.items[wall.cursor] === data.chosen ? data.unit : null
    requestAnimationFrame(() => { if (wall.focused) tell({ index: wall.cursor, unit, share: [0.5, 0.5], at: middle }) })
  }
  keys.onfocus = () => {
    wall.focused = true
    if (wall.plan) move(Math.max(0, data.items.indexOf(data.chosen)))
  }
  keys.onblur = () => { wall.focused = false; hide(); paint() }
  keys.onkeydown = (event) => {
    if (!wall.plan || event.ctrlKey || event.altKey || event.metaKey) return
    const step = STEPS[event.key], last = data.items.length - 1
    if (step) move(wall.cursor + step[0] + step[1] * wall.plan.columns)
    else if (event.key === "Home" || event.key === "End") move(event.key === "Home" ? 0 : last)
    else if ((event.key === "Enter" || event.key === " ") && data.live) {
      setTriggerValue("pick", [data.items[wall.cursor], null, null])
    } else return
    event.preventDefault()
  }

  // --- once for these data ----------------------------------------------------------------------------------

  if (!canvas.dataset.stamp) canvas.setAttribute("aria-label", data.alt)  // else with the new picture
  keys.setAttribute("aria-label", `${data.alt}: arrow keys move, Enter chooses`)
  box.classList.toggle("live", data.live)
  drawFoot(wall, data)
  if (wall.cursor === undefined || wall.cursor >= data.items.length) wall.cursor = 0
  find("#tile").textContent = name(wall.cursor)
  if (pointed < 0) hide()
  layOut()  // with the atlas that is there already, or to hold the room
  if (wall.sheet?.stamp !== data.stamp || wall.sheet.code !== data.code) {
    readSheet(data).then((sheet) => {
      if (over || parentElement.newest !== data.number) return
      wall.sheet = sheet
      layOut()
    })
  }
  wall.leave?.()
  const deafen = hearPointed(wall, data.group, mark)
  const watcher = new ResizeObserver(again)
  watcher.observe(wall)
  const page = (parentElement.host || parentElement).closest?.("[data-testid=stMainBlockContainer]")
  if (page) watcher.observe(page)
  addEventListener("resize", again)
  wall.leave = () => {
    over = true
    deafen()
    watcher.disconnect()
    removeEventListener("resize", again)
    cancelAnimationFrame(frame)
  }
  return () => { wall.leave(); hide() }
}

// The words of a caption, joined by " · ", that have room; a single one is cut.
function shorten(pen, text, room) {
  const parts = text.split(" · ")
  while (parts.length > 1 && pen.measureText(parts.join(" · ")).width > room) parts.pop()
  let words = parts.join(" · ")
  if (pen.measureText(words).width <= room) return words
  while (words && pen.measureText(words + "…").width > room) words = words.slice(0, -1)
  return words + "…"
}

// A frame round one unit, at least so large that it is seen.
function markUnit(pen, [x, y, w, h], ratio) {
  const wide = Math.max(w, 5 * ratio), high = Math.max(h, 5 * ratio)
  const left = x + w / 2 - wide / 2, top = y + h / 2 - high / 2
  for (const [colour, width] of [["#181c24", 3], ["#ffffff", 1.5]]) {
    pen.strokeStyle = colour
    pen.lineWidth = width * ratio
    pen.strokeRect(left, top, wide, high)
  }
}

function drawFoot(wall, data) {
  const foot = wall.querySelector(".foot"), bar = foot.querySelector(".bar")
  foot.hidden = !data.foot && !data.ends
  bar.hidden = !(data.ends && data.palette)
  foot.querySelector(".low").textContent = data.ends ? data.ends[0] : ""
  foot.querySelector(".high").textContent = data.ends ? data.ends[1] : ""
  foot.querySelector(".words").textContent = data.foot
  if (bar.hidden) return
  const bytes = atob(data.palette), pen = bar.getContext("2d"), signed = data.code === "signed" ? 1 : 0
  for (let n = 0; n < 256; n++) {
    const at = 3 * Math.max(signed, n)
    pen.fillStyle = `rgb(${bytes.charCodeAt(at)} ${bytes.charCodeAt(at + 1)} ${bytes.charCodeAt(at + 2)})`
    pen.fillRect(n, 0, 1, 1)
  }
}
