const UNANSWERED = 700, TRIES = 5  // milliseconds between two tries, and how many there are

// A message that comes while the page is being drawn can be lost on its way: what the app has not answered, although
// it has nothing to do, is said again. It counts every press once.
function again(tries) {
  const memory = window.cnnvizKeys
  if (!memory.waiting.length || !memory.listening || !tries) return
  const app = document.querySelector("[data-testid=stApp]")
  const idle = app?.dataset.testScriptState === "notRunning"
  if (idle) memory.tell()
  memory.timer = setTimeout(() => again(tries - idle), UNANSWERED)
}

function draw(component) {
  const { data, parentElement, setTriggerValue } = component
  const memory = window.cnnvizKeys = window.cnnvizKeys || { serial: 0, waiting: [] }
  memory.serial = Math.max(memory.serial, data.done)
  memory.waiting = memory.waiting.filter(([serial]) => serial > data.done)
  let corner = parentElement.querySelector(".corner"), help = parentElement.querySelector("dialog")
  if (!corner) {
    corner = document.createElement("div")
    help = document.createElement("dialog")
    parentElement.append(corner, help)
  }
  const button = (text, label, action) => {
    const made = document.createElement("button")
    made.textContent = text
    made.setAttribute("aria-label", label)
    made.title = label
    made.onclick = () => { made.blur(); action() }
    return made
  }
  const send = (action) => {  // all that was not answered yet goes along: quick presses are all counted
    memory.waiting.push([++memory.serial, action])
    memory.tell()
    clearTimeout(memory.timer)
    memory.timer = setTimeout(() => again(TRIES), UNANSWERED)
  }
  memory.tell = () => {
    const drawn = document.querySelector("[data-cnnviz-drawn]")
    const seen = drawn ? Number(drawn.dataset.cnnvizDrawn) : 0
    setTriggerValue("press", { seen, presses: [...memory.waiting] })
  }
  const explain = () => { if (help.open) help.close(); else help.showModal() }
  corner.className = "corner" + (data.present ? " shown" : "")
  corner.replaceChildren(
    button("?", "Keys", explain), button("Esc", "Leave presenter mode", () => send("leave")),
  )
  const title = document.createElement("h2"), table = document.createElement("table")
  title.textContent = "Keys"
  title.id = "cnnviz-keys"
  help.setAttribute("aria-labelledby", "cnnviz-keys")
  for (const [keys, words] of data.help) {
    const row = table.insertRow(), head = document.createElement("th")
    head.textContent = keys
    row.append(head)
    row.insertCell().textContent = words
  }
  help.replaceChildren(title, table, button("Close", "Close", () => help.close()))
  const pressed = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return
    const path = event.composedPath().filter((one) => one.matches)
    if (path.some((one) => one.matches(FIELDS))) {
      if (event.key === "Escape") path[0].blur()
      return
    }
    const over = (one) => one !== help && one.matches(OVER)  // closed, the list keeps the focus for a moment
    if (help.open ? event.key !== "?" : path.some(over) || document.querySelector(OVER)) return
    if (event.key.length > 1 && event.key !== "Escape" && path.some((one) => one.matches(MOVED))) return
    if (event.key === "?") explain()
    else if (event.key === "s" && data.present) document.documentElement.classList.toggle("cnnviz-controls")
    else {
      const action = data.keys[event.key]
      if (!action) return
      send(action)
    }
    event.preventDefault()
  }
  if (corner.pressed) document.removeEventListener("keydown", corner.pressed, true)
  corner.pressed = pressed
  document.addEventListener("keydown", pressed, true)  // before a field swallows its Escape
  memory.listening = true
  return () => {
    document.removeEventListener("keydown", corner.pressed, true)
    memory.listening = false
  }
}
