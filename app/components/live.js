const LEGEND = 36  // pixels for the line below the wall
const WAIT = 1000  // milliseconds after a request that failed

function build(parentElement) {
  const view = document.createElement("div")
  view.className = "view"
  view.innerHTML = `
    <div class="main"><p class="wrong" role="status"></p><img class="wall"><p class="legend"></p></div>
    <div class="side">
      <img class="seen"><img class="bars"><p class="note"></p><p class="words" aria-live="off"><b></b><span></span></p>
    </div>`
  parentElement.appendChild(view)
  view.fit = () => view.style.setProperty("--room", `${Math.floor(roomBelow(view) - LEGEND)}px`)
  view.watcher = new ResizeObserver(() => { view.fit(); sharpen(view) })
  return view
}

function sharpen(view) {  // whole pixels at whole multiples, smooth when a narrow window reduces the picture
  for (const image of view.querySelectorAll("img")) {
    const scale = image.clientWidth / image.width_
    const whole = image.className !== "wall" || Math.abs(scale - Math.round(scale)) < 0.02
    image.style.imageRendering = scale >= 1 && whole ? "pixelated" : "auto"
  }
}

function paint(view, news) {
  const wrong = view.querySelector(".wrong"), problem = news.problem || ""
  if (wrong.textContent !== problem) wrong.textContent = problem  // read out once, not with every frame
  if (news.problem) return
  for (const name of ["wall", "seen", "bars"]) {
    const image = view.querySelector("." + name), { src, width, height, alt } = news[name]
    if (image.src !== src) image.src = src
    image.alt = alt
    if (image.width_ === width && image.height_ === height) continue
    image.width = image.width_ = width
    image.height = image.height_ = height
    image.style.setProperty("--natural", height + "px")
    image.style.setProperty("--ratio", width / height)
  }
  sharpen(view)
  view.querySelector(".legend").textContent = news.legend
  view.querySelector(".note").textContent = news.note || ""
  view.querySelector(".words b").textContent = news.pace || ""
  view.querySelector(".words span").textContent = news.words
}

async function painted(view) {  // no request before the picture is on the screen; none at all while the tab is hidden
  await Promise.all([...view.querySelectorAll("img")].map((image) => image.decode().catch(() => null)))
  await new Promise(requestAnimationFrame)
}

async function follow(view, data, signal) {
  const address = new URL(`cnnviz-live/${data.stream}`, document.baseURI)
  while (!signal.aborted) {
    try {
      address.searchParams.set("after", view.after)
      const answer = await fetch(address, { signal, cache: "no-store", credentials: "same-origin" })
      if (answer.status !== 200 && answer.status !== 204) throw new Error(answer.statusText)
      const news = answer.status === 200 ? await answer.json() : null
      if (signal.aborted) return
      if (!news) continue
      view.after = news.number
      view.live = !news.over
      paint(view, news.over ? { ...data.still, words: data.idle } : news)
      await painted(view)
      if (view.live && !news.problem) view.dataset.frames = Number(view.dataset.frames || 0) + 1
    } catch {
      if (signal.aborted) return
      await new Promise((resolve) => setTimeout(resolve, WAIT))
    }
  }
}

function draw(component) {
  const { data, parentElement } = component
  const view = parentElement.querySelector(".view") || build(parentElement)
  view.watcher.observe(view)
  addEventListener("resize", view.fit)
  if (view.loop) view.loop.abort()
  if (!data.playing || view.stream !== data.stream) { view.live = false; view.after = 0; view.dataset.frames = 0 }
  view.stream = data.stream
  if (!view.live) paint(view, { ...data.still, words: data.words })
  const loop = view.loop = new AbortController()
  if (data.playing) follow(view, data, loop.signal)
  return () => { loop.abort(); view.watcher.disconnect(); removeEventListener("resize", view.fit) }
}
