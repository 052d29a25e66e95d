"""Attempts at learning from few images: each is the training that its name says, and its outcome is told."""

import json
from pathlib import Path

import pytest
import torch
from made_folders import class_folders
from safetensors.torch import load_file

import cnnviz
from cnnviz.errors import BadInput, UnknownName
from cnnviz.studies.learning.attempts import (
    ATTEMPTS,
    AttemptsRecord,
    bundled_attempts,
    describe_attempts,
    run_attempts,
    suit_recipe,
)
from cnnviz.training.recipe import Recipe
from cnnviz.training.state import read_history

RECIPE = Recipe(epochs=2, batch=4, lr=0.05, warmup=0, crop=2, flip=True, precision="float32")


def test_each_attempt_is_a_run_of_its_own_that_says_what_it_was(tmp_path):
    data = class_folders(tmp_path / "data", train=12, test=6)
    seen = []
    results = run_attempts("lenet5", data, tmp_path / "out", RECIPE, "bundled", per_class=5, progress=seen.append)
    assert [result.attempt.name for result in results] == list(ATTEMPTS)
    told = {r.attempt.name: json.loads(r.weights.with_suffix(".json").read_text()) for r in results}
    assert {name: notes.get("freeze", "") for name, notes in told.items()} == {
        "scratch": "",
        "augmented": "",
        "head": "all-but-head",
        "all": "",
    }
    assert [name for name, notes in told.items() if "start" in notes] == ["head", "all"]
    assert [notes["recipe"]["flip"] for notes in told.values()] == [False, True, True, True]
    assert [notes["recipe"]["lr"] for notes in told.values()] == pytest.approx([0.05, 0.05, 0.005, 0.005])
    assert {notes["images_per_class"] for notes in told.values()} == {5}
    before, after = cnnviz.load("lenet5", "bundled", "cpu").module.state_dict(), load_file(results[2].weights)
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["fc3.weight", "fc3.bias"]
    shares = [state.share for state in seen]
    assert shares == sorted(shares) and seen[-1].name == "all" and len(seen[-1].finished) == 3
    assert [epoch.epoch for epoch in results[0].history] == [1, 2]
    histories = {result.attempt.name: result.history for result in results}
    lines = list(describe_attempts(histories))
    AttemptsRecord(histories, {"network": "lenet5"}).save(tmp_path / "attempts.json")
    assert AttemptsRecord.load(tmp_path / "attempts.json").histories == histories
    best = max(results, key=lambda result: result.history[-1].test_accuracy)
    assert len(lines) == 5 and lines[-1] == f"best on the test images: {best.attempt.title}"


def test_unknown_attempts_are_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(UnknownName, match="scratch"):
        run_attempts("lenet5", tmp_path, tmp_path / "out", RECIPE, names=["scratsch"])
    assert not (tmp_path / "out").exists()


def test_recipes_differ_in_what_the_attempts_compare_alone():
    assert suit_recipe(ATTEMPTS["augmented"], RECIPE) == RECIPE
    plain = suit_recipe(ATTEMPTS["scratch"], RECIPE)
    assert (plain.crop, plain.flip, plain.shift, plain.lr) == (0, False, 0, RECIPE.lr)


def test_a_folder_without_a_history_is_refused(tmp_path):
    with pytest.raises(BadInput, match="history.json"):
        read_history(tmp_path)
    Path(tmp_path / "history.json").write_text('[{"step": 1}]')
    with pytest.raises(BadInput, match="no history"):
        read_history(tmp_path)


@pytest.mark.parametrize("content", ['{"study": "attempts", "histories": {}}', '{"study": "transfer"}', "[]", "{"])
def test_files_of_another_kind_are_refused(tmp_path, content):
    (tmp_path / "attempts.json").write_text(content)
    with pytest.raises(BadInput, match="attempts"):
        AttemptsRecord.load(tmp_path / "attempts.json")


def test_on_photographs_trained_weights_beat_a_start_from_scratch_by_a_wide_margin():
    """The figures that come with cnnviz, made by benchmarks/transfer_learning.py."""
    found = bundled_attempts()
    assert found is not None and set(found.histories) == set(ATTEMPTS)
    ends = {name: history[-1].test_accuracy for name, history in found.histories.items()}
    assert min(ends["head"], ends["all"]) > max(ends["scratch"], ends["augmented"]) + 0.3
    assert found.meta["processor"] and found.meta["images_per_class"] == 10
