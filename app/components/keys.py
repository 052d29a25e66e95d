"""The keyboard: single keys anywhere on the page become actions, but never while someone types in a field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.components.newest import in_order, numbered

_CSS = """
.corner { position: fixed; top: 8px; right: 12px; z-index: 1000; display: none; gap: 6px; }
.corner.shown { display: flex; }
button {
  font: 600 16px/1.3 var(--st-font, sans-serif); padding: 2px 11px; border-radius: 8px; cursor: pointer;
  color: var(--st-text-color); background: var(--st-background-color); border: 1px solid var(--st-text-color);
}
.corner button { opacity: .55; }
.corner button:hover, .corner button:focus-visible { opacity: 1; }
button:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
dialog {
  font: 18px/1.5 var(--st-font, sans-serif); color: var(--st-text-color); background: var(--st-background-color);
  border: 1px solid var(--st-text-color); border-radius: 12px; padding: 20px 28px; max-width: min(44rem, 92vw);
  max-height: 88vh; overflow: auto;
}
dialog::backdrop { background: rgb(0 0 0 / 55%); }
h2 { font-size: 22px; margin: 0 0 10px 0; }
table { border-collapse: collapse; margin-bottom: 14px; }
th { text-align: left; padding: 3px 26px 3px 0; white-space: nowrap; font-weight: 600; }
td { padding: 3px 0; }
"""

_JS = """
const FIELDS = "input:not([type=checkbox]):not([type=radio]):not([type=button]), textarea, select, " +
  "[contenteditable=true], [role=textbox], [role=spinbutton]"
const MOVED = "[role=radiogroup], [role=tablist], [role=slider], [role=listbox], [role=menu], [role=grid], iframe"
const OVER = "[role=dialog], [role=menu], [role=listbox], dialog"

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
"""

_render = st.components.v2.component("cnnviz_keys", css=_CSS, js=in_order(_JS))
_DONE = "keys_done"  # in the session: the serial number of the last press that was answered


def keys(
    bound: dict[str, str],
    help_rows: list[tuple[str, str]],
    present: bool,
    on_seen: Callable[[int], Any],
    on_press: Callable[[str, int], Any],
) -> None:
    """Listen to the keyboard. `bound`: {key as the browser names it: action}; `help_rows`: (keys, what they do) of
    the overlay that "?" opens. `present`: show the two buttons of presenter mode, and let "s" show the controls.

    `on_press(action, number)` runs before the page is drawn again, once for every press, in their order;
    `on_seen(number)` before it: the browser shows what the presses up to this one did."""

    def pressed() -> None:
        said: Any = st.session_state.get("keyboard", {}).get("press")
        if not said:
            return
        on_seen(int(said["seen"]))
        for serial, action in said["presses"]:
            if serial > st.session_state.get(_DONE, 0):
                st.session_state[_DONE] = serial
                if action in (*bound.values(), "leave"):
                    on_press(action, serial)

    _render(
        key="keyboard",
        data=numbered("keyboard", {
            "keys": bound, "help": help_rows, "present": present, "done": st.session_state.get(_DONE, 0),
        }),
        on_press_change=pressed,
    )  # fmt: skip


def mark_drawn() -> None:
    """Call after the page is drawn: tells the listener which presses the browser has seen the effect of."""
    with st.container(key="cnnviz_drawn"):
        st.html(f'<i data-cnnviz-drawn="{int(st.session_state.get(_DONE, 0))}"></i>')
