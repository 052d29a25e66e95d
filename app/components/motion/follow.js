const PATIENCE = 4  // times the pace: an answer that has not come by then is asked for again

// Asks for the next look while the tab is seen, and not before the last one has been drawn. An earlier call's timer and
// listener end first: they would go on asking, on other pages too.
function draw(component) {
  const { data, parentElement, setTriggerValue } = component
  parentElement.endFollowing?.()
  const { pathname } = location
  let timer = null
  const stop = () => { clearTimeout(timer); timer = null }
  const ask = () => {
    if (location.pathname !== pathname) return  // another page is on its way: a look now would get in its way
    setTriggerValue("look", data.number)
    timer = setTimeout(ask, PATIENCE * data.every)
  }
  const begin = () => {
    stop()
    if (data.going && !document.hidden) timer = setTimeout(ask, data.every)
  }
  document.addEventListener("visibilitychange", begin)
  begin()
  const end = () => { stop(); document.removeEventListener("visibilitychange", begin) }
  parentElement.endFollowing = end
  return end
}
