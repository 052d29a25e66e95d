"""The fingerprint follows what a network computes, also where its saved tensors do not tell."""

import copy
import hashlib
import importlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

import cnnviz
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.landscape import bundled
from cnnviz.models.catalogue import architecture, plugins
from cnnviz.models.fingerprint import hash_tensors
from cnnviz.models.model import LoadedModel
from cnnviz.store import load_arrays
from cnnviz.studies.equivariance.blurpool import add_blur_pooling

SIZE = Preprocessing((8, 8))
CLASS = """
    class Edited(nn.Module):
        def __init__(self, num_classes=2):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, num_classes)

        def forward(self, x):
            return self.head(self.conv(x){step}.mean((2, 3)))
"""
BEFORE = "import cnnviz\nfrom torch import nn\n"
ENTERED = '@cnnviz.register("edited", input_size=(3, 8, 8), classes=2)'


def text(step: str, decorator: str = "") -> str:
    """A file with the class, which computes `step` between its two layers."""
    return BEFORE + decorator + dedent(CLASS.format(step=step))


def wrapped(module: nn.Module, name: str = "mine") -> LoadedModel:
    return LoadedModel(module, name, SIZE, ["a"], torch.device("cpu"))


@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar", "plain20_cifar"])
def test_a_network_of_the_catalogue_has_the_fingerprint_of_name_preprocessing_and_tensors_alone(name):
    model = cnnviz.load(name, device="cpu")
    digest = hashlib.sha256(f"{name}|{sorted(model.preprocessing.as_dict().items())}".encode())
    for key, tensor in model.module.state_dict().items():
        digest.update(f"{key}{tuple(tensor.shape)}{tensor.dtype}".encode() + tensor.numpy().tobytes())
    assert model.fingerprint == digest.hexdigest()


@pytest.mark.parametrize("name", ["resnet20_cifar", "plain20_cifar", "resnet56_cifar", "plain56_cifar"])
def test_the_bundled_surfaces_belong_to_the_bundled_weights(name):
    files = bundled.landscapes()[name].seeds
    assert {0, 1} <= set(files)
    for seed, file in files.items():
        told = load_arrays(file)[1]
        assert told["weights"] == cnnviz.load(name, device="cpu").fingerprint and told["seed"] == seed
        assert told["images"] >= 2000


@pytest.mark.parametrize(
    ("name", "epoch"),
    [("plain20_cifar", 0), ("plain20_cifar", 25), ("plain20_cifar", 50), ("resnet56_cifar", 20), ("plain56_cifar", 60)],
)
def test_the_bundled_surfaces_after_an_epoch_belong_to_the_bundled_snapshots(name, epoch):
    told = load_arrays(bundled.folder() / f"{name}-epoch{epoch:03}.npz")[1]
    assert told["weights"] == cnnviz.load(name, f"epoch-{epoch}", device="cpu").fingerprint


def test_copies_blurred_by_other_kernels_are_other_networks():
    model = cnnviz.load("lenet5", device="cpu")
    assert len({model.fingerprint, *(add_blur_pooling(model, size).fingerprint for size in (3, 5))}) == 3
    assert add_blur_pooling(model, 3).fingerprint == add_blur_pooling(model, 3).fingerprint


def test_a_network_that_rescales_its_input_is_another():
    plain, rescaling = (nn.Conv2d(3, 2, 3) for _ in range(2))
    rescaling.load_state_dict(plain.state_dict())
    plain.transform_input, rescaling.transform_input = False, True
    assert wrapped(plain, "googlenet").fingerprint != wrapped(rescaling, "googlenet").fingerprint


@pytest.fixture
def plugin_catalogue(monkeypatch):
    """What a test registers is gone afterwards."""
    architecture.published()
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    for module, name in ((architecture, "_CATALOGUE"), (plugins, "_files"), (plugins, "_digests")):
        monkeypatch.setattr(module, name, dict(getattr(module, name)))


def of_plugin(folder: Path, step: str) -> LoadedModel:
    """As another session would load it that finds the file with this `step`."""
    architecture._CATALOGUE.pop("edited", None)
    plugins._files.clear()
    path = folder / "plugin.py"
    path.write_text(text(step, ENTERED))
    plugins.load_file(path)
    return cnnviz.load("edited", "random", "cpu")


def test_a_plugin_whose_forward_was_edited_is_another_network(tmp_path, plugin_catalogue):
    first = of_plugin(tmp_path, ".relu()")
    known, image = first.fingerprint, np.zeros((8, 8, 3), np.uint8)
    edited = of_plugin(tmp_path, ".abs()")
    assert all(torch.equal(a, b) for a, b in zip(first.module.parameters(), edited.module.parameters(), strict=True))
    assert not np.array_equal(first.logits(image), edited.logits(image))
    assert edited.fingerprint != known == of_plugin(tmp_path, ".relu()").fingerprint


def test_a_plugin_edited_while_its_old_code_still_runs_keeps_its_fingerprint(tmp_path, plugin_catalogue):
    model, again = (of_plugin(tmp_path, ".relu()") for _ in range(2))
    known = again.fingerprint
    (tmp_path / "plugin.py").write_text("# saved in the middle of an edit")
    assert model.fingerprint == known


def own_class(folder: Path, name: str, step: str) -> nn.Module:
    """A network whose class stands in a module that is no plugin."""
    (folder / f"{name}.py").write_text(text(step))
    torch.manual_seed(0)
    return importlib.import_module(name).Edited()


def test_the_source_of_an_own_class_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    steps = {"net_of_a_user_1": ".relu()", "net_of_a_user_2": ".abs()", "net_of_a_user_3": ".relu()"}
    first, second, third = (wrapped(own_class(tmp_path, *item)).fingerprint for item in steps.items())
    assert first == third != second


def test_an_own_network_built_of_other_layers_without_tensors_is_another():
    steps = (nn.ReLU, nn.Tanh, nn.ReLU)
    first, second, third = (wrapped(nn.Sequential(step(), nn.Flatten())).fingerprint for step in steps)
    assert first == third != second


def test_the_hash_of_tensors_does_not_depend_on_how_images_are_prepared_and_changes_with_any_value():
    own, other = (cnnviz.load("lenet5", "random", device="cpu") for _ in range(2))
    other.module.load_state_dict(own.module.state_dict())
    other.preprocessing = Preprocessing((28, 28), None, (0.5,), (0.5,))
    assert own.fingerprint != other.fingerprint and hash_tensors(own.module) == hash_tensors(other.module)
    with torch.no_grad():
        next(other.module.parameters()).view(-1)[0] += 1e-3
    assert hash_tensors(own.module) != hash_tensors(other.module)


@pytest.mark.parametrize("known", [True, False])
def test_it_waits_for_a_pass_of_another_thread_that_has_put_tensors_without_values_in(known):
    begun, done = threading.Event(), threading.Event()

    def wait(*_: object) -> None:
        begun.set()
        assert done.wait(30)

    module = nn.Conv2d(1, 2, 3).eval()
    model, alike = (
        LoadedModel(one, "waiting", Preprocessing((8, 8)), ["a"], torch.device("cpu"))
        for one in (module, copy.deepcopy(module))
    )
    expected = alike.fingerprint
    if known:
        assert model.fingerprint == expected
    state = {name: torch.empty_like(tensor, device="meta") for name, tensor in module.state_dict().items()}

    def follow() -> None:
        with model.lock, module.register_forward_pre_hook(wait):
            functional_call(module, state, (torch.empty(1, 1, 8, 8, device="meta"),))

    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(follow)
        assert begun.wait(30)
        asked = pool.submit(lambda: model.fingerprint)
        with pytest.raises(TimeoutError):
            asked.result(0.05)
        done.set()
        assert asked.result(30) == expected
        other.result(30)
