"""Filter normalisation as the paper defines it, and the mistakes that other implementations make."""

import numpy as np
import pytest
import torch
from planenets import residual
from torch import nn

import cnnviz
from cnnviz.errors import BadInput
from cnnviz.landscape.plane.directions import cosine, filter_directions, normalise_filters, plane_directions


def test_every_filter_and_every_row_has_the_norm_of_the_networks_own():
    model = cnnviz.load("resnet20_cifar", None, "cpu")
    direction = filter_directions(model, 3)
    worst = 0.0
    for name, weight in model.module.named_parameters():
        if weight.dim() > 1:
            for own, other in zip(weight.double().flatten(1), direction[name].double().flatten(1), strict=True):
                worst = max(worst, float((own.norm() - other.norm()).abs() / own.norm()))
    assert worst < 1e-6


def test_it_is_the_papers_formula_filter_by_filter_not_layer_by_layer():
    weights = {"w": torch.tensor([[[[3.0, 4.0]]], [[[0.6, 0.8]]]])}
    noise = {"w": torch.tensor([[[[2.0, 0.0]]], [[[0.0, -5.0]]]])}
    expected = torch.tensor([[[[5.0, 0.0]]], [[[0.0, -1.0]]]])
    torch.testing.assert_close(normalise_filters(weights, noise)["w"], expected)


def test_biases_and_batch_normalisation_get_zeros():
    model = residual()
    direction = filter_directions(model)
    assert list(direction) == [name for name, _ in model.module.named_parameters()]
    for name, weight in model.module.named_parameters():
        assert bool(direction[name].any()) == (weight.dim() > 1), name


def test_directions_are_gaussian_before_they_are_scaled():
    model = cnnviz.load("lenet5", "random", "cpu")
    weight = (
        dict(model.module.named_parameters())["fc1.weight"]
        if hasattr(model.module, "fc1")
        else max(model.module.parameters(), key=torch.numel)
    )
    name = next(n for n, p in model.module.named_parameters() if p is weight)
    values = filter_directions(model)[name].flatten(1).double()
    scaled = (values / values.std(1, keepdim=True)).flatten().numpy()
    assert abs(np.mean(scaled**4) - 3) < 0.15  # kurtosis 3; uniform noise has 1.8
    assert 0.66 < np.mean(np.abs(scaled) < 1) < 0.71


def test_a_seed_means_the_same_again_and_another_seed_another_direction():
    first, again, other = (filter_directions(residual(), seed) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["a.weight"], other["a.weight"])


def test_the_planes_of_different_seeds_share_no_direction_and_are_not_made_orthogonal():
    model = residual()
    drawn = [direction["a.weight"] for seed in range(3) for direction in plane_directions(model, seed)]
    assert not any(torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])
    one, two = plane_directions(model, 0)
    flat = [torch.cat([t.flatten() for t in d.values()]).double() for d in (one, two)]
    expected = torch.cosine_similarity(*flat, dim=0).item()
    assert cosine(one, two) == pytest.approx(expected, abs=1e-12) and expected != 0


def test_a_filter_of_zeros_stays_where_it_is():
    model = residual()
    with torch.no_grad():
        model.module.a.weight[2] = 0
    assert not filter_directions(model)["a.weight"][2].any()


def test_the_network_is_not_changed_and_its_tensors_are_not_handed_out():
    model = residual()
    before = model.module.a.weight.clone()
    filter_directions(model)["a.weight"].zero_()
    assert torch.equal(model.module.a.weight, before)


@pytest.mark.parametrize("seed", [-1, 0.5, "0", True, None])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    with pytest.raises(BadInput, match="whole number from 0"):
        filter_directions(residual(), seed)


def test_a_direction_of_another_network_is_refused_by_name():
    with pytest.raises(BadInput, match=r"'a.weight' has shape \(2, 2\), the network has shape \(6, 3, 3, 3\)"):
        normalise_filters(dict(residual().module.named_parameters()), {"a.weight": torch.ones(2, 2)})
    with pytest.raises(BadInput, match="'z' .* no such parameter"):
        normalise_filters({"w": nn.Parameter(torch.ones(1, 1))}, {"z": torch.ones(1, 1)})
