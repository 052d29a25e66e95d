export default function (component) {
  const { data, parentElement } = component
  if (parentElement.newest > data.number) return
  parentElement.calls = parentElement.newest === data.number ? parentElement.calls + 1 : 1
  parentElement.newest = data.number
  parentElement.leave = draw(component)
  return () => {
    if (parentElement.newest === data.number && --parentElement.calls === 0) parentElement.leave?.()
  }
}
