const EDGE = 8, WIDE = { cards: 760, tiles: 620 }, FEW = 240  // pixels: to the window's edge, of the panel, of room below
const UNANSWERED_CARD = 700, TRIES_CARD = 8  // milliseconds between two tries of what the app has not answered

function make(kind, name, text = "") {
  const made = document.createElement(kind)
  made.className = name
  made.textContent = text
  return made
}

class Picker {
  constructor(root) {
    this.root = root
    this.serial = 0
    this.unanswered = []
    this.open = false
    const whole = make("div", "picker")
    this.button = make("button", "chosen")
    this.button.type = "button"
    this.button.setAttribute("aria-haspopup", "dialog")
    this.panel = make("div", "panel")
    this.search = make("input", "search")
    this.list = make("div", "list")
    this.foot = make("div", "foot")
    this.spoken = make("div", "spoken")
    const drop = make("div", "drop")
    this.panel.popover = drop.popover = "manual"  // above everything, whatever it stands in
    this.spoken.setAttribute("role", "status")
    this.list.id = "cards"
    Object.assign(this.search, { type: "text", autocomplete: "off", spellcheck: false, maxLength: 2000 })
    this.search.setAttribute("autocapitalize", "off")
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list",
      "aria-controls": "cards", "aria-haspopup": "listbox" })) this.search.setAttribute(name, value)
    this.panel.append(this.search, this.spoken, this.list, this.foot)
    whole.append(this.button, this.panel, drop)
    root.append(whole)
    this.button.onclick = () => this.open ? this.close() : this.show()
    this.button.onkeydown = (event) => {
      if (event.key !== "ArrowDown" || this.open) return
      event.preventDefault()
      this.show()
    }
    this.search.oninput = () => this.fill(true)
    this.panel.onkeydown = (event) => this.press(event)
    this.panel.addEventListener("focusout", (event) => {
      const to = event.relatedTarget
      if (to && !this.panel.contains(to) && to !== this.button) this.close(false)
    })
  }

  update(data, trigger) {
    this.data = data
    this.trigger = trigger
    this.serial = Math.max(this.serial, data.done)
    this.unanswered = this.unanswered.filter(([serial]) => serial > data.done)
    if (!this.unanswered.some(([, kind]) => kind === "pick")) this.picked = null
    this.label()
    if (this.open) this.fill(false)
    if (!this.listening) this.listen()
    this.handOver()
  }

  listen() {
    this.listening = new AbortController()
    const { signal } = this.listening
    const outside = (event) => {
      if (this.open && !event.composedPath().includes(this.root)) this.close(false)
    }
    document.addEventListener("pointerdown", outside, { signal, capture: true })
    window.addEventListener("resize", () => this.place(), { signal })
    window.visualViewport?.addEventListener("resize", () => this.place(), { signal })
    document.addEventListener("scroll", (event) => {
      if (this.open && event.target !== this.list) this.place()
    }, { signal, capture: true })
    listenForFiles(this, signal)
  }

  leave() {
    this.close(false)
    clearTimeout(this.timer)
    this.listening?.abort()
    this.listening = null
  }

  // --- what the server is told: all that it has not answered, until it has ---

  say(...message) {
    this.unanswered.push([++this.serial, ...message])
    this.send(TRIES_CARD)
    return this.serial
  }

  send(tries) {
    clearTimeout(this.timer)
    if (!this.unanswered.length || !tries) return
    this.trigger("say", this.unanswered)
    const again = () => {
      const app = document.querySelector("[data-testid=stApp]")
      if (app && app.dataset.testScriptState !== "notRunning") this.timer = setTimeout(again, UNANSWERED_CARD)
      else this.send(tries - 1)
    }
    this.timer = setTimeout(again, UNANSWERED_CARD)
  }

  handOver() { handOver(this) }

  // --- the button ---

  label() {
    const { data } = this, value = this.picked ?? data.chosen
    const card = data.cards.find((one) => one.value === value) || { title: value, facts: [], thumbnail: "" }
    const words = make("span", "words"), facts = card.facts.join(" · ")
    words.append(make("span", "title", card.title))
    if (facts) words.append(make("span", "facts", facts))
    this.button.replaceChildren(...(card.thumbnail ? [this.thumbnail(card)] : []), words)
    words.title = this.button.title = [card.title, ...card.facts].join(" · ")  // what has no room is there when pointed at
    this.button.setAttribute("aria-label", `${data.label}: ${[card.title, ...card.facts].join(", ")}`)
    this.button.setAttribute("aria-expanded", this.open)
    this.button.setAttribute("aria-busy", this.picked !== null && this.picked !== undefined)
    this.button.dataset.label = data.label
    this.button.dataset.value = value
    this.search.placeholder = data.search
    this.search.setAttribute("aria-label", `${data.label}: ${data.search}`)
    this.list.setAttribute("aria-label", data.label)
    this.panel.setAttribute("aria-label", data.label)
  }

  thumbnail(card) {
    const image = make("img", "")
    image.src = card.thumbnail
    image.alt = ""
    return image
  }

  // --- the panel ---

  show() {
    this.open = true
    this.search.value = ""
    this.active = this.data.chosen
    this.panel.setAttribute("role", "dialog")
    this.list.setAttribute("role", "listbox")
    this.search.setAttribute("aria-expanded", "true")
    this.panel.classList.add("open")
    this.panel.showPopover?.()
    this.fill(false)
    this.place()
    this.search.focus({ preventScroll: true })
    this.button.setAttribute("aria-expanded", "true")
    this.option(this.active)?.scrollIntoView({ block: "nearest" })
    if (this.data.tellsOpening) this.say("open")
  }

  close(back = true) {
    if (!this.open) return
    this.open = false
    this.panel.hidePopover?.()
    this.panel.classList.remove("open")
    this.panel.removeAttribute("role")
    this.list.removeAttribute("role")
    this.search.setAttribute("aria-expanded", "false")
    this.search.removeAttribute("aria-activedescendant")
    this.list.replaceChildren()
    this.foot.replaceChildren()
    this.spoken.textContent = ""
    this.button.setAttribute("aria-expanded", "false")
    if (back) this.button.focus({ preventScroll: true })
  }

  place() {
    if (!this.open) return
    const at = this.button.getBoundingClientRect(), seen = window.visualViewport
    const width = document.documentElement.clientWidth, height = seen?.height ?? window.innerHeight
    const wide = Math.min(WIDE[this.data.tiles ? "tiles" : "cards"], width - 2 * EDGE)
    const below = height - at.bottom - 4 - EDGE, above = at.top - 4 - EDGE
    const up = below < FEW && above > below, style = this.panel.style
    style.width = `${wide}px`
    style.left = `${Math.max(EDGE, Math.min(at.left, width - wide - EDGE))}px`
    style.maxHeight = `${Math.max(120, Math.min(up ? above : below, 760))}px`
    style.top = up ? "auto" : `${Math.max(EDGE, at.bottom + 4)}px`
    style.bottom = up ? `${window.innerHeight - at.top + 4}px` : "auto"
  }

  // What was typed decides; `typed`: just now, so that the first match becomes the active card.
  fill(typed) {
    const { data } = this, text = this.search.value.trim(), found = find(data.cards, text)
    const kept = this.list.scrollTop
    this.shown = found.map((card) => card.value)
    this.list.className = data.tiles ? "list tiles" : "list"
    const groups = new Map()
    for (const card of found) {
      const name = text ? "" : card.group
      if (!groups.has(name)) groups.set(name, [])
      groups.get(name).push(card)
    }
    const drawn = [...groups].map(([name, cards]) => this.group(name, cards, text !== ""))
    if (data.newNames && text && !this.shown.includes(text)) {
      const open = { value: text, title: `Open “${text}”`, facts: [], badge: "", thumbnail: "", typed: true, note: "" }
      drawn.push(this.group("", [open], false))
      this.shown.push(text)
    }
    if (!drawn.length) {
      const none = make("div", "none card", "Nothing matches.")
      none.setAttribute("role", "option")
      none.setAttribute("aria-disabled", "true")
      none.setAttribute("aria-selected", "false")
      drawn.push(none)
    }
    this.list.replaceChildren(...drawn)
    this.list.scrollTop = typed ? 0 : kept
    this.spoken.textContent = text ? `${found.length} ${found.length === 1 ? "match" : "matches"}` : ""
    const first = this.shown[0] ?? null
    this.move(typed || !this.shown.includes(this.active) ? (text ? first : data.chosen) : this.active, typed)
  }

  group(name, cards, badged) {
    const drawn = make("div", "group"), grid = make("div", "cards")
    drawn.setAttribute("role", "group")
    drawn.setAttribute("aria-label", name || "Matches")
    grid.setAttribute("role", "presentation")
    if (name) {
      const heading = make("div", "heading", name)
      heading.setAttribute("aria-hidden", "true")  // it is the group's label
      drawn.append(heading)
    }
    grid.append(...cards.map((card) => this.card(card, badged)))
    drawn.append(grid)
    return drawn
  }

  card(card, badged) {
    const drawn = make("div", card.typed ? "card typed" : "card"), words = make("span", "words")
    drawn.setAttribute("role", "option")
    drawn.setAttribute("aria-selected", card.value === this.data.chosen)
    drawn.id = `card-${this.data.cards.indexOf(card)}`
    drawn.dataset.value = card.value
    if (card.note) drawn.title = card.note
    if (this.data.tiles && !card.typed) {
      const picture = make("span", "picture")
      if (card.thumbnail) picture.append(this.thumbnail(card))
      drawn.append(picture)
    } else if (card.thumbnail) drawn.append(this.thumbnail(card))
    const first = make("span", "first")
    first.append(make("span", "title", card.title))
    if (card.badge) first.append(make("span", "badge", card.badge))
    words.append(first)
    if (!card.typed) words.append(make("span", "facts", card.facts.join(" · ")))
    drawn.append(words)
    const told = [card.title, ...card.facts, card.badge, badged ? card.group : ""].filter(Boolean)
    drawn.setAttribute("aria-label", [...new Set(told)].join(", "))
    if (card.removable) {
      const cross = make("span", "remove", "×")  // for the pointer; the keyboard has the button at the foot, and Delete
      cross.setAttribute("aria-hidden", "true")
      cross.title = `Remove ${card.title}`
      cross.onclick = (event) => { event.stopPropagation(); this.remove(card) }
      drawn.append(cross)
    }
    drawn.onclick = () => this.pick(card.value)
    drawn.onpointermove = () => this.move(card.value, false)
    drawn.onpointerdown = (event) => event.preventDefault()  // the field keeps the focus
    return drawn
  }

  option(value) {
    return [...this.list.querySelectorAll("[data-value]")].find((one) => one.dataset.value === value)
  }

  move(value, scroll = true) {
    const before = this.option(this.active), now = this.option(value)
    before?.classList.remove("active")
    this.active = value
    now?.classList.add("active")
    if (now) this.search.setAttribute("aria-activedescendant", now.id)
    else this.search.removeAttribute("aria-activedescendant")
    if (now && scroll) now.scrollIntoView({ block: "nearest" })
    this.drawFoot()
  }

  drawFoot() {
    const { data } = this, card = data.cards.find((one) => one.value === this.active)
    const buttons = data.actions.map((action) => this.footButton(action.name, action.label, () => this.act(action)))
    if (card?.removable) buttons.push(this.footButton("remove-active", `Remove ${card.title}`, () => this.remove(card)))
    const drawn = [...this.foot.children].map((one) => one.textContent).join("\n")
    if (drawn !== buttons.map((one) => one.textContent).join("\n")) this.foot.replaceChildren(...buttons)
  }

  footButton(name, text, act) {
    const made = make("button", "", text)
    made.type = "button"
    made.dataset.name = name
    made.onclick = act
    return made
  }

  press(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return
    const inField = event.target === this.search
    if (event.key === "Escape") { event.stopPropagation(); event.preventDefault(); this.close() }
    else if (event.key === "Enter" && inField) {
      event.preventDefault()
      if (this.shown.includes(this.active)) this.pick(this.active)
    } else if (event.key === "Delete" && inField && this.search.selectionStart === this.search.value.length) {
      const card = this.data.cards.find((one) => one.value === this.active)
      if (card?.removable) { event.preventDefault(); this.remove(card) }
    } else if (inField) {
      const steps = { ArrowDown: [0, 1], ArrowUp: [0, -1], PageDown: [0, 5], PageUp: [0, -5] }
      if (!this.search.value) Object.assign(steps, { ArrowLeft: [-1, 0], ArrowRight: [1, 0] })
      const step = steps[event.key]
      if (!step) return
      event.preventDefault()
      for (let i = Math.abs(step[0] + step[1]); i > 0; i--) this.step(step[0], Math.sign(step[1]))
    }
  }

  // To the next card in the reading order, or to the nearest one of the row below or above.
  step(along, down) {
    const options = [...this.list.querySelectorAll("[data-value]")], now = this.option(this.active)
    if (!options.length) return
    if (!now) { this.move(options[0].dataset.value); return }
    if (along) { this.move((options[options.indexOf(now) + along] || now).dataset.value); return }
    const here = now.getBoundingClientRect()
    const rows = options.map((one) => [one, one.getBoundingClientRect()])
    const beyond = rows.filter(([, box]) => down * (box.top - here.top) > 1)
    const far = ([, box]) => 1e4 * Math.abs(box.top - here.top) + Math.abs(box.left - here.left)
    const [next] = beyond.reduce((best, one) => far(one) < far(best) ? one : best, beyond[0] || [now])
    this.move(next.dataset.value)
  }

  // --- choices ---

  pick(value) {
    this.close()
    if (value === this.data.chosen && !this.unanswered.length) return
    this.picked = value
    this.label()
    this.say("pick", value)
  }

  remove(card) {
    this.data = { ...this.data, cards: this.data.cards.filter((one) => one !== card) }
    this.fill(false)
    this.search.focus({ preventScroll: true })
    this.say("remove", card.value)
  }

  act(action) {
    this.close()
    if (action.opens_files) openFiles(this)
    else this.say("action", action.name)
  }
}

function draw(component) {
  const { data, parentElement, setTriggerValue } = component
  const picker = parentElement.picker = parentElement.picker || new Picker(parentElement)
  picker.update(data, setTriggerValue)
  return () => picker.leave()
}
