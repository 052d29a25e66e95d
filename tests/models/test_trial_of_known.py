"""Of cnnviz's own networks less is tried at loading: what is left out finds nothing new."""

import pytest
import torch

import cnnviz
from cnnviz.models.catalogue.registry import find
from cnnviz.models.trial import try_known, try_network

NAMES = (
    "lenet5 lenet5_1998 mnist_20_50_500 lenet5_c5 resnet20_cifar maxout_mnist highway19_cifar10 squeezenet1_1".split()
)


@pytest.mark.parametrize("name", [*NAMES, "chain:1x28x28-conv4k5-tanh-avg4-flatten-linear10-softmax"])
def test_the_short_trial_finds_what_the_whole_one_finds(name):
    torch.manual_seed(0)
    module, size = cnnviz.build(name).eval().requires_grad_(False), find(name).input_size
    short, whole = try_known(module, size), try_network(module, size, name)
    assert (short.memory_format, short.together, short.ending) == (whole.memory_format, whole.together, whole.ending)
    assert cnnviz.load(name, "random", device="cpu").known


def test_a_network_of_the_user_s_own_is_tried_as_a_whole():
    cnnviz.register("tried_whole", input_size=(1, 8, 8), classes=2)(
        lambda n: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, n))
    )
    assert not cnnviz.load("tried_whole", "random", device="cpu").known
