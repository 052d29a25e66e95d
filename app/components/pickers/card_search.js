// How well a card answers what was typed: 0 best, -1 not at all. Every word must be found; the beginning of a name comes
// before the beginning of a part of it, this before its middle, and this before facts and notes.
function rate(card, words) {
  const names = [card.value, card.title].map(fold)
  const rest = fold([card.note, card.badge, card.group, ...card.facts].join(" "))
  let sum = 0
  for (const word of words) {
    const place = Math.min(...names.map((name) => placeOf(name, word)))
    if (place < 9) sum += place
    else if (rest.includes(word)) sum += 4
    else return -1
  }
  return sum
}

function fold(text) {
  return text.normalize("NFKD").toLowerCase()
}

function placeOf(name, word) {
  if (name === word) return 0
  if (name.startsWith(word)) return 1
  if (` ${name.replace(/[^\p{L}\p{N}]+/gu, " ")}`.includes(` ${word}`)) return 2
  return name.includes(word) ? 3 : 9
}

// The cards that answer, the best first; among equals their own order.
function find(cards, typed) {
  const words = fold(typed).split(/\s+/).filter(Boolean)
  if (!words.length) return cards
  const rated = cards.map((card) => [rate(card, words), card]).filter(([rating]) => rating >= 0)
  return rated.sort((one, other) => one[0] - other[0]).map(([, card]) => card)
}
