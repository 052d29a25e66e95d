"""Maxout: the largest of the pieces, and maps of the published sizes."""

import pytest
import torch
from layer_costs import map_sides, on_meta, parameters

import cnnviz
from cnnviz.models.families.maxout import Maxout

SIDES = {
    "maxout_cifar10": ((3, 32, 32), [33, 16, 15, 7, 9, 5]),
    "maxout_mnist": ((1, 28, 28), [21, 10, 9, 4, 6, 3]),
}


def test_maxout_is_the_largest_of_each_group_of_channels(seeded):
    x = torch.randn(2, 12, 3, 4, generator=seeded)
    found = Maxout(4)(x)
    assert found.shape == (2, 3, 3, 4)
    for n in range(2):
        for unit in range(3):
            for row in range(3):
                for col in range(4):
                    pieces = [float(x[n, unit * 4 + piece, row, col]) for piece in range(4)]
                    assert float(found[n, unit, row, col]) == max(pieces)


def test_maxout_of_vectors_groups_them_in_the_same_way(seeded):
    x = torch.randn(3, 10, generator=seeded)
    expected = [[max(values[i : i + 5].tolist()) for i in (0, 5)] for values in x]
    assert Maxout(5)(x).tolist() == expected


def test_only_the_largest_piece_learns(seeded):
    x = torch.randn(1, 6, 2, 2, generator=seeded).requires_grad_()
    Maxout(3)(x).sum().backward()
    groups = x.detach().view(1, 2, 3, 2, 2)
    assert torch.equal(x.grad.view_as(groups).bool(), groups == groups.amax(2, keepdim=True))


@pytest.mark.parametrize("name", SIDES)
def test_maps_have_the_published_sides(name):
    size, expected = SIDES[name]
    sides = map_sides(on_meta(name), size)
    assert [side for layer, side in sides.items() if layer.endswith(("conv", "pool"))] == expected


def test_each_layer_of_the_cifar_net_has_the_published_parameters():
    net = on_meta("maxout_cifar10")
    rows = [net.stage1, net.stage2, net.stage3, net.fc4, net.fc5]
    assert [parameters(row) for row in rows] == [37_056, 2_359_680, 1_843_584, 12_002_500, 5_010]


def test_the_network_is_the_dense_product_followed_by_maxima():
    torch.manual_seed(0)
    net = cnnviz.build("maxout_mnist").eval()
    x = torch.randn(1, 1, 28, 28)
    with torch.no_grad():
        features = net.stage3(net.stage2(net.stage1(x)))
        first = torch.stack([net.stage1.conv(x)[:, piece::2] for piece in range(2)]).amax(0)
        torch.testing.assert_close(net.stage1.maxout(net.stage1.conv(x)), first)
        torch.testing.assert_close(net(x), features.flatten(1) @ net.fc4.weight.T + net.fc4.bias)
