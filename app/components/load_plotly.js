// Plotly's own script, once a page; asked for again after a while if it did not come. It is no module and must see the
// window as `this`.
const PLOTLY = "cnnviz-plotly", AGAIN = 2000  // milliseconds
function loadPlotly() {
  if (window.Plotly || document.getElementById(PLOTLY)) return
  const script = document.createElement("script")
  script.id = PLOTLY
  script.src = new URL(PLOTLY_ADDRESS, document.baseURI)
  script.onerror = () => setTimeout(() => script.remove(), AGAIN)
  document.head.appendChild(script)
}
