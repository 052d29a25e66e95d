// Files dropped anywhere on the page go to a hidden file uploader, one after the other: each waits until the server has
// dealt with the one before.
const UPLOADER = "[data-testid=stFileUploaderDropzone], [data-testid=stFileUploader]"

function uploadInput(dropping) {
  return document.querySelector(`.st-key-${dropping.uploader} input[type=file]`)
}

function isTaken(file, dropping) {
  const name = file.name.toLowerCase()
  return file.size <= dropping.megabytes * 2 ** 20 && dropping.endings.some((ending) => name.endsWith(`.${ending}`))
}

function listenForFiles(picker, signal) {
  const root = picker.root, hint = root.querySelector(".drop")
  let depth = 0
  const hide = () => { depth = 0; hint.classList.remove("open"); hint.hidePopover?.() }
  const ours = (event) => {  // not what another place for files on the page takes
    if (!picker.data.dropping || !event.dataTransfer?.types.includes("Files")) return false
    const elsewhere = event.composedPath().some((one) => one.matches?.(UPLOADER))
    return !elsewhere && !document.querySelector("[role=dialog]")
  }
  const on = (kind, answer) => document.addEventListener(kind, answer, { signal, capture: true })
  on("dragenter", (event) => {
    depth += 1
    if (!ours(event)) { hint.classList.remove("open"); hint.hidePopover?.(); return }
    event.preventDefault()
    hint.textContent = picker.data.dropping.hint
    if (hint.classList.contains("open")) return
    hint.classList.add("open")
    hint.showPopover?.()
  })
  on("dragover", (event) => {
    if (!ours(event)) return
    event.preventDefault()
    event.dataTransfer.dropEffect = "copy"
  })
  on("dragleave", () => { if (--depth <= 0) hide() })
  on("dragend", hide)
  on("drop", (event) => {
    const mine = ours(event)
    hide()
    if (!mine) return
    event.preventDefault()
    event.stopPropagation()
    takeFiles(picker, [...event.dataTransfer.files])
  })
}

function takeFiles(picker, files) {
  const taken = files.filter((file) => isTaken(file, picker.data.dropping))
  const refused = files.filter((file) => !taken.includes(file)).map((file) => file.name.slice(0, 200))
  picker.waiting = taken
  picker.received = null
  picker.batch = picker.say("drop", taken.length, refused)
}

// The browser's window for files, with the same way from there.
function openFiles(picker) {
  const input = document.createElement("input")
  Object.assign(input, { type: "file", multiple: true })
  input.accept = picker.data.dropping.endings.map((ending) => `.${ending}`).join(",")
  input.onchange = () => takeFiles(picker, [...input.files])
  input.click()
}

// The next file, once the server knows how many come and has dealt with the one before.
function handOver(picker) {
  const { dropping, done } = picker.data
  if (!dropping || !picker.waiting?.length || done < picker.batch || picker.received === dropping.received) return
  const input = uploadInput(dropping)
  if (!input) return
  picker.received = dropping.received
  const handed = new DataTransfer()
  handed.items.add(picker.waiting.shift())
  input.files = handed.files
  input.dispatchEvent(new Event("change", { bubbles: true }))
}
