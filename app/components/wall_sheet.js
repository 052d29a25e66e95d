// The atlas as the browser holds it: levels to be read, colours to be drawn.
async function readSheet(data) {
  const image = new Image()
  image.src = data.src
  await image.decode()
  const canvas = document.createElement("canvas")
  canvas.width = image.naturalWidth
  canvas.height = image.naturalHeight
  const pen = canvas.getContext("2d", { willReadFrequently: true })
  pen.drawImage(image, 0, 0)
  const found = pen.getImageData(0, 0, canvas.width, canvas.height), levels = found.data.slice()
  if (data.palette) {
    const bytes = atob(data.palette), table = new Uint32Array(256)
    for (let n = 0; n < 256; n++) {
      const [red, green, blue] = [0, 1, 2].map((part) => bytes.charCodeAt(3 * n + part))
      table[n] = (255 << 24 | blue << 16 | green << 8 | red) >>> 0
    }
    const pixels = new Uint32Array(found.data.buffer)
    for (let n = 0; n < pixels.length; n++) pixels[n] = table[levels[4 * n]]
    pen.putImageData(found, 0, 0)
  }
  return { stamp: data.stamp, code: data.code, canvas, levels, enlarged: null, factor: 1 }
}

// The sheet at a whole multiple of at least `zoom`, so that a fraction of it still has sharp, equal squares.
function enlargeSheet(sheet, zoom) {
  const factor = Math.ceil(zoom - 1e-6), { width, height } = sheet.canvas
  if (factor <= 1 || Math.abs(factor - zoom) < 1e-6 || width * height * factor * factor > 24e6) return [sheet.canvas, 1]
  if (sheet.factor !== factor) {
    const large = document.createElement("canvas")
    large.width = width * factor
    large.height = height * factor
    const pen = large.getContext("2d")
    pen.imageSmoothingEnabled = false
    pen.drawImage(sheet.canvas, 0, 0, large.width, large.height)
    sheet.enlarged = large
    sheet.factor = factor
  }
  return [sheet.enlarged, sheet.factor]
}

// One tile with its upper left corner at (left, top) of the pen's own pixels, `zoom` of them for one of the atlas.
function drawTile(pen, sheet, data, index, left, top, zoom, gaps) {
  const [rows, cols] = data.cells, [high, wide] = data.tile
  const [source, factor] = enlargeSheet(sheet, zoom), whole = Math.abs(zoom - Math.round(zoom)) < 1e-6
  pen.imageSmoothingEnabled = !whole
  pen.imageSmoothingQuality = "high"
  const x = (index % data.columns) * cols * wide, y = Math.floor(index / data.columns) * rows * high
  for (let row = 0; row < rows; row++) for (let col = 0; col < cols; col++) {
    const to = [left + cellLeft(data, gaps, col) * zoom / gaps, top + cellTop(data, gaps, row) * zoom / gaps]
    pen.drawImage(
      source, (x + col * wide) * factor, (y + row * high) * factor, wide * factor, high * factor,
      Math.round(to[0]), Math.round(to[1]), Math.round(wide * zoom), Math.round(high * zoom),
    )
  }
}

// What a level means, with no more digits than 256 levels carry; "" where levels are no values.
function valueText(data, sheet, index, [row, col]) {
  if (!data.tops.length) return ""
  const [high, wide] = data.tile, top = data.tops[index], steps = data.code === "activation" ? 255 : 127
  const x = (index % data.columns) * wide + Math.floor(col / data.block)
  const y = Math.floor(index / data.columns) * high + Math.floor(row / data.block)
  const at = 4 * (y * sheet.canvas.width + x)
  const digits = top > 0 ? Math.min(12, Math.max(0, Math.ceil(-Math.log10(top / steps)))) : 0
  const say = (level) => ((data.code === "activation" ? level : level - 128) / steps * top).toFixed(digits)
  if (data.code === "rgb") return ["R", "G", "B"].map((name, part) => `${name} ${say(sheet.levels[at + part])}`).join(", ")
  if (data.clipped && sheet.levels[at] === 0) {  // anything below half a step
    const size = 10 ** (digits + 1)
    return `≤ ${(Math.ceil(top / 510 * size) / size).toFixed(top > 0 ? digits + 1 : 0)}`
  }
  return (data.block > 1 ? "up to " : "") + say(sheet.levels[at])
}
