"""The pictures of README and docs/, taken from the running app at 1440×900: `python -m benchmarks.screenshots`.

Names after it take those alone: `python -m benchmarks.screenshots pooling unit`."""

import io
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.browser import CHROMIUM, FLAGS, ROOT, server, settled, wait_for_index
from cnnviz.data.samples import sample_photo

FOLDER = ROOT / "assets" / "screenshots"
LARGEST = 250_000  # bytes of one picture; beyond that it gets a palette
SMALL = "net=resnet20_cifar"
PAGES = {  # name: (address, what must be there)
    "home": ("", "img[alt^='Five most probable']"),
    "inspect": ("inspect?view=Attribution", "img[alt^='Six attributions']"),
    "camera": (f"camera?camera=Snapshot&{SMALL}", "[alt$='live'], [aria-label$='live']"),
    "filters": (f"filters?{SMALL}", "canvas[data-stamp][aria-label*=' filters of ']"),
    "feature-maps": ("feature-maps", "canvas[data-stamp][aria-label^='Feature maps of']"),
    "compare": (f"feature-maps?{SMALL}&layer=layer2.0&beside=random", "canvas[aria-label$='random weights']"),
    "top-9": ("top-9?layer=blocks.8", "canvas[data-stamp][aria-label^='Top-9 wall of']"),
    "preferred-inputs": (
        f"preferred-inputs?{SMALL}&image=chelsea&layer=layer3.2&unit=57",
        "canvas[data-stamp][aria-label='Preferred inputs of layer3.2 · channel 57']",
    ),
    "unit": ("unit?layer=blocks.8", "canvas[data-stamp][aria-label*=' winners of channel ']"),
    "anatomy": ("anatomy?net=googlenet_2014", "svg[aria-label^='Layers of inception3a']"),
    "training": ("training?lines=Log", ".plot.js-plotly-plot"),
    "landscape": ("landscape", ".plot.js-plotly-plot"),
    "equivariance": (f"equivariance?{SMALL}", "img[alt^='Shift of layer2.0']"),
    "receptive-fields": (f"receptive-fields?{SMALL}&layer=layer2.0", "img[alt^='The gradient of']"),
    "pooling": ("pooling", "img[alt^='Before and after']"),
    "normalisation": ("normalisation", ".plot[aria-label^='Answers over'].js-plotly-plot"),
    "noise": (f"noise?{SMALL}", "svg[aria-label], img[alt]"),
    "backward": ("backward", ".plot.js-plotly-plot"),
    "playground": ("playground", "svg[aria-label^='Step 1 of']"),
    "presenter": (
        f"feature-maps?tour=lecture&stop=6&present=true&{SMALL}&image=chelsea&layer=layer2.0",
        "canvas[data-stamp][aria-label^='Feature maps of']",
    ),
}
WEIGHTS = "own-weights"  # the question about a dropped file


def main(wanted: Collection[str] = ()) -> None:
    """Write one PNG a page to assets/screenshots, and one of the question about one's own weights.

    `wanted`: names of pictures; empty: all of them."""
    from playwright.sync_api import sync_playwright

    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = wanted or {*PAGES, WEIGHTS}
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as cache, server(cache) as (address, _, _):
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *_camera_flags(Path(cache))])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{address}/feature-maps")
        wait_for_index(page)
        for name in [name for name in PAGES if name in wanted]:
            path, sign = PAGES[name]
            page.goto(f"{address}/{path}")
            page.wait_for_selector(sign, timeout=120_000)
            if name == "camera":
                _wait_for_film(page)
                page.get_by_test_id("stMain").get_by_role("button", name="Take Photo").click()
                page.wait_for_url("**image=upload-*", timeout=60_000)
            _take(page, FOLDER / f"{name}.png")
        if WEIGHTS in wanted:
            page.goto(address)
            page.wait_for_selector(PAGES["home"][1], timeout=60_000)
            settled(page)
            _ask_about_weights(page)
            _take(page, FOLDER / f"{WEIGHTS}.png")
        browser.close()


def _camera_flags(folder: Path) -> list[str]:
    """What makes the browser's camera see the astronaut of the samples, who drifts a little."""
    photo, film = sample_photo("astronaut"), folder / "astronaut.mjpeg"
    with film.open("wb") as file:
        for left in range(0, 64, 2):
            photo.crop((left, 30, left + 448, 366)).resize((640, 480)).save(file, "JPEG", quality=90)
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    return [*fake, f"--use-file-for-fake-video-capture={film}"]


def _wait_for_film(page: Any) -> None:
    """The first frames of a fake camera are black."""
    page.wait_for_function("() => document.querySelector('[data-testid=stMain] video')?.currentTime > 2")


def _take(page: Any, path: Path) -> None:
    """Once nothing moves any more."""
    settled(page)
    page.wait_for_function("() => !/being computed|are computed/.test(document.body.innerText)", timeout=120_000)
    page.wait_for_selector("[data-testid=stProgress]", state="detached", timeout=300_000)
    page.wait_for_timeout(1500)
    settled(page)
    path.write_bytes(compress(page.screenshot()))
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def compress(png: bytes) -> bytes:
    """The same picture in fewer bytes: without loss, or with 256 colours where that would be too large."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    if file.tell() > LARGEST:
        file = io.BytesIO()
        few = picture.quantize(256, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
        few.save(file, "PNG", optimize=True)
    return file.getvalue()


def _ask_about_weights(page: Any) -> None:
    """Drop a checkpoint as training with DataParallel leaves it: it fits two networks, which the window asks about."""
    place = page.locator("[data-testid=stMain] [data-testid=stFileUploader] input[type=file]")
    place.set_input_files({"name": "resnet20-best.th", "mimeType": "application/octet-stream", "buffer": _checkpoint()})
    page.wait_for_selector("[role=dialog] button:has-text('Use these weights')", timeout=60_000)


def _checkpoint() -> bytes:
    """A state_dict of fresh weights beside the epoch."""
    import torch

    from cnnviz.models.catalogue.registry import build

    torch.manual_seed(0)
    state = {f"module.{name}": value for name, value in build("resnet20_cifar").state_dict().items()}
    file = io.BytesIO()
    torch.save({"state_dict": state, "epoch": 200}, file)
    return file.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:])
