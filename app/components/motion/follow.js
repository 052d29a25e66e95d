const PATIENCE = 4  // times the pace: an answer that has not come by then is asked for again

// Asks for the next look while the tab is seen, and not before the last one has been drawn.
function draw(component) {
  const { data, setTriggerValue } = component
  let timer = null
  const stop = () => { clearTimeout(timer); timer = null }
  const ask = () => {
    setTriggerValue("look", data.number)
    timer = setTimeout(ask, PATIENCE * data.every)
  }
  const begin = () => {
    stop()
    if (data.going && !document.hidden) timer = setTimeout(ask, data.every)
  }
  document.addEventListener("visibilitychange", begin)
  begin()
  return () => { stop(); document.removeEventListener("visibilitychange", begin) }
}
