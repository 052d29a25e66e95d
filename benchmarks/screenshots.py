"""The README's pictures, taken from the running app at 1440×900: `python -m benchmarks.screenshots`."""

import tempfile

from benchmarks.browser import CHROMIUM, FLAGS, ROOT, server, settled, wait_for_index

PAGES = {
    "home": "",
    "filters": "filters",
    "feature-maps": "feature-maps?layer=layer2.0",
    "top-9": "top-9?layer=layer2.0",
}


def main() -> None:
    """Write one PNG a page to assets/screenshots."""
    from playwright.sync_api import sync_playwright

    folder = ROOT / "assets" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as cache, server(cache) as (address, _, _):
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{address}/feature-maps")
        wait_for_index(page)
        for name, path in PAGES.items():
            page.goto(f"{address}/{path}")
            page.wait_for_selector("img", timeout=60_000)
            settled(page)
            page.wait_for_timeout(1500)
            settled(page)
            page.screenshot(path=folder / f"{name}.png")
            print(folder.relative_to(ROOT) / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
