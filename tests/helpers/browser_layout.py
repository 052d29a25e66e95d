"""What stands on a page, measured: words that are cut off, and words or controls that lie over each other."""

from typing import Any

# Words are measured by the boxes of their text nodes, those of one block together: the box that the letters take,
# and what is left of it inside every ancestor that hides what reaches beyond it. What scrolls is not hidden. Shadow
# roots, drawings and plots are left out: they are pictures, and have tests of their own.
_MEASURE = """
() => {
  const PICTURES = "svg, canvas, iframe, video, .js-plotly-plot, .katex, [data-testid=stDataFrame], [role=dialog]"
  const CONTROLS = "button, input:not([type=checkbox]):not([type=radio]):not([type=file]), textarea"
  const shown = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true })
  const meet = (a, b) => ({ left: Math.max(a.left, b.left), top: Math.max(a.top, b.top),
                            right: Math.min(a.right, b.right), bottom: Math.min(a.bottom, b.bottom) })
  const hides = (flow) => flow === "hidden" || flow === "clip"
  const scrolls = (flow) => flow === "auto" || flow === "scroll"
  // Bars at the head and the foot of the window lie over what is scrolled below them.
  const BARS = [".st-key-cnnviz_bar", ".st-key-tour_bar", ".st-key-cnnviz_foot"]
  const bars = BARS.map((name) => document.querySelector(name)?.parentElement)
    .filter((bar) => bar && getComputedStyle(bar).position === "sticky")
  const free = bars.reduce(({ top, bottom }, bar) => {
    const place = bar.getBoundingClientRect()
    return place.top < 1 ? { top: Math.max(top, place.bottom), bottom } : { top, bottom: Math.min(bottom, place.top) }
  }, { top: 0, bottom: innerHeight })
  const scrolled = (element) => element.closest("[data-testid=stMain]") && !bars.some((bar) => bar.contains(element))
  const covered = (element, box) => scrolled(element) && (box.bottom > free.bottom || box.top < free.top)
  const seen = (element, box) => {
    let x = true, y = true  // whether it is still looked at in this direction
    for (let e = element; e && e !== document.body; e = e.parentElement) {
      const { overflowX, overflowY } = getComputedStyle(e), place = e.getBoundingClientRect()
      x = x && !scrolls(overflowX)
      y = y && !scrolls(overflowY)
      if (x && hides(overflowX)) box = meet(box, { ...box, left: place.left, right: place.right })
      if (y && hides(overflowY)) box = meet(box, { ...box, top: place.top, bottom: place.bottom })
    }
    return box
  }
  const words = new Map(), items = [], cut = []
  for (const root of document.querySelectorAll("[data-testid=stMain], [data-testid=stSidebar]")) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT)
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
      if (!text.data.trim() || text.parentElement.closest(PICTURES) || !shown(text.parentElement)) continue
      let block = text.parentElement
      while (getComputedStyle(block).display.startsWith("inline") && block.parentElement !== root) {
        block = block.parentElement
      }
      const range = document.createRange()
      range.selectNodeContents(text)
      const box = range.getBoundingClientRect(), old = words.get(block) || { ...box.toJSON(), text: "" }
      words.set(block, { left: Math.min(old.left, box.left), top: Math.min(old.top, box.top),
                         right: Math.max(old.right, box.right), bottom: Math.max(old.bottom, box.bottom),
                         text: (old.text + text.data).slice(0, 60) })
    }
    for (const control of root.querySelectorAll(CONTROLS)) {
      if (!shown(control) || control.closest(PICTURES)) continue
      const box = seen(control, control.getBoundingClientRect().toJSON())
      if (bars.length && covered(control, box)) continue
      if (box.right - box.left < 3 || box.bottom - box.top < 3) continue  // for screen readers alone
      const name = control.getAttribute("aria-label") || control.textContent || control.value
      const text = `<${control.localName} ${name}>`
      items.push({ element: control, text, ...box })
      const told = control.closest("[title]") || control.value === ""
      if (control.localName === "input" && control.scrollWidth > control.clientWidth + 1 && !told) {
        cut.push(`"${control.value}" in ${text} has ${control.clientWidth} of ${control.scrollWidth} pixels`)
      }
    }
  }
  for (const [block, { text, ...box }] of words) {
    if (bars.length && covered(block, box)) continue
    const part = seen(block, box), whole = block.getBoundingClientRect()
    if (part.right - part.left < 3 || part.bottom - part.top < 3) continue  // for screen readers alone
    const ends = getComputedStyle(block).textOverflow === "ellipsis" && block.closest("[title]")
    const lost = [part.left - box.left, box.right - part.right].map((pixels) => Math.round(pixels))
    const high = [part.top - box.top, box.bottom - part.bottom].map((pixels) => Math.round(pixels))
    if (!ends && Math.max(...lost) > 1) cut.push(`"${text}" loses ${Math.max(...lost)} pixels of its width`)
    if (Math.max(...high) > 5) cut.push(`"${text}" loses ${Math.max(...high)} pixels of its height`)
    items.push({ element: block, text, ...meet(part, whole) })
  }
  const over = []
  items.forEach((a, n) => items.slice(n + 1).forEach((b) => {
    if (a.element.contains(b.element) || b.element.contains(a.element)) return
    const both = meet(a, b), wide = both.right - both.left, high = both.bottom - both.top
    if (wide > 2 && high > 2) over.push(`"${a.text}" and "${b.text}" share ${Math.round(wide)}×${Math.round(high)}`)
  }))
  return [...cut, ...over]
}
"""


def faults_of_layout(tab: Any) -> list[str]:
    """What of the page's words and controls is cut off or lies over another, in words; [] where all is well."""
    return tab.evaluate(_MEASURE)
