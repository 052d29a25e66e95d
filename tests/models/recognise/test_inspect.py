"""What is said of a file before anything is chosen: candidates, classes, names, preprocessing, report."""

import hashlib
import json
from argparse import Namespace
from dataclasses import replace

import numpy as np
import pytest
import torch
from published_counts import REAL
from safetensors.torch import save_file
from torch import nn
from twins import LENET5, first_of_its_twins
from weightfiles import anonymous, bare, filled, prefixed

from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, Preprocessing
from cnnviz.errors import BadCheckpoint
from cnnviz.models.catalogue import architecture
from cnnviz.models.catalogue.registry import find
from cnnviz.models.checkpoint.prefixes import strip_prefixes
from cnnviz.models.load import load
from cnnviz.models.recognise.fill import skeleton
from cnnviz.models.recognise.inspect import inspect

LIGHTNING = {
    "epoch": 3,
    "global_step": 900,
    "pytorch-lightning_version": "2.4.0",
    "lr_schedulers": [],
    "loops": {"fit": {}},
    "hparams_name": "kwargs",
    "hyper_parameters": {"lr": 0.1, "weight_decay": None, "milestones": [2, 4]},
    "optimizer_states": [{"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}],
}
FORMS = {
    "DataParallel": lambda state: prefixed(state, "module."),
    "Lightning": lambda state: {**LIGHTNING, "state_dict": prefixed(state, "model.")},
    "torch.compile": lambda state: {"model": prefixed(state, "_orig_mod."), "epoch": 3},
    "Lightning of a compiled DataParallel": lambda state: {
        **LIGHTNING,
        "state_dict": prefixed(state, "net._orig_mod.module."),
    },
}
DEEPEST = {"resnet1202_cifar", "stochastic_depth1202", "preact_resnet1001"}  # of the blocks of others here
SMALL = sorted(name for name in REAL if find(name).classifier and name not in DEEPEST)


@pytest.mark.parametrize("name", SMALL)
def test_a_prefixed_file_comes_back_to_its_network_without_a_hint(tmp_path, name):
    """Every form holds the same tensors once its prefixes are gone; one of the four is read from the disk."""
    state, forms = bare(name).state, list(FORMS.values())
    for prefix in ("module.", "model.", "net.", "_orig_mod.", "module._orig_mod.", "net._orig_mod.module."):
        assert strip_prefixes(prefixed(state, prefix)).keys() == state.keys()
    torch.save(forms[SMALL.index(name) % 4](state), tmp_path / "w.ckpt")
    found = inspect(tmp_path / "w.ckpt")
    assert found.candidates[0] == first_of_its_twins(name) and name in found.candidates
    assert found.classes == find(name).classes and not found.warnings
    assert (found.report.matched, found.report.renamed) == (found.report.expected, [])


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar", "squeezenet1_1"])
def test_every_form_gives_the_same_inspection(tmp_path, name, form):
    torch.save(bare(name, 7).state, tmp_path / "plain.pt")
    torch.save(form(bare(name, 7).state), tmp_path / "w.pt")
    plain, found = inspect(tmp_path / "plain.pt"), inspect(tmp_path / "w.pt")
    assert (found.candidates, found.others, found.classes) == (plain.candidates, plain.others, 7)
    assert (found.report, found.tensors) == (plain.report, plain.tensors)
    assert found.sha256 == hashlib.sha256((tmp_path / "w.pt").read_bytes()).hexdigest()


def test_twins_are_a_choice_with_the_residual_network_first(tmp_path):
    torch.save(filled("plain20_cifar").state_dict(), tmp_path / "w.pt")
    found = inspect(tmp_path / "w.pt")
    assert (found.candidates, found.named) == (("resnet20_cifar", "plain20_cifar"), None)
    assert (found.class_names, found.preprocessing) == (None, None)


@pytest.mark.parametrize("key", ["architecture", "arch", "model_name"])
@pytest.mark.parametrize("nested", [None, "hyper_parameters", "config"])
def test_metadata_settle_the_choice(tmp_path, key, nested):
    told = {key: "plain20_cifar"}
    state = filled("plain20_cifar").state_dict()
    torch.save({"state_dict": state, **({nested: told} if nested else told)}, tmp_path / "w.pt")
    found = inspect(tmp_path / "w.pt")
    assert (found.named, found.candidates) == ("plain20_cifar", ("plain20_cifar", "resnet20_cifar"))
    assert found.warnings == ()


@pytest.mark.parametrize("key", ["model", "arch"])
def test_the_arguments_of_a_script_settle_the_choice(tmp_path, key):
    """As the reference training scripts of torchvision and timm leave them."""
    content = {"model": filled("plain20_cifar").state_dict(), "epoch": 3, "args": Namespace(**{key: "plain20_cifar"})}
    torch.save(content, tmp_path / "w.pt")
    found = inspect(tmp_path / "w.pt")
    assert (found.named, found.candidates[0], found.warnings) == ("plain20_cifar", "plain20_cifar", ())


def test_metadata_that_the_tensors_contradict_are_told_and_not_believed(tmp_path):
    torch.save({"state_dict": filled("lenet5").state_dict(), "arch": "resnet18"}, tmp_path / "w.pt")
    found = inspect(tmp_path / "w.pt")
    assert (found.named, found.candidates) == ("resnet18", LENET5)
    assert "'resnet18', and its tensors do not fit" in found.warnings[0]


@pytest.mark.filterwarnings("ignore:broken cannot be built")
def test_a_told_network_that_cannot_be_built_leaves_the_decision_to_the_tensors(tmp_path, monkeypatch):
    def broken(classes):
        raise RuntimeError("no such layer")

    entry = replace(find("lenet5"), name="broken", builder=broken)
    monkeypatch.setattr(architecture, "_CATALOGUE", {**architecture._CATALOGUE, "broken": entry})
    torch.save({"state_dict": filled("lenet5").state_dict(), "arch": "broken"}, tmp_path / "w.pt")
    assert inspect(tmp_path / "w.pt").candidates == LENET5


def test_a_file_that_names_what_it_nearly_is_is_told_what_differs_from_that(tmp_path):
    state = filled("plain20_cifar").state_dict() | {"conv1.weight": torch.ones(16, 3, 5, 5)}
    torch.save({"state_dict": state, "arch": "plain20_cifar"}, tmp_path / "w.pt")
    with pytest.raises(BadCheckpoint, match=r"Closest: plain20_cifar.*conv1\.weight: shape \(16, 3, 5, 5\)"):
        inspect(tmp_path / "w.pt")


def test_other_names_in_the_file_are_a_candidate_with_a_report(tmp_path):
    torch.save(anonymous(filled("lenet5", 4).state_dict()), tmp_path / "w.pt")
    found = inspect(tmp_path / "w.pt")
    assert (found.candidates, found.classes, len(found.report.renamed)) == (LENET5, 4, 10)


def test_tensors_in_another_order_and_without_names_are_refused_as_a_guess(tmp_path):
    tensors = list(anonymous(filled("resnet20_cifar").state_dict()).items())
    torch.save(dict(tensors[60:] + tensors[:60]), tmp_path / "w.pt")
    with pytest.raises(BadCheckpoint, match="do not fit resnet20_cifar"):
        inspect(tmp_path / "w.pt")


@pytest.mark.parametrize(
    "told",
    [
        {"classes": ["cat", "dog", "ähre"]},
        {"class_names": ["cat", "dog", "ähre"]},
        {"class_to_idx": {"dog": 1, "ähre": 2, "cat": 0}},
    ],
    ids=lambda told: next(iter(told)),
)
@pytest.mark.parametrize("where", ["file", "side file", "safetensors", "plain safetensors"])
def test_classes_and_preprocessing_come_from_metadata_or_the_side_file(tmp_path, told, where):
    path, look = tmp_path / "w.pt", Preprocessing((28, 28), 30, (0.5,), (0.25,))
    state, told = filled("lenet5", 3).state_dict(), {**told, "preprocessing": look.as_dict()}
    if where == "safetensors":
        save_file(state, path, {"cnnviz": json.dumps(told)})
    elif where == "plain safetensors":
        save_file(state, path, {key: json.dumps(value) for key, value in told.items()})
    else:
        torch.save({"state_dict": state, **(told if where == "file" else {})}, path)
    if where == "side file":
        (tmp_path / "w.pt.json").write_text(json.dumps(told))
    found = inspect(path)
    assert found.class_names == ("cat", "dog", "ähre") and found.preprocessing == look


@pytest.mark.parametrize(
    "wrong, reason",
    [
        ({"preprocessing": {"size": [10**6, 10**6]}}, "between 1 and 4096 pixels"),
        ({"preprocessing": {"mean": [float("nan")]}}, "be numbers"),
        ({"preprocessing": {"mean": [0.5, 0.5, 0.5], "std": [1, 1, 1]}}, "takes 1 channel,"),
        ({"class_names": ["a", "b"]}, "names 2 classes and its head has 10"),
    ],
)
def test_metadata_that_make_no_sense_are_left_out_with_a_warning(tmp_path, wrong, reason):
    torch.save({"state_dict": filled("lenet5").state_dict(), **wrong}, tmp_path / "w.pt")
    found = inspect(tmp_path / "w.pt")
    assert (found.class_names, found.preprocessing) == (None, None)
    assert reason in found.warnings[0]


def test_partial_preprocessing_is_completed_by_the_architectures(tmp_path):
    torch.save(filled("resnet20_cifar").state_dict(), tmp_path / "w.pt")
    (tmp_path / "w.pt.json").write_text(json.dumps({"preprocessing": {"size": [40, 40]}}))
    assert inspect(tmp_path / "w.pt").preprocessing == Preprocessing((40, 40), None, CIFAR_MEAN, CIFAR_STD)


def test_a_real_file_of_the_common_kind_is_recognised(shared):
    found = inspect(shared / "weights" / "resnet20-cifar10.th")
    assert (found.candidates[0], found.classes, found.preprocessing) == ("resnet20_cifar", 10, None)
    assert [ours for _, ours in found.report.renamed] == ["fc.weight", "fc.bias"]


class Centred(nn.Module):
    """Subtracts a mean that is neither parameter nor buffer, kept as `how` says."""

    def __init__(self, classes: int, how) -> None:
        super().__init__()
        self.mean = how(torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1))
        self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, classes)

    def forward(self, x):
        mean = self.mean
        if not isinstance(mean, torch.Tensor):
            mean = mean["m"] if isinstance(mean, dict) else mean[0]
        return self.head(self.conv(x - mean).relu().mean((2, 3)))


HOW = {"bare": lambda t: t, "list": lambda t: [t], "tuple": lambda t: (t,), "dict": lambda t: {"m": t}}


@pytest.mark.parametrize("how", HOW.values(), ids=HOW.keys())
def test_a_tensor_that_is_a_plain_attribute_is_there_when_a_file_is_loaded(tmp_path, monkeypatch, how):
    def entry(classes: int) -> nn.Module:
        return Centred(classes, how)

    found = replace(find("resnet20_cifar"), name="centred", builder=entry)
    monkeypatch.setattr(architecture, "_CATALOGUE", {**architecture._CATALOGUE, "centred": found})
    source = Centred(10, how).eval()
    torch.save(source.state_dict(), tmp_path / "w.pt")
    model = load("centred", tmp_path / "w.pt", "cpu")
    image = np.full((32, 32, 3), 200, np.uint8)
    with torch.no_grad():
        expected = source(model.preprocess(image)).softmax(1).numpy()
    np.testing.assert_allclose(model.predict(image), expected, atol=1e-6)


def test_a_network_without_constants_is_built_without_memory():
    assert all(tensor.is_meta for tensor in skeleton(find("resnet20_cifar"), 10).state_dict().values())
