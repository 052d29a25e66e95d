"""The page Training in a browser: a run that another program writes is followed until it ends, and not while the tab is
hidden; Space plays its moments, and a moment opens the feature maps of then."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_runs import record_run
from visitors import Visitor, serving

pytestmark = pytest.mark.browser
HELPERS = Path(__file__).resolve().parents[2] / "helpers"
WRITER = """
import sys, time
sys.path[:0] = {paths}
import cnnviz
from pathlib import Path
from made_runs import LENET, STEPS
from cnnviz.models.catalogue.registry import build
folder, stop = Path({folder!r}), Path({stop!r})
with cnnviz.record(folder, build("lenet5", 10), every=5, about=LENET) as run:
    while not stop.exists() and run.steps < 4000:
        for _ in range(STEPS):
            run.step(loss=1 / (run.steps + 1), accuracy=0.5)
            time.sleep(0.05)
        run.epoch(test_loss=1 / run.steps, test_accuracy=0.5)
"""
POINTS = "plot => plot.calcdata ? Math.max(...plot.calcdata.map((points) => points[points.length - 1].x)) : 0"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def address(chromium: object, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own with a folder of runs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CNNVIZ_RUNS", str(runs))
        with serving(tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("elsewhere")) as url:
            yield url


def last_epoch(visitor: Visitor) -> float:
    """Where the longest curve ends."""
    return visitor.tab.locator(".plot").first.evaluate(POINTS)


def click_curve(visitor: Visitor, number: int) -> None:
    """Click a point of the last curve, which lies above the others."""
    plot = visitor.tab.locator(".plot").first
    x, y = plot.evaluate(
        """(plot, number) => {
          const point = plot.calcdata.at(-1)[number], { xaxis, yaxis } = plot.calcdata.at(-1)[0].trace
          const [across, down] = [xaxis, yaxis].map((id) => plot._fullLayout[id[0] + "axis" + id.slice(1)])
          return [across._offset + across.d2p(point.x), down._offset + down.d2p(point.y)]
        }""",
        number,
    )
    plot.hover(position={"x": x - 20, "y": y})
    plot.hover(position={"x": x, "y": y})
    visitor.tab.locator(".plot .hoverlayer .hovertext").first.wait_for(state="attached")
    plot.click(position={"x": x, "y": y})


def hide(visitor: Visitor, hidden: bool) -> None:
    """Tell the page that its tab is (not) seen, as the browser does."""
    visitor.tab.evaluate(
        """hidden => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true })
          document.dispatchEvent(new Event("visibilitychange"))
        }""",
        hidden,
    )


def test_a_run_that_a_program_writes_is_followed_until_it_ends(visitor: Visitor, runs: Path, tmp_path: Path):
    stop, paths = tmp_path / "stop", [str(HELPERS), *sys.path]
    script = WRITER.format(paths=paths, folder=str(runs / "live"), stop=str(stop))
    writer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
    try:
        visitor.until(lambda: (runs / "live" / "epochs.jsonl").exists(), "the run has begun")
        visitor.open("training", "axis=Steps&moment=0")
        visitor.main.get_by_text("running").first.wait_for()
        visitor.until(lambda: last_epoch(visitor) > 0, "there is a curve")
        first = last_epoch(visitor)
        drawn = visitor.tab.locator(".plot").first.element_handle()
        visitor.until(lambda: last_epoch(visitor) > first + 40, "it grows by itself")
        assert drawn.evaluate("plot => plot.isConnected")  # drawn on, not anew
        hide(visitor, True)
        visitor.tab.wait_for_timeout(2000)  # what was asked for before comes
        before = last_epoch(visitor)
        visitor.tab.wait_for_timeout(3200)
        assert last_epoch(visitor) == before
        hide(visitor, False)
        visitor.until(lambda: last_epoch(visitor) > before, "seen again, it goes on")
    finally:
        stop.touch()
        writer.wait(60)
    visitor.until(lambda: visitor.main.get_by_text("running").count() == 0, "its end is told")
    visitor.until_query(axis="Steps")
    lines = (runs / "live" / "steps.jsonl").read_text().splitlines()
    visitor.until(lambda: last_epoch(visitor) == len(lines), "all of it is there")


def test_a_moment_of_the_slider_opens_the_feature_maps_of_then_and_space_plays(visitor: Visitor, runs: Path):
    record_run(runs / "mine", [0.9, 0.4, 0.6])
    visitor.open("training", "runs=mine&moment=0")
    slider = visitor.tab.get_by_role("slider")
    visitor.until(lambda: last_epoch(visitor) == 3, "the curves are there")
    filters = visitor.tab.locator("img[alt^='First-layer filters']").first
    before = filters.get_attribute("src")
    visitor.press(" ")
    visitor.until(lambda: filters.get_attribute("src") != before, "the filters move")
    visitor.until_query(moment="12")
    slider.press("Home")
    visitor.until_query(moment="0")
    click_curve(visitor, 2)  # at the end of epoch 3
    visitor.until_query(moment="12")
    slider.press("Home")
    visitor.until_query(moment="0")
    while visitor.query().get("moment") is not None:  # the best epoch, 2, is where the slider stands by itself
        slider.press("ArrowRight")
        visitor.tab.wait_for_timeout(300)
        visitor.settled()
    slider.press("ArrowRight")
    visitor.until(lambda: visitor.query().get("moment") not in (None, "7"), "the slider moves on")
    slider.press("End")
    visitor.until_query(moment="12")
    visitor.tab.locator(".st-key-cnnviz_panel").get_by_role("link", name="Feature maps").click()
    visitor.arrived("feature-maps")
    assert visitor.query()["weights"] == "run:mine@3" and visitor.query()["net"] == "lenet5"
    visitor.picture("Feature maps of").first.wait_for()


def test_a_moment_that_is_clicked_in_the_grid_or_on_a_curve_is_that_of_the_page_and_its_links(
    visitor: Visitor, runs: Path
):
    record_run(runs / "grown", [0.9, 0.4, 0.6])
    visitor.open("training", "view=Evolution&run=grown&layer=conv2")
    grid = visitor.picture("Strongest patches").first
    grid.wait_for()
    visitor.settled()
    wide, high = (visitor.box(grid)[side] for side in ("width", "height"))
    grid.click(position={"x": 0.985 * wide, "y": high / 2})
    visitor.until_query(moment="12")
    grid.click(position={"x": 0.3 * wide, "y": high / 2})
    visitor.until_query(moment="0")
    click_curve(visitor, 1)
    visitor.until(lambda: visitor.query().get("moment") not in (None, "0"), "the curve's moment")
    visitor.tab.locator(".st-key-cnnviz_panel").get_by_role("link", name="Feature maps").click()
    visitor.arrived("feature-maps")
    assert visitor.query()["weights"].startswith("run:grown@") and visitor.query()["layer"] == "conv2"


def test_four_attempts_at_learning_from_few_images_are_trained_on_a_click(visitor: Visitor, runs: Path):
    visitor.open("training", "view=Transfer")
    visitor.tab.locator("[aria-label='Accuracy over the layers taken over'] path.js-line").first.wait_for(
        state="attached"
    )
    visitor.pick("Look at", "Attempts")
    visitor.until_query(transfer="Attempts")
    visitor.open("training", "view=Transfer&transfer=Attempts&start=lenet5&attemptdata=digits&perclass=2&epochs=1")
    visitor.main.get_by_role("button", name="Train all four").click()
    visitor.main.get_by_text("Each is a run under Curves").wait_for()
    cells = visitor.main.locator("[data-testid=stTable]").first.locator("tbody tr").all_inner_texts()
    assert len(cells) == 4 and all(row.count("%") == 2 for row in cells)
    (folder,) = (runs / "attempts").iterdir()
    names = {run.name for run in folder.iterdir() if (run / "run.json").is_file()}
    visitor.until_query(perclass="2", epochs="1")
    visitor.open("training", "runs=" + ",".join(f"attempts/{folder.name}/{name}" for name in sorted(names)))
    visitor.until(lambda: last_epoch(visitor) == 1, "the runs are under Curves")
    assert len(names) == 4
