"""The view Transfer: the study's curve with what it says, and attempts that train on one's own class folders."""

import json

import pytest
from app_jobs import when_built
from app_pages import errors, pictures, traces
from made_folders import class_folders

from cnnviz.studies.learning.attempts import ATTEMPTS
from cnnviz.studies.learning.transfer import bundled_study, describe_study
from cnnviz.training.state import read_history


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def written(at) -> str:
    return "\n".join(str(part.value) for kind in ("markdown", "caption", "info") for part in at.get(kind))


def test_the_study_is_drawn_and_says_what_its_numbers_say(opened):
    at = opened("training", view="Transfer")
    assert not errors(at)
    study, text = bundled_study(), written(at)
    assert all(line in text for line in describe_study(study))
    (curve,) = [trace for trace in traces(pictures(at)["transfer_study"]) if trace["name"].startswith("AnB:")]
    assert curve["y"] == pytest.approx(list(100 * study.accuracy["AnB"].mean(0)))
    assert "Which layers to train" in text and len(at.table) == 1


def test_attempts_show_those_of_the_photographs_until_ones_own_are_trained(opened, tmp_path, runs):
    data = class_folders(tmp_path / "bars", train=12, test=6)
    query = dict(start="lenet5", attemptdata="folder", train_folder=str(data), perclass="4", epochs="1")
    at = opened("training", view="Transfer", transfer="Attempts", **query)
    assert not errors(at) and "Comes with cnnviz" in written(at)
    next(button for button in at.button if button.label == "Train all four").click()
    at.run()
    at = when_built(at)
    assert not errors(at) and "Comes with cnnviz" not in written(at)
    folders = {name: next(runs.glob(f"attempts/*/{name}")) for name in ATTEMPTS}
    drawn = {trace["name"]: trace["y"] for trace in traces(pictures(at)["attempts"]) if trace.get("showlegend")}
    for name, folder in folders.items():
        assert drawn[ATTEMPTS[name].title] == [100 * read_history(folder)[-1].test_accuracy]
        about = json.loads((folder / "run.json").read_text())
        assert about["images_per_class"] == 4 and ("start" in about) == ATTEMPTS[name].trained
    assert "Best on the test images" in written(at) and len(at.table) == 2


def test_what_is_missing_is_asked_for_in_words(opened, tmp_path):
    at = opened("training", view="Transfer", transfer="Attempts", start="lenet5", attemptdata="folder")
    assert not errors(at) and "One folder a class" in written(at)
    at = opened(
        "training",
        view="Transfer",
        transfer="Attempts",
        start="lenet5",
        attemptdata="folder",
        train_folder=str(tmp_path / "no"),
    )
    next(button for button in at.button if button.label == "Train all four").click()
    at.run()
    at = when_built(at)
    (problem,) = errors(at)
    assert "No data at" in problem
