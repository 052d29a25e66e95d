const PLAY = "M4 2 14 8 4 14Z", STOP = "M3 3H13V13H3Z", NEXT = "M3 2 10 8 3 14ZM11 2H14V14H11Z"
const UNANSWERED = 700, TRIES = 5  // milliseconds between two tries to tell the server, and how many there are
const REST = 280  // milliseconds without a step after which the server is told
const SMOOTH = 150  // milliseconds a place below which places may be left out where the browser is slow
const reduced = () => matchMedia("(prefers-reduced-motion: reduce)").matches
const isIdle = () => document.querySelector("[data-testid=stApp]")?.dataset.testScriptState === "notRunning"

class Player {
  constructor(box) {
    this.box = box
    this.button = box.querySelector("button")
    this.words = box.querySelector(".words")
    this.playing = null  // { from, began } while it plays
    this.shown = null  // the place that the browser shows by itself; null: what the server drew
    this.left = null  // the place where it was stopped, or that a key stepped to
    this.wish = null  // what to do once the frames are there
    this.told = null  // { kind, value, since, tries } that the server has not answered yet
    this.listeners = [
      [window, "keydown", (event) => this.pressed(event)],
      [window, "pointerdown", (event) => this.touched(event)],
      [document, "visibilitychange", () => { if (document.hidden) this.stop() }],
    ]
  }

  update(data, send) {
    const other = this.data && (this.data.recipe !== data.recipe || this.data.key !== data.key)
    this.data = data
    this.send = send
    if (other) this.forget()
    if (!this.listening) {
      for (const [where, kind, act] of this.listeners) where.addEventListener(kind, act, true)
      this.button.onclick = () => {
        const { halted } = this
        this.halted = false
        if (!halted) this.toggle()
      }
      this.listening = true
    }
    this.say()
  }

  forget() {  // another grid, network or layer: nothing of it counts any more
    this.playing = this.shown = this.left = this.wish = this.told = null
    clearTimeout(this.rest)
    this.mark(false)
  }

  leave() {
    this.forget()
    for (const [where, kind, act] of this.listeners) where.removeEventListener(kind, act, true)
    this.listening = false
  }

  get last() { return this.data.places.length - 1 }
  get at() { return this.shown ?? this.data.at }

  reel() {
    const found = window.cnnvizReels?.[this.data.key]
    return found?.recipe === this.data.recipe ? found : null
  }

  // --- what is said ------------------------------------------------------------------------------------------

  say() {
    const { data, playing } = this, name = reduced() ? "Step" : playing ? "Stop" : "Play"
    const path = this.button.querySelector("path")
    path.setAttribute("d", { Step: NEXT, Stop: STOP, Play: PLAY }[name])
    this.button.setAttribute("aria-label", `${name}: ${data.name}`)
    this.button.title = `${name} (Space); the arrow keys step`
    const place = this.at === null ? "" : data.places[this.at]
    const seconds = playing ? Math.ceil((this.last - this.at) * this.pace() / 1000) : 0
    this.words.textContent = this.wish !== null ? "getting ready …" : seconds ? `${place} · ${seconds} s left` : place
    this.box.dataset.at = this.at ?? ""
    this.box.dataset.playing = Boolean(playing)
  }

  pace() { return Math.max(this.data.pace, this.slow || 0) }

  mark(on) {  // what belongs to the place of before is pale
    document.getElementById("cnnviz-motion-stale")?.remove()
    if (!on || !this.data.stale.length) return
    const style = document.createElement("style")
    style.id = "cnnviz-motion-stale"
    style.textContent = `${this.data.stale.map((key) => `.st-key-${key}`).join(", ")} { opacity: .25 }`
    document.head.append(style)
  }

  // --- playing and stepping ----------------------------------------------------------------------------------

  toggle() { if (this.playing || this.wish === "play") this.stop(); else this.play() }

  play() {
    if (reduced()) return this.step(1)
    if (this.last < 1 || !this.ready("play")) return
    clearTimeout(this.rest)
    let from = this.at !== null && this.left === this.at ? this.at : this.data.first ?? this.at ?? 0
    if (from >= this.last) from = 0
    this.slow = 0
    this.playing = { from, began: performance.now() }
    this.show(from)
    this.playing.began = performance.now()  // the first picture may take its time
    this.turn()
  }

  turn() {
    const mine = this.playing
    const frame = () => {
      if (this.playing !== mine || !mine) return
      if (!this.data.framed && this.told) return void requestAnimationFrame(frame)  // a run for a frame, one by one
      const now = performance.now(), { pace } = this.data
      let place = mine.from + Math.floor((now - mine.began) / pace)
      if (place > this.at + 1 && (pace > SMOOTH || !this.data.framed)) {
        this.slow = (now - mine.began) / Math.max(1, this.at + 1 - mine.from)
        place = this.at + 1
        mine.from = place
        mine.began = now
      }
      place = Math.min(place, this.last)
      if (place !== this.at) this.show(place)
      if (place === this.last) this.stop()
      else requestAnimationFrame(frame)
    }
    requestAnimationFrame(frame)
  }

  stop() {
    if (this.wish !== null) { this.wish = null; this.say() }
    if (!this.playing) return
    this.playing = null
    if (this.data.closed && this.shown === this.last) this.shown = 0
    this.left = this.shown
    this.tell()
    this.say()
  }

  step(by) {
    if (this.last < 1 || !this.ready(by)) return
    const from = this.at ?? -1, { last } = this
    const place = this.data.closed ? (from + by + last) % last : Math.min(Math.max(from + by, 0), last)
    if (place === from) return
    this.show(place)
    this.left = place
    clearTimeout(this.rest)
    if (this.data.framed) this.rest = setTimeout(() => this.tell(), REST)
  }

  show(place) {
    this.shown = place
    this.mark(true)
    const reel = this.reel()
    if (reel) for (const [key, change] of Object.entries(reel.frames[place]))
      window.cnnvizShown?.[key]?.({ ...reel.shared[key], ...change })
    else if (!this.told) this.tell()
    this.say()
  }

  release() {  // the server's own picture of the place is there
    const reel = this.reel()
    const keys = reel ? new Set(reel.frames.flatMap((frame) => Object.keys(frame))) : []
    for (const key of keys) window.cnnvizShown?.[key]?.(null)
    this.shown = null
    this.mark(false)
    this.say()
  }

  ready(wish) {  // the frames are here; else they are asked for, and the wish waits
    if (!this.data.framed || this.reel()) return true
    const both = typeof wish === "number" && typeof this.wish === "number"  // quick presses are all counted
    this.wish = both ? this.wish + wish : wish
    if (!this.data.wanted) this.post("want", this.data.recipe)
    else this.watch()
    this.say()
    return false
  }

  // --- telling the server ------------------------------------------------------------------------------------

  tell() {
    if (this.shown === null || this.told?.kind === "at" && this.told.value === this.shown) return
    if (this.shown === this.data.at) this.release()
    else this.post("at", this.shown)
  }

  post(kind, value) {
    this.told = { kind, value, since: performance.now(), tries: TRIES }
    this.send(kind, { value, recipe: this.data.recipe })
    this.watch()
  }

  watch() {
    clearTimeout(this.watching)
    this.watching = setTimeout(() => this.look(), 40)
  }

  look() {
    if (!this.listening) return
    if (this.wish !== null && this.reel()) {
      const wish = this.wish
      this.wish = this.told = null
      return wish === "play" ? this.play() : this.step(wish)
    }
    const { told } = this
    if (!told) return this.wish !== null ? this.watch() : undefined
    const heard = told.kind === "want" ? this.data.wanted : told.value === this.data.at
    if (!isIdle()) return this.watch()
    if (heard || !told.tries) {
      this.told = null
      if (told.kind === "want") { if (!heard) this.wish = null; else this.watch() }
      else requestAnimationFrame(() => requestAnimationFrame(() => this.answered(told.value)))
      return this.say()
    }
    if (performance.now() - told.since > UNANSWERED) {  // a message can be lost while the page is being drawn
      told.tries -= 1
      told.since = performance.now()
      this.send(told.kind, { value: told.value, recipe: this.data.recipe })
    }
    this.watch()
  }

  answered(place) {
    if (this.told || this.playing && this.data.framed) return
    if (this.shown !== null && this.shown !== place) { if (!this.data.framed || !this.playing) this.tell(); return }
    if (!this.playing) this.release()
  }

  // --- keys and clicks ---------------------------------------------------------------------------------------

  touched(event) {
    this.tabbed = false
    const own = event.composedPath().includes(this.button)
    this.halted = own && Boolean(this.playing || this.wish !== null)  // its click shall not start it again
    this.stop()
  }

  pressed(event) {
    if (event.key === "Tab") this.tabbed = true
    this.halted = false
    const path = event.composedPath().filter((one) => one.matches), space = event.key === " "
    const own = path.includes(this.button) && (space || event.key === "Enter")
    if (this.playing) {
      this.stop()
      if (space || own) this.take(event)
      else if (event.key.startsWith("Arrow")) this.arrow(event, path)
      return
    }
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return
    if (path.some((one) => one.matches(OVER)) || document.querySelector(OVER)) return
    if (own) {
      if (!event.repeat) this.toggle()
      return this.take(event)
    }
    if (!space) return this.arrow(event, path)
    const typed = path.some((one) => one.matches(FIELDS) && one.type !== "range")
    const worked = this.tabbed && path.some((one) => one.matches(PRESSED))  // reached by keyboard: the key is its own
    if (typed || worked) return
    if (!event.repeat) this.toggle()
    this.take(event)
  }

  arrow(event, path) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (!by || event.shiftKey || path.some((one) => one.matches(FIELDS) || one.matches(MOVED))) return
    this.step(by * this.data.jump)
    this.take(event)
  }

  take(event) {
    event.preventDefault()
    event.stopImmediatePropagation()
    const up = (end) => { if (end.key === event.key) end.preventDefault() }  // else a button is clicked by it
    window.addEventListener("keyup", up, { capture: true, once: true })
  }
}

const PRESSED = "button, a, summary, [role=button], [role=radio], [role=switch], [role=checkbox], [role=tab], input"

function draw(component) {
  const { data, parentElement, setTriggerValue } = component
  let box = parentElement.querySelector(".motion")
  if (!box) {
    box = document.createElement("div")
    box.className = "motion"
    box.innerHTML = '<button type="button"><svg viewBox="0 0 16 16" aria-hidden="true"><path/></svg></button>' +
      '<span class="words"></span>'
    parentElement.appendChild(box)
    box.player = new Player(box)
  }
  box.player.update(data, setTriggerValue)
  return () => box.player.leave()
}
