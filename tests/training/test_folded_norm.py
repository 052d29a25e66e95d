"""Batch norm during the training alone: the plain network with the weights that are kept answers as the one trained."""

import pytest
import torch
from made_folders import class_folders
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

import cnnviz
from cnnviz.errors import BadInput, Cancelled
from cnnviz.training.folded_norm import NormedConvolution, add_norms, read_plain_state
from cnnviz.training.loop import train
from cnnviz.training.recipe import Recipe
from cnnviz.training.record.files import FILTERS, SNAPSHOTS, list_arrays

HEAD = ("features.cccp6.weight", "features.cccp6.bias")


@pytest.mark.parametrize("mode, groups, stride", [("zeros", 1, 1), ("reflect", 2, 2), ("circular", 1, 2)])
def test_a_plain_convolution_with_the_folded_weights_does_the_same(seeded, mode, groups, stride):
    plain = nn.Conv2d(4, 6, 3, stride, padding=1, groups=groups, padding_mode=mode)
    normed = NormedConvolution(plain)
    with torch.no_grad():
        for tensor in (normed.norm.weight, normed.norm.bias, normed.norm.running_mean):
            tensor.normal_(generator=seeded)
        normed.norm.running_var.uniform_(0.1, 3, generator=seeded)
    images = torch.randn(2, 4, 9, 9, generator=seeded)
    wanted = normed.eval()(images)
    other = nn.Conv2d(4, 6, 3, stride, padding=1, groups=groups, padding_mode=mode)
    other.load_state_dict(normed.fold())
    assert torch.allclose(other(images), wanted, atol=1e-5)


def test_every_convolution_but_the_last_is_normed_and_the_state_is_that_of_the_plain_network():
    plain, normed = cnnviz.build("nin_cifar10"), cnnviz.build("nin_cifar10")
    add_norms(normed, (3, 32, 32), HEAD)
    found = [path for path, part in normed.named_modules() if isinstance(part, NormedConvolution)]
    convolutions = [path for path, part in plain.named_modules() if isinstance(part, nn.Conv2d)]
    assert found == convolutions[:-1]
    assert {k: v.shape for k, v in read_plain_state(normed).items()} == {
        k: v.shape for k, v in plain.state_dict().items()
    }


def test_a_network_without_them_has_its_own_state(seeded):
    plain = cnnviz.build("resnet20_cifar")
    assert all(torch.equal(v, plain.state_dict()[k]) for k, v in read_plain_state(plain).items())


@pytest.mark.parametrize(
    "name, said", [("resnet20_cifar", "normalise already"), ("mlp", "no convolutions with biases")]
)
def test_where_nothing_could_take_it_in_it_is_refused(name, said):
    with pytest.raises(BadInput, match=said):
        add_norms(cnnviz.build(name), (3, 32, 32), (), name)


def test_what_is_trained_so_is_kept_and_recorded_as_the_plain_network(tmp_path):
    data, out = class_folders(tmp_path / "bars", train=24, test=16), tmp_path / "run"
    recipe = Recipe(epochs=2, batch=8, lr=0.05, warmup=0, crop=0, flip=False, folded_norm=True, precision="float32")
    path = train("lenet5", data, out, recipe, "cpu")
    state = torch.load(out / "checkpoint.pt", weights_only=True)["model"]
    assert {"conv1.norm.running_var", "conv2.norm.weight"} <= set(state)
    trained = cnnviz.build("lenet5", 2)
    add_norms(trained, (1, 28, 28))
    trained.load_state_dict(state)
    images = torch.rand(4, 1, 28, 28)
    kept = cnnviz.load(weights=path)
    assert torch.allclose(kept.module(images), trained.eval()(images), atol=1e-4)
    moment = load_file(list(list_arrays(out, SNAPSHOTS).values())[-1])
    assert all(torch.allclose(moment[name].float(), v, atol=2e-3) for name, v in kept.module.state_dict().items())
    filters = load_file(list(list_arrays(out, FILTERS).values())[-1])["weight"]
    assert filters.shape == moment["conv1.weight"].shape


def test_it_is_for_trainings_from_scratch(tmp_path):
    with pytest.raises(BadInput, match="from scratch"):
        train(
            "lenet5",
            class_folders(tmp_path, train=8, test=4),
            tmp_path / "run",
            Recipe(folded_norm=True),
            freeze="conv1",
        )


class Sharing(nn.Module):
    """One convolution under two names, another whose weights are used without calling it."""

    def __init__(self, shared: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.shared, self.last = shared, nn.Linear(3, 2)
        if shared:
            self.second = self.first

    def forward(self, x):
        second = self.second if self.shared else lambda y: F.conv2d(y, self.second.weight, self.second.bias, padding=1)
        return self.last(second(self.first(x)).mean((2, 3)))


@pytest.mark.parametrize("shared", [True, False])
def test_weights_that_are_used_in_another_way_are_refused(shared):
    with pytest.raises(BadInput, match="in other ways than by calling"):
        add_norms(Sharing(shared), (3, 8, 8))


def test_filters_are_those_of_a_parameter_where_a_buffer_has_as_many_axes(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2))
    net.register_buffer("mean", torch.zeros(1, 3, 1, 1))  # stands first in the state
    with cnnviz.record(tmp_path, net):
        pass
    (path,) = list_arrays(tmp_path, FILTERS).values()
    assert torch.equal(load_file(path)["weight"], net[0].weight.half())


def test_a_stopped_run_goes_on_with_its_norms(tmp_path):
    data = class_folders(tmp_path / "bars", train=24, test=8)
    recipe = Recipe(epochs=2, batch=4, lr=0.02, warmup=0, crop=0, flip=False, folded_norm=True, precision="float32")
    whole = train("lenet5", data, tmp_path / "whole", recipe, "cpu")
    with pytest.raises(Cancelled):
        train("lenet5", data, tmp_path / "stopped", recipe, "cpu", lambda state: not state.finished)
    again = train("lenet5", data, tmp_path / "stopped", recipe, "cpu")
    assert all(torch.equal(tensor, load_file(again)[name]) for name, tensor in load_file(whole).items())
