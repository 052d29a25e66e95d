// Keeps the frames of a motion; what shows them is the player.
function draw({ data }) {
  const reels = window.cnnvizReels = window.cnnvizReels || {}
  if (reels[data.of]?.recipe === data.recipe) return
  const { shared, frames } = JSON.parse(data.reel)
  reels[data.of] = { recipe: data.recipe, shared, frames }
  return () => { delete reels[data.of] }
}
