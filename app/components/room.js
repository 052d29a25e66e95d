// The height from an element's top to the foot of the window, were the page not scrolled; at least this share of the
// window, so that what begins far down can still be read. Bars at the foot, whose height the frame measures, are left out.
const LEAST_ROOM = 0.5, ABOVE_BAR = 0.4  // of the window; where a bar stands at its foot
const BELOW = 24  // pixels where none does

function roomBelow(element) {
  const holder = element.getRootNode().host || element
  let top = element.getBoundingClientRect().top
  for (let node = holder; node; node = node.parentElement || node.getRootNode().host) top += node.scrollTop || 0
  const foot = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--cnnviz-foot")) || 0
  return Math.max(innerHeight - top - (foot || BELOW), (foot ? ABOVE_BAR : LEAST_ROOM) * innerHeight)
}
