"""Stochastic depth: survival probabilities, what a dropped unit does not do, and the expectation in evaluation."""

from itertools import product

import pytest
import torch
from layer_costs import on_meta
from torch import nn

import cnnviz
from cnnviz.errors import BadInput
from cnnviz.models.families.stochastic_depth import (
    PooledShortcut,
    StochasticBlock,
    StochasticDepth,
    survival_probabilities,
)


def test_survival_falls_linearly_from_almost_one_to_one_half():
    expected = [1 - 0.5 * unit / 54 for unit in range(1, 55)]
    net = on_meta("stochastic_depth110")
    units = [*net.layer1, *net.layer2, *net.layer3]
    assert [unit.survival for unit in units] == pytest.approx(expected, abs=1e-12)
    assert units[0].survival == pytest.approx(107 / 108) and units[-1].survival == 0.5


@pytest.mark.parametrize("name, active", [("stochastic_depth110", 40.25), ("stochastic_depth1202", 449.75)])
def test_the_expected_number_of_active_units_is_the_published_one(name, active):
    units = [m for m in on_meta(name).modules() if isinstance(m, StochasticBlock)]
    assert sum(unit.survival for unit in units) == pytest.approx(active)


def test_the_mean_number_of_units_that_run_is_the_expected_one():
    net = on_meta("stochastic_depth110").train()
    units = [m for m in net.modules() if isinstance(m, StochasticBlock)]
    torch.manual_seed(0)
    runs = [sum(unit.survives() for unit in units) for _ in range(400)]
    deviation = sum(unit.survival * (1 - unit.survival) for unit in units) ** 0.5  # of one run
    assert sum(runs) / 400 == pytest.approx(40.25, abs=4 * deviation / 20)


def test_other_ends_of_the_line_may_be_asked_for():
    net = on_meta("stochastic_depth110", last_survival=0.2)
    assert net.layer3[-1].survival == pytest.approx(0.2) and net.layer2[8].survival == pytest.approx(0.6)
    assert survival_probabilities(3, 1.0) == [1, 1, 1]
    for last in (0.0, -1.0, 1.5):
        with pytest.raises(BadInput, match="survival"):
            survival_probabilities(3, last)


def test_a_dropped_unit_passes_its_input_through_and_computes_nothing(seeded):
    block = StochasticBlock(4, 4, survival=0.0).train()
    before = {key: value.clone() for key, value in block.state_dict().items()}
    ran = []
    hooks = [
        m.register_forward_hook(lambda *_: ran.append(1)) for m in (block.conv1, block.bn1, block.conv2, block.bn2)
    ]
    x = torch.rand(2, 4, 6, 6, generator=seeded)  # as it comes from the unit before: nothing negative
    assert torch.equal(block(x), x) and not ran
    for hook in hooks:
        hook.remove()
    assert all(torch.equal(value, before[key]) for key, value in block.state_dict().items())


def test_a_kept_unit_is_the_ordinary_residual_unit_and_moves_its_statistics(seeded):
    torch.manual_seed(0)
    block = StochasticBlock(4, 4, survival=1.0).train()
    x = torch.randn(8, 4, 6, 6, generator=seeded)
    with torch.no_grad():
        y = torch.conv2d(x, block.conv1.weight, padding=1)
        y = ((y - y.mean((0, 2, 3), keepdim=True)) / (y.var((0, 2, 3), False, keepdim=True) + 1e-5).sqrt()).clamp_min(0)
        y = torch.conv2d(y, block.conv2.weight, padding=1)
        y = (y - y.mean((0, 2, 3), keepdim=True)) / (y.var((0, 2, 3), False, keepdim=True) + 1e-5).sqrt()
        torch.testing.assert_close(block(x), (x + y).clamp_min(0))
    assert block.bn2.num_batches_tracked == 1 and block.bn2.running_mean.any()


def test_the_mean_over_many_draws_is_the_answer_in_evaluation(seeded):
    block = linear(StochasticBlock(3, 3, survival=0.7))
    x = torch.randn(2, 3, 5, 5, generator=seeded)
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = [block.train()(x) for _ in range(4000)]
        mean, expected = torch.stack(drawn).mean(0), block.eval()(x)
        branch = expected - x  # 0.7 · F(x)
        assert branch.abs().max() > 0.5
        torch.testing.assert_close(mean, expected, atol=0.05 * float(branch.abs().max()), rtol=0)
        convolved = torch.conv2d(torch.conv2d(x, block.conv1.weight, padding=1), block.conv2.weight, padding=1)
        torch.testing.assert_close(branch, 0.7 * convolved)
    values = {float(y[0, 0, 0, 0]) for y in drawn}
    assert len(values) == 2  # the whole mini-batch is dropped or kept


def test_whole_mini_batches_are_dropped_not_single_images():
    block = linear(StochasticBlock(2, 2, survival=0.5)).train()
    x = torch.rand(64, 2, 4, 4)
    torch.manual_seed(0)
    with torch.no_grad():
        changed = {int((block(x) != x).flatten(1).any(1).sum()) for _ in range(30)}
    assert changed == {0, 64}


@pytest.mark.parametrize("side", [6, 7])
def test_where_the_shape_changes_pixels_are_averaged_and_zero_channels_come_behind(side, seeded):
    x = torch.randn(2, 3, side, side, generator=seeded)
    found = PooledShortcut(4, 2)(x)
    half = -(-side // 2)
    assert found.shape == (2, 7, half, half) and not found[:, 3:].any()
    for c, row, col in product(range(3), range(half), range(half)):
        window = x[1, c, 2 * row : 2 * row + 2, 2 * col : 2 * col + 2]
        torch.testing.assert_close(found[1, c, row, col], window.sum() / window.numel())


def test_a_batch_with_dropped_units_trains_the_others():
    torch.manual_seed(0)
    net = StochasticDepth(5, 20, last_survival=0.1).train()
    net(torch.randn(4, 3, 16, 16)).square().sum().backward()
    units = [m for m in net.modules() if isinstance(m, StochasticBlock)]
    trained = [unit.conv1.weight.grad is not None for unit in units]
    assert 0 < sum(trained) < len(units)
    assert trained == [bool(unit.bn1.num_batches_tracked) for unit in units]
    assert net.conv1.weight.grad.abs().sum() > 0


def test_evaluation_is_deterministic_and_draws_nothing():
    net = StochasticDepth(5, 8).eval()
    x, state = torch.randn(2, 3, 32, 32), torch.random.get_rng_state()
    with torch.no_grad():
        assert torch.equal(net(x), net(x))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_training_runs_without_values_too():
    net = on_meta("stochastic_depth110", num_classes=3).train()
    assert net(torch.zeros(2, 3, 32, 32, device="meta")).shape == (2, 3)


def test_files_of_the_constant_depth_fit():
    stochastic, constant = (on_meta(name).state_dict() for name in ("stochastic_depth110", "resnet110_cifar"))
    assert [(k, v.shape) for k, v in stochastic.items()] == [(k, v.shape) for k, v in constant.items()]


def test_a_unit_that_always_survives_is_an_ordinary_one_with_the_same_weights(seeded):
    ordinary = cnnviz.build("resnet20_cifar").layer1[0].eval()
    x = torch.randn(2, 16, 6, 6, generator=seeded)
    block = StochasticBlock(16, 16, survival=1.0).eval()
    block.load_state_dict(ordinary.state_dict())
    with torch.no_grad():
        assert torch.equal(block(x), ordinary(x))


def linear(block: StochasticBlock) -> StochasticBlock:
    """The block without norms and rectifiers: h(x) + b · W₂ W₁ x."""
    for name in ("bn1", "relu1", "bn2", "relu2"):
        setattr(block, name, nn.Identity())
    return block
