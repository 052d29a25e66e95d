import itertools

import numpy as np
import pytest
import torch
from nets import images, tiny
from torch import nn

from cnnviz.errors import BadInput, UnknownName
from cnnviz.studies.noise.drop_connect import LayerWindow, draw_outputs, find_partner, list_masked_layers, read_window


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(3, 4, 3),
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.Conv2d(3, 4, (3, 2), padding="same", dilation=(1, 2)),
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular", bias=False),
    ],
)
def test_the_window_of_a_place_gives_the_outputs_of_the_layer_there(conv):
    model, image = tiny(nn.Sequential(conv, nn.Flatten(), nn.LazyLinear(2))), images(1)
    with torch.no_grad():
        maps = conv(image)[0].numpy()
    for row, col in ((0, 0), (maps.shape[1] - 1, 1), (1, maps.shape[2] - 1)):
        assert read_window(model, image, "0", row, col).outputs == pytest.approx(maps[:, row, col], abs=1e-5)
    with pytest.raises(BadInput, match="places, got row 40"):
        read_window(model, image, "0", 40, 0)
    flat = read_window(model, image, "2")
    assert flat.outputs == pytest.approx(model.logits(image)[0], abs=1e-5) and flat.shape[1:] == (1, 1)


def test_only_layers_whose_weights_can_be_masked_are_taken():
    model = tiny(nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.Conv2d(6, 2, 1), nn.Flatten(), nn.Linear(72, 2)))
    assert list_masked_layers(model) == ["1", "3"]
    with pytest.raises(BadInput, match="without groups"):
        read_window(model, images(1), "0")
    with pytest.raises(UnknownName):
        read_window(model, images(1), "nine")


def window() -> LayerWindow:
    generator = np.random.default_rng(5)
    return LayerWindow(generator.normal(size=6), generator.normal(size=(4, 6)), generator.normal(size=4), (6, 1, 1))


def test_the_moments_of_dropout_are_those_of_all_its_masks():
    one, rate = window(), 0.3
    every = np.array(list(itertools.product([0, 1], repeat=6)))
    chance = np.prod(np.where(every == 1, 1 - rate, rate), 1)
    outputs = (every * one.inputs) @ one.weights[[1, 3]].T / (1 - rate) + one.bias[[1, 3]]
    mean = chance @ outputs
    covariance = (outputs - mean).T @ (chance[:, None] * (outputs - mean))
    found = draw_outputs(one, (1, 3), "dropout", rate, 8000)
    assert found.mean == pytest.approx(mean) and found.deviation == pytest.approx(np.sqrt(np.diag(covariance)))
    assert found.correlation == pytest.approx(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))
    measured = found.measured
    assert measured[0] == pytest.approx(mean, abs=0.1) and measured[1] == pytest.approx(found.deviation, rel=0.05)
    assert measured[2] == pytest.approx(found.correlation, abs=0.05)


def test_dropconnect_has_the_moments_of_dropout_but_its_outputs_are_independent():
    one = window()
    found, other = (draw_outputs(one, (1, 3), kind, 0.3, 8000) for kind in ("dropconnect", "dropout"))
    assert found.mean == pytest.approx(other.mean) and found.deviation == pytest.approx(other.deviation)
    measured = found.measured
    assert measured[0] == pytest.approx(found.mean, abs=0.1) and measured[1] == pytest.approx(found.deviation, rel=0.05)
    assert found.correlation == 0 and abs(measured[2]) < 0.05 < abs(other.measured[2])
    assert measured[2] == pytest.approx(float(np.corrcoef(found.values.T)[0, 1]))


def test_the_partner_is_the_channel_that_dropout_binds_most_closely():
    one = window()
    all_of_them = {c: abs(draw_outputs(one, (0, c), "dropout", 0.5, 2).correlation) for c in (1, 2, 3)}
    assert find_partner(one, 0) == max(all_of_them, key=all_of_them.__getitem__)
    with pytest.raises(BadInput, match="one output only"):
        find_partner(LayerWindow(np.ones(2), np.ones((1, 2)), np.zeros(1), (2, 1, 1)), 0)
    with pytest.raises(BadInput, match="0 < rate < 1"):
        draw_outputs(one, (0, 1), "dropout", 1.0, 10)
