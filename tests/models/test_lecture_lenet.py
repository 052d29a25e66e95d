"""The LeNet of lecture slides goes through every public function and every command, and gives what PyTorch gives."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from lecture_lenet import write_classes, write_slide
from slowindex import memory

import cnnviz
from cnnviz.cli import main
from cnnviz.index.result import PatchIndex
from cnnviz.models.catalogue.plugins import load_file

PIXELS = list(np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8))


@pytest.fixture(scope="module", params=[1, 3])
def slide(request, tmp_path_factory) -> tuple[str, Path, int]:
    """(name, its file, channels)."""
    name, file = write_slide(tmp_path_factory.mktemp("slide"), request.param)
    load_file(file)
    return name, file, request.param


@pytest.fixture
def model(slide) -> cnnviz.LoadedModel:
    return cnnviz.load(slide[0], device="cpu")


def run_plainly(model: cnnviz.LoadedModel, images: list) -> tuple[torch.Tensor, torch.Tensor]:
    """(scores, outputs of conv2) of each image alone, by the class itself in plain PyTorch."""
    plain = type(model.module)().eval()
    plain.load_state_dict(model.module.state_dict())
    maps: list[torch.Tensor] = []
    plain.conv2.register_forward_hook(lambda _m, _i, output: maps.append(output.clone()))
    with torch.no_grad():
        scores = [plain(model.preprocess(image)[None].contiguous()) for image in images]
    return torch.cat(scores), torch.cat(maps)


def test_it_is_in_the_catalogue_with_the_counts_of_the_lecture(slide, model):
    name, _file, channels = slide
    assert name in cnnviz.architectures()
    built = sum(p.numel() for p in cnnviz.build(name).parameters())
    assert built == cnnviz.anatomy(name).parameters == cnnviz.anatomy(model).parameters
    assert built == 150 * channels + 6 + 2416 + 48_120 + 10_164 + 850
    macs = 28 * 28 * 6 * 25 * channels + 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84 + 840
    assert cnnviz.anatomy(name).macs == cnnviz.anatomy(model).macs == macs
    assert model.layers() == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert model.input_size == (channels, 32, 32) and len(model.class_names) == 10


def test_predictions_maps_and_winners_are_those_of_plain_pytorch(model):
    scores, maps = run_plainly(model, PIXELS)
    np.testing.assert_allclose(model.predict(PIXELS), scores.softmax(1).numpy(), atol=1e-6)
    np.testing.assert_allclose(model.predict(PIXELS[0]), scores.softmax(1).numpy()[:1], atol=1e-6)
    captured = cnnviz.capture(model, PIXELS, model.layers())
    np.testing.assert_allclose(captured["conv2"], maps.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(captured["fc3"][:, :, 0, 0], scores.numpy(), rtol=1e-4, atol=1e-5)
    index = cnnviz.index_patches(model, memory(PIXELS), k=2)
    best = np.sort(maps.amax((2, 3)).numpy(), axis=0)[::-1][:2].T
    assert index.layers == model.layers()
    np.testing.assert_allclose(index.tops["conv2"].values, best, rtol=1e-4)


def test_filters_fields_and_reconstructions_are_those_of_the_network(slide, model):
    filters = cnnviz.first_layer_filters(model)
    assert filters.layer == "conv1" and filters.weights.shape == (6, slide[2], 5, 5)
    sizes = {"conv1": (5, 5), "conv2": (14, 14), "fc1": (32, 32), "fc3": (32, 32)}
    assert {layer: cnnviz.receptive_field(model, layer).size for layer in sizes} == sizes
    assert cnnviz.receptive_field(model, "conv2").box(0, 9) == (0, 18, 14, 32)
    leaf = model.preprocess(PIXELS[0])[None].requires_grad_()
    plain = type(model.module)()
    plain.load_state_dict(model.module.state_dict())
    maps: list[torch.Tensor] = []
    plain.conv2.register_forward_hook(lambda _m, _i, output: maps.append(output))
    plain(leaf)
    (want,) = torch.autograd.grad(maps[0][0, 3, 4, 5], leaf)
    got = cnnviz.reconstruct(model, PIXELS[0], "conv2", 3, 4, 5, rule="gradient")
    np.testing.assert_allclose(got, want[0].numpy(), rtol=1e-4, atol=1e-6)
    for rule in ("deconvnet", "guided"):
        assert np.isfinite(cnnviz.reconstruct(model, PIXELS[0], "conv2", 3, 4, 5, rule=rule)).all()


def test_surface_and_shifts_are_measured_on_it(model):
    labels = [0, 1, 2]
    surface = cnnviz.loss_surface(model, PIXELS, labels, steps=3, precision="float32")
    want = torch.nn.functional.cross_entropy(run_plainly(model, PIXELS)[0], torch.tensor(labels))
    assert surface.loss[1, 1] == pytest.approx(float(want), rel=1e-4)
    assert set(cnnviz.filter_directions(model)) == set(model.module.state_dict())
    found = cnnviz.equivariance(model, PIXELS[0], [(0, 0), (2, 2)], ["conv1", "conv2"])
    assert found is not None


def test_every_command_takes_it_and_what_was_trained_opens_again(slide, tmp_path, capsys):
    name, file, channels = slide
    data = str(write_classes(tmp_path / "data", 10, 6))
    plugin = ["--plugin", str(file)]
    run = tmp_path / "run"
    assert 0 == main(["train", name, *plugin, "--data", data, "--out", str(run), "--epochs", "2", "--device", "cpu"])
    (weights,) = run.glob("*.safetensors")
    trained = cnnviz.load(name, weights, device="cpu")
    assert trained.class_names == [f"class {i}" for i in range(10)]
    index = tmp_path / "slide.npz"
    assert 0 == main(
        ["index", name, *plugin, "--weights", str(weights), "--data", data, "--out", str(index), "--device", "cpu"]
    )
    assert PatchIndex.load(index).layers == trained.layers()
    surface = tmp_path / "surface.npz"
    options = ["--data", data, "--out", str(surface), "--steps", "3", "--images", "10", "--device", "cpu"]
    assert 0 == main(["landscape", name, *plugin, "--weights", str(weights), *options])
    assert surface.is_file()
    capsys.readouterr()
    assert 0 == main(["show", name, *plugin])
    assert 0 == main(["show", str(index)])
    assert 0 == main(["list", "architectures", *plugin])
    said = capsys.readouterr().out
    assert re.search(r"5×5 conv, 6\b", said) and name in said and "Traceback" not in said
    assert channels == trained.input_size[0]


def test_its_weights_alone_are_recognised(slide, model, tmp_path):
    file = tmp_path / "weights.pth"
    torch.save(model.module.state_dict(), file)
    found = cnnviz.load(weights=file, device="cpu")
    assert found.input_size[0] == slide[2] and len(found.class_names) == 10
    image = torch.rand(2, *model.input_size)
    if found.input_size == model.input_size:
        with torch.no_grad():
            torch.testing.assert_close(found.module(image), model.module(image))
