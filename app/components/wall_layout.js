// Where the tiles stand: pure arithmetic, in pixels of the style sheet.
const GUTTER = 5, APART = 16  // between tiles; between tiles of several cells
const PAD = 3, INNER = 2, MIDDLE = 6  // round them all; between the cells of a tile; in the middle of six cells
const SMALLEST = 34, SCROLLED = 40  // a tile that can still be read where all fit, and where they are scrolled
const SMALLEST_CELL = 26  // a cell of several
const WHOLE = 0.85  // a whole multiple is taken if it is at least so large a part of what would fit

const gapBefore = (n, count) => n * INNER + (count === 6 && n >= 3 ? MIDDLE - INNER : 0)
const gutterOf = (data) => data.cells[1] > 1 ? APART : GUTTER

// Size of a tile whose pixels measure `zoom`.
function sizeTile(data, zoom) {
  const [rows, cols] = data.cells, [high, wide] = data.tile
  return {
    wide: cols * wide * zoom + gapBefore(cols - 1, cols),
    high: rows * high * zoom + gapBefore(rows - 1, rows),
  }
}

// The zoom with which `columns` tiles a row, and all rows, fit into wide × high.
function fitZoom(data, columns, wide, high, caption) {
  const [rows, cols] = data.cells, lines = Math.ceil(data.items.length / columns), gutter = gutterOf(data)
  const across = (wide - (columns - 1) * gutter) / columns - gapBefore(cols - 1, cols)
  const down = (high - lines * (caption + GUTTER)) / lines - gapBefore(rows - 1, rows)
  return Math.min(across / (cols * data.tile[1]), down / (rows * data.tile[0]))
}

// Whole multiples of the screen's own pixels, or equal squares with soft edges where much would stay empty.
function roundZoom(zoom, ratio) {
  const whole = Math.floor(zoom * ratio + 1e-6)
  return whole >= 1 && whole >= WHOLE * zoom * ratio ? whole / ratio : zoom
}

// The zoom of tiles that do not all fit: as many a row as can be read, and these fill the width.
function scrolledZoom(data, least, wide, ratio) {
  const gutter = gutterOf(data), smallest = sizeTile(data, least).wide
  const columns = Math.max(1, Math.min(data.items.length, Math.floor((wide + gutter) / (smallest + gutter))))
  const zoom = fitZoom(data, columns, wide, Infinity, 0), whole = roundZoom(zoom, ratio)
  return whole >= least ? whole : zoom
}

// Zoom, columns and places of all tiles in a room of wide × high; `caption`: height of the line below a tile.
function planWall(data, fullWidth, fullHeight, caption, ratio, scrollbar = 12) {
  const count = data.items.length, gutter = gutterOf(data)
  const wide = fullWidth - 2 * PAD, high = fullHeight - 2 * PAD
  let zoom = 0
  for (let columns = 1; columns <= count; columns++) {
    zoom = Math.max(zoom, fitZoom(data, columns, wide, high, caption))
  }
  const [least, scrolledLeast] = (data.cells[1] > 1 ? [SMALLEST_CELL, SMALLEST_CELL] : [SMALLEST, SCROLLED])
    .map((side) => side / Math.max(...data.tile))
  if (data.side) zoom = data.side / Math.max(...data.tile)
  else if (zoom < least) zoom = scrolledZoom(data, scrolledLeast, wide - scrollbar, ratio)
  else zoom = roundZoom(zoom, ratio)
  const arrange = (room) => {
    const tile = sizeTile(data, zoom), pitch = Math.max(tile.wide, data.side ? 84 : 0) + gutter
    const columns = Math.max(1, Math.min(count, Math.floor((room + gutter + 0.01) / pitch)))
    const line = tile.high + caption + GUTTER, total = Math.ceil(count / columns) * line - GUTTER
    return { zoom, columns, gutter, pitch, line, tile, total: total + 2 * PAD, wide: room + 2 * PAD }
  }
  const plan = arrange(wide)
  return plan.total <= fullHeight + 0.5 ? plan : arrange(wide - scrollbar)
}

// Where a cell of a tile begins.
const cellLeft = (data, zoom, col) => col * data.tile[1] * zoom + gapBefore(col, data.cells[1])
const cellTop = (data, zoom, row) => row * data.tile[0] * zoom + gapBefore(row, data.cells[0])

// The unit (row, col) under a point of a tile; null between the cells and outside.
function unitAt(data, zoom, x, y) {
  const [rows, cols] = data.cells, [high, wide] = data.tile
  for (let row = 0; row < rows; row++) for (let col = 0; col < cols; col++) {
    const left = (x - cellLeft(data, zoom, col)) / zoom, top = (y - cellTop(data, zoom, row)) / zoom
    if (left < 0 || top < 0 || left >= wide || top >= high) continue
    if (rows * cols > 1) return [row, col]
    return [top, left].map((pixels, n) => Math.min(data.units[n] - 1, Math.floor(pixels * data.block)))
  }
  return null
}

// (left, top, width, height) of a unit in a tile.
function unitBox(data, zoom, [row, col]) {
  const [high, wide] = data.tile
  if (data.cells[0] * data.cells[1] > 1) {
    return [cellLeft(data, zoom, col), cellTop(data, zoom, row), wide * zoom, high * zoom]
  }
  const unit = zoom / data.block
  return [col * unit, row * unit, unit, unit]
}
