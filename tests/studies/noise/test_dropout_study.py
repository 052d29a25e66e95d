import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import Functional, hooks_left, images, tiny
from torch import nn

from cnnviz.errors import BadInput
from cnnviz.studies.noise.dropout import (
    DropoutLayer,
    assume_dropout,
    capture_units,
    draw_mask,
    list_dropout_layers,
    log10_masks,
    mask_maps,
    monte_carlo_error,
    run_passes,
    set_rate,
)
from cnnviz.studies.noise.evidence import collect_evidence, draw_keeps


def network(last: nn.Module | None = None) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2),
        nn.ReLU(),
        nn.Dropout2d(0.25),
        nn.Flatten(),
        nn.Dropout(0.5),
        last or nn.Linear(4 * 9, 3),
    )


def test_the_layers_are_those_that_run_once_and_drop_something():
    found = list_dropout_layers(tiny(network()))
    assert [(one.layer, one.rate, one.shape, one.whole) for one in found] == [
        ("2", 0.25, (4, 3, 3), True),
        ("4", 0.5, (36,), False),
    ]
    assert [one.units for one in found] == [4, 36]
    shared = Functional(lambda self, x: self.drop(self.drop(x)), drop=nn.Dropout(0.5), never=nn.Dropout(0.5))
    assert list_dropout_layers(tiny(nn.Sequential(shared, nn.Dropout(0.0), nn.Conv2d(3, 2, 1)))) == ()


@pytest.mark.parametrize(
    "told, rate",
    [("variant:nin_cifar10.drop10", 0.1), ("variant:nin_cifar10.tanh", 0.5), ("variant:gone.drop10", 0.5), (7, 0.5)],
)
def test_the_rate_is_that_of_the_training_where_the_weights_say_so(told, rate: float):
    model = tiny(nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * 9, 3)))
    assert [one.rate for one in list_dropout_layers(replace(model, notes={"trained_as": told}))] == [rate]


def test_the_passes_are_those_of_a_slow_loop_over_masks():
    model, image = tiny(network()), images(1)
    layers = list_dropout_layers(model)
    found = run_passes(model, image, layers, 20, seed=3)
    for number in (0, 7, 19):  # of different batches
        with torch.no_grad():
            maps = model.module[1](model.module[0](image))
            channels = torch.from_numpy(draw_mask(layers[0], 3, number, 0)) / 0.75
            units = torch.from_numpy(draw_mask(layers[1], 3, number, 1)) / 0.5
            expected = model.module[5](((maps * channels).flatten(1) * units).float()).numpy()
        assert found.logits[number] == pytest.approx(expected[0], abs=1e-5)
    assert found.scaled == pytest.approx(model.logits(image)[0], abs=1e-6)
    assert found.probabilities.sum(1) == pytest.approx(1)
    assert not hooks_left(model.module)
    few = run_passes(model, image, layers, 3, seed=3)
    assert few.logits == pytest.approx(found.logits[:3], abs=1e-5)  # however many are drawn
    with pytest.raises(BadInput, match="one pass"):
        run_passes(model, image, layers, 0)


def test_a_mask_keeps_its_share_of_units_and_is_another_for_every_number_and_place():
    layer = DropoutLayer("x", 0.3, (50, 20, 20))
    masks = [draw_mask(layer, 0, 0), draw_mask(layer, 0, 1), draw_mask(layer, 1, 0), draw_mask(layer, 0, 0, 1)]
    for one in masks:
        assert one.mean() == pytest.approx(0.7, abs=0.013)  # four standard deviations
    for a, b in itertools.combinations(masks, 2):
        assert (a == b).mean() == pytest.approx(0.7**2 + 0.3**2, abs=0.02)
    assert draw_mask(DropoutLayer("x", 0.3, (50, 20, 20), whole=True), 0, 0).shape == (50, 1, 1)


def test_a_mask_is_shown_where_its_units_are_shown():
    """Tokens (N, T, C) are shown as C maps of T rows: the mask has to go along."""
    tokens = Functional(lambda _self, x: x.flatten(2).transpose(1, 2))
    model, image = tiny(nn.Sequential(nn.Conv2d(3, 5, 3, 4), tokens, nn.Flatten(), nn.Linear(20, 2))), images(1)
    layer = assume_dropout(model, "1")
    assert layer.shape == (4, 5)
    keep = draw_mask(layer, 0, 0)
    with torch.no_grad():
        values = model.module[1](model.module[0](image))[0].numpy()
    units = capture_units(model, image, layer)
    assert np.array_equal(np.where(mask_maps(layer, keep), units, 0)[:, :, 0].T, np.where(keep, values, 0))
    whole = DropoutLayer("x", 0.5, (3, 2, 2), whole=True)
    assert mask_maps(whole, np.array([True, False, True])[:, None, None]).all((1, 2)).tolist() == [True, False, True]


def test_behind_linear_layers_alone_the_mean_score_is_the_scaled_pass_and_sigma_is_that_of_all_masks():
    model, image = tiny(nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 2)), (2, 2)), images(1, (2, 2))
    found = run_passes(model, image, list_dropout_layers(model), 2048)
    weights, x = model.module[2].weight.double().numpy(), image.double().flatten().numpy()
    every = np.array(list(itertools.product([0, 2], repeat=12))) * x @ weights.T  # all 4,096 masks
    error = monte_carlo_error(found.logits, found.scaled)
    sigma = np.sqrt(every.var(0).sum())
    assert every.mean(0) + model.module[2].bias.double().numpy() == pytest.approx(found.scaled, abs=1e-6)
    assert error.expected == pytest.approx(sigma / np.sqrt(error.counts), rel=0.05)
    assert error.gap < 4 * sigma / np.sqrt(2048)
    assert error.to_mean[:5] == pytest.approx(error.expected[:5], rel=0.15)


def test_the_error_of_a_mean_is_that_of_a_slow_loop():
    values, target = np.random.default_rng(0).normal(size=(33, 4)), np.full(4, 0.5)
    found = monte_carlo_error(values, target)
    assert found.counts.tolist() == [1, 2, 4]
    mean = sum(values) / 33
    for at, count in enumerate((1, 2, 4)):
        groups = [sum(values[k : k + count]) / count for k in range(0, 33 // count * count, count)]
        for near, value in ((found.to_mean, mean), (found.to_scaled, target)):
            assert near[at] ** 2 == pytest.approx(np.mean([((g - value) ** 2).sum() for g in groups]))
    with pytest.raises(BadInput, match="at least 16"):
        monte_carlo_error(values[:15], target)


def test_4096_units_have_ten_to_the_1233_masks():
    assert len(str(2**4096)) - 1 == int(log10_masks(4096)) == 1233


def test_a_network_without_dropout_gets_it_behind_its_last_maps_and_it_says_assumed():
    model = tiny(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)))
    found = assume_dropout(model)
    assert (found.layer, found.rate, found.shape, found.assumed) == ("1", 0.5, (4, 6, 6), True)
    assert capture_units(model, images(1), found).shape == (4, 6, 6)
    assert set_rate(found, 0.1).rate == 0.1
    with pytest.raises(BadInput, match="above 0 and below 1"):
        set_rate(found, 1.0)


def test_evidence_adds_up_to_the_margin_and_spreads_as_all_masks_do():
    model = tiny(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)))
    image = images(1)
    found, scores = collect_evidence(model, image), np.sort(model.logits(image)[0])[::-1]
    assert found.margin == pytest.approx(scores[0] - scores[1], abs=1e-5)
    every = np.array(list(itertools.product([False, True], repeat=8)))
    weights = np.prod(np.where(every, 0.7, 0.3), 1)
    margins = found.under(every, 0.3)
    slow = [sum(a for a, k in zip(found.added, keep, strict=True) if k) / 0.7 + found.bias for keep in every]
    assert margins == pytest.approx(slow)
    mean = float(weights @ margins)
    assert mean == pytest.approx(found.margin)
    assert np.sqrt(weights @ (margins - mean) ** 2) == pytest.approx(found.spread(0.3))
    assert draw_keeps(8, 0.3, 4000).mean() == pytest.approx(0.7, abs=0.011)


def test_evidence_is_refused_where_the_answer_is_no_sum_over_features():
    with pytest.raises(BadInput, match="no sum over features"):
        collect_evidence(tiny(nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())), images(1))
    with pytest.raises(BadInput, match="one score"):
        collect_evidence(tiny(nn.Sequential(nn.Flatten(), nn.Linear(192, 1))), images(1))
