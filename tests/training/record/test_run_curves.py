"""Curves of recorded trainings: means, places on an axis and depth pairs equal a slow loop's; what is not known is left
out."""

import json

import numpy as np
import pytest
from made_runs import STEPS, record_run, write_bare_run
from safetensors.numpy import load_file

from cnnviz.models.bundled import bundled, read_training
from cnnviz.models.load import load
from cnnviz.training.record.bundled_runs import bundled_runs
from cnnviz.training.record.curves import (
    MOST,
    average_epochs,
    collect_curves,
    count_epochs,
    find_first_nan,
    smooth,
)
from cnnviz.training.record.depth import compare_depths
from cnnviz.training.record.result import RecordedRun, read_run


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("width", [1, 3, 7, 101])
def test_a_smoothed_value_is_the_mean_of_the_known_ones_around_it(width):
    values = np.random.default_rng(0).normal(size=40)
    values[[0, 5, 6, 7, 39]] = np.nan
    for at, found in enumerate(smooth(values, width)):
        around = values[max(at - width // 2, 0) : at + width // 2 + 1]
        expected = np.nan if np.isnan(values[at]) else np.mean(around[~np.isnan(around)])
        np.testing.assert_allclose(found, expected)
    assert smooth(np.empty(0)).shape == (0,)


def test_curves_of_a_run_are_what_was_recorded_at_its_epochs_steps_and_times(tmp_path):
    record_run(tmp_path / "mine", [0.9, 0.4, 0.6])
    run = read_run(tmp_path / "mine")
    by = {(c.measure, c.part): c for c in collect_curves(run, "epochs")}
    assert by["loss", "test"].y.tolist() == [0.9, 0.4, 0.6] and by["loss", "test"].x.tolist() == [1, 2, 3]
    np.testing.assert_allclose(by["loss", "step"].x, np.arange(1, 13) / STEPS)
    means = run.steps["loss"].reshape(3, STEPS).mean(1)
    np.testing.assert_allclose(by["loss", "train"].y, means)
    assert {c.x[-1] for c in collect_curves(run, "steps")} == {12}
    for curve in collect_curves(run, "time"):
        assert curve.x.min() >= 0 and (np.diff(curve.x) >= 0).all()
    assert run.best_epoch == 2 and run.name_weights(8) == "run:mine@2" and run.name_weights(3) == "run:mine@step-3"


def test_a_step_within_an_epoch_lies_between_its_ends_whatever_their_lengths(tmp_path):
    ends = [3, 10, 12]
    epochs = lines([{"step": end, "epoch": n} for n, end in enumerate(ends, 1)])
    steps = lines([{"step": n, "loss": float(n)} for n in range(1, 15)])
    run = read_run(write_bare_run(tmp_path / "run", steps=steps, epochs=epochs))
    found = count_epochs(run, run.steps["step"])
    expected = [n / 3 for n in (1, 2, 3)] + [1 + n / 7 for n in range(1, 8)] + [2.5, 3, 3.5, 4]
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(average_epochs(run, "loss"), [2, 7, 11.5])


def test_a_run_without_an_epoch_has_none_on_that_axis_unless_it_tells_their_length(tmp_path):
    steps = lines([{"step": n, "loss": 1.0} for n in range(1, 9)])
    silent = read_run(write_bare_run(tmp_path / "a", steps=steps))
    assert collect_curves(silent, "epochs") == [] and len(collect_curves(silent, "steps")) == 1
    told = read_run(write_bare_run(tmp_path / "b", {"steps_per_epoch": 4}, steps=steps))
    assert collect_curves(told, "epochs")[0].x[-1] == 2
    assert collect_curves(silent, "time") == [] and collect_curves(read_run(write_bare_run(tmp_path / "c"))) == []


def test_a_loss_that_is_no_number_is_a_gap_and_its_first_step_is_found(tmp_path):
    steps = lines([{"step": n, "loss": None if n > 5 else 1.0} for n in range(1, 9)])
    run = read_run(write_bare_run(tmp_path / "run", steps=steps))
    (curve,) = collect_curves(run, "steps")
    assert np.isnan(curve.y[5:]).all() and find_first_nan(run) == 6


def test_long_curves_are_thinned_out_and_keep_their_ends(tmp_path):
    steps = lines([{"step": n, "loss": 1.0} for n in range(1, 4 * MOST)])
    (curve,) = collect_curves(read_run(write_bare_run(tmp_path / "run", steps=steps)), "steps")
    assert len(curve.x) == MOST and curve.x[0] == 1 and curve.x[-1] == 4 * MOST - 1


def test_trainings_that_come_with_cnnviz_are_runs_with_the_numbers_beside_their_weights():
    runs = {run.name: run for run in bundled_runs()}
    assert list(runs) == [f"bundled:{name}" for name in bundled() if read_training(name).get("history")]
    for run in runs.values():
        told = read_training(run.architecture)["history"]
        assert run.epochs["test_loss"] == pytest.approx([line["test_loss"] for line in told], rel=1e-6)
        assert not run.running
        best = min(told, key=lambda line: line["test_loss"])["epoch"]
        assert run.best_epoch == best and run.load_filters(max(run.filters)).shape[1] in (1, 3)
        spent, last = sum(line["seconds"] for line in told), run.name_weights(max(run.snapshots))
        longest = max(curve.x[-1] for curve in collect_curves(run, "time"))
        if run.knows_epochs_alone:
            assert last in ("bundled", f"epoch-{len(told)}") and longest == pytest.approx(spent)
            assert collect_curves(run, "steps") == []
        else:  # recorded: with the time between two epochs, and steps
            assert last == f"run:{run.name}@{len(told)}" and spent * 0.8 < longest < spent * 1.5
            assert len(run.steps["step"]) == len(told) * run.about["steps_per_epoch"] and len(run.looks["step"]) > 50


def test_of_a_recorded_training_that_comes_along_any_moment_is_loaded_and_its_layers_are_known():
    runs = {run.name: run for run in bundled_runs()}
    relu, tanh = runs["bundled:lenet5_avg"], runs["bundled:lenet5_tanh"]
    assert relu.about["recipe"] == tanh.about["recipe"]  # but for the activation
    assert min(relu.snapshots) == min(tanh.snapshots) == 0 and min(len(relu.snapshots), len(tanh.snapshots)) >= 12
    assert relu.looks["dead"].shape[1] == len(relu.rectifiers) == 4 and not tanh.rectifiers
    model = load(None, "run:bundled:lenet5_tanh@step-48", "cpu")
    assert model.name == "lenet5_tanh"
    kept = load_file(tanh.snapshots[48])["conv1.weight"]
    assert np.array_equal(model.module.get_parameter("conv1.weight").detach().numpy(), kept.astype(np.float32))
    last = load("lenet5_tanh", "bundled", "cpu").module.get_parameter("conv1.weight").detach().numpy()
    ended = load_file(tanh.snapshots[max(tanh.snapshots)])["conv1.weight"]
    assert ended == pytest.approx(last.astype(np.float16), abs=1e-6)


def test_the_deeper_plain_network_learns_its_training_images_worse_and_the_residual_one_better():
    pairs = {pair.kind: pair for pair in compare_depths(bundled_runs())}
    last = {name: read_training(f"{name}_cifar")["history"][-1]["train_accuracy"] for name in NAMES}
    assert pairs["plain"].gain == pytest.approx(last["plain56"] - last["plain20"]) and pairs["plain"].gain < 0
    assert pairs["resnet"].gain == pytest.approx(last["resnet56"] - last["resnet20"]) and pairs["resnet"].gain > 0
    assert pairs["plain"].layers == (20, 56) and pairs["plain"].epochs == (50, 60)


NAMES = ("plain20", "plain56", "resnet20", "resnet56")


def test_pairs_need_two_depths_of_one_kind_and_a_training_accuracy(tmp_path):
    def run(architecture: str, accuracy: float | None) -> RecordedRun:
        epochs = lines([{"step": 1, "epoch": 1, "train_accuracy": accuracy}])
        return read_run(write_bare_run(tmp_path / architecture, {"architecture": architecture}, epochs=epochs))

    assert compare_depths([run("plain20_cifar", 0.9), run("resnet56_cifar", 0.9), run("lenet5", 0.9)]) == []
    assert compare_depths([run("plain20_cifar", 0.9), run("plain56_cifar", None)]) == []
    (pair,) = compare_depths([run("resnet18", 0.7), run("resnet50", 0.8)])
    assert pair.layers == (18, 50) and pair.gain == pytest.approx(0.1) and np.isnan(pair.test).all()
