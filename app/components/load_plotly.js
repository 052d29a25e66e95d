// As text of a script element: Plotly's file is no module and must see the window as `this`.
export default function () {
  if (window.Plotly || document.getElementById("cnnviz-plotly")) return
  const script = document.createElement("script")
  script.id = "cnnviz-plotly"
  script.textContent = PLOTLY_SOURCE
  document.head.appendChild(script)
}
