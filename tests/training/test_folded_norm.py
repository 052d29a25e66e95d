"""Batch norm during the training alone: the plain network with the weights that are kept answers as the one trained."""

import pytest
import torch
from made_folders import class_folders
from safetensors.torch import load_file
from torch import nn

import cnnviz
from cnnviz.errors import BadInput
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
    add_norms(normed, HEAD)
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
        add_norms(cnnviz.build(name), (), name)


def test_what_is_trained_so_is_kept_and_recorded_as_the_plain_network(tmp_path):
    data, out = class_folders(tmp_path / "bars", train=24, test=16), tmp_path / "run"
    recipe = Recipe(epochs=2, batch=8, lr=0.05, warmup=0, crop=0, flip=False, folded_norm=True, precision="float32")
    path = train("lenet5", data, out, recipe, "cpu")
    state = torch.load(out / "checkpoint.pt", weights_only=True)["model"]
    assert {"conv1.norm.running_var", "conv2.norm.weight"} <= set(state)
    trained = cnnviz.build("lenet5", 2)
    add_norms(trained, ())
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
