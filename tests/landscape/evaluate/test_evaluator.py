"""Points of weight space, against a plain network whose weights are loaded."""

import copy
import math
import statistics

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import Functional, images, tiny
from PIL import Image
from planenets import IMAGES, LABELS, assert_untouched, plain, residual, slowly, state_of
from torch import nn

import cnnviz
from cnnviz.errors import BadInput, DeviceLost
from cnnviz.landscape.evaluate.bn_statistics import BATCH
from cnnviz.landscape.evaluate.evaluator import Evaluator, is_within_bounds, log_error
from cnnviz.landscape.plane.directions import normalise_filters, plane_directions

POINTS = [(a, b) for a in (-1.0, -0.3, 0.0, 0.4, 1.1) for b in (-0.8, 0.0, 0.2, 0.9)]


@pytest.mark.parametrize("model", [residual(), plain()], ids=["residual", "without batch norm"])
def test_twenty_points_of_a_plane_are_those_of_the_plain_network(model):
    directions = plane_directions(model, 1)
    plane = Evaluator(model, IMAGES, LABELS, "float32").plane(*directions)
    for point in POINTS:
        want, have = slowly(model, list(zip(point, directions, strict=True))), plane.at(*point)
        assert have.loss == pytest.approx(want.loss, rel=1e-4)
        assert have.loss_error == pytest.approx(want.loss_error, rel=1e-4)
        assert have.accuracy == pytest.approx(want.accuracy)
        assert have.accuracy_error == pytest.approx(want.accuracy_error)


def test_points_do_not_drift_however_many_were_evaluated_before():
    model = residual()
    plane = Evaluator(model, IMAGES, LABELS, "float32", batch=7).plane(*plane_directions(model))
    first = plane.at(0.3, -0.6)
    for point in POINTS:
        plane.at(*point)
    plane.evaluator.at({"fc.weight": torch.zeros(3, 6)})
    assert plane.at(0.3, -0.6) == first
    assert Evaluator(model, IMAGES, LABELS, "float32", batch=7).plane(*plane_directions(model)).at(0.3, -0.6) == first


def test_any_tensor_can_be_replaced_also_statistics_of_folded_normalisations():
    model = residual()
    evaluator = Evaluator(model, IMAGES, LABELS, "float32")
    own = dict(model.module.state_dict())
    for name in ("a.weight", "bn1.weight", "bn2.bias", "bn3.running_mean", "bn2.running_var", "b.bias", "fc.bias"):
        change = 0.5 * torch.rand(own[name].shape)
        want = slowly(model, [(1.0, {name: change})])
        assert evaluator.at({name: own[name] + change}).loss == pytest.approx(want.loss, rel=1e-4), name
    assert evaluator.at().loss == pytest.approx(slowly(model, []).loss, rel=1e-4)


def test_a_direction_that_moves_the_factors_of_normalisations_is_not_folded_wrongly():
    model = residual()
    ways = [{name: torch.rand_like(t) for name, t in model.module.state_dict().items() if t.is_floating_point()}]
    have = Evaluator(model, IMAGES, LABELS, "float32").plane(*ways).at(0.4)
    assert have.loss == pytest.approx(slowly(model, [(0.4, ways[0])]).loss, rel=1e-4)


def test_biases_means_and_shifts_along_a_direction_are_folded():
    model, names = residual(), ("bn1.bias", "bn2.running_mean", "b.bias", "b.weight")
    ways = [{name: torch.rand_like(model.module.state_dict()[name]) for name in names}]
    plane = Evaluator(model, IMAGES, LABELS, "float32").plane(*ways)
    assert plane._linear
    assert plane.at(-0.7).loss == pytest.approx(slowly(model, [(-0.7, ways[0])]).loss, rel=1e-4)


def test_recalibrated_statistics_are_those_of_the_moved_weights_over_the_same_images():
    model = residual()
    directions, point = plane_directions(model), (0.6, -0.4)
    have = Evaluator(model, IMAGES, LABELS, "float32", "recalibrated").plane(*directions).at(*point)
    module = copy.deepcopy(model.module)
    state = module.state_dict()
    for step, direction in zip(point, directions, strict=True):
        state = {name: t + step * direction[name] if name in direction else t for name, t in state.items()}
    module.load_state_dict(state)
    for norm in (m for m in module.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.momentum = None
        norm.reset_running_stats()
        norm.train()
    assert len(IMAGES) <= BATCH
    with torch.no_grad():
        module(IMAGES)
        want = F.cross_entropy(module.eval()(IMAGES), LABELS).item()
    assert have.loss == pytest.approx(want, rel=1e-4)
    frozen = Evaluator(model, IMAGES, LABELS, "float32").plane(*directions).at(*point)
    assert abs(frozen.loss - have.loss) > 1e-3


def test_recalibrating_without_room_for_its_batch_says_why_it_takes_no_smaller_one(monkeypatch):
    evaluator = Evaluator(residual(), IMAGES, LABELS, "float32", "recalibrated")

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 TiB.")

    evaluator.at()
    monkeypatch.setattr(evaluator._recalibrator._module, "forward", full)
    with pytest.raises(DeviceLost, match=f"takes {BATCH} images at once.*--statistics frozen"):
        evaluator.at()


def test_recalibrating_without_batch_normalisation_changes_nothing():
    model = plain()
    losses = [Evaluator(model, IMAGES, LABELS, "float32", how).at().loss for how in ("frozen", "recalibrated")]
    assert losses[0] == losses[1]


@pytest.mark.usefixtures("bfloat16_everywhere")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("how", ["frozen", "recalibrated"])
def test_the_network_does_not_move(precision, how):
    model = residual()
    before = state_of(model)
    evaluator = Evaluator(model, IMAGES, LABELS, precision, how)
    evaluator.plane(*plane_directions(model)).at(0.5, 0.5)
    evaluator.module().a.weight.data.zero_()
    assert_untouched(model, before)
    assert evaluator.at() == Evaluator(model, IMAGES, LABELS, precision, how, evaluator.batch).at()


def bundled_with_images(shared):
    model = cnnviz.load("resnet20_cifar", "bundled", "cpu")
    rows = np.asarray(Image.open(shared / "data" / "cifar10" / "cifar10_batch_50.png").convert("RGB"))
    labels = np.loadtxt(shared / "data" / "cifar10" / "labels.txt", dtype=int)[50_000:51_000]
    return model, rows.reshape(1000, 32, 32, 3)[:60].copy(), labels[:60]


@pytest.mark.usefixtures("bfloat16_everywhere")
def test_real_images_in_float32_and_bfloat16_at_twenty_points(shared):
    model, pixels, labels = bundled_with_images(shared)
    directions = plane_directions(model)
    ready = model.preprocessing.normalise(torch.from_numpy(pixels))
    exact, fast = (Evaluator(model, pixels, labels, p, batch=50).plane(*directions) for p in ("float32", "bfloat16"))
    errors = []
    for point in POINTS:
        loss = exact.at(*point).loss
        errors.append(log_error(loss, fast.at(*point).loss))
        if point in POINTS[::10]:  # one image at a time takes its time
            moves = list(zip(point, directions, strict=True))
            assert loss == pytest.approx(slowly(model, moves, ready, torch.from_numpy(labels)).loss, rel=1e-4)
    assert statistics.median(errors) <= 0.01 and max(errors) <= 0.03


def test_auto_is_bfloat16_only_where_it_was_measured_to_be_good(monkeypatch):
    model = residual()
    for fast in (True, False):
        monkeypatch.setattr("cnnviz.landscape.evaluate.evaluator.fast_bfloat16", lambda _device, fast=fast: fast)
        evaluator = Evaluator(model, IMAGES, LABELS)
        used = evaluator.settle_precision()
        assert used == ("bfloat16" if is_within_bounds(evaluator.precision_errors) else "float32")
        assert len(evaluator.precision_errors) == (5 if fast else 0)
    assert is_within_bounds([0.0, 0.005, 0.02]) and not is_within_bounds([0.0, 0.02, 0.02])
    assert not is_within_bounds([0.0, 0.0, 0.04]) and not is_within_bounds([])
    assert log_error(1.0, 10.0) == 1 and log_error(math.inf, 3.0) == math.inf and log_error(math.inf, math.inf) == 0


def test_an_overflow_is_an_infinite_loss_and_no_right_answer():
    model = plain()
    huge = {name: torch.full_like(p, 1e38) for name, p in model.module.named_parameters()}
    found = Evaluator(model, IMAGES, LABELS, "float32").plane(huge).at(1e3)
    assert found.loss == math.inf and found.accuracy == 0 and not math.isnan(found.loss_error)


@pytest.mark.parametrize("batch", [None, 1, 3, 100])
def test_the_size_of_a_pass_changes_nothing_but_rounding(batch):
    model = residual()
    have = Evaluator(model, IMAGES, LABELS, "float32", batch=batch).at()
    assert have.loss == pytest.approx(slowly(model, []).loss, rel=1e-5)


def test_images_may_be_pixels_of_any_size_lists_or_tensors():
    model = plain()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    want = Evaluator(model, pixels, [0, 1, 2, 0, 1, 2], "float32").at().loss
    ready = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    for same in (list(pixels), torch.from_numpy(pixels), ready, ready.numpy()):
        assert Evaluator(model, same, np.array([0, 1, 2, 0, 1, 2]), "float32").at().loss == pytest.approx(
            want, rel=1e-6
        )
    large = np.random.default_rng(0).integers(0, 256, (6, 20, 30, 3), dtype=np.uint8)
    resized = np.stack([model.receive(image) for image in large])
    losses = [Evaluator(model, some, LABELS[:6], "float32").at().loss for some in (large, resized)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "mlp"])
def test_other_networks_of_the_catalogue_can_be_evaluated(name):
    torch.manual_seed(0)
    model = cnnviz.load(name, "random", "cpu")
    channels, height, width = model.input_size
    pixels = np.random.default_rng(0).integers(0, 256, (2, height, width, channels), dtype=np.uint8)
    labels = torch.tensor([1, 0])
    small = [name for name, p in model.module.named_parameters() if 1 < p.dim() and p.numel() < 1_000_000][:3]
    weights = dict(model.module.named_parameters())
    direction = normalise_filters(weights, {name: torch.randn_like(weights[name]) for name in small})
    have = Evaluator(model, pixels, labels, "float32").plane(direction).at(0.3)
    ready = model.preprocessing.normalise(torch.from_numpy(pixels))
    assert have.loss == pytest.approx(slowly(model, [(0.3, direction)], ready, labels).loss, rel=1e-4)


def test_of_a_network_with_auxiliary_heads_the_main_one_counts():
    torch.manual_seed(0)
    net = Functional(
        lambda n, x: (n.head(n.conv(x).mean((2, 3))), n.aux(x.mean((2, 3)))),
        conv=nn.Conv2d(3, 4, 3),
        head=nn.Linear(4, 3),
        aux=nn.Linear(3, 3),
    )
    have = Evaluator(tiny(net), IMAGES, LABELS, "float32").at()
    assert have.loss == pytest.approx(F.cross_entropy(net(IMAGES)[0], LABELS).item(), rel=1e-5)


def test_a_network_of_one_channel():
    torch.manual_seed(0)
    model = tiny(nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), channels=1)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    ready = torch.from_numpy(pixels)[:, None] / 255
    have = Evaluator(model, pixels, LABELS[:5], "float32").at()
    assert have.loss == pytest.approx(F.cross_entropy(model.module(ready), LABELS[:5]).item(), rel=1e-5)


def test_shared_weights_move_together_under_either_name():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 3, 3, padding=1)
    model = tiny(nn.Sequential(conv, nn.ReLU(), conv, nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    moved = copy.deepcopy(model.module)
    moved[0].weight.data.mul_(2)
    want = F.cross_entropy(moved(IMAGES), LABELS).item()
    for name in ("0.weight", "2.weight"):
        have = Evaluator(model, IMAGES, LABELS, "float32").at({name: 2 * conv.weight})
        assert have.loss == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize(
    "labels, said",
    [
        (None, "needs labels"),
        ([0, 1], "Expected 20 labels"),
        (torch.rand(20), "whole numbers"),
        ([-1] * 20, "count from 0"),
        ([3] * 20, "has 3 outputs, so labels go from 0 to 2"),
        (["cat"] * 20, "class numbers"),
    ],
)
def test_labels_that_cannot_be_used_are_refused_in_words(labels, said):
    with pytest.raises(BadInput, match=said):
        Evaluator(residual(), IMAGES, labels)


@pytest.mark.parametrize(
    "pixels", [np.zeros((0, 8, 8, 3), np.uint8), np.zeros((4, 8, 8, 3)), [], torch.zeros(4, 1, 8, 8)]
)
def test_images_that_cannot_be_used_are_refused_in_words(pixels):
    with pytest.raises(BadInput, match="Expected images"):
        Evaluator(residual(), pixels, [0] * len(pixels))


def test_other_mistakes_are_refused_in_words():
    model = residual()
    for more, said in (
        ({"precision": "float16"}, "precision must be 'auto' or 'float32' or 'bfloat16'"),
        ({"statistics": "fresh"}, "statistics must be 'frozen' or 'recalibrated'"),
        ({"batch": 0}, "at least 1 image"),
    ):
        with pytest.raises(BadInput, match=said):
            Evaluator(model, IMAGES, LABELS, **more)
    evaluator = Evaluator(model, IMAGES, LABELS, "float32")
    with pytest.raises(BadInput, match="'nonsense' was given"):
        evaluator.at({"nonsense": torch.zeros(3)})
    with pytest.raises(BadInput, match=r"shape \(3,\), tiny has shape \(3, 6\)"):
        evaluator.plane({"fc.weight": torch.zeros(3)})
    with pytest.raises(BadInput, match="2 directions, got 1 step"):
        evaluator.plane({}, {}).at(0.5)
    with pytest.raises(BadInput, match=r"cannot take images of shape \(3, 2, 2\)"):
        Evaluator(tiny(nn.Sequential(nn.Conv2d(3, 3, 5), nn.Flatten())), images(4, (2, 2)), [0, 0, 0, 0])
