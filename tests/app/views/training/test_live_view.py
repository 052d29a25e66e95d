"""Training in the app: one click begins it, it can be paused, stepped, stopped, gone on with and forked."""

import json
import time
from pathlib import Path

import pytest
from app_pages import entered, errors, pictures
from made_folders import class_folders
from streamlit.testing.v1 import AppTest

from app.classroom import room
from app.jobs import background
from app.jobs.background import Job
from app.views.training import live_choices
from cnnviz.errors import Cancelled
from cnnviz.training.choices import TrainingChoices, make_run, train_choices
from cnnviz.training.control import TrainingControl
from cnnviz.training.record.result import read_run

TOKEN = "a-token-of-this-test"
PATIENCE = 90  # seconds


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Path:
    """The folder of runs, and small class folders as the images."""
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))
    class_folders(tmp_path / "bars", train=400, test=20)
    return tmp_path / "runs"


def link(runs: Path, **more: str) -> dict[str, str]:
    return {"view": "Train", "train_data": "folder", "train_folder": str(runs.parent / "bars"), **more}


def button(at: AppTest, label: str):
    return next(one for one in at.button if one.label == label)


def wait(holds, what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def job_of(name: str) -> Job | None:
    """Watching jobs is for pages; a test only looks."""
    return background._registry()[0].get(f"training {name}")


def begun(name: str) -> int:
    """Steps that a run has made."""
    job = job_of(name)
    return job.state.step if job is not None and job.state is not None else 0


def words(at: AppTest) -> str:
    return " ".join(one.value for one in [*at.caption, *at.markdown, *at.info])


def test_one_click_begins_a_run_that_is_paused_stepped_and_stopped_and_goes_on(opened, runs):
    at = opened("training", **link(runs, train_epochs="200", batch_size="8"))
    assert "Start trains a small network here" in words(at) and not list(runs.glob("*"))
    at = button(at, "Start").click().run()
    name = "lenet5-bars-1"
    assert errors(at) == [] and job_of(name).running
    wait(lambda: begun(name) > 2, "it makes steps")
    at = button(at.run(), "Pause").click().run()
    wait(lambda: job_of(name).state.paused, "it waits")
    made = begun(name)
    time.sleep(0.5)
    assert begun(name) == made and "paused" in words(at.run())
    at = button(at, "Step").click().run()
    wait(lambda: begun(name) == made + 1, "one step")
    button(at.run(), "Stop").click().run()
    wait(lambda: not job_of(name).running, "it ends")
    assert read_run(runs / name).steps["step"].tolist() == list(range(1, made + 2))
    at = at.run()
    assert "stopped" in words(at) and job_of(name).problem == ""
    button(at, "Go on").click().run()
    wait(lambda: begun(name) > made + 1, "it goes on")
    assert len(read_run(runs / name).steps["step"]) > made + 1


def test_a_run_of_before_a_restart_is_there_with_its_curves_and_goes_on_to_its_end(opened, runs):
    choices = TrainingChoices(data=str(runs.parent / "bars"), epochs=1, batch=32, lr=0.02, activation="tanh")
    name, control = make_run(runs, choices), TrainingControl()
    control.step(4)
    with pytest.raises(Cancelled):
        train_choices(runs / name, control, lambda seen: not seen.paused, "cpu")
    at = opened("training", **link(runs))
    assert f"**{name}** · tanh" in words(at) and "stopped" in words(at)
    assert json.loads(pictures(at)["live_curves"]["figure"])["data"]
    button(at, "Go on").click().run()
    wait(lambda: not job_of(name).running, "it ends")
    at = at.run()
    assert "done, 1 epoch" in words(at) and read_run(runs / name).steps["step"].tolist() == list(range(1, 14))
    assert f"answers_{name}" in pictures(at) and f"filters_{name}" in pictures(at)


def test_runs_stand_beside_each_other_and_a_fork_keeps_network_and_images(opened, runs):
    choices = TrainingChoices("mlp", str(runs.parent / "bars"), epochs=1, batch=64)
    name = make_run(runs, choices)
    train_choices(runs / name, TrainingControl(), lambda _seen: True, "cpu")
    at = opened("training", **link(runs, lr="0.001", train_epochs="5", dropout="50 %"))
    button(at, "Fork here").click().run()
    other = "mlp-bars-2"
    wait(lambda: begun(other) > 0, "the fork trains")
    told = json.loads((runs / other / "choices.json").read_text())
    assert (told["network"], told["lr"], told["dropout"], told["start"]) == ("mlp", 0.001, 50, f"run:{name}@step-7")
    at = at.run()
    assert at.query_params["live"] in (f"{name},{other}", [f"{name},{other}"]) and "from mlp-bars-1@step-7" in words(at)
    assert {trace["name"] for trace in json.loads(pictures(at)["live_curves"]["figure"])["data"]} >= {name}


def test_what_cannot_be_trained_is_said_in_words(opened, runs):
    (runs.parent / "empty").mkdir()
    at = opened("training", **link(runs) | {"train_folder": str(runs.parent / "empty")})
    at = button(at, "Start").click().run()
    wait(lambda: not job_of("lenet5-empty-1").running, "it ends")
    assert "training needs at least two" in errors(at.run())[0]
    at = opened("training", view="Train", live="../../etc,nothing,lenet5-empty-1", lr="7", train_net="lenet6")
    assert "lenet5-empty-1" in words(at) and "etc" not in words(at)


def test_the_digits_are_the_default_and_without_the_package_the_page_says_what_to_install(opened, runs, monkeypatch):
    monkeypatch.setattr(live_choices, "is_installed", lambda: False)
    monkeypatch.setenv("CNNVIZ_DATA", str(runs.parent / "no data"))
    at = opened("training", view="Train")
    assert "pip install scikit-learn" in words(at) and button(at, "Start").disabled
    monkeypatch.setattr(live_choices, "is_installed", lambda: True)
    at = opened("training", view="Train")
    assert next(one for one in at.selectbox if one.label == "Images").value == "digits"
    assert not button(at, "Start").disabled


def test_in_a_class_the_lecturer_trains_and_students_see_it(runs, monkeypatch):
    monkeypatch.setenv("CNNVIZ_CLASS_TOKEN", TOKEN)
    monkeypatch.setenv("CNNVIZ_CLASS_ADDRESS", "http://192.168.1.20:8501")
    choices = TrainingChoices(data=str(runs.parent / "bars"), epochs=1, batch=64)
    name = make_run(runs, choices)
    train_choices(runs / name, TrainingControl(), lambda _seen: True, "cpu")
    room.get_room().allowed = True  # other work may be students'
    at = entered("training", view="Train", live=name)
    assert button(at, "Start").disabled and "the lecturer trains" in words(at) and name in words(at)
    assert "live_curves" in pictures(at)
