"""Every architecture of the catalogue against the published network: parameters and multiply-adds to the unit.

A multiply-add (MAC) is counted here on its own terms, from the shapes that convolutions and linear layers
meet in one forward pass of one image; the figures are of the papers and the released definitions."""

import math

import pytest
import torch
from published_counts import PUBLISHED, REAL, RGB224
from torch import nn

import cnnviz
from cnnviz.models.catalogue.registry import find

CLASSES = {224: 1000, 227: 1000, 299: 1000, 32: 10, 28: 10}  # by the side of the input
MODULES = {"naive_inception": (672, 28, 28), "reduced_inception": (480, 28, 28)}  # blocks without a classifier
OTHERS = {"alexnet_d2l_gray": (10,), "tinyvgg_64": (3,)}  # other numbers of classes than usual for the size


def multiply_adds(module: nn.Module, image: torch.Tensor) -> tuple[int, tuple[int, ...]]:
    """(Σ C_out · H_out · W_out · (C_in / groups) · k_h · k_w and in · out over all calls of one forward pass, shape of
    what comes out of an image)."""
    counts: list[int] = []

    def count(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        if isinstance(layer, nn.Linear):
            counts.append(layer.in_features * layer.out_features)
        else:
            window = layer.in_channels // layer.groups * math.prod(layer.kernel_size)
            counts.append(math.prod(output.shape[1:]) * window)

    kinds = (nn.Conv2d, nn.Linear)
    hooks = [m.register_forward_hook(count) for m in module.modules() if isinstance(m, kinds)]
    output = module.eval()(image)
    for hook in hooks:
        hook.remove()
    return sum(counts), tuple(output.shape[1:])


def output_shape(name: str, size: tuple[int, int, int]) -> tuple[int, ...]:
    return (MODULES | OTHERS).get(name) or (CLASSES[size[1]],)


def test_the_catalogue_holds_the_published_networks_and_no_others():
    assert set(cnnviz.architectures()) == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_multiply_adds_are_the_published_ones(name):
    size, parameters, macs = PUBLISHED[name]
    with torch.device("meta"):
        module = cnnviz.build(name)
        image = torch.zeros(1, *size)
    assert find(name).input_size == size
    assert sum(p.numel() for p in module.parameters()) == parameters
    assert multiply_adds(module, image) == (macs, output_shape(name, size))


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_a_real_image_gives_finite_answers(name):
    size = PUBLISHED[name][0]
    torch.manual_seed(0)
    module = cnnviz.build(name).eval()
    with torch.inference_mode():
        output = module(torch.randn(1, *size))
    assert tuple(output.shape) == (1, *output_shape(name, size))
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("name", ["googlenet_2014"])
def test_auxiliary_heads_come_on_request(name):
    with torch.device("meta"):
        module = cnnviz.build(name, aux=True)
        outputs = module.train()(torch.zeros(2, *RGB224))
    assert sum(p.numel() for p in module.parameters()) == 13_378_280
    assert [tuple(output.shape) for output in outputs] == [(2, 1000)] * 3


@pytest.mark.parametrize("name", ["lenet5_1998", "nin_cifar10", "maxout_mnist", "wrn_16_4", "bn_inception", "zfnet"])
def test_another_number_of_classes_changes_the_head_alone(name):
    with torch.device("meta"):
        own, ten = cnnviz.build(name, 7), cnnviz.build(name)
        image = torch.zeros(1, *PUBLISHED[name][0])
        assert tuple(own.eval()(image).shape) == (1, 7)
    changed = [key for key, value in own.state_dict().items() if value.shape != ten.state_dict()[key].shape]
    assert 1 <= len(changed) <= 2
