"""The line between two networks: its points by hand, its barrier by the formula, both networks as they were."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import images, tiny
from torch import nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput, Cancelled
from cnnviz.landscape.geometry.interpolation import barrier, interpolate
from cnnviz.landscape.results import Line
from cnnviz.models.model import LoadedModel

IMAGES, LABELS = images(12), torch.arange(12) % 3


def network(seed: int, width: int = 4) -> LoadedModel:
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Conv2d(3, width, 3),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 3),
    )
    module[1].running_mean.normal_()
    module[1].running_var.uniform_(0.5, 2)
    return tiny(module)


def slowly(a: LoadedModel, b: LoadedModel, t: float) -> tuple[float, float]:
    """Loss and accuracy of the mixed weights, loaded into a plain network."""
    module = network(9).module
    first, second = a.module.state_dict(), b.module.state_dict()
    module.load_state_dict({k: (1 - t) * first[k] + t * second[k] for k in first})
    logits = module(IMAGES)
    return F.cross_entropy(logits, LABELS).item(), (logits.argmax(1) == LABELS).double().mean().item()


def test_every_point_is_the_plain_network_with_mixed_weights_and_statistics():
    a, b, steps = network(1), network(2), [-0.25, 0, 0.3, 1, 1.25]
    line = interpolate(a, b, IMAGES, LABELS, steps, precision="float32")
    expected = [slowly(a, b, t) for t in steps]
    np.testing.assert_allclose(line.loss, [loss for loss, _ in expected], rtol=1e-4)
    np.testing.assert_allclose(line.accuracy, [right for _, right in expected])
    assert line.meta["kind of line"] == "interpolation" and line.meta["images"] == 12
    assert line.meta["clamped"] == []


def test_the_usual_steps_hold_both_networks():
    line = interpolate(network(1), network(2), IMAGES, LABELS, precision="float32")
    assert len(line.steps) == 25 and {0.0, 1.0} <= set(line.steps.tolist())
    assert barrier(line) >= 0


def test_a_network_and_itself_are_joined_by_a_level_line(tmp_path):
    model = network(1)
    line = interpolate(model, model, IMAGES, LABELS, precision="float32")
    np.testing.assert_allclose(line.loss, line.loss[0], rtol=1e-5)
    assert barrier(line) == pytest.approx(0, abs=1e-5)
    line.save(tmp_path / "line.npz")
    np.testing.assert_array_equal(Line.load(tmp_path / "line.npz").loss, line.loss)


def test_variances_do_not_become_negative_beyond_the_networks():
    a, b = network(1), network(2)
    a.module[1].running_var.fill_(1.0)
    b.module[1].running_var.fill_(4.0)
    line = interpolate(a, b, IMAGES, LABELS, [-0.5, -0.3, 0, 1], precision="float32")  # 1 + 3 t: below 0 at -0.5
    assert line.meta["clamped"] == [-0.5]
    assert not np.isnan(line.loss).any()


def curve(steps: list[float], loss: list[float], accuracy: list[float] | None = None) -> Line:
    values = np.array(loss, float)
    return Line(np.array(steps), values, np.array(accuracy or loss), values * 0, values * 0)


def test_the_barrier_is_the_height_above_the_chord():
    bump = curve([-1, 0, 0.25, 0.5, 1, 2], [99, 1.0, 2.0, 3.5, 2.0, 99])
    assert barrier(bump) == pytest.approx(3.5 - 1.5)  # chord at 0.5: 1.5; at 0.25: 1.25
    assert barrier(curve([0, 0.5, 1], [1, 0.2, 1])) == 0
    ends = curve([0, 0.5, 1], [1, 1, 1], [0.9, 0.1, 0.8])
    assert barrier(ends, of="error") == pytest.approx(0.9 - 0.15)


def test_a_barrier_needs_both_ends():
    for line in (curve([0.1, 1], [1, 1]), curve([0, 0.5], [1, 1]), curve([0, 0.5, 1], [1, 1, np.nan])):
        with pytest.raises(BadInput, match="both networks"):
            barrier(line)
    with pytest.raises(BadInput, match='"error"'):
        barrier(curve([0, 1], [1, 1]), of="height")


@pytest.mark.parametrize("losses", [[1, 9, np.inf], [np.inf, 9, 1]])
def test_a_barrier_to_a_network_that_overflows_is_refused_and_one_over_an_overflow_is_infinite(losses):
    with pytest.raises(BadInput, match="finite loss at both networks"):
        barrier(curve([0, 0.5, 1], losses, [0.9, 0.1, 0.1]))
    assert barrier(curve([0, 0.5, 1], [1, np.inf, 1])) == np.inf


def test_networks_of_other_shapes_are_refused_by_the_first_difference():
    with pytest.raises(BadInput, match=r"'0.weight' has shapes \(4, 3, 3, 3\) and \(5, 3, 3, 3\)"):
        interpolate(network(1), network(2, width=5), IMAGES, LABELS)
    with pytest.raises(BadInput, match=r"tiny .the first. has '5.weight', tiny .the second. has not"):
        interpolate(network(1), tiny(nn.Sequential(*network(2).module[:5])), IMAGES, LABELS)


def test_twins_and_networks_that_prepare_images_differently_are_refused():
    twin, other = network(2), network(2)
    twin.name = "plain"
    with pytest.raises(BadInput, match="tiny and plain have the same tensors but are two networks"):
        interpolate(network(1), twin, IMAGES, LABELS)
    other.preprocessing = Preprocessing((8, 8), mean=(0.5,) * 3, std=(1.0,) * 3)
    with pytest.raises(BadInput, match="prepare images differently .mean"):
        interpolate(network(1), other, IMAGES, LABELS)


@pytest.mark.parametrize("steps", [[], [0, float("nan")], [[0, 1]]])
def test_steps_that_are_no_list_of_numbers_are_refused(steps):
    with pytest.raises(BadInput, match="steps"):
        interpolate(network(1), network(2), IMAGES, LABELS, steps)


def test_both_networks_are_unchanged_to_the_bit_also_when_stopped():
    a, b = network(1), network(2)
    before = [{k: v.clone() for k, v in m.module.state_dict().items()} for m in (a, b)]
    seen = []

    def stop(state) -> bool:
        seen.append(state)
        return state.done < 2

    with pytest.raises(Cancelled, match="2 of 25"):
        interpolate(a, b, IMAGES, LABELS, progress=stop)
    assert [s.done for s in seen] == [1, 2] and seen[0].total == 25 and seen[0].seconds_left >= 0
    for model, kept in zip((a, b), before, strict=True):
        assert all(torch.equal(v, kept[k]) for k, v in model.module.state_dict().items())
        assert all(p.grad is None and not p.requires_grad for p in model.module.parameters())
