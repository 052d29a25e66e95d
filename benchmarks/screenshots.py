"""The README's pictures, taken from the running app at 1440×900: `python -m benchmarks.screenshots`."""

import io
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.browser import CHROMIUM, FLAGS, ROOT, server, settled, wait_for_index

FOLDER = ROOT / "assets" / "screenshots"
PAGES = {  # name: (address, what must be there)
    "home": ("", "img[alt^='Five most probable']"),
    "filters": ("filters", "img[alt*=' filters of ']"),
    "feature-maps": ("feature-maps?layer=layer2.0", "img[alt^='Feature maps of']"),
    "top-9": ("top-9?layer=layer2.0", "img[alt^='Top-9 wall of']"),
    "anatomy": ("anatomy?net=googlenet_2014", "svg[aria-label^='Layers of inception3a']"),
    "equivariance": ("equivariance", "img[alt^='Shift of layer2.0']"),
    "playground": ("playground", "svg[aria-label^='Step 1 of']"),
}


def main() -> None:
    """Write one PNG a page to assets/screenshots, and one of the question about one's own weights."""
    from playwright.sync_api import sync_playwright

    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as cache, server(cache) as (address, _, _):
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{address}/feature-maps")
        wait_for_index(page)
        for name, (path, sign) in PAGES.items():
            page.goto(f"{address}/{path}")
            page.wait_for_selector(sign, timeout=60_000)
            _take(page, FOLDER / f"{name}.png")
        page.goto(address)
        page.wait_for_selector(PAGES["home"][1], timeout=60_000)
        settled(page)
        _ask_about_weights(page)
        _take(page, FOLDER / "own-weights.png")
        browser.close()


def _take(page: Any, path: Path) -> None:
    """Once nothing moves any more."""
    settled(page)
    page.wait_for_timeout(1500)
    settled(page)
    page.screenshot(path=path)
    print(path.relative_to(ROOT))


def _ask_about_weights(page: Any) -> None:
    """Drop a checkpoint as training with DataParallel leaves it: it fits two networks, which the window asks about."""
    place = page.locator("[data-testid=stMain] [data-testid=stFileUploader] input[type=file]")
    place.set_input_files({"name": "resnet20-best.th", "mimeType": "application/octet-stream", "buffer": _checkpoint()})
    page.wait_for_selector("[role=dialog] button:has-text('Use these weights')", timeout=60_000)


def _checkpoint() -> bytes:
    """A state_dict of fresh weights beside the epoch."""
    import torch

    from cnnviz.models.registry import build

    torch.manual_seed(0)
    state = {f"module.{name}": value for name, value in build("resnet20_cifar").state_dict().items()}
    file = io.BytesIO()
    torch.save({"state_dict": state, "epoch": 200}, file)
    return file.getvalue()


if __name__ == "__main__":
    main()
