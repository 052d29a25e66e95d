"""Pooling invariance and global pooling on networks, against loops."""

import numpy as np
import pytest
import torch
from nets import Written, hooks_left, images, tiny
from pooled_nets import pooled, smooth
from torch import Tensor, nn

import cnnviz
from cnnviz.errors import BadInput, Cancelled, UnknownName
from cnnviz.probes.layer_io import capture_io
from cnnviz.studies.pooling.global_pooling import global_pooling, input_sizes
from cnnviz.studies.pooling.invariance import pooling_invariance


def share(before: Tensor, after: Tensor, tolerance: float) -> float:
    """Unit by unit."""
    limit = tolerance * float(before.abs().max())
    active = [(a, b) for a, b in zip(before.flatten(), after.flatten(), strict=True) if max(abs(a), abs(b)) > limit]
    return sum(abs(float(a) - float(b)) <= limit for a, b in active) / len(active)


def test_shares_of_unchanged_units_are_those_of_the_loop_before_and_after_the_pool():
    net, x = pooled(), smooth()
    found = pooling_invariance(tiny(net, (16, 16)), x, [(0, 0), (0, 1), (2, 0)], tolerance=0.05)
    assert [row.layer for row in found.rows] == ["2", "5"]
    with torch.no_grad():
        for k, shift in enumerate([(0, 0), (0, 1), (2, 0)]):
            maps = [net[:2](m) for m in (x, x.roll(shift, (2, 3)))]
            assert found.rows[0].before[k] == pytest.approx(share(*maps, 0.05))
            expected = share(*(net[2](m) for m in maps), 0.05)
            assert found.rows[0].after[k] == pytest.approx(expected)
            change = float((maps[1] - maps[0]).norm() / maps[0].norm())
            assert found.rows[0].change_before[k] == pytest.approx(change, abs=1e-6)
    assert found.rows[0].sizes == ((4, 16, 16), (4, 16, 16)) and found.rows[1].sizes[1] == (5, 1, 1)
    assert found.rows[0].before[0] == 1.0 and found.rows[0].kept_after.shape == (3, 16, 16)


def test_global_maxima_on_a_torus_do_not_change_at_all():
    found = pooling_invariance(tiny(pooled(), (16, 16)), smooth(), [(3, 5), (8, 1)], padding="circular").rows[1]
    assert (found.after == 1).all() and found.change_after.max() < 1e-5 < 0.1 < found.change_before.min()


def test_what_enters_a_layer_is_kept_from_a_later_inplace_change():
    net, x = pooled(), images(2)
    seen = capture_io(net.eval(), x, ["1", "2"])
    with torch.no_grad():
        torch.testing.assert_close(seen["1"][0], net[0](x))
        torch.testing.assert_close(seen["1"][1], net[:2](x))
        torch.testing.assert_close(seen["2"][1], net[:3](x))
    assert not hooks_left(net)
    with pytest.raises(UnknownName):
        capture_io(net, x, ["nine"])
    with pytest.raises(RuntimeError):
        capture_io(net, x[:, :2], ["1"])
    assert not hooks_left(net)


def test_global_pooling_ends_location_where_a_flattened_map_keeps_it():
    found = global_pooling(tiny(pooled(), (16, 16)), smooth(), [(2, 3), (0, 7)], padding="circular")
    assert found.layer == "3"
    assert found.flat.min() > 0.1 and found.average.max() < 1e-5 and found.maximum.max() < 1e-5
    native = global_pooling(tiny(pooled(), (16, 16)), smooth(), [(2, 3)], "3")
    assert 0 < native.average[0] < native.flat[0]


def test_global_pooling_takes_any_input_size_and_a_flattened_map_one():
    flat = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 14 * 14, 1))
    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    whole = tiny(nn.Sequential(*pooled()[:6], Written(lambda x: x.flatten(1)), nn.Linear(5, 1)), (16, 16))
    runs = input_sizes(whole, photo, [9, 16, 33])
    assert [run.map_size for run in runs] == [(5, n, n) for n in (9, 16, 33)]
    assert all(run.answer == "a" and 0 < run.probability < 1 and not run.problem for run in runs)
    runs = input_sizes(tiny(flat, (16, 16)), photo, [16, 20, 2])
    assert runs[0].answer == "a" and runs[1].answer is None and "4×18×18 values" in runs[1].problem
    assert runs[2].map_size is None and "shrink away" in runs[2].problem


def test_what_cannot_be_done_is_said():
    with pytest.raises(BadInput, match="no pooling layer"):
        pooling_invariance(tiny(nn.Sequential(nn.Conv2d(3, 2, 3))), images(1), (1, 0))
    model = tiny(pooled(), (16, 16))
    with pytest.raises(BadInput, match="tolerance"):
        pooling_invariance(model, smooth(), (1, 0), tolerance=1.0)
    with pytest.raises(Cancelled):
        pooling_invariance(model, smooth(), [(d, 0) for d in range(65)], progress=lambda p: False)
    with pytest.raises(BadInput, match="no convolution"):
        global_pooling(tiny(nn.Sequential(nn.Flatten(), nn.Linear(192, 2))), images(1), (1, 0))
    with pytest.raises(BadInput, match="Sizes"):
        input_sizes(model, smooth(), [])
    assert not hooks_left(model.module)


def test_resnet20_keeps_its_average_pool_but_not_its_maps():
    model = cnnviz.load("resnet20_cifar", "bundled", "cpu")
    photo = cnnviz.corpus("samples").image(0)
    (row,) = pooling_invariance(model, photo, [(0, 4), (4, 0)], padding="circular").rows
    assert row.layer == "avgpool" and (row.after == 1).all() and row.change_after.max() < 1e-4
    assert row.before.max() < 0.9
