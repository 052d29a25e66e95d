"""Preferred inputs: what is promised of their values, their pixels and the network they are made for."""

import copy

import numpy as np
import pytest
import torch
from nets import Functional, Written, hooks_left, tiny
from torch import nn

import cnnviz
from cnnviz.errors import BadInput, Cancelled, UnknownName
from cnnviz.models.model import LoadedModel
from cnnviz.synthesis.maximize import maximize_activations, refine_activations
from cnnviz.synthesis.result import PreferredInput
from cnnviz.synthesis.settings import SynthesisSettings


def plain_map(model: LoadedModel, image: np.ndarray, layer: str) -> np.ndarray:
    """(C, H, W) of the layer for a uint8 image of the input's size, normalised by hand."""
    known, channels = model.preprocessing, model.input_size[0]
    pixels = (image if channels == 3 else image[:, :, :1]).astype(np.float32) / 255
    values = (pixels - np.float32(known.mean)) / np.float32(known.std)
    return cnnviz.capture(model, torch.from_numpy(values.transpose(2, 0, 1).copy()), layer)[layer][0]


def stack(*more: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 5, 3, stride=2, padding=1), *more)


@pytest.fixture(scope="module")
def resnet() -> LoadedModel:
    return cnnviz.load("resnet20_cifar", device="cpu")


@pytest.fixture(scope="module")
def unit(resnet: LoadedModel) -> PreferredInput:
    return cnnviz.maximize_activation(resnet, "layer2.0", 5, steps=24)


def test_the_stated_activation_is_what_the_plain_network_gives_for_the_image(resnet, unit):
    assert unit.image.dtype == np.uint8 and unit.image.shape == (32, 32, 3)
    row, col = unit.unit
    assert (row, col) == (8, 8)
    assert plain_map(resnet, unit.image, "layer2.0")[5, row, col] == pytest.approx(unit.activation, rel=1e-4)
    assert cnnviz.capture(resnet, unit.image, "layer2.0")["layer2.0"][0, 5, 8, 8] == pytest.approx(
        unit.activation, rel=1e-4
    )


@pytest.mark.parametrize(("objective", "reduce"), [("channel", np.mean), ("max", np.max)])
def test_objectives_over_the_map_state_its_mean_and_its_maximum(resnet, objective, reduce):
    found = cnnviz.maximize_activation(resnet, "layer1.0", 3, steps=6, objective=objective)
    assert found.unit is None and found.box == (0, 0, 32, 32)
    assert reduce(plain_map(resnet, found.image, "layer1.0")[3]) == pytest.approx(found.activation, rel=1e-4)


def test_a_class_states_its_logit_not_its_probability(resnet):
    found = cnnviz.maximize_activation(resnet, None, 3, steps=16)
    assert resnet.logits(found.image)[0, 3] == pytest.approx(found.activation, rel=1e-4)
    assert found.activation > 10 and found.name == "resnet20_cifar · class 3"


def test_a_mixture_states_the_weighted_sum_of_its_channels(resnet):
    found = cnnviz.maximize_activation(resnet, "layer3.0", {8: 0.3, 3: 0.7}, steps=8)
    values = plain_map(resnet, found.image, "layer3.0")[:, found.unit[0], found.unit[1]]
    assert 0.7 * values[3] + 0.3 * values[8] == pytest.approx(found.activation, rel=1e-4)
    assert found.mixture == ((3, 0.7), (8, 0.3))


def test_a_whole_layer_states_its_mean_square(resnet):
    found = cnnviz.maximize_activation(resnet, "layer3.0", None, steps=4, objective="channel")
    expected = np.square(plain_map(resnet, found.image, "layer3.0")).mean()
    assert expected == pytest.approx(found.activation, rel=1e-4)


def test_it_climbs_far_beyond_what_real_images_reach(resnet):
    index = cnnviz.index_patches(resnet, cnnviz.corpus("samples", limit=20), ["layer3.0"], k=1)
    found = maximize_activations(resnet, "layer3.0", range(4), SynthesisSettings(steps=32), index=index)
    for channel, result in enumerate(found):
        best = index.top("layer3.0", channel)[0]
        assert result.best == best
        assert result.gain == pytest.approx(result.activation / best.value)
        assert result.gain > 1
        assert np.mean(result.history[-8:]) > np.mean(result.history[:8])


def test_an_index_of_another_network_is_refused(resnet):
    other = cnnviz.load("resnet20_cifar", "random", "cpu")
    index = cnnviz.index_patches(other, cnnviz.corpus("digits", limit=3), ["layer3.0"], k=1)
    with pytest.raises(BadInput, match="of another network than resnet20_cifar with bundled weights"):
        cnnviz.maximize_activation(resnet, "layer3.0", 0, steps=1, index=index)


def test_pixels_outside_the_receptive_field_are_untouched_gray(resnet, unit):
    top, left, bottom, right = cnnviz.receptive_field(resnet, "layer2.0").box(8, 8)
    assert unit.box == (top, left, bottom, right) and (bottom - top) * (right - left) < 32 * 32
    outside = np.ones((32, 32), bool)
    outside[top:bottom, left:right] = False
    assert (unit.image[outside] == 128).all()
    assert (unit.patch == unit.image[top:bottom, left:right]).all() and len(np.unique(unit.patch)) > 100


def test_what_lies_outside_the_field_does_not_change_the_units_value(resnet, unit):
    noisy = np.random.default_rng(0).integers(0, 256, unit.image.shape, dtype=np.uint8)
    top, left, bottom, right = unit.box
    noisy[top:bottom, left:right] = unit.patch
    assert plain_map(resnet, noisy, "layer2.0")[5, 8, 8] == pytest.approx(unit.activation, rel=1e-4)


def test_a_seed_gives_the_same_bits_and_another_one_another_image(resnet, unit):
    again = cnnviz.maximize_activation(resnet, "layer2.0", 5, steps=24)
    assert again.activation == unit.activation
    np.testing.assert_array_equal(again.image, unit.image)
    np.testing.assert_array_equal(again.history, unit.history)
    other = cnnviz.maximize_activation(resnet, "layer2.0", 5, steps=24, seed=1)
    assert (other.image != unit.image).any()


def test_the_network_is_left_as_it_was_to_the_bit():
    module = stack(nn.ReLU())
    model = tiny(module, (16, 16))
    before, names = copy.deepcopy(module.state_dict()), set(vars(module))
    cnnviz.maximize_activation(model, "3", 0, steps=4)
    assert hooks_left(module) == 0 and set(vars(module)) == names
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in module.parameters())


def test_no_hook_and_no_lock_is_left_when_a_pass_fails_midway(monkeypatch):
    module = stack(nn.ReLU())
    model = tiny(module, (16, 16))
    results = refine_activations(model, "3", [0], SynthesisSettings(steps=64))
    next(results)
    monkeypatch.setattr(module[2], "forward", lambda x: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert hooks_left(module) == 0 and model.lock.acquire(blocking=False)
    model.lock.release()


def test_a_unit_that_starts_silent_does_not_stay_gray():
    """Two rectifiers in a row give 0 for gray and for all that is near, so that no gradient would ever flow."""
    module = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Conv2d(2, 1, 1), nn.ReLU())
    with torch.no_grad():
        module[0].weight.fill_(1 / 3)
        module[0].bias.fill_(-0.8)  # above 0 from a brightness of 0.8 on
        module[2].weight.fill_(1.0)
        module[2].bias.fill_(-0.1)
    model = tiny(module, (4, 4))
    found = cnnviz.maximize_activation(model, "3", 0, steps=64, rate=0.05)
    assert found.history[0] == 0 and (plain_map(model, np.full((4, 4, 3), 150, np.uint8), "3") == 0).all()
    assert found.activation > 0.2 and found.patch.min() > 204


def test_images_get_better_while_one_looks_and_the_last_is_the_result(resnet, unit):
    seen = list(refine_activations(resnet, "layer2.0", [5], SynthesisSettings(steps=24)))
    assert [len(results[0].history) for results in seen] == [8, 16, 24]
    values = [results[0].activation for results in seen]
    assert values == sorted(values)
    np.testing.assert_array_equal(seen[-1][0].image, unit.image)


def test_several_channels_in_a_batch_are_those_made_alone(resnet):
    both = maximize_activations(resnet, "layer1.0", [2, 7], SynthesisSettings(steps=12))
    for channel, result in zip((2, 7), both, strict=True):
        alone = cnnviz.maximize_activation(resnet, "layer1.0", channel, steps=12)
        assert result.name == f"layer1.0 · channel {channel} · (16, 16)"
        assert alone.activation == pytest.approx(result.activation, rel=0.05)
        assert np.abs(alone.image.astype(int) - result.image).mean() < 2


def test_copies_differ_and_diversity_makes_them_differ_more(resnet):
    def mean_cosine(diversity: float) -> float:
        settings = SynthesisSettings(steps=24, copies=3, diversity=diversity, objective="channel")
        found = maximize_activations(resnet, "layer2.0", [5], settings)
        assert [result.copy for result in found] == [0, 1, 2]
        maps = [plain_map(resnet, result.image, "layer2.0").reshape(32, -1) for result in found]
        grams = [(m @ m.T).ravel() / np.linalg.norm(m @ m.T) for m in maps]
        return float(np.mean([grams[a] @ grams[b] for a, b in ((0, 1), (0, 2), (1, 2))]))

    assert mean_cosine(2.0) < mean_cosine(0.0) < 0.9999


def test_time_that_is_over_ends_the_work_early_and_is_said(resnet):
    found = cnnviz.maximize_activation(resnet, "layer3.0", 1, steps=100_000, seconds=0.3)
    assert 0 < len(found.history) < 100_000
    assert found.stopped == f"0.3 s were over after {len(found.history)} of 100,000 steps"
    assert found.stopped in repr(found)


def test_a_callback_that_returns_false_cancels(resnet):
    with pytest.raises(Cancelled, match="of 256 steps"):
        cnnviz.maximize_activation(resnet, "layer3.0", 1, progress=lambda progress: False)
    assert hooks_left(resnet.module) == 0


def test_an_image_to_start_from_shows_in_the_result(resnet):
    photo = resnet.receive(cnnviz.corpus("samples").image(0))
    settings = {"steps": 1, "shift": 0.0, "turn": 0.0, "zoom": 1.0}
    found = cnnviz.maximize_activation(resnet, None, 3, start=photo, **settings)
    assert np.corrcoef(found.image.ravel(), photo.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("name", ["lenet5", "lenet5_tanh"])
def test_gray_networks_get_gray_images(name):
    model = cnnviz.load(name, device="cpu")
    found = cnnviz.maximize_activation(model, "conv2", 7, steps=8)
    assert found.image.shape == (28, 28, 3) and (found.image == found.image[:, :, :1]).all()
    assert plain_map(model, found.image, "conv2")[7, 5, 5] == pytest.approx(found.activation, rel=1e-4)


def test_given_amplitudes_leave_the_same_promise(resnet):
    found = cnnviz.maximize_activation(resnet, None, 1, steps=24, parameterisation="maco")
    assert resnet.logits(found.image)[0, 1] == pytest.approx(found.activation, rel=1e-4)
    assert found.activation > resnet.logits(np.full((32, 32, 3), 128, np.uint8))[0, 1] + 5


def test_bfloat16_is_of_the_ascent_alone(resnet, bfloat16_everywhere):
    found = cnnviz.maximize_activation(resnet, "layer2.0", 5, steps=4, precision="bfloat16")
    assert plain_map(resnet, found.image, "layer2.0")[5, 8, 8] == pytest.approx(found.activation, rel=1e-4)


def test_tokens_and_sequences_have_units_too():
    """A transformer's linear layer gives (N, tokens, C)."""

    def forward(net: Functional, x: torch.Tensor) -> torch.Tensor:
        return net.last(net.embed(x).flatten(2).transpose(1, 2))

    torch.manual_seed(0)
    model = tiny(Functional(forward, embed=nn.Conv2d(3, 8, 4, stride=4), last=nn.Linear(8, 4)), (8, 8))
    found = cnnviz.maximize_activation(model, "last", 2, steps=8)
    assert found.unit == (2, 0) and found.box == (4, 0, 8, 4)
    assert plain_map(model, found.image, "last")[2, 2, 0] == pytest.approx(found.activation, rel=1e-4)


def test_what_is_not_there_is_named(resnet):
    with pytest.raises(UnknownName, match="layer2"):
        cnnviz.maximize_activation(resnet, "layer22", 0)
    with pytest.raises(BadInput, match=r"32 channels, 0\.\.31, got 32"):
        cnnviz.maximize_activation(resnet, "layer2.0", 32)
    with pytest.raises(BadInput, match=r"10 outputs, 0\.\.9, got -1"):
        cnnviz.maximize_activation(resnet, None, -1)
    with pytest.raises(BadInput, match="row in 0..15"):
        cnnviz.maximize_activation(resnet, "layer2.0", 0, unit=(16, 0))
    with pytest.raises(BadInput, match="Choose one of: unit, channel, max"):
        cnnviz.maximize_activation(resnet, "layer2.0", 0, objective="logit")
    with pytest.raises(BadInput, match="steps must be a whole number"):
        cnnviz.maximize_activation(resnet, "layer2.0", 0, steps=0)
    with pytest.raises(BadInput, match="uint8 of shape"):
        cnnviz.maximize_activation(resnet, "layer2.0", 0, start=np.zeros((4, 4, 3)))


def test_a_layer_without_a_gradient_is_said_in_words():
    cut = tiny(nn.Sequential(nn.Conv2d(3, 4, 3), Written(lambda x: (x > 0).float()), nn.Flatten()))
    with pytest.raises(BadInput, match="does not depend on the image in a differentiable way"):
        cnnviz.maximize_activation(cut, "1", 0, steps=2)


def test_images_of_trained_weights_are_recognised_by_another_network_and_those_of_random_weights_are_not(resnet):
    """Of ten classes, how many a network of another depth takes for what they were made for."""
    judge = cnnviz.load("resnet56_cifar", device="cpu")

    def recognised(model: LoadedModel) -> int:
        found = maximize_activations(model, None, range(10), SynthesisSettings(steps=24))
        return sum(int(judge.predict(result.image).argmax() == label) for label, result in enumerate(found))

    assert recognised(resnet) >= 8
    assert recognised(cnnviz.load("resnet20_cifar", "random", "cpu")) <= 4


def test_no_unit_of_a_real_network_stays_gray(shared):
    """Of these channels of SqueezeNet most stay at 0 without a signal through silent rectifiers."""
    model = cnnviz.load("squeezenet1_0", shared / "weights" / "squeezenet1_0-imagenet.pth", "cpu")
    found = maximize_activations(model, "features.10", [20, 60, 100, 140], SynthesisSettings(steps=12))
    assert sum(result.history[0] == 0 for result in found) >= 2
    assert all(result.activation > 0 for result in found)
