// Walls and pictures of one group share the pointer: what one of them is pointed at, the others mark.
const POINTED = "cnnviz-pointed"

// What the pointer is over in `source`; null where it has left. Told once for every change.
function tellPointed(source, group, place) {
  const text = JSON.stringify(place)
  if (!group || source.pointedAt === text || (place === null && source.pointedAt === undefined)) return
  source.pointedAt = text
  dispatchEvent(new CustomEvent(POINTED, { detail: { source, group, place } }))
}

// Call `mark(place)` for what another one of the group is pointed at; returns how to stop.
function hearPointed(source, group, mark) {
  if (!group) { mark(null); return () => {} }
  const heard = ({ detail }) => { if (detail.group === group && detail.source !== source) mark(detail.place) }
  addEventListener(POINTED, heard)
  return () => { removeEventListener(POINTED, heard); tellPointed(source, group, null); source.pointedAt = undefined }
}
