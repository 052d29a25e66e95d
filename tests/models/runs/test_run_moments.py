"""Weights "run:NAME@3": those of the epoch, the nearest that are kept, and in words what is not there."""

import os

import pytest
from made_runs import STEPS, Stranger, equal_halves, record_run, write_bare_run
from torch import nn

import cnnviz
from cnnviz.errors import CnnvizError, UnknownName
from cnnviz.models.bundled import snapshots
from cnnviz.models.runs.files import SNAPSHOTS, list_arrays
from cnnviz.training.record.result import find_run, list_runs, name_runs, read_run, runs_folder


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def state(model):
    return {name: tensor.contiguous() for name, tensor in model.module.state_dict().items()}


@pytest.mark.parametrize(
    ("when", "epoch"), [("0", 0), ("1", 1), ("03", 3), ("best", 2), ("last", 3), (f"step-{2 * STEPS}", 2)]
)
def test_the_weights_of_a_moment_are_those_that_the_loop_had_then(runs, when, epoch):
    states = record_run(runs / "mine")
    for name in (None, "lenet5"):
        model = cnnviz.load(name, f"run:mine@{when}", device="cpu")
        assert model.name == "lenet5" and model.class_names[3] == "digit 3" and model.origin == f"run:mine@{epoch}"
        assert equal_halves(state(model), states[epoch]) and "moment" not in model.notes
    assert cnnviz.load(None, "run:mine", device="cpu").origin == "run:mine@3"


def test_of_a_moment_that_is_not_kept_the_nearest_is_loaded_and_said(runs):
    states = record_run(runs / "deep" / "er", [0.5] * 6)
    for step in (2 * STEPS, 3 * STEPS):
        list_arrays(runs / "deep" / "er", SNAPSHOTS)[step].unlink()
    for asked, epoch in ((2, 1), (3, 4), (99, 6)):
        model = cnnviz.load(None, f"run:deep/er@{asked}", device="cpu")
        assert equal_halves(state(model), states[epoch]) and model.origin == f"run:deep/er@{epoch}"
        assert f"Of epoch {asked} " in model.notes["moment"] and f"epoch {epoch} (step {epoch * STEPS})" in str(
            model.report.warnings
        )
    model = cnnviz.load(None, f"run:deep/er@step-{STEPS + 1}", device="cpu")
    assert equal_halves(state(model), states[1]) and f"Of step {STEPS + 1} " in model.notes["moment"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("run:gone@1", "No run named 'gone'.*1 run: mine"),
        ("run:../runs/mine@1", "No run named"),
        ("run:/etc@1", "No run named"),
        ("run:mine/@1", "No run named"),
        ("run:" + "x" * 5000 + "@1", "No run named"),
        ("run:a\0b@1", "No run named"),
        ("run:mine@soon", "names no moment"),
        ("run:mine@", "names no moment"),
        ("run:@3", "names no moment"),
        ("run:", "names no moment"),
        ("run:mine@-1", "names no moment"),
        ("run:mine@٣", "names no moment"),
        ("run:mine@1234567890123", "names no moment"),
        ("run:bundled:lenet6@1", "Those that do: bundled:lenet5"),
        ("run:bundled:lenet5@step-4", "Name an epoch, 0 to 20"),
    ],
)
def test_what_is_not_there_is_refused_with_what_there_is(runs, word, said):
    record_run(runs / "mine")
    with pytest.raises(CnnvizError, match=said):
        cnnviz.load("lenet5", word, device="cpu")


def test_a_run_without_epochs_weights_or_measures_says_which_words_it_has(runs):
    with cnnviz.record(runs / "bare", nn.Linear(2, 2)) as run:
        run.step(loss=1.0)
    with pytest.raises(UnknownName, match="has ended no epoch.*steps 0, 1, e.g. run:bare@step-1"):
        cnnviz.load(None, "run:bare@3")
    with pytest.raises(UnknownName, match="neither test_loss nor test_accuracy"):
        cnnviz.load(None, "run:bare@best")
    write_bare_run(runs / "empty")
    with pytest.raises(UnknownName, match="keeps no weights"):
        cnnviz.load(None, "run:empty@last")
    damaged = next(iter(list_arrays(runs / "bare", SNAPSHOTS).values()))
    damaged.write_bytes(b"no weights")
    with pytest.raises(CnnvizError, match=damaged.name):
        cnnviz.load(None, "run:bare@0")


def test_the_network_of_a_stranger_is_recognised_or_refused_in_words(runs):
    chain = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    states = record_run(runs / "chain", module=chain)
    model = cnnviz.load(None, "run:chain@2", device="cpu")
    assert model.name.startswith("chain:")
    assert equal_halves(dict(zip(states[2], state(model).values(), strict=True)), states[2])
    record_run(runs / "strange", module=Stranger())
    with pytest.raises(CnnvizError, match="step-"):
        cnnviz.load(None, "run:strange@2", device="cpu")


def test_trainings_that_come_with_cnnviz_have_moments_too():
    for asked, epoch in ((10, 10), (12, 10), (50, 50)):
        model = cnnviz.load(None, f"run:bundled:plain20_cifar@{asked}", device="cpu")
        word = "bundled" if epoch == 50 else f"epoch-{epoch}"
        assert model.fingerprint == cnnviz.load("plain20_cifar", word, device="cpu").fingerprint
        assert ("moment" in model.notes) == (asked == 12)
    assert 10 in snapshots("plain20_cifar")


def test_weights_that_call_themselves_another_network_are_loaded_as_asked_and_said(runs):
    record_run(runs / "mine", about={"architecture": "resnet20_cifar"})
    model = cnnviz.load("lenet5", "run:mine@1", device="cpu")
    assert model.name == "lenet5" and "weights of resnet20_cifar" in str(model.report.warnings)


def test_runs_are_found_by_their_path_below_the_folder_and_never_outside_it(runs, tmp_path):
    for name in ("b", "a/c", "a/d/e"):
        write_bare_run(runs / name)
    write_bare_run(runs / "a" / "d" / "e" / "too" / "deep")
    write_bare_run(tmp_path / "outside")
    (runs / "link").symlink_to(tmp_path / "outside")
    (runs / "loop").symlink_to(runs)
    (runs / "broken").symlink_to(tmp_path / "nowhere")
    for age, name in enumerate(("a/c", "b", "a/d/e")):
        os.utime(runs / name / "run.json", (1e9 - age, 1e9 - age))
    assert runs_folder() == runs and list(name_runs())[:3] == ["a/c", "b", "a/d/e"]
    assert not {"link", "broken"} & set(name_runs())
    for name, path in name_runs().items():
        assert find_run(name) == path and path.resolve().is_relative_to(runs.resolve())
    assert set(list_runs(runs)) == set(name_runs().values())
    write_bare_run(runs)
    assert find_run(".") == runs and read_run(find_run("."), "all").name == "all"


def test_without_a_folder_there_are_no_runs(runs):
    assert name_runs() == {} and list_runs(runs) == []
    with pytest.raises(UnknownName, match="There is none yet"):
        find_run("mine")
