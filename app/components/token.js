const PLACE = "cnnviz-lecturer"

export default function (component) {
  const { parentElement, setTriggerValue } = component
  if (parentElement.answered) return
  parentElement.answered = true
  const given = new URLSearchParams(location.hash.slice(1)).get("lecturer")
  if (given !== null) {
    history.replaceState(history.state, "", location.pathname + location.search)
    sessionStorage.setItem(PLACE, given)
  }
  setTriggerValue("answer", { token: sessionStorage.getItem(PLACE) || "" })
}
