export default function (component) {
  const { data, parentElement } = component
  if (parentElement.newest > data.number) return
  parentElement.calls = parentElement.newest === data.number ? parentElement.calls + 1 : 1
  parentElement.newest = data.number
  parentElement.leave = draw(component)
  const shown = window.cnnvizShown = window.cnnvizShown || {}
  const show = (change) => { parentElement.leave = draw({ ...component, data: { ...data, ...change } }) }
  if (data.key) shown[data.key] = show
  return () => {
    if (parentElement.newest !== data.number || --parentElement.calls > 0) return
    parentElement.leave?.()
    if (shown[data.key] === show) delete shown[data.key]
  }
}
