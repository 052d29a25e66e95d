"""Networks that flatten by x.view run everywhere; all others stay in channels_last."""

import numpy as np
import pytest
import torch
from nets import images, tiny
from PIL import Image
from slowindex import memory, noise
from torch import nn

import cnnviz
from cnnviz.landscape.plane.surface import loss_surface
from cnnviz.models.catalogue import architecture
from cnnviz.models.catalogue.plugins import register
from cnnviz.models.catalogue.registry import build, find
from cnnviz.models.memory_format import choose_memory_format, lay_out
from cnnviz.training.loop import train
from cnnviz.training.recipe import Recipe


class LeNet(nn.Module):
    """As lecture notes write it."""

    def __init__(self, channels: int = 3, classes: int = 4, flatten=lambda x: x.view(-1, 16 * 5 * 5)) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.conv2, self.pool = nn.Conv2d(channels, 6, 5), nn.Conv2d(6, 16, 5), nn.MaxPool2d(2)
        self.fc1, self.fc2, self.fc3 = nn.Linear(16 * 5 * 5, 120), nn.Linear(120, 84), nn.Linear(84, classes)
        self.flatten = flatten

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = torch.relu(self.fc1(self.flatten(x)))
        return self.fc3(torch.relu(self.fc2(x)))


def helper(x):
    return x.view(len(x), -1)


def flatten_elsewhere(x):
    return helper(x)


def one_image(x):
    return x.view(1, -1)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_lenet_of_the_lecture_notes_runs_everywhere(channels, tmp_path):
    plain, model = LeNet(channels).eval(), tiny(LeNet(channels), (32, 32), channels)
    assert model.memory_format is torch.contiguous_format
    some, pixels = images(3, (32, 32), channels), np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    with torch.no_grad():
        np.testing.assert_allclose(model.logits(some), plain(some).numpy(), rtol=1e-4, atol=1e-6)
    assert model.predict(list(pixels)).shape == (2, 4) and model.predict(pixels[0]).shape == (1, 4)
    assert cnnviz.capture(model, pixels[0], ["conv2"])["conv2"].shape == (1, 16, 10, 10)
    assert cnnviz.receptive_field(model, "fc1").size == (32, 32)
    index = cnnviz.index_patches(model, memory(noise(9, 32)), ["conv2"], k=2, batch=4)
    assert index.channels("conv2") == 16
    for rule in ("gradient", "deconvnet", "guided"):
        assert cnnviz.reconstruct(model, pixels[0], "conv2", 3, 4, 4, rule=rule).shape == (channels, 32, 32)
    surface = loss_surface(model, some, [0, 1, 2], steps=2, batch=3)
    assert np.isfinite(surface.loss).all()


def test_it_can_be_trained(tmp_path, monkeypatch):
    architecture.published()  # imports the families, which enter the catalogue once
    monkeypatch.setattr(architecture, "_CATALOGUE", dict(architecture._CATALOGUE))
    register("view_lenet", input_size=(3, 32, 32), classes=4)(lambda num_classes: LeNet(3, num_classes))
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for number in range(4):
                Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{number}.png")
    path = train("view_lenet", tmp_path / "data", tmp_path / "run", Recipe(epochs=1, batch=4), "cpu")
    assert cnnviz.load("view_lenet", path, device="cpu").predict(rng.integers(0, 256, (32, 32, 3), np.uint8)).shape


@pytest.mark.parametrize("flatten", [flatten_elsewhere, one_image, lambda x: helper(x)])
def test_views_are_found_wherever_a_network_has_them(flatten):
    assert choose_memory_format(LeNet(flatten=flatten).eval(), (3, 32, 32)) is torch.contiguous_format


def test_a_view_that_channels_last_can_give_costs_nothing():
    module = LeNet(flatten=lambda x: x.view(len(x), 16, 25).flatten(1)).eval()
    assert choose_memory_format(module, (3, 32, 32)) is torch.channels_last


def test_a_branch_of_the_training_mode_counts_where_the_network_is_trained():
    class Branching(LeNet):
        def forward(self, x):
            y = self.conv1(x)
            return y.view(len(y), -1) if self.training else y.flatten(1)

    module = Branching().eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert choose_memory_format(module, (3, 32, 32)) is torch.channels_last
    assert choose_memory_format(module, (3, 32, 32), training=True) is torch.contiguous_format
    assert not module.training and all(torch.equal(before[name], t) for name, t in module.state_dict().items())


@pytest.mark.parametrize("name", ["resnet20_cifar", "squeezenet1_0", "vgg16", "densenet121", "inception_v3", "lenet5"])
def test_networks_of_the_catalogue_stay_in_channels_last(name):
    with torch.device("meta"):
        module = build(name)
    module = module.to_empty(device="cpu").eval()
    assert choose_memory_format(module, find(name).input_size, training=True) is torch.channels_last


@pytest.mark.parametrize("name", ["pytorchcv:alexnet", "pytorchcv:zfnet"])
def test_zoo_networks_that_view_answer(name):
    pytest.importorskip("pytorchcv")
    model = cnnviz.load(name, "random", device="cpu")
    assert model.memory_format is torch.contiguous_format
    assert model.predict(np.zeros((224, 224, 3), np.uint8)).shape == (1, 1000)


def test_a_network_that_fails_in_both_formats_is_left_in_channels_last():
    module = LeNet(flatten=lambda x: x.view(-1, 7))
    assert choose_memory_format(module, (3, 32, 32)) is torch.channels_last


def test_images_of_one_channel_get_strides_of_the_format():
    gray = torch.zeros(2, 8, 8, 1).movedim(-1, 1)
    assert lay_out(gray, torch.contiguous_format).stride() == (64, 64, 8, 1)
    assert lay_out(torch.zeros(2, 3, 8, 8), torch.channels_last).is_contiguous(memory_format=torch.channels_last)
