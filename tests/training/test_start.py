"""Training from other weights, with frozen layers: what is taken, what is fresh, what stays to the bit."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_folders import CLASSES, bars, class_folders
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import cnnviz
from cnnviz.data.labelled import load_labelled
from cnnviz.errors import BadCheckpoint, BadInput, Cancelled, UnknownName
from cnnviz.models.catalogue import architecture
from cnnviz.models.catalogue.registry import find
from cnnviz.models.recognise.shapes import outline
from cnnviz.training.freeze import freeze_layers
from cnnviz.training.loop import evaluate, train
from cnnviz.training.recipe import Recipe, default_recipe
from cnnviz.training.record.files import SNAPSHOTS, list_arrays
from cnnviz.training.record.result import read_run
from cnnviz.training.start import copy_start, load_start
from cnnviz.training.state import CHECKPOINT

QUICK = Recipe(epochs=2, batch=10, lr=0.05, warmup=0, crop=2, flip=True, precision="float32", weight_decay=0.01)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    return class_folders(tmp_path_factory.mktemp("bars"), train=40, test=10)


def three_classes(root: Path) -> Path:
    """Bars under three class names, so that the head of two classes does not fit."""
    for split in ("train", "test"):
        for number, picture in enumerate(bars(12, 3)[0]):
            folder = root / split / ("left", "middle", "right")[number % 3]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / f"{number}.png")
    return root


def notes(path: Path) -> dict:
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["cnnviz"])


def changed(before: dict, after: dict) -> set[str]:
    return {name for name in before if name not in after or not torch.equal(before[name], after[name])}


def test_a_head_of_other_classes_is_fresh_and_everything_else_is_the_starts(folders, tmp_path):
    said: list[str] = []
    path = train("lenet5", folders, tmp_path, replace(QUICK, epochs=1), "cpu", start="bundled", tell=said.append)
    told = notes(path)["start"]
    assert told["weights"] == "bundled" and told["fresh"] == ["fc3.weight", "fc3.bias"] and told["taken"] == 8
    assert told["why"] == "2 classes, 10 in the start"
    assert told["fingerprint"] == cnnviz.load("lenet5", "bundled", "cpu").fingerprint
    assert said == ["start: bundled, 8 tensors taken; fresh: fc3.weight, fc3.bias (2 classes, 10 in the start)"]
    first = load_file(next(iter(list_arrays(tmp_path, SNAPSHOTS).values())))
    trained = cnnviz.load("lenet5", "bundled", "cpu").module.state_dict()
    fresh = cnnviz.build("lenet5", 2).state_dict()
    assert all(torch.equal(first[name], trained[name].half()) for name in trained if not name.startswith("fc3"))
    assert first["fc3.weight"].shape == fresh["fc3.weight"].shape
    about = read_run(tmp_path).about
    assert about["start"] == told


def test_the_head_is_taken_where_the_classes_are_the_same_and_fresh_where_their_names_are_others(folders, tmp_path):
    first = train("lenet5", folders, tmp_path / "first", replace(QUICK, epochs=1), "cpu")
    start, module = load_start("lenet5", first), cnnviz.build("lenet5", 2)
    assert copy_start(module, start, list(CLASSES)).fresh == ()
    assert not changed(load_file(first), module.state_dict())
    module = cnnviz.build("lenet5", 2)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    report = copy_start(module, start, ["cat", "dog"])
    assert report.fresh == ("fc3.weight", "fc3.bias") and "'cat' where the start has 'lying'" in report.describe()
    assert changed(load_file(first), module.state_dict()) == {"fc3.weight", "fc3.bias"}
    assert torch.equal(before["fc3.weight"], module.state_dict()["fc3.weight"])


@pytest.mark.parametrize("name", ["googlenet", "nin_cifar10", "maxout_mnist", "densenet_40_k12", "dsn_cifar10"])
def test_whatever_depends_on_the_number_of_classes_is_the_head(name):
    """Auxiliary classifiers, 1×1 convolutions, maxout layers: found by what two builds differ in."""
    start = cnnviz.load(name, "random", "cpu")
    module = cnnviz.build(name, 3)
    report = copy_start(module, start, ["a", "b", "c"])
    ours, theirs = module.state_dict(), start.module.state_dict()
    assert set(report.fresh) == {key for key in ours if ours[key].shape != theirs[key].shape}
    assert changed(theirs, ours) == set(report.fresh) and report.fresh


def test_weights_of_another_network_are_refused_naming_the_first_tensor(folders, tmp_path):
    other = train("lenet5_unpadded", three_classes(tmp_path / "d"), tmp_path / "run", replace(QUICK, epochs=1), "cpu")
    with pytest.raises(BadCheckpoint, match=r"do not fit resnet20_cifar: conv1\.weight"):
        train("resnet20_cifar", folders, tmp_path / "x", QUICK, "cpu", start=other)
    start = load_start("lenet5_unpadded", other)
    start.module.fc1 = nn.Linear(5, 5)
    with pytest.raises(BadInput, match=r"fc1\.weight is of shape \(5, 5\) there, of shape"):
        copy_start(cnnviz.build("lenet5_unpadded", 3), start, ["left", "middle", "right"])
    with pytest.raises(BadInput, match="training from scratch"):
        train("lenet5", folders, tmp_path / "x", QUICK, "cpu", start="random")


def test_the_preprocessing_of_the_start_is_taken(folders, tmp_path):
    first = train("lenet5", folders, tmp_path / "a", replace(QUICK, epochs=1), "cpu")
    own = replace(find("lenet5").preprocessing, mean=(0.25,), std=(0.5,))
    tensors, told = load_file(first), notes(first) | {"preprocessing": own.as_dict()}
    save_file(tensors, tmp_path / "other.safetensors", {"cnnviz": json.dumps(told)})
    start = tmp_path / "other.safetensors"
    last = train("lenet5", folders, tmp_path / "b", replace(QUICK, epochs=1), "cpu", start=start)
    assert cnnviz.load(weights=last, device="cpu").preprocessing == own
    found = load_labelled(folders, "test", own)
    model = cnnviz.load(weights=last, device="cpu")
    assert evaluate(model.module, found, own)[1] == notes(last)["accuracy"]["test"]


FROZEN = {  # network: layer → what stays, as the code of the network reads
    ("resnet20_cifar", "layer2.0.conv2"): (
        "conv1.",
        "bn1.",
        "layer1.",
        *(f"layer2.0.{n}" for n in ("conv1", "bn1", "conv2")),
    ),
    ("resnet20_cifar", "all-but-head"): ("conv1.", "bn1.", "layer"),
    ("lenet5", "pool1"): ("conv1.",),
    ("lenet5", "all-but-head"): ("conv1.", "conv2.", "fc1.", "fc2."),
}


@pytest.mark.parametrize("name, layer", FROZEN)
def test_frozen_layers_are_equal_to_the_bit_after_training_and_all_others_move(name, layer, folders, tmp_path):
    path = train(name, folders, tmp_path, replace(QUICK, epochs=1), "cpu", start="bundled", freeze=layer)
    before, after = cnnviz.load(name, "bundled", "cpu").module.state_dict(), load_file(path)
    still = {key for key in before if key.startswith(FROZEN[name, layer])}
    assert changed(before, after) == set(before) - still
    assert notes(path)["freeze"] == layer
    measured = set(read_run(tmp_path).layers)
    parameters = [key for key, _ in cnnviz.build(name, 2).named_parameters()]
    assert measured == {key.rpartition(".")[0] for key in parameters if key not in still}


def test_frozen_parameters_are_unknown_to_the_optimiser_and_have_no_gradient(folders, tmp_path):
    train("lenet5", folders, tmp_path, replace(QUICK, epochs=1), "cpu", start="bundled", freeze="fc2")
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)["optimizer"]
    assert sum(len(group["params"]) for group in state["param_groups"]) == 2  # fc3.weight, fc3.bias
    module = cnnviz.build("resnet20_cifar", 2)
    frozen = freeze_layers(module, "layer3", (3, 32, 32))
    assert {name for name, p in module.named_parameters() if p.requires_grad} == {"fc.weight", "fc.bias"}
    frozen.hold(module)
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    assert norms and not any(part.training for part in norms) and module.fc.training and module.training


class Shared(nn.Module):
    """Uses one convolution twice, keeps a table that no sub-module owns, and runs in another order than it defines."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(4, classes)
        self.late = nn.Conv2d(4, 4, 3, padding=1)
        self.twice = nn.Conv2d(4, 4, 3, padding=1)
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.table = nn.Parameter(torch.randn(4, 1, 1))
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        x = self.twice(self.first(x) + self.table).relu()
        x = self.twice(self.late(x).relu())
        return self.head(x.mean((2, 3))) * self.scale


def test_the_order_of_running_decides_not_that_of_definition_and_loose_parameters_go_with_what_uses_them():
    def left(layer: str, head: tuple[str, ...] = ()) -> set[str]:
        module = Shared(3)
        freeze_layers(module, layer, (1, 8, 8), head)
        return {name for name, p in module.named_parameters() if p.requires_grad}

    def own(*layers: str) -> set[str]:
        return {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}

    assert left("first") == own("twice", "late", "head") | {"table", "scale"}
    assert left("late") == own("head") | {"scale"}
    assert left("twice") == own("head") | {"scale"}  # its last call counts
    assert left("all-but-head") == own("head")


def test_where_no_weights_of_the_head_are_learnt_the_last_linear_layer_is_trained():
    """The output of LeNet-5 in 1998 compares with fixed codes: F6 is what can learn."""
    module = cnnviz.build("lenet5_1998", 2)
    freeze_layers(module, "all-but-head", (1, 32, 32), outline("lenet5_1998").head)
    (layer,) = {name.rpartition(".")[0] for name, p in module.named_parameters() if p.requires_grad}
    assert isinstance(module.get_submodule(layer), nn.Linear)


def test_layers_that_are_not_there_or_leave_nothing_to_train_are_refused(folders, tmp_path):
    with pytest.raises(UnknownName, match="'fc9'.*"):
        train("lenet5", folders, tmp_path / "a", QUICK, "cpu", freeze="fc9")
    with pytest.raises(BadInput, match="leaves nothing to train"):
        train("lenet5", folders, tmp_path / "a", QUICK, "cpu", freeze="fc3")
    assert not (tmp_path / "a" / CHECKPOINT).exists()


def test_a_network_whose_head_cannot_be_known_asks_for_a_layer(monkeypatch, folders, tmp_path):
    def builder(classes: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 26), nn.Flatten())

    entry = replace(find("lenet5"), name="fixed", builder=builder, classes=2, resizable=False)
    monkeypatch.setitem(architecture._CATALOGUE, "fixed", entry)
    with pytest.raises(BadInput, match="--freeze LAYER"):
        train("fixed", folders, tmp_path, QUICK, "cpu", freeze="all-but-head")


def test_a_killed_transfer_goes_on_exactly_and_another_start_or_freeze_is_refused(folders, tmp_path):
    arguments = dict(start="bundled", freeze="conv1")
    whole = train("lenet5", folders, tmp_path / "whole", QUICK, "cpu", **arguments)
    with pytest.raises(Cancelled):
        train("lenet5", folders, tmp_path / "b", QUICK, "cpu", lambda p: p.done < 1, **arguments)
    for others, named in ((dict(start="bundled"), "freeze: conv1 there, none now"), ({}, "start: ")):
        with pytest.raises(BadInput, match=named):
            train("lenet5", folders, tmp_path / "b", QUICK, "cpu", **others)
    again = train("lenet5", folders, tmp_path / "b", QUICK, "cpu", **arguments)
    assert not changed(load_file(whole), load_file(again))


def test_checkpoints_of_earlier_versions_go_on(folders, tmp_path):
    """Their identity knows neither start nor freeze."""
    train("lenet5", folders, tmp_path, replace(QUICK, epochs=1), "cpu")
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert set(json.loads(state["identity"])) == {"architecture", "recipe", "data"}


def test_the_default_recipe_is_gentle_with_trained_weights():
    assert default_recipe(3, gently=True).lr == pytest.approx(default_recipe(3).lr / 10)
    assert default_recipe(1, gently=True).lr == pytest.approx(default_recipe(1).lr / 10)
    assert default_recipe(3, gently=True, lr=0.5).lr == 0.5


def test_few_images_of_each_class_are_trained_on_and_said(folders, tmp_path):
    said: list[str] = []
    path = train("lenet5", folders, tmp_path, replace(QUICK, epochs=1), "cpu", per_class=3, tell=said.append)
    assert notes(path)["images_per_class"] == 3 and said == ["images: 6, 3 of each class"]
    assert read_run(tmp_path).about["images"] == 6
    with pytest.raises(BadInput, match="data: "):  # the images are part of what a run is
        train("lenet5", folders, tmp_path, replace(QUICK, epochs=1), "cpu", per_class=4)
