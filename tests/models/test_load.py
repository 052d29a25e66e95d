"""From a name or a file to a model: recognised, filled, labelled, and honest about what it assumed."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from weightfiles import anonymous, filled, prefixed

import cnnviz
from cnnviz.data.class_names import CIFAR10
from cnnviz.data.preprocessing import CIFAR_MEAN, IMAGENET_MEAN, Preprocessing
from cnnviz.errors import BadCheckpoint, BadInput, UnknownName
from cnnviz.models.bundled import snapshots
from cnnviz.models.catalogue.registry import find
from cnnviz.models.load import _place


def load(*arguments, **options):
    return cnnviz.load(*arguments, **{"device": "cpu"} | options)


def saved(path, content):
    torch.save(content, path)
    return path


def assert_function_of(model, source):
    x = torch.randn(2, *model.input_size, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        torch.testing.assert_close(model.module(x), source(x))


@pytest.fixture
def no_assets(monkeypatch, tmp_path):
    monkeypatch.setenv("CNNVIZ_ASSETS", str(tmp_path / "none"))


def test_random_weights_are_the_same_at_every_call_and_disturb_no_seed(no_assets):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = load("lenet5_sigmoid"), load("lenet5_sigmoid", weights="random")
    assert torch.equal(torch.rand(1), expected)
    assert first.fingerprint == second.fingerprint
    assert first.origin == "random" and first.class_names == [str(i) for i in range(10)]


def test_a_loaded_model_is_frozen_and_in_eval_mode(no_assets):
    model = load("resnet20_cifar", "random")
    assert not model.module.training
    assert not any(parameter.requires_grad for parameter in model.module.parameters())


def test_a_file_is_recognised_filled_and_labelled(tmp_path):
    source = filled("resnet20_cifar")
    model = load(weights=saved(tmp_path / "w.pt", source.state_dict()))
    assert (model.name, model.origin, model.class_names) == ("resnet20_cifar", "w.pt", CIFAR10)
    assert_function_of(model, source)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": prefixed(s, "module.")}, anonymous])
@pytest.mark.parametrize("name, classes", [("resnet18", 7), ("squeezenet1_1", 3), ("lenet5", 26)])
def test_the_head_tells_the_number_of_classes(tmp_path, name, classes, wrap):
    source = filled(name, classes)
    model = load(weights=str(saved(tmp_path / "w.pth", wrap(source.state_dict()))))
    assert model.name == name
    assert model.class_names == [f"class {i}" for i in range(classes)]
    assert_function_of(model, source)


def test_a_named_architecture_takes_a_file_with_other_classes(tmp_path):
    model = load("resnet18", saved(tmp_path / "w.pt", filled("resnet18", 4).state_dict()))
    assert len(model.class_names) == 4


def test_a_twin_is_chosen_by_name_or_by_metadata_and_else_assumed(tmp_path):
    source = filled("plain20_cifar")
    path = saved(tmp_path / "w.pt", source.state_dict())
    model = load(weights=path)
    assert model.name == "resnet20_cifar"
    assert any("plain20_cifar" in text for text in model.notes["assumed"])
    assert any("plain20_cifar" in text for text in model.report.warnings)
    assert_function_of(load("plain20_cifar", path), source)
    (tmp_path / "w.pt.json").write_text(json.dumps({"architecture": "plain20_cifar"}))
    model = load(weights=path)
    assert_function_of(model, source)
    assert not any("plain20" in text for text in model.notes["assumed"])


@pytest.mark.parametrize("told", ["resnet18", "no_such_net", 7])
def test_metadata_that_the_tensors_contradict_are_not_believed(tmp_path, told):
    path = saved(tmp_path / "w.pt", {"state_dict": filled("lenet5").state_dict(), "arch": told})
    assert load(weights=path).name == "lenet5"


def test_our_own_safetensors_come_back_with_everything(tmp_path):
    source, look = filled("plain20_cifar", 3), Preprocessing((40, 40), 44, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    notes = {
        "architecture": "plain20_cifar",
        "classes": ["cat", "dog", "ähre"],
        "preprocessing": look.as_dict(),
        "recipe": {"epochs": 3},
        "accuracy": {"test": 0.5},
    }
    save_file(source.state_dict(), tmp_path / "mine.safetensors", {"cnnviz": json.dumps(notes)})
    model = load(weights=tmp_path / "mine.safetensors")
    assert (model.name, model.class_names) == ("plain20_cifar", notes["classes"])
    assert model.preprocessing == look and model.input_size == (3, 40, 40)
    assert model.notes["recipe"] == {"epochs": 3} and model.notes["accuracy"] == {"test": 0.5}
    assert model.notes["assumed"] == [] and model.report.renamed == []
    assert_function_of(model, source)


def test_what_the_caller_says_goes_before_what_the_file_says(tmp_path):
    source, look = filled("lenet5_unpadded", 3), Preprocessing((28, 28), 32, (0.1,), (0.2,))
    path = saved(tmp_path / "w.pt", {"state_dict": source.state_dict(), "classes": ["a", "b", "c"]})
    (tmp_path / "w.pt.json").write_text(json.dumps({"preprocessing": {"mean": [0.5], "std": [0.25]}}))
    model = load(weights=path, class_names=("x", "y", "z"), preprocessing=look)
    assert (model.class_names, model.preprocessing) == (["x", "y", "z"], look)
    assert model.notes["assumed"] == []
    assert load(weights=path, class_names=["x", "y", "z"]).preprocessing.mean == (0.5,)
    assert load(weights=path, preprocessing=look).class_names == ["a", "b", "c"]
    assert_function_of(model, source)


def test_what_the_caller_says_must_fit_the_network(tmp_path):
    path = saved(tmp_path / "w.pt", filled("lenet5", 3).state_dict())
    with pytest.raises(BadInput, match=r"needs 3 names.*lenet5, got \['x'\]"):
        load(weights=path, class_names=["x"])
    with pytest.raises(BadInput, match="needs 3 names"):
        load(weights=path, class_names="xyz")
    with pytest.raises(BadInput, match="takes 1 channel, and mean and std are given for 3"):
        load("lenet5", path, preprocessing=Preprocessing((28, 28)))
    with pytest.raises(TypeError):
        load("lenet5", path, "cpu", None, ["x", "y", "z"])


@pytest.mark.parametrize("key", ["classes", "class_names"])
def test_a_side_file_names_architecture_classes_and_preprocessing(tmp_path, key):
    source, look = filled("plain20_cifar", 2), Preprocessing((32, 32), 40, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    path = saved(tmp_path / "w.pt", source.state_dict())
    told = {"architecture": "plain20_cifar", key: ["cat", "dog"], "preprocessing": look.as_dict()}
    (tmp_path / "w.pt.json").write_text(json.dumps(told))
    model = load(weights=path)
    assert (model.name, model.class_names, model.preprocessing) == ("plain20_cifar", ["cat", "dog"], look)
    assert model.notes["assumed"] == []
    assert_function_of(model, source)


def test_class_names_that_do_not_fit_are_ignored_and_said(tmp_path):
    path = saved(tmp_path / "w.pt", {"state_dict": filled("lenet5").state_dict(), "classes": ["a", "b"]})
    model = load(weights=path)
    assert model.class_names[9] == "9"
    assert "names 2 classes and its head has 10" in " ".join(model.report.warnings)


def test_a_cifar_resnet_of_unknown_origin_is_given_imagenets_normalisation(tmp_path, no_assets):
    model = load(weights=saved(tmp_path / "w.pt", filled("resnet20_cifar").state_dict()))
    assert model.preprocessing.mean == IMAGENET_MEAN and model.input_size == (3, 32, 32)
    assert any("normalisation" in text for text in model.notes["assumed"])
    assert load("resnet20_cifar", "random").preprocessing.mean == CIFAR_MEAN


def test_partial_or_broken_preprocessing_is_completed_or_said(tmp_path):
    path = saved(tmp_path / "w.pt", filled("lenet5").state_dict())
    side = tmp_path / "w.json"
    side.write_text(json.dumps({"preprocessing": {"mean": [0.5], "std": [0.25]}}))
    assert load(weights=path).preprocessing == Preprocessing((28, 28), None, (0.5,), (0.25,))
    side.write_text(json.dumps({"preprocessing": {"mean": [0.5], "std": "wide"}}))
    model = load(weights=path)
    assert model.preprocessing == find("lenet5").preprocessing
    assert any("preprocessing" in text for text in model.notes["assumed"])


def test_nan_weights_load_with_a_warning(tmp_path):
    source = filled("lenet5")
    source.fc1.bias.data[3] = float("nan")
    model = load(weights=saved(tmp_path / "w.pt", source.state_dict()))
    assert any("fc1.bias" in text for text in model.report.warnings)


def test_bundled_weights_are_the_default_where_there_are_some(monkeypatch, tmp_path):
    monkeypatch.setenv("CNNVIZ_ASSETS", str(tmp_path))
    (tmp_path / "weights").mkdir()
    source = filled("lenet5")
    save_file(
        source.state_dict(),
        tmp_path / "weights" / "lenet5-mnist.safetensors",
        {"cnnviz": json.dumps({"architecture": "lenet5", "classes": [str(i) for i in range(10)]})},
    )
    for model in (load("lenet5"), load("lenet5", weights="bundled")):
        assert model.origin == "bundled"
        assert_function_of(model, source)
    assert load("lenet5", weights="random").origin == "random"
    assert load("resnet32_cifar").origin == "random"  # of which cnnviz brings none
    with pytest.raises(BadInput, match="Bundled: lenet5"):
        load("resnet32_cifar", weights="bundled")
    with pytest.raises(BadInput, match="resnet20_cifar, which come with cnnviz, are missing"):
        load("resnet20_cifar")


def test_a_word_opens_the_bundled_weights_as_they_were_in_their_training():
    last, then, start = (load("plain20_cifar", weights=word) for word in ("bundled", "epoch-25", "epoch-0"))
    with safe_open(snapshots("plain20_cifar")[25], "pt") as file:
        kept = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    for key, tensor in then.module.state_dict().items():
        assert tensor.dtype in (torch.float32, torch.int64) and torch.equal(tensor, kept[key].to(tensor.dtype)), key
    assert then.origin == "epoch-25" and then.notes["epoch"] == 25 and not then.notes["assumed"]
    assert then.preprocessing == last.preprocessing and then.class_names == last.class_names
    assert "accuracy" not in then.notes  # that of the last epoch is not its own
    first = start.module.state_dict()["bn1.running_var"]
    assert torch.equal(first, torch.ones_like(first))  # no batch has been seen


@pytest.mark.parametrize(("name", "end"), [("plain20_cifar", 50), ("resnet56_cifar", 60), ("plain56_cifar", 60)])
def test_the_snapshots_of_a_training_begin_before_it_and_end_at_the_bundled_weights(name, end):
    epochs = list(snapshots(name))
    assert epochs[0] == 0 and epochs[-1] == end and len(epochs) > 5
    last = load(name, weights="bundled").module.state_dict()
    for key, tensor in load(name, weights=f"epoch-{end}").module.state_dict().items():
        torch.testing.assert_close(tensor, last[key], rtol=2**-11, atol=2**-24)


def test_a_snapshot_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(BadInput, match=r"after 3 epochs are bundled.*after 0, 5, 10"):
        load("plain20_cifar", weights="epoch-3")
    with pytest.raises(BadInput, match="Bundled snapshots: none"):
        load("lenet5", weights="epoch-1")
    with pytest.raises(BadInput, match="needs a name"):
        load(weights="epoch-1")
    with pytest.raises(UnknownName, match="plain20_cifar"):
        load("plain21_cifar", weights="epoch-5")


def test_what_fits_nothing_names_the_closest_architecture(tmp_path):
    tensors = filled("resnet20_cifar").state_dict()
    tensors["layer3.2.conv2.weight"] = torch.ones(64, 64, 5, 5)
    path = saved(tmp_path / "w.pt", tensors)
    with pytest.raises(BadCheckpoint, match=r"Closest: .*20_cifar, with 96 of 97"):
        load(weights=path)
    with pytest.raises(BadCheckpoint, match=r"layer3\.2\.conv2\.weight: shape \(64, 64, 5, 5\)"):
        load("resnet20_cifar", path)


def test_requests_without_sense_say_what_to_write(tmp_path):
    with pytest.raises(BadInput, match="needs a name or a weights file"):
        load()
    for word in ("random", "pretrained", "bundled"):
        with pytest.raises(BadInput, match="needs a name"):
            load(weights=word)
    with pytest.raises(UnknownName, match="resnet18"):
        load("resnet81", weights="random")
    with pytest.raises(BadInput, match="weights='net.pth'"):
        load("net.pth")
    with pytest.raises(BadCheckpoint, match="random, pretrained, bundled"):
        load("lenet5", weights="pretraned")
    with pytest.raises(BadCheckpoint, match="no file"):
        load("lenet5", weights=tmp_path / "gone.pth")
    with pytest.raises(BadInput, match="not available"):
        load("lenet5", weights="random", device="cuda:99")


class TooLarge(nn.Conv2d):
    """A layer that fits on no device but the CPU."""

    def _apply(self, fn, recurse=True):
        if fn(torch.zeros(1)).device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 TiB.")
        return super()._apply(fn, recurse)


def test_a_device_without_room_falls_back_to_the_cpu_and_says_so():
    parts = dict(
        module=nn.Sequential(TooLarge(1, 2, 3), nn.Conv2d(2, 1, 3)),
        name="tiny",
        preprocessing=Preprocessing((8, 8), mean=(0.0,), std=(1.0,)),
        class_names=["a"],
    )
    model = _place(parts, torch.device("meta"))  # stands for a device that is not the CPU
    assert model.device.type == "cpu" and "meta" in model.notes["device"]


@pytest.mark.gpu
def test_a_full_gpu_falls_back_to_the_cpu_and_keeps_nothing():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-5)
    try:
        model = cnnviz.load("alexnet", weights="random", device="cuda")
        held = torch.cuda.memory_allocated()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert model.device.type == "cpu" and "cuda" in model.notes["device"]
    assert held == 0
    assert model.predict(np.zeros((224, 224, 3), np.uint8)).shape == (1, 1000)


@pytest.mark.gpu
def test_a_model_on_the_gpu_predicts_as_on_the_cpu():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    there, here = (cnnviz.load("resnet20_cifar", "random", device).predict(image) for device in ("cuda", "cpu"))
    np.testing.assert_allclose(there, here, atol=2e-3)


# ---- real weights, where they are ------------------------------------------------------------------


def cifar_test_images(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    """1,000 test images (N, 32, 32, 3) and labels; each row of the last mosaic is one image."""
    rows = np.asarray(Image.open(shared / "data" / "cifar10" / "cifar10_batch_50.png").convert("RGB"))
    labels = np.loadtxt(shared / "data" / "cifar10" / "labels.txt", dtype=int)
    return rows.reshape(1000, 32, 32, 3), labels[-1000:]


def test_somebody_elses_resnet20_loads_without_a_hint(shared):
    model = load(weights=shared / "weights" / "resnet20-cifar10.th")
    assert (model.name, model.report.matched, len(model.report.renamed)) == ("resnet20_cifar", 97, 2)
    assert model.notes["best_prec1"] == pytest.approx(91.78)
    images, labels = cifar_test_images(shared)
    found = np.concatenate([model.predict(list(images[i : i + 250])) for i in range(0, 1000, 250)])
    assert (found.argmax(1) == labels).mean() == pytest.approx(0.915, abs=0.002)


@pytest.mark.slow
def test_the_real_squeezenet_names_60_percent_of_the_photographs(shared):
    model = load(weights=shared / "weights" / "squeezenet1_0-imagenet.pth")
    assert model.name == "squeezenet1_0"
    files = sorted((shared / "data" / "imagenet-sample").glob("*.jpg"))
    chosen = np.arange(0, len(files), 4)  # one photograph of every class; 250 classes tell 60 percent from chance
    images = [Image.open(io.BytesIO(files[i].read_bytes())) for i in chosen]
    answers = np.concatenate([model.predict(images[i : i + 50]).argmax(1) for i in range(0, 250, 50)])
    right = int((answers == chosen).sum())
    assert len(files) == 1000 and 0.55 * 250 <= right < 0.75 * 250
