"""The choices of a training: initial weights, the network and recipe they mean, and runs that go on from them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_folders import class_folders
from safetensors.torch import load_file
from torch import nn

from cnnviz.errors import BadInput, Cancelled, UnknownName
from cnnviz.models.catalogue.registry import build
from cnnviz.training.choices import TrainingChoices, make_run, read_choices, train_choices
from cnnviz.training.control import TrainingControl
from cnnviz.training.initialise import initialise
from cnnviz.training.loop import train
from cnnviz.training.recipe import Recipe
from cnnviz.training.record.result import read_run
from cnnviz.training.state import CHECKPOINT


def drawn(how: str, name: str = "resnet20_cifar") -> tuple[nn.Module, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    module = build(name)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    initialise(module, how)
    return module, before


DEVIATIONS = {  # of a layer's weights: fan-in, fan-out → standard deviation
    "he": lambda fan_in, fan_out: (2 / fan_in) ** 0.5,
    "xavier": lambda fan_in, fan_out: (2 / (fan_in + fan_out)) ** 0.5,
    "normal 0.01": lambda fan_in, fan_out: 0.01,
    "normal 1e-3": lambda fan_in, fan_out: 0.001,
    "zero": lambda fan_in, fan_out: 0.0,
}


@pytest.mark.parametrize("how", DEVIATIONS)
@pytest.mark.parametrize("name", ["resnet20_cifar", "lenet5"])
def test_initial_weights_have_the_spread_of_the_formula_biases_are_zero_and_norms_stay(how, name):
    module, before = drawn(how, name)
    for key, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight = layer.weight.detach()
            window = weight[0, 0].numel() if weight.dim() > 2 else 1
            wanted = DEVIATIONS[how](weight.shape[1] * window, weight.shape[0] * window)
            assert abs(float(weight.std()) - wanted) <= wanted * 4 / weight.numel() ** 0.5
            assert layer.bias is None or not layer.bias.any()
        elif isinstance(layer, nn.BatchNorm2d):
            assert torch.equal(layer.weight, before[f"{key}.weight"])


def test_by_default_the_architecture_draws_its_own():
    module, before = drawn("default")
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


def test_recipes_and_checkpoints_of_earlier_versions_open(tmp_path):
    old = Recipe().as_dict()
    del old["initialisation"]
    assert Recipe.from_dict(old) == Recipe()
    folders = class_folders(tmp_path / "bars", train=20, test=10)
    recipe = Recipe(epochs=2, batch=4, lr=0.02, crop=0, flip=False, precision="float32")
    control = TrainingControl()
    control.step(7)
    with pytest.raises(Cancelled):
        train("lenet5", folders, tmp_path / "run", recipe, "cpu", lambda seen: not seen.paused, control=control)
    state = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)
    identity = json.loads(state["identity"])
    del identity["recipe"]["initialisation"], state["part"]
    state["identity"] = json.dumps(identity)
    torch.save(state, tmp_path / "run" / CHECKPOINT)
    assert train("lenet5", folders, tmp_path / "run", recipe, "cpu").is_file()


NONE = ["", "He", "normal", "normal -1", "normal 0", "normal nan", "normal 1e9", "uniform", "0.01"]


@pytest.mark.parametrize("how", NONE)
def test_an_initialisation_that_is_none_is_refused(how):
    with pytest.raises(BadInput, match="initialisation"):
        Recipe(initialisation=how)


def test_a_run_begins_with_the_weights_that_its_recipe_names(tmp_path):
    folders = class_folders(tmp_path / "bars", train=20, test=10)
    recipe = Recipe(epochs=1, batch=8, lr=1e-9, momentum=0, weight_decay=0, warmup=0, crop=0, flip=False)
    train("lenet5", folders, tmp_path / "run", replace(recipe, initialisation="normal 0.5"), "cpu")
    weights = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)["model"]
    assert abs(float(weights["fc1.weight"].std()) - 0.5) < 0.01


# --- choices -------------------------------------------------------------------------------------------------


def test_choices_mean_a_network_and_a_recipe_and_leave_out_what_a_network_does_not_allow():
    chosen = TrainingChoices(activation="tanh", norm=False, dropout=50, lr=0.1, augment=True, initialisation="he")
    assert chosen.architecture == "variant:lenet5.tanh.drop50"
    assert chosen.settle() == replace(chosen, norm=True)
    assert (chosen.recipe.shift, chosen.recipe.crop, chosen.recipe.flip) == (2, 0, False)
    assert (chosen.recipe.lr, chosen.recipe.initialisation) == (0.1, "he")
    colour = TrainingChoices("resnet20_cifar", "cifar10", norm=False, augment=True, dropout=0)
    assert colour.architecture == "variant:resnet20_cifar.nonorm" and colour.settle() == replace(colour, dropout=None)
    assert (colour.recipe.shift, colour.recipe.crop, colour.recipe.flip) == (0, 2, True)
    assert TrainingChoices(activation="relu").settle() == TrainingChoices() == TrainingChoices(dropout=0).settle()
    assert TrainingChoices().recipe.flip is False and TrainingChoices().describe() == ""
    words = "tanh, no batch norm, dropout 50 %, learning rate 0.1, augmentation, initialisation he"
    assert chosen.describe() == words
    with pytest.raises(UnknownName):
        TrainingChoices("lenet6").settle()
    with pytest.raises(BadInput):
        TrainingChoices(lr=-1).settle()


def test_a_run_has_a_folder_of_its_own_with_its_choices_whatever_its_data_is_called(tmp_path):
    odd = TrainingChoices(data="/some where/../My photos (1).zip")
    names = [make_run(tmp_path, choices) for choices in (TrainingChoices(), TrainingChoices(), odd)]
    assert names == ["lenet5-digits-1", "lenet5-digits-2", "lenet5-My-photos-1-1"]
    assert read_choices(tmp_path / names[2]) == odd
    for text in ("", "[]", "{}x", '{"lr": 1, "colour": 2}'):
        (tmp_path / names[0] / "choices.json").write_text(text)
        assert read_choices(tmp_path / names[0]) is None
    with pytest.raises(BadInput, match="was not started here"):
        train_choices(tmp_path / names[0], TrainingControl(), lambda _state: True)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        make_run(tmp_path / "file", TrainingChoices())


def test_a_fork_begins_with_the_weights_of_a_moment_and_has_its_own_choices(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))
    data = str(class_folders(tmp_path / "bars", train=40, test=10))
    first = TrainingChoices(data=data, epochs=2, batch=8, lr=0.02)
    name = make_run(tmp_path / "runs", first)
    train_choices(tmp_path / "runs" / name, TrainingControl(), lambda _state: True, "cpu")
    fork = replace(first, activation="tanh", lr=0.01, epochs=1, start=f"run:{name}@step-5")
    other = make_run(tmp_path / "runs", fork)
    train_choices(tmp_path / "runs" / other, TrainingControl(), lambda _state: True, "cpu")
    parent, child = read_run(tmp_path / "runs" / name), read_run(tmp_path / "runs" / other)
    kept, begun = load_file(parent.snapshots[5]), load_file(child.snapshots[0])
    assert all(torch.equal(kept[key], begun[key]) for key in kept) and child.about["architecture"].endswith(".tanh")
    np.testing.assert_allclose(child.steps["lr"].max(), 0.01)


def test_few_images_a_class_are_learnt_by_heart(tmp_path):
    data = str(class_folders(tmp_path / "bars", train=80, test=40))
    name = make_run(tmp_path, TrainingChoices(data=data, epochs=12, batch=8, lr=0.02, per_class=5))
    train_choices(tmp_path / name, TrainingControl(), lambda _state: True, "cpu")
    found = read_run(tmp_path / name)
    assert found.about["images"] == 10 and found.epochs["train_accuracy"][-1] == 1.0
