// The height from an element's top to the foot of the window, were the page not scrolled; at least this share of the
// window, so that what begins far down can still be read. Bars at the foot, whose height the frame measures, are left out.
const LEAST_ROOM = 0.5, BELOW = 24  // of the window; pixels where no bar stands at the foot

function roomBelow(element) {
  const holder = element.getRootNode().host || element
  let top = element.getBoundingClientRect().top
  for (let node = holder; node; node = node.parentElement || node.getRootNode().host) top += node.scrollTop || 0
  const foot = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--cnnviz-foot")) || BELOW
  return Math.max(innerHeight - top - foot, LEAST_ROOM * innerHeight)
}
