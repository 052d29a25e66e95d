"""Loss landscapes in a browser: both surfaces painted, one camera for both, a click on a plane, what is saved."""

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from made_surfaces import bowl, path_of
from PIL import Image
from visitors import Visitor, serving

pytestmark = pytest.mark.browser
EYES = "p => ['scene', 'scene2'].map(name => p._fullLayout[name]._scene.getCamera().eye)"


@pytest.fixture(scope="module")
def address(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own, whose landscapes are made by a formula."""
    folder = tmp_path_factory.mktemp("landscapes")
    for seed in (0, 1):
        bowl(21, seed=seed).save(folder / f"resnet20_cifar-seed{seed}.npz")
        bowl(21, ripple=5.0 + seed, seed=seed).save(folder / f"plain20_cifar-seed{seed}.npz")
    for epoch in (0, 5, 10):
        bowl(7, floor=2.0 - epoch / 10).save(folder / f"plain20_cifar-epoch{epoch:03}.npz")
    path_of().save(folder / "plain20_cifar-trajectory.npz")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CNNVIZ_LANDSCAPES", str(folder))
        with serving(tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("elsewhere")) as url:
            yield url


def painted(someone: Visitor) -> Any:
    """The figure, once Plotly has drawn it and answers to the mouse."""
    figure = someone.main.locator(".cnnviz-plot .plot.js-plotly-plot")
    figure.wait_for()
    someone.until(lambda: figure.evaluate("p => p.closest('.cnnviz-plot').heard === true"), "the figure is drawn")
    return figure


def ink(png: bytes) -> float:
    """Share of the pixels that are neither white nor gray."""
    picture = Image.open(io.BytesIO(png)).convert("HSV")
    coloured = [pixel for pixel in picture.getdata() if pixel[1] > 60]
    return len(coloured) / (picture.width * picture.height)


@pytest.mark.own_tab  # it counts what the server sends to a new one
def test_both_surfaces_are_painted_whole_and_turn_together(visitor: Visitor):
    frames: list[int] = []
    visitor.tab.on("websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(len(data))))
    visitor.open("landscape")
    figure = painted(visitor)
    box = visitor.box(figure)
    assert box["x"] >= 0 and box["x"] + box["width"] <= 1440 and box["y"] + box["height"] <= 900 and visitor.fits()
    halves = [
        {"x": box["x"] + side * box["width"] / 2, "y": box["y"], "width": box["width"] * 0.42, "height": box["height"]}
        for side in (0, 1)
    ]
    for half in halves:
        assert ink(visitor.tab.screenshot(clip=half)) > 0.03
    before = figure.evaluate(EYES)
    assert before[0] == pytest.approx(before[1])
    x, y = box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5
    visitor.tab.mouse.move(x, y)
    visitor.tab.wait_for_timeout(200)
    visitor.tab.mouse.down()
    for part in range(1, 60):  # the scene looks at the mouse once a frame, and a frame may take its time
        visitor.tab.wait_for_timeout(100)
        visitor.tab.mouse.move(x + 10 * min(part, 8) + part % 2, y + 2 * min(part, 8))
        if part > 4 and figure.evaluate(EYES)[0] != before[0]:
            break
    visitor.tab.mouse.up()

    def is_kept(eye: dict[str, float]) -> bool:
        """The URL says whence the eye looks, to two digits; how far away it is depends on the window's shape."""
        kept = np.array([float(part) for part in visitor.query().get("camera", "0,0,0").split(",")])
        looks = np.array([eye[axis] for axis in "xyz"])
        farther = looks @ kept / max(kept @ kept, 1e-9)
        return farther > 0.5 and np.allclose(looks / farther, kept, atol=0.02)

    visitor.until(lambda: is_kept(figure.evaluate(EYES)[0]), "the turn is in the URL")
    visitor.settled()
    left, right = figure.evaluate(EYES)
    assert max(abs(left[axis] - before[0][axis]) for axis in "xyz") > 0.1
    assert all(left[axis] == pytest.approx(right[axis], abs=1e-3) for axis in "xyz")
    assert max(frames) < 1_000_000  # Plotly itself is a file that the browser keeps
    visitor.tab.reload()
    assert is_kept(painted(visitor).evaluate(EYES)[1])


def test_the_view_is_in_the_url_and_a_click_on_a_plane_asks_the_network_there(visitor: Visitor):
    visitor.open("landscape")
    painted(visitor)
    visitor.pick("View", "Contours")
    visitor.until_query(view="Contours")
    figure = painted(visitor)
    visitor.until(lambda: figure.locator(".contourlayer, .heatmaplayer image").count() >= 2, "the planes are drawn")
    where = figure.evaluate(
        "p => { const a = p._fullLayout, b = p.getBoundingClientRect(); "
        "return [b.x + a.xaxis._offset + a.xaxis.d2p(0.5), b.y + a.yaxis._offset + a.yaxis.d2p(-0.3)] }"
    )
    visitor.tab.mouse.move(where[0] - 3, where[1])
    visitor.tab.mouse.move(*where)
    visitor.until(lambda: figure.locator(".hoverlayer text").count() > 0, "the point tells its loss")
    assert "nats" in figure.locator(".hoverlayer").text_content()
    visitor.tab.mouse.click(*where)
    visitor.until(lambda: visitor.query().get("point") == "0,0.5,-0.3", "the point was clicked")
    visitor.settled()
    visitor.main.get_by_text("ResNet-20 (CIFAR) at (0.50, −0.30)").wait_for()
    visitor.main.locator("img[alt='Feature maps: At (0.50, −0.30)']").wait_for()
    assert visitor.fits()
    visitor.tab.go_back()
    visitor.until_query(point=None)


def test_what_is_saved_is_the_picture_the_page_and_the_numbers(visitor: Visitor):
    visitor.open("landscape", "view=Slices")
    painted(visitor)
    buttons = visitor.main.locator(".cnnviz-plot .saves")
    name, data = visitor.download(buttons.get_by_text("PNG"))
    assert name.endswith(".png") and Image.open(io.BytesIO(data)).width > 1500
    name, data = visitor.download(buttons.get_by_text("SVG"))
    assert name.endswith(".svg") and "filter norms" in "".join(ET.fromstring(data).itertext())
    downloads = visitor.main.locator("[data-testid=stDownloadButton]")
    name, data = visitor.download(downloads.get_by_role("button", name="CSV, ResNet-20"))
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert name == "resnet20_cifar-landscape.csv" and len(rows) == 441
    name, data = visitor.download(downloads.get_by_role("button", name="HTML"))
    assert name.endswith(".html") and b"plotly.js v" in data and b"filter norms" in data


def test_the_slider_over_epochs_changes_the_surface_and_the_url(visitor: Visitor):
    visitor.tab.set_viewport_size({"width": 1024, "height": 768})
    visitor.open("landscape", "view=Training")
    figure = painted(visitor)
    lowest = "p => Math.min(...p._fullData[0].z.flatMap ? p._fullData[0].z.flatMap(row => [...row]) : p._fullData[0].z)"
    last = figure.evaluate(lowest)
    rail = visitor.box(figure.locator(".slider-rail-touch-rect"))
    visitor.tab.mouse.click(rail["x"] + 6, rail["y"] + rail["height"] / 2)
    visitor.until(lambda: visitor.query().get("epoch") == "0", "the slider stands at epoch 0")
    visitor.settled()
    assert figure.evaluate(lowest) > last + 0.1 and visitor.fits()


def test_a_surface_is_computed_on_the_axes_that_stood_there_before(visitor: Visitor):
    visitor.open("landscape", "view=Compute&net=lenet5&images=100&steps=13")
    figure = painted(visitor)
    assert figure.get_attribute("aria-label").startswith("Axes for the loss")
    assert figure.evaluate("p => p.data.every(trace => trace.opacity === 0)")
    figure.evaluate("p => { p._fullLayout.scene._scene.mine = true }")
    visitor.main.get_by_role("button", name="Compute", exact=True).click()
    visitor.until(lambda: figure.get_attribute("aria-label").startswith("Loss surface of"), "points have come")
    visitor.main.get_by_text("another seed gives another slice").wait_for()
    drawn = figure.evaluate(
        "p => [p.data[0].opacity, p._fullData[0].z.length, p.data.at(-1).contours.showlabels, "
        "p._fullLayout.scene._scene.mine]"
    )
    assert drawn == [None, 13, True, True]  # the same scene, whole, with numbers on its lines
