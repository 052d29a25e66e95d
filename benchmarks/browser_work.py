"""What the browser does to draw pages: `python -m benchmarks.browser_work`.

Seven pages are opened one after the other, twice, in a Chromium at 1440×900: seconds of its main thread in all, and of
them for scripts, for finding the style of elements and for laying them out."""

from __future__ import annotations

import tempfile
from typing import Any

from benchmarks.browser import CHROMIUM, FLAGS, process, settled

PAGES = (
    "normalisation?net=resnet20_cifar&image=chelsea",
    "feature-maps?net=resnet20_cifar&layer=layer2.0&unit=17",
    "pooling?net=lenet5",
    "training?runs=bundled:lenet5",
    "anatomy?net=resnet20_cifar",
    "filters?net=lenet5&unit=1",
    "backward?depth=20",
)
KINDS = {"TaskDuration": "all", "ScriptDuration": "scripts", "RecalcStyleDuration": "style", "LayoutDuration": "layout"}

_GO = """url => {  // as the browser's Back does, without loading the app anew
  history.pushState(null, "", url)
  dispatchEvent(new PopStateEvent("popstate"))
}"""


def main() -> None:
    """Print the seconds of each round."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as cache, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with process(cache) as (address, _timings, _pid):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(address)
            settled(page)
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            for visit in ("first", "second"):
                before = _read(session)
                for link in PAGES:
                    page.evaluate(_GO, f"{address}/{link}")
                    page.wait_for_timeout(300)
                    settled(page)
                    page.wait_for_timeout(700)
                spent = {name: after - before[name] for name, after in _read(session).items()}
                told = ", ".join(f"{KINDS[name]} {seconds:.2f} s" for name, seconds in spent.items())
                print(f"{visit} visits: {told}", flush=True)
        browser.close()


def _read(session: Any) -> dict[str, float]:
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return {name: found[name] for name in KINDS}


if __name__ == "__main__":
    main()
