"""A network at a point of a plane: moved as told, private, and the original as it was."""

import numpy as np
import pytest
import torch
from nets import images, tiny
from torch import nn

import cnnviz
from cnnviz.errors import BadInput
from cnnviz.landscape.evaluate.moved_model import perturb


@pytest.fixture
def model():
    torch.manual_seed(0)
    return tiny(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5)))


def random_direction(model, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.randn(p.shape, generator=generator) for n, p in model.module.named_parameters() if p.dim() > 1}


def test_every_weight_is_moved_by_both_steps_and_nothing_else(model):
    one, other = random_direction(model, 1), random_direction(model, 2)
    moved = perturb(model, [one, other], 0.3, -0.7)
    before, after = model.module.state_dict(), moved.module.state_dict()
    for name, tensor in before.items():
        expected = tensor + 0.3 * one[name] - 0.7 * other[name] if name in one else tensor
        torch.testing.assert_close(after[name], expected)


def test_the_moved_network_predicts_and_is_captured_as_a_hand_made_one(model):
    one = random_direction(model, 1)
    moved, batch = perturb(model, [one], 0.5), images(3)
    weight = model.module[0].weight + 0.5 * one["0.weight"]
    expected = nn.functional.conv2d(batch, weight, model.module[0].bias)
    np.testing.assert_allclose(cnnviz.capture(moved, batch, ["0"])["0"], expected.detach(), rtol=1e-4, atol=1e-5)
    assert moved.predict(batch).shape == (3, 5)
    assert moved.preprocessing == model.preprocessing and moved.class_names == model.class_names
    assert moved.fingerprint != model.fingerprint and "moved by +0.50" in moved.origin


def test_the_original_shares_nothing_with_it(model):
    before = {k: v.clone() for k, v in model.module.state_dict().items()}
    moved = perturb(model, [random_direction(model, 1)], 1.0)
    for tensor in moved.module.state_dict().values():
        tensor.zero_()
    assert moved.lock is not model.lock
    assert all(torch.equal(v, before[k]) for k, v in model.module.state_dict().items())


def test_no_step_is_the_network_itself(model):
    moved = perturb(model, [random_direction(model, 1), random_direction(model, 2)], 0.0, 0.0)
    np.testing.assert_array_equal(moved.predict(images(2)), model.predict(images(2)))


@pytest.mark.parametrize(
    ("direction", "alpha", "said"),
    [
        ({"0.weights": torch.zeros(4, 3, 3, 3)}, 1.0, "'0.weights', which is no weight"),
        ({"1.num_batches_tracked": torch.zeros(())}, 1.0, "no weight"),
        ({"0.weight": torch.zeros(4, 3, 5, 5)}, 1.0, r"\(4, 3, 5, 5\), the network's \(4, 3, 3, 3\)"),
        ({}, float("nan"), "finite"),
    ],
)
def test_directions_of_another_network_are_refused_and_change_nothing(model, direction, alpha, said):
    before = {k: v.clone() for k, v in model.module.state_dict().items()}
    with pytest.raises(BadInput, match=said):
        perturb(model, [direction], alpha)
    with pytest.raises(BadInput, match="one or two"):
        perturb(model, [], alpha)
    assert all(torch.equal(v, before[k]) for k, v in model.module.state_dict().items())
