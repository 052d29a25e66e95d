"""Sharpness on losses whose maximum is known, and the whole study on a small network."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import images, tiny
from torch import nn
from torch.func import functional_call, hessian

from cnnviz.errors import BadInput, Cancelled
from cnnviz.landscape.geometry.hessian import Objective
from cnnviz.landscape.geometry.sharpness import CAVEAT, find_highest, make_ball_step, make_box_step, sharpness
from cnnviz.landscape.geometry.spectrum import spectrum

IMAGES, LABELS = images(12), torch.arange(12) % 3


@pytest.fixture
def model():
    torch.manual_seed(0)
    return tiny(
        nn.Sequential(
            nn.Conv2d(3, 2, 5), nn.BatchNorm2d(2), nn.Tanh(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(2, 3)
        )
    )


def linear_objective() -> tuple[Objective, list[torch.Tensor]]:
    """Cross-entropy of a linear classifier, convex in its weights: the maximum is at a corner."""
    torch.manual_seed(1)
    net = nn.Linear(3, 2)
    x, labels = torch.randn(6, 3), torch.arange(6) % 2
    return Objective(net, lambda _size: [(x, labels)], 6, 6), [p.detach().clone() for p in net.parameters()]


def test_the_box_maximum_of_a_convex_loss_is_that_of_its_best_corner():
    objective, weights = linear_objective()
    widths = [0.3 * (w.abs() + 1) for w in weights]
    best = 0.0
    [(x, labels)] = objective.batches(6)
    for corner in range(2**8):
        signs = torch.tensor([1.0 if corner >> bit & 1 else -1.0 for bit in range(8)]).split([6, 2])
        shifted = [w + s.view_as(w) * width for w, s, width in zip(weights, signs, widths, strict=True)]
        best = max(best, F.cross_entropy(F.linear(x, *shifted), labels).item())
    found = find_highest(objective, weights, objective.gradient(), make_box_step(weights, 0.3), 20)
    assert found == pytest.approx(best, rel=1e-5)


def test_ascent_stays_in_the_box_and_in_the_ball_of_every_filter():
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(4, 3, 2, 2, generator=generator), torch.randn(4, generator=generator)]
    gradient = [100 * torch.randn(w.shape, generator=generator) for w in weights]
    offset = [torch.zeros_like(w) for w in weights]
    box, ball = make_box_step(weights, 1e-3), make_ball_step(weights, 0.2)
    inside, round_ = offset, offset
    for size in (1.0, 0.7, 3.0):
        inside, round_ = box(inside, gradient, size), ball(round_, gradient, size)
        for d, w in zip(inside, weights, strict=True):
            assert (d.abs() <= 1e-3 * (w.abs() + 1) * (1 + 1e-6)).all()
        ratios = round_[0].flatten(1).norm(dim=1) / weights[0].flatten(1).norm(dim=1)
        assert (ratios <= 0.2 * (1 + 1e-5)).all()
        assert not round_[1].any()  # biases stay, as in filter-normalised directions
    np.testing.assert_allclose(ratios, 0.2, rtol=1e-5)


def test_the_worst_direction_of_a_ball_is_worse_than_random_ones(model):
    found = sharpness(model, IMAGES, LABELS, radius=0.3, ascent=10, steps=6, probes=2)
    state = model.module.state_dict()
    weights = {n: p for n, p in model.module.named_parameters() if p.dim() > 1}
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        tried = dict(state)
        for name, w in weights.items():
            d = torch.randn(w.shape, generator=generator).flatten(1)
            d *= 0.3 * w.flatten(1).norm(dim=1, keepdim=True) / d.norm(dim=1, keepdim=True)
            tried[name] = w + d.view_as(w)
        loss = F.cross_entropy(functional_call(model.module, tried, (IMAGES,)), LABELS)
        assert loss.item() <= found.filter_loss
    assert found.filter_rise > 0


def test_sharpness_reports_keskars_percentage_and_the_loss_at_the_weights(model):
    found = sharpness(model, IMAGES, LABELS, epsilon=1e-2, steps=6, probes=2)
    loss = F.cross_entropy(model.module(IMAGES), LABELS).item()
    assert found.loss == pytest.approx(loss, rel=1e-5)
    assert found.keskar == pytest.approx(100 * (found.box_loss - loss) / (1 + loss), rel=1e-3)
    assert found.box_loss > loss
    first_order = sum((1e-2 * (p.abs() + 1) * g.abs()).sum().item() for p, g in zip(*_own_gradient(model), strict=True))
    assert found.box_loss - loss == pytest.approx(first_order, rel=0.5)
    plain = found.as_dict()
    assert plain["caveat"] == CAVEAT and "2302.07011" in CAVEAT and plain["spectrum"]["images"] == 12


def _own_gradient(model) -> tuple[list, list]:
    twin = nn.Sequential(*model.module)
    copies = {n: p.detach().clone().requires_grad_(True) for n, p in twin.named_parameters()}
    loss = F.cross_entropy(functional_call(twin, copies, (IMAGES,)), LABELS)
    return [p.detach() for p in copies.values()], list(torch.autograd.grad(loss, list(copies.values())))


def test_a_wider_box_is_no_less_sharp(model):
    narrow, wide = (sharpness(model, IMAGES, LABELS, epsilon=e, steps=6, probes=2) for e in (5e-4, 1e-2))
    assert wide.keskar > narrow.keskar > 0


def test_the_spectrum_is_that_of_the_dense_hessian_of_the_network(model):
    shapes = {name: p.shape for name, p in model.module.named_parameters()}
    twin = {k: v.double() for k, v in model.module.state_dict().items() if v.is_floating_point()}

    def loss(flat: torch.Tensor) -> torch.Tensor:
        parts = flat.split([shape.numel() for shape in shapes.values()])
        named = {n: part.view(shape) for (n, shape), part in zip(shapes.items(), parts, strict=True)}
        return F.cross_entropy(functional_call(model.module, {**twin, **named}, (IMAGES.double(),)), LABELS)

    matrix = hessian(loss)(torch.cat([twin[name].flatten() for name in shapes]))
    exact = torch.linalg.eigvalsh(matrix).numpy()
    found = spectrum(model, IMAGES, LABELS, count=3, steps=60, probes=100, tolerance=1e-4)
    np.testing.assert_allclose(found.largest, exact[::-1][:3], rtol=2e-3)
    assert found.smallest == pytest.approx(exact[0], abs=2e-3 * exact[-1])
    assert found.ratio == pytest.approx(abs(exact[0] / exact[-1]), rel=0.05, abs=2e-3)
    assert abs(found.trace - exact.sum()) < 4 * found.trace_error
    assert found.parameters == len(exact) and found.images == 12


def test_the_same_seed_gives_the_same_numbers(model):
    first, second = (spectrum(model, IMAGES, LABELS, steps=8, probes=3, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.largest, second.largest)
    assert first.trace == second.trace


@pytest.mark.parametrize(
    "wrong", [{"epsilon": 0}, {"radius": math.nan}, {"ascent": 0}, {"count": 0}, {"steps": 3}, {"probes": 1}]
)
def test_sizes_that_give_nothing_are_refused(model, wrong):
    with pytest.raises(BadInput, match=next(iter(wrong))):
        sharpness(model, IMAGES, LABELS, **wrong)


@pytest.mark.parametrize("stop_at", ["ε-sharpness", "filter norms", "eigenvalues", "trace"])
def test_the_network_is_unchanged_to_the_bit_wherever_the_study_is_stopped(model, stop_at):
    before = {k: v.clone() for k, v in model.module.state_dict().items()}
    with pytest.raises(Cancelled, match=stop_at):
        sharpness(model, IMAGES, LABELS, ascent=2, steps=6, probes=2, progress=lambda state: state.what != stop_at)
    assert all(torch.equal(v, before[k]) for k, v in model.module.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in model.module.parameters())
    assert not model.module.training


def test_progress_ends_at_the_announced_total(model):
    states = []
    sharpness(model, IMAGES, LABELS, ascent=2, steps=40, probes=2, progress=states.append)
    assert states[-1].done == states[-1].total
    assert [s.done for s in states] == sorted(s.done for s in states)
