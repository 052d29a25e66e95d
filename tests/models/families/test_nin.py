"""Network in Network: the published rows, and pools that round up."""

import pytest
import torch
from layer_costs import map_sides, on_meta, parameters
from torch import nn

import cnnviz

IMAGENET_ROWS = [34_944, 9_312, 9_312, 614_656, 65_792, 65_792, 885_120, 147_840, 147_840, 3_539_968, 1_049_600]
IMAGENET_ROWS.append(1_025_000)


def test_each_layer_of_the_imagenet_net_has_the_published_parameters():
    layers = [m for m in on_meta("nin_imagenet").modules() if isinstance(m, nn.Conv2d)]
    assert [parameters(layer) for layer in layers] == IMAGENET_ROWS


@pytest.mark.parametrize(
    "name, size, sides",
    [("nin_imagenet", (3, 224, 224), [54, 27, 27, 13, 13, 6, 6]), ("nin_cifar10", (3, 32, 32), [32, 16, 16, 8, 8])],
)
def test_pools_round_the_map_size_up(name, size, sides):
    found = map_sides(on_meta(name), size)
    assert [side for layer, side in found.items() if layer[9:13] in ("conv", "pool")] == sides


def test_logits_are_means_of_rectified_class_maps():
    torch.manual_seed(0)
    net = cnnviz.build("nin_cifar10", 4).eval()
    with torch.no_grad():
        net.features.cccp6.bias.zero_()
        x = torch.randn(2, 3, 32, 32)
        maps = net.features[:-1](x).clamp_min(0)
        torch.testing.assert_close(net(x), maps.sum((2, 3)) / 64)
    assert (maps == 0).any() and (maps > 0).any()


@pytest.mark.parametrize("seed", range(4))
def test_no_class_is_silent_before_training(seed):
    torch.manual_seed(seed)
    net = cnnviz.build("nin_cifar10").eval()
    x = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    logits = net(x)
    assert (logits > 0).all()
    for one in range(10):
        (gradient,) = torch.autograd.grad(logits[:, one].sum(), net.features.cccp6.weight, retain_graph=True)
        assert gradient[one].any()
