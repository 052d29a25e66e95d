// A phone's controls: one button opens and closes them. They are elements of the page that the style sheet moves into a
// sheet, and hides while it is closed, from the keyboard and from screen readers as well.
const LAID_OUT = "[data-testid=stMainBlockContainer], .st-key-cnnviz_body, .st-key-cnnviz_page"
const OPEN = "cnnviz-sheet", FEET = ".st-key-tour_bar, .st-key-cnnviz_foot", ABOVE = 8  // pixels

// What sticks to the foot of the window takes this much of its height: by its own height, since while a page is laid out
// it may still stand elsewhere.
function measureFoot() {
  const boxes = [...document.querySelectorAll(FEET)].map((foot) => foot.parentElement.getBoundingClientRect())
  return Math.max(0, ...boxes.filter((box) => box.height > 1 && box.width > 1).map((box) => box.height))
}

function draw(component) {
  const { parentElement } = component, root = document.documentElement
  let button = parentElement.querySelector("button")
  if (!button) {
    button = document.createElement("button")
    parentElement.append(button)
  }
  const show = (open) => {
    root.classList.toggle(OPEN, open)
    button.textContent = open ? "Close the controls" : "Controls"
    button.setAttribute("aria-expanded", String(open))
  }
  const sheet = () => document.querySelector(".st-key-cnnviz_sheet")
  show(root.classList.contains(OPEN))
  button.onclick = () => {
    show(!root.classList.contains(OPEN))
    if (root.classList.contains(OPEN)) sheet()?.querySelector("input, button, select, textarea")?.focus({ preventScroll: true })
  }
  const leave = (event) => {  // Esc closes it, before it leaves presenter mode
    if (event.key !== "Escape" || !root.classList.contains(OPEN) || event.target.matches("input, textarea, select")) return
    show(false)
    button.focus()
    event.preventDefault()
  }
  document.addEventListener("keydown", leave, true)
  let foot = -1, top = -1
  const measure = () => {
    for (const one of document.querySelectorAll(`${FEET}, ${LAID_OUT}`)) watcher.observe(one)  // once each
    const high = Math.round(measureFoot()), page = document.querySelector(".st-key-cnnviz_page")
    const begins = Math.round((page?.getBoundingClientRect().top || 0) + (page?.closest("[data-testid=stMain]")?.scrollTop || 0))
    if (high === foot && begins === top) return
    foot = high
    top = begins
    if (high) root.style.setProperty("--cnnviz-foot", `${high + ABOVE}px`)
    else root.style.removeProperty("--cnnviz-foot")
    dispatchEvent(new Event("resize"))  // pictures that end at the foot of the window are laid out anew
  }
  const watcher = new ResizeObserver(measure)
  const app = document.querySelector("[data-testid=stApp]")
  const ended = new MutationObserver(() => {  // what came above a picture during the run has moved it
    if (app.dataset.testScriptState !== "notRunning") return
    measure()
    requestAnimationFrame(() => dispatchEvent(new Event("cnnviz-drawn")))
  })
  if (app) ended.observe(app, { attributeFilter: ["data-test-script-state"] })
  addEventListener("resize", measure)
  measure()
  return () => {
    watcher.disconnect()
    ended.disconnect()
    removeEventListener("resize", measure)
    document.removeEventListener("keydown", leave, true)
  }
}
