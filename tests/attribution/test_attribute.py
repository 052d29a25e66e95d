"""Attributions: each against a slow rule of its own, on networks of a few layers; nothing is left behind."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import Functional, Written, hooks_left, images, published, tiny
from torch import nn

from cnnviz.attribution.attribute import METHODS, attribute
from cnnviz.errors import BadInput, Cancelled, UnknownName
from cnnviz.probes.classifier import capture_top_features, find_classifier, find_last_maps
from cnnviz.probes.predictions import predict_image


def small(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(5, 6, 3),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(24, 4),
    )


def functional() -> Functional:
    """conv, F.relu, conv, F.relu in place, mean, linear: no rectifier is a module."""

    def forward(net, x):
        x = F.relu(net.a(x))
        return net.fc(F.relu(net.b(x), inplace=True).mean((2, 3)))

    torch.manual_seed(1)
    return Functional(forward, a=nn.Conv2d(3, 4, 3), b=nn.Conv2d(4, 5, 3), fc=nn.Linear(5, 3))


# --- the answer ---------------------------------------------------------------------------------------------


def test_cross_entropy_is_that_of_torch_and_finite_for_hopeless_labels():
    model, image = tiny(small()), images(1)
    found = predict_image(model, image)
    for label in range(4):
        expected = F.cross_entropy(torch.from_numpy(found.logits)[None], torch.tensor([label]))
        assert found.cross_entropy(label) == pytest.approx(float(expected), rel=1e-9)
        assert found.probabilities[label] == pytest.approx(math.exp(-found.cross_entropy(label)))
    far = tiny(Written(lambda x: x.flatten(1)[:, :2] * 0 + torch.tensor([0.0, 4000.0])))
    assert predict_image(far, image).cross_entropy(0) == 4000.0


def test_the_top_classes_come_with_their_ranks_and_names():
    found = predict_image(tiny(small()), images(1))
    order = sorted(range(4), key=lambda c: -found.logits[c])
    assert found.top(3) == order[:3] and [found.rank(c) for c in order] == [1, 2, 3, 4]
    assert found.class_names == ("a", "class 1", "class 2", "class 3")  # the small network has one name alone


def test_a_single_logit_is_read_as_a_yes_or_no():
    torch.manual_seed(0)
    model = tiny(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 1)))
    found = predict_image(model, images(1))
    assert found.probabilities[0] == pytest.approx(1 / (1 + math.exp(-found.logits[0])))
    assert found.cross_entropy(0) == pytest.approx(-math.log(found.probabilities[0]))
    for method in METHODS:
        assert np.isfinite(attribute(model, images(1), 0, method).map).all()


# --- gradients ----------------------------------------------------------------------------------------------


def test_saliency_is_the_slope_by_finite_differences():
    model, step = tiny(small()), 1e-6
    found = attribute(model, images(1), 2, "saliency")
    exact, image = deepcopy(model.module).double(), images(1).double()  # so that differences are exact enough
    slopes = np.zeros((3, 8, 8))
    for place in np.ndindex(3, 8, 8):
        ends = []
        for sign in (1, -1):
            moved = image.clone()
            moved[(0, *place)] += sign * step
            ends.append(float(exact(moved)[0, 2]))
        slopes[place] = (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(found.values, slopes, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.map, np.abs(slopes).max(axis=0), rtol=1e-4, atol=1e-7)
    assert not found.signed


def test_saliency_and_integrated_gradients_are_those_of_captum_on_the_bare_network():
    from captum.attr import IntegratedGradients, Saliency

    model, image = tiny(functional()), images(1)
    slope = Saliency(model.module).attribute(image.clone().requires_grad_(), target=1, abs=False)[0]
    np.testing.assert_allclose(attribute(model, image, 1, "saliency").values, slope.numpy(), rtol=1e-5, atol=1e-8)
    path = IntegratedGradients(model.module).attribute(image, torch.zeros_like(image), target=1, n_steps=30)[0]
    ours = attribute(model, image, 1, "integrated_gradients", steps=30).values
    np.testing.assert_allclose(ours, path.detach().numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["guided_backprop", "deconvolution"])
def test_the_rules_reach_functional_rectifiers(method):
    """Two convolutions written out as matrices; only what happens at a rectifier on the way down differs."""
    model, image = tiny(functional()), images(1)
    net, x = model.module, image[0]
    first = F.conv2d(x[None], net.a.weight, net.a.bias)
    second = F.conv2d(first.clamp_min(0), net.b.weight, net.b.bias)

    def down(signal, below):
        return signal.clamp_min(0) * ((below > 0) if method == "guided_backprop" else 1.0)

    signal = net.fc.weight[2][None, :, None, None].expand_as(second) / 16  # the mean over 4×4 units
    signal = F.conv_transpose2d(down(signal, second), net.b.weight)
    expected = F.conv_transpose2d(down(signal, first), net.a.weight)[0]
    found = attribute(model, image, 2, method)
    np.testing.assert_allclose(found.values, expected.numpy(), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.map, expected.numpy().sum(axis=0), rtol=1e-4, atol=1e-6)
    assert found.signed


@pytest.mark.parametrize("baseline, level", [("black", 0.0), ("gray", 128 / 255), ("white", 1.0)])
def test_integrated_gradients_sum_to_the_difference_of_the_logits(baseline, level):
    model, image = tiny(small()), images(1)
    found = attribute(model, image, 1, "integrated_gradients", baseline=baseline, steps=300)
    ends = [float(model.module(x)[0, 1]) for x in (image, torch.full_like(image, level))]
    gap = found.values.sum(dtype=np.float64) - (ends[0] - ends[1])
    assert abs(gap) < 0.01 * abs(ends[0] - ends[1]) and found.completeness_error == pytest.approx(gap, abs=1e-5)
    assert (found.baseline, found.steps) == (baseline, 300)


def test_integrated_gradients_of_a_linear_network_are_weight_times_difference():
    torch.manual_seed(0)
    model, image = tiny(nn.Sequential(nn.Flatten(), nn.Linear(192, 2))), images(1)
    found = attribute(model, image, 1, "integrated_gradients", steps=3)
    expected = model.module[1].weight[1].reshape(3, 8, 8) * image[0]
    np.testing.assert_allclose(found.values, expected.numpy(), rtol=1e-4, atol=1e-6)
    assert abs(found.completeness_error) < 1e-5


# --- Grad-CAM -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["3", "4"])  # before and after a rectifier that works in place
def test_grad_cam_is_the_formula_of_selvaraju(layer):
    model, image = tiny(small()), images(1)
    net = model.module
    below = net[:4](image).detach().clone()
    maps = (below.clamp_min(0) if layer == "4" else below).requires_grad_()
    values = maps.detach()
    rest = net[5:](maps) if layer == "4" else net[5:](F.relu(maps))
    (slope,) = torch.autograd.grad(rest[0, 3], maps)
    expected = np.zeros((2, 2))
    for k in range(6):
        weight = sum(float(slope[0, k, i, j]) for i in range(2) for j in range(2)) / 4
        for i in range(2):
            for j in range(2):
                expected[i, j] += weight * float(values[0, k, i, j])
    found = attribute(model, image, 3, "grad_cam", layer=layer)
    np.testing.assert_allclose(found.map, np.maximum(expected, 0), rtol=1e-4, atol=1e-7)
    assert found.layer == layer and not found.signed


def test_grad_cam_agrees_with_captum_on_a_published_network():
    from captum.attr import LayerGradCam

    model, image = published("resnet20_cifar"), images(1, (32, 32))
    found = attribute(model, image, 5, "grad_cam")
    block = dict(model.module.named_modules())["layer3.2"]
    other = LayerGradCam(model.module, block).attribute(image, 5, relu_attributions=True)[0, 0]
    assert found.layer == "layer3.2"
    np.testing.assert_allclose(found.map, other.detach().numpy(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "name, maps, head",
    [
        ("resnet20_cifar", "layer3.2", "fc"),
        ("lenet5", "relu2", "fc3"),
        ("squeezenet1_0", "features.12", "classifier.1"),
        ("densenet121", "features.norm5", "classifier"),
    ],
)
def test_the_last_maps_and_the_classifier_are_found(name, maps, head):
    model = published(name, (64, 64) if name in ("squeezenet1_0", "densenet121") else None)
    assert (find_last_maps(model), find_classifier(model)) == (maps, head)


def test_a_network_without_maps_says_why_it_has_no_grad_cam_and_has_all_the_others():
    model = published("mlp")
    image = images(1, (28, 28), 1)
    with pytest.raises(BadInput, match="without convolutions nothing says where"):
        attribute(model, image, method="grad_cam")
    for method in set(METHODS) - {"grad_cam"}:
        assert np.isfinite(attribute(model, image, method=method, steps=4, stride=7).map).all()
    np.testing.assert_allclose(
        capture_top_features(model, image)[0], model.module.relu1(model.module.fc1(image.flatten(1)))[0], rtol=1e-5
    )


def test_a_layer_without_rows_and_columns_or_that_nobody_knows_is_refused():
    model, image = published("lenet5"), images(1, (28, 28), 1)
    with pytest.raises(BadInput, match="no map with rows and columns"):
        attribute(model, image, method="grad_cam", layer="fc1")
    with pytest.raises(UnknownName, match="conv2"):
        attribute(model, image, method="grad_cam", layer="conv22")


# --- what is left behind ------------------------------------------------------------------------------------


class Breaking(nn.Module):
    """The pass fails at its end from the second call on."""

    def __init__(self, good: int) -> None:
        super().__init__()
        self.body, self.good, self.calls = small(), good, 0

    def forward(self, x):
        self.calls += 1
        out = self.body(x)
        if self.calls > self.good:
            raise RuntimeError("broken network")
        return out


def untouched(module: nn.Module) -> bool:
    flags = all(not p.requires_grad and p.grad is None for p in module.parameters())
    leaf = torch.tensor([-1.0, 1.0], requires_grad=True)
    (-torch.relu(leaf)).sum().backward()
    return flags and not hooks_left(module) and not module.training and leaf.grad.tolist() == [0.0, -1.0]


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_left_behind_also_after_an_exception(method):
    model, image = tiny(Breaking(10**6)), images(1)
    before = {key: value.clone() for key, value in model.module.state_dict().items()}
    with torch.inference_mode():  # of the caller: gradients are taken all the same
        first = attribute(model, image, None, method, steps=4)
    assert untouched(model.module)
    calls = model.module.calls
    model.module.good = calls + 1  # the answer, then the method fails
    with pytest.raises(RuntimeError, match="broken network"):
        attribute(model, image, None, method, steps=4)
    assert untouched(model.module)
    model.module.good = 10**6
    np.testing.assert_array_equal(attribute(model, image, None, method, steps=4).values, first.values)
    assert all(torch.equal(value, before[key]) for key, value in model.module.state_dict().items())


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_a_long_method_tells_how_far_it_is_and_can_be_stopped(method):
    model, image, seen = tiny(small(), (64, 64)), images(1, (64, 64)), []
    model.module[6] = nn.Linear(6 * 30 * 30, 4).eval().requires_grad_(False)
    options = {"steps": 200, "stride": 2}
    attribute(model, image, 0, method, progress=lambda done, total: seen.append((done, total)), **options)
    assert len(seen) > 1 and seen == sorted(seen) and seen[-1][0] <= seen[-1][1]
    with pytest.raises(Cancelled, match="Stopped after"):
        attribute(model, image, 0, method, progress=lambda *_: False, **options)
    assert untouched(model.module)


def test_wrong_choices_are_explained():
    model = tiny(small())
    with pytest.raises(BadInput, match="saliency, grad_cam"):
        attribute(model, images(1), method="lime")
    with pytest.raises(BadInput, match="classes 0 to 3"):
        attribute(model, images(1), 4)
    with pytest.raises(BadInput, match="one image, got 2"):
        attribute(model, images(2))
    with pytest.raises(BadInput, match="black, gray, white"):
        attribute(model, images(1), method="integrated_gradients", baseline="pink")
    with pytest.raises(BadInput, match="does not depend on the image"):
        attribute(tiny(Written(lambda x: torch.ones(len(x), 2))), images(1))
