"""Reconstructions: their promises on small networks and on real architectures."""

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import Functional, Written, hooks_left, images, published, strongest, tiny
from torch import nn

from cnnviz.attribution.reconstruct import find_support, reconstruct, reconstruct_batch, suggest_rule
from cnnviz.device import choose
from cnnviz.errors import BadInput, UnknownName
from cnnviz.interventions.relu_rules import RULES, RectifierRule
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import capture
from cnnviz.tracing.receptive_field import receptive_field


def test_max_pooling_sends_the_signal_to_the_switch():
    pixels = torch.tensor([[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 9.0, 1.0], [0.0, 8.0, 1.0, 1.0], [7.0, 2.0, 1.0, 6.0]])
    model = tiny(nn.Sequential(nn.MaxPool2d(2)), (4, 4), 1)
    for (row, col), switch in {(0, 0): (0, 1), (0, 1): (1, 2), (1, 0): (2, 1), (1, 1): (3, 3)}.items():
        expected = np.zeros((1, 4, 4), np.float32)
        expected[0][switch] = 1
        for rule in RULES:
            np.testing.assert_array_equal(reconstruct(model, pixels[None], "0", 0, row, col, rule), expected)


def test_strided_depthwise_convolutions_alone_leave_a_grid_and_call_for_guided_backpropagation():
    def through(conv: nn.Conv2d) -> LoadedModel:
        nn.init.ones_(conv.weight)
        return tiny(nn.Sequential(nn.Conv2d(1, 2, 1), conv, nn.Conv2d(2, 1, 3, padding=1)), (16, 16), 1)

    def unevenness(model: LoadedModel) -> float:
        """How unequally the pixels of even and odd rows and columns are reached."""
        found = np.abs(reconstruct(model, torch.ones(1, 16, 16), "2", 0, 4, 4))[0]
        sums = [found[r::2, c::2].sum() for r in (0, 1) for c in (0, 1)]
        return max(sums) / min(sums)

    grid = through(nn.Conv2d(2, 2, 3, stride=2, padding=1, groups=2, bias=False))
    even = through(nn.Conv2d(2, 2, 2, stride=2, groups=2, bias=False))  # a kernel of whole strides
    assert unevenness(grid) > 1.8 and unevenness(even) == pytest.approx(1)
    assert suggest_rule(grid) == "guided"
    for layer in (nn.Conv2d(2, 2, 3, 1, 1, groups=2), nn.Conv2d(2, 2, 3, 2, 1)):
        assert suggest_rule(through(layer)) == "deconvnet"


def test_without_rectifiers_the_three_rules_are_equal():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.Conv2d(4, 2, 2))
    model = tiny(net)
    found = [reconstruct(model, images(1), "3", 1, 1, 2, rule) for rule in RULES]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_convolution_and_its_reconstruction_are_adjoint():
    torch.manual_seed(1)
    model = tiny(nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1, dilation=2, bias=False)))
    x = images(1)
    y = capture(model, x, "0")["0"][0]
    weights = np.random.default_rng(0).normal(size=y.shape)
    back = sum(weights[unit] * reconstruct(model, x, "0", *unit) for unit in np.ndindex(y.shape))
    np.testing.assert_allclose((y * weights).sum(), (x[0].numpy() * back).sum(), rtol=1e-4)


@pytest.mark.parametrize("name, layer", [("densenet121", "features"), ("inception_v3", "Mixed_5b")])
def test_functional_rectifiers_of_published_networks_are_reached(name, layer):
    """All of Inception's and DenseNet's last rectifier are functions, so no module could carry a hook."""
    model = published(name, (75, 75) if name == "inception_v3" else (64, 64))
    seen = []

    class Spy(RectifierRule):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(getattr(func, "__name__", ""))
            return super().__torch_function__(func, types, args, kwargs)

    with Spy("deconvnet"), torch.no_grad():
        model.module(images(1, model.input_size[1:]))
    assert "relu" in seen
    image = images(1, model.input_size[1:])
    unit = strongest(model, image, layer)
    found = [reconstruct(model, image, layer, *unit, rule) for rule in RULES]
    assert all(np.isfinite(f).all() and np.abs(f).max() > 0 for f in found)
    assert not any(np.allclose(found[i], found[j], rtol=1e-2, atol=0) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_a_final_functional_relu_changes_the_class_reconstruction():
    def forward(net, x):
        return net.fc(F.adaptive_avg_pool2d(F.relu(net.features(x), inplace=True), 1).flatten(1))

    torch.manual_seed(0)
    model = tiny(Functional(forward, features=nn.Conv2d(3, 8, 3), fc=nn.Linear(8, 4)))
    found = [reconstruct(model, images(1), "fc", 2, rule=rule) for rule in RULES]
    assert not any(np.allclose(found[i], found[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize(
    "name, size, layer",
    [
        ("resnet20_cifar", (32, 32), "layer2.1"),
        ("squeezenet1_0", (96, 96), "features.5.expand3x3"),
        ("densenet121", (96, 96), "features.denseblock2.denselayer3.conv2"),
    ],
)
def test_support_lies_inside_the_receptive_field(name, size, layer):
    model = published(name, size)
    image, field = images(1, size), receptive_field(model, layer)
    rows, cols = field.shape
    maps = capture(model, image, layer)[layer][0]
    for row, col in ((0, 0), (rows // 2, cols // 3), (rows - 1, cols - 1)):
        channel, box = int(maps[:, row, col].argmax()), field.box(row, col)
        for rule in RULES:
            found = reconstruct(model, image, layer, channel, row, col, rule)
            assert found.any()
            top, left, bottom, right = find_support(found)
            assert box[0] <= top < bottom <= box[2] and box[1] <= left < right <= box[3]


def test_a_batch_equals_its_images_one_by_one():
    model, batch = published("resnet20_cifar"), images(3, (32, 32))
    units = [(0, 1, 2), (5, 0, 0), (31, 15, 7)]
    together = reconstruct_batch(model, batch, "layer2.0", units, "guided")
    for image, unit, found in zip(batch, units, together, strict=True):
        np.testing.assert_allclose(found, reconstruct(model, image, "layer2.0", *unit, "guided"), rtol=1e-4, atol=1e-7)


def test_photographs_are_preprocessed_first():
    model = published("lenet5")
    photo = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    found = reconstruct(model, photo, "conv2", 3, 4, 4)
    expected = reconstruct(model, model.preprocess(photo), "conv2", 3, 4, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)
    assert found.shape == (1, 28, 28)


def test_the_named_call_of_a_shared_module_is_reconstructed():
    shared = nn.Conv2d(3, 3, 3, bias=False)
    model = tiny(Functional(lambda n, x: n.a(n.a(x)), a=shared))
    once = reconstruct(model, images(1), "a:1", 0, 1, 1)
    np.testing.assert_allclose(once[:, 1:4, 1:4], shared.weight[0].numpy(), rtol=1e-6)
    assert find_support(once) == (1, 1, 4, 4)
    assert find_support(reconstruct(model, images(1), "a", 0, 1, 1)) == (1, 1, 6, 6)


def test_layers_after_the_wanted_one_do_not_run():
    runs = []
    model = tiny(nn.Sequential(nn.Conv2d(3, 4, 3), Written(lambda x: runs.append(1) or x)))
    reconstruct(model, images(1), "0", 0, 0, 0)  # the first use may count calls
    runs.clear()
    reconstruct(model, images(1), "0", 1, 0, 0)
    assert not runs


def test_wrong_rules_units_and_layers_are_explained():
    model, image = published("lenet5"), images(1, (28, 28), 1)
    with pytest.raises(BadInput, match="gradient, deconvnet, guided"):
        reconstruct(model, image, "conv1", 0, 0, 0, rule="lrp")
    with pytest.raises(BadInput, match=r"channel 0\.\.5"):
        reconstruct(model, image, "conv1", 6, 0, 0)
    with pytest.raises(BadInput, match=r"row 0\.\.27"):
        reconstruct(model, image, "conv1", 0, -1, 0)
    with pytest.raises(BadInput, match=r"column 0\.\.0"):
        reconstruct(model, image, "fc1", 3, 0, 1)
    with pytest.raises(UnknownName, match="conv1"):
        reconstruct(model, image, "conv11", 0, 0, 0)
    with pytest.raises(BadInput, match="got 1 for 2 images"):
        reconstruct_batch(model, images(2, (28, 28), 1), "conv1", [(0, 0, 0)])
    with pytest.raises(BadInput, match="batch of 2"):
        reconstruct(model, images(2, (28, 28), 1), "conv1", 0, 0, 0)
    with pytest.raises(BadInput, match="conv1:9"):
        reconstruct(model, image, "conv1:9", 0, 0, 0)


def test_nothing_is_left_behind_also_after_an_exception():
    fail = []

    def forward(net, x):
        if fail:
            raise RuntimeError("broken network")
        return F.relu(net.a(x))

    model = tiny(Functional(forward, a=nn.Conv2d(3, 4, 3)))
    before = {key: value.clone() for key, value in model.module.state_dict().items()}
    reconstruct(model, images(1), "out", 0, 0, 0)
    fail.append(True)
    with pytest.raises(RuntimeError, match="broken network"):
        reconstruct(model, images(1), "out", 0, 0, 0)
    assert hooks_left(model.module) == 0
    assert not torch.overrides._get_current_function_mode_stack()
    assert all(p.grad is None and not p.requires_grad for p in model.module.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.module.state_dict().items())


def test_the_callers_inference_mode_does_not_matter():
    model, image = published("lenet5"), images(1, (28, 28), 1)
    expected = reconstruct(model, image, "conv2", 3, 4, 4)
    with torch.inference_mode():
        np.testing.assert_array_equal(reconstruct(model, image.clone(), "conv2", 3, 4, 4), expected)


def test_eight_threads_share_one_model():
    model, image = published("resnet20_cifar"), images(1, (32, 32))
    jobs = [(channel, rule) for channel in range(8) for rule in RULES]

    def job(args):
        channel, rule = args
        box = receptive_field(model, "layer1.1").box(4, 5)
        return (
            reconstruct(model, image, "layer1.1", channel, 4, 5, rule),
            capture(model, image, "layer1.0"),
            box,
        )

    single = [job(args) for args in jobs]
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(job, jobs))
    for (a, maps, box), (b, other_maps, other_box) in zip(single, threaded, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(maps["layer1.0"], other_maps["layer1.0"])
        assert box == other_box
    assert hooks_left(model.module) == 0


@pytest.mark.gpu
def test_an_accelerator_gives_the_results_of_the_cpu():
    device = choose("auto")
    if device.type == "cpu":
        pytest.skip("no CUDA or MPS device here")
    model, image = published("resnet20_cifar"), images(1, (32, 32))
    unit = strongest(model, image, "layer1.1")
    there = LoadedModel(deepcopy(model.module), "tiny", model.preprocessing, ["a"], device)
    assert receptive_field(there, "layer3.2").box(2, 3) == receptive_field(model, "layer3.2").box(2, 3)
    for rule in RULES:
        expected = reconstruct(model, image, "layer1.1", *unit, rule)
        found = reconstruct(there, image, "layer1.1", *unit, rule)
        np.testing.assert_allclose(found, expected, atol=1e-2 * np.abs(expected).max())
