"""Clicks on the views of layers, in Chromium: `python -m benchmarks.view_clicks`.

For each view the address is changed as a click does, and the time to the end of the page's run is taken; of the views
that compute beside the page, the time to their picture."""

import tempfile
import time

from benchmarks.browser import CHROMIUM, FLAGS, server

SMALL, DEEP, OTHERS = "net=resnet20_cifar", "net=resnet56_cifar", ("coffee", "rocket", "astronaut")
CLICKS = {  # name: (page, queries)
    "growing company, a new image": ("normalisation", [f"{SMALL}&image={name}" for name in OTHERS]),
    "a channel of a batch norm": ("normalisation", [f"view=A+channel&{SMALL}&unit={unit}" for unit in (3, 5, 7)]),
    "axes, a new image": ("normalisation", [f"view=Axes&{SMALL}&image={name}" for name in OTHERS]),
    "the next mask of dropout": ("noise", [f"{SMALL}&image=chelsea&pass={number}" for number in (2, 3, 4)]),
    "a removed block": ("noise", [f"view=Blocks+removed&{DEEP}&block=layer2.{at}" for at in (2, 3, 5)]),
    "twelve random depths": ("noise", [f"view=Stochastic+depth&{DEEP}&seed={seed}" for seed in (2, 3, 5)]),
    "augmentations, a new image": ("noise", [f"view=Augmentation&{SMALL}&image={name}" for name in OTHERS]),
    "an activation elsewhere": (
        "backward",
        [f"view=Activations&net=lenet5_tanh&x={x}" for x in ("1.0", "0.5", "-1.0")],
    ),
    "loss of a new image": ("backward", [f"view=Loss&{SMALL}&image={name}" for name in OTHERS]),
    "a single layer": ("backward", [f"view=Through+a+layer&part={part}" for part in ("As+a+matrix", "ReLU")]),
    "one hidden layer": ("backward", [f"view=By+hand&step={step}" for step in (2, 3, 4)]),
    "families": ("anatomy", [f"view=Families&topic={name}" for name in ("Dense+block", "Inception+module")]),
    "a gallery of answers": ("inspect", [f"net=lenet5&view=Gallery&gallery={seed}" for seed in (3, 4, 5)]),
}
JOBS = ("depth=20", "depth=56", "depth=110", "of=Blocks&depth=56", "compare=Batch+norm&depth=56")
GO = 'url => { history.pushState(null, "", url); dispatchEvent(new PopStateEvent("popstate")) }'
CLICK = """url => new Promise((done) => {
  const app = document.querySelector("[data-testid=stApp]"), begun = performance.now()
  let ran = false, last = null, end = null
  const watch = new MutationObserver(() => {
    ran ||= app.dataset.testScriptState === "running"
    if (!ran || app.dataset.testScriptState !== "notRunning") return
    last = performance.now()
    clearTimeout(end)
    end = setTimeout(() => { watch.disconnect(); done(last - begun) }, 400)  // unless it runs once more
  })
  watch.observe(app, { attributeFilter: ["data-test-script-state"] })
  history.pushState(null, "", url)
  dispatchEvent(new PopStateEvent("popstate"))
})"""


def main() -> None:
    """Print milliseconds of each click, and seconds to each picture."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, tempfile.TemporaryDirectory() as cache, server(cache) as (address, _, _):
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tab = browser.new_page(viewport={"width": 1440, "height": 900})
        for name, (page, queries) in CLICKS.items():
            tab.goto(f"{address}/{page}?{queries[0].split('&image')[0]}")
            tab.locator("h1").wait_for()
            time.sleep(4)
            times = [tab.evaluate(CLICK, f"{address}/{page}?{query}") for query in queries]
            print(f"{name}: {', '.join(f'{one:.0f}' for one in times)} ms", flush=True)
        for query in JOBS:
            tab.evaluate(GO, f"{address}/backward?view=By+hand")
            time.sleep(2)
            begun = time.perf_counter()
            tab.evaluate(GO, f"{address}/backward?{query}")
            tab.locator(".plot.js-plotly-plot").first.wait_for()
            print(f"backward, {query}: {time.perf_counter() - begun:.1f} s", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
