"""Training in the app in Chromium: started, watched, paused and forked; it ends when its tab is closed."""

import json
import re
import time
from pathlib import Path

import pytest
from made_folders import class_folders
from visitors import Visitor, serving

from cnnviz.training.record.result import read_run

pytestmark = pytest.mark.browser


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))
    class_folders(tmp_path / "bars", train=600, test=20)
    return tmp_path / "runs"


def press(visitor: Visitor, label: str) -> None:
    visitor.main.get_by_role("button", name=label, exact=True).first.click()


def count_steps(folder: Path) -> int:
    return len(read_run(folder).steps["step"])


def test_a_training_is_started_watched_paused_and_forked_and_ends_with_its_tab(chromium, runs, tmp_path):
    with serving(tmp_path / "cache", tmp_path) as address:
        visitor, sent = Visitor(chromium, address), []
        visitor.tab.on("websocket", lambda socket: socket.on("framesent", lambda _: sent.append(1)))
        bars = f"train_data=folder&train_folder={tmp_path / 'bars'}"
        visitor.open("training", f"view=Train&train_epochs=200&batch_size=8&{bars}")
        press(visitor, "Start")
        first, second = runs / "lenet5-bars-1", runs / "lenet5-bars-2"
        visitor.main.locator("path.js-line").first.wait_for(state="attached")
        told = visitor.main.get_by_text(re.compile(r"running, epoch \d+ of 200, step"))
        told.first.wait_for()
        seen = set()
        visitor.until(lambda: seen.add(told.first.inner_text()) or len(seen) > 2, "the page follows it")
        press(visitor, "Pause")
        visitor.main.get_by_text(re.compile("paused, epoch")).first.wait_for()
        made = count_steps(first)
        press(visitor, "Step")
        visitor.until(lambda: count_steps(first) == made + 1, "one step more")
        visitor.settled()
        press(visitor, "Fork")
        visitor.tab.get_by_role("button", name="Fork here").click()
        visitor.until(lambda: (second / "run.json").is_file() and count_steps(second) > 2, "the fork trains")
        assert json.loads((second / "choices.json").read_text())["start"].startswith("run:lenet5-bars-1@step-")
        visitor.until_query(live="lenet5-bars-1,lenet5-bars-2")
        visitor.main.get_by_role("img", name=re.compile("First-layer filters of lenet5-bars-2")).first.wait_for()
        visitor.go("playground")  # it goes on, whatever the tab shows
        asked = len(sent)
        visitor.tab.wait_for_timeout(1500)
        assert len(sent) == asked, "another page asks for looks at the training"
        before = count_steps(second)
        visitor.until(lambda: count_steps(second) > before, "it goes on")
        assert visitor.wrong == []
        visitor.tab.close()
        until = time.monotonic() + 60
        while any(read_run(run).running for run in (first, second)) and time.monotonic() < until:
            time.sleep(0.2)
        ended = [count_steps(run) for run in (first, second)]
        assert not any(read_run(run).running or read_run(run).about["failed"] for run in (first, second))
        time.sleep(1)
        assert [count_steps(run) for run in (first, second)] == ended and ended[0] == made + 1
