"""The maps around one pooling layer, and other poolings in its place, against loops and the study of all shifts."""

import numpy as np
import pytest
import torch
from nets import hooks_left, tiny
from pooled_nets import pooled as net_with_pools
from pooled_nets import smooth

from cnnviz.errors import BadInput, UnknownName
from cnnviz.studies.pooling.compare import PooledMaps, capture_pooled_maps, compare_units, repool
from cnnviz.studies.pooling.invariance import pooling_invariance


def test_maps_around_the_layer_are_those_of_the_network_by_hand():
    net, x = net_with_pools(), smooth()
    found = capture_pooled_maps(tiny(net, (16, 16)), x, (2, 3), "2")
    with torch.no_grad():
        for maps, given in ((found.before, x), (found.before_shifted, x.roll((2, 3), (2, 3)))):
            np.testing.assert_allclose(maps, net[:2](given)[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.after_shifted, net[:3](x.roll((2, 3), (2, 3)))[0], rtol=1e-5, atol=1e-6)
    assert not hooks_left(net)


def test_its_shares_are_those_of_the_study_of_all_layers():
    model, x = tiny(net_with_pools(), (16, 16)), smooth()
    (row,) = pooling_invariance(model, x, [(0, 2)], tolerance=0.05, layers=["2"]).rows
    found = capture_pooled_maps(model, x, (0, 2), "2")
    assert compare_units(found.before, found.before_shifted, 0.05).share == pytest.approx(float(row.before[0]))
    assert compare_units(found.after, found.after_shifted, 0.05).share == pytest.approx(float(row.after[0]))


def test_silent_units_are_not_counted_and_silence_is_unchanged():
    first, second = np.array([[[0.0, 1.0, 0.01]]]), np.array([[[0.0, 1.04, 0.5]]])
    found = compare_units(first, second, 0.05)
    assert found.active.tolist() == [[[False, True, True]]] and found.same.tolist() == [[[True, True, False]]]
    assert found.share == 0.5 and found[0].share == 0.5
    assert compare_units(first * 0, first * 0, 0.05).share == 1.0


def test_the_layer_s_own_maximum_in_its_place_gives_its_own_map_and_draws_are_shared():
    before = np.random.default_rng(0).random((2, 6, 6))
    maps = PooledMaps("p", before, before.copy(), before, before)
    first, second = repool(maps, 1, "max", 2, 2)
    loop = [[before[1, i : i + 2, j : j + 2].max() for j in (0, 2, 4)] for i in (0, 2, 4)]
    assert first.tolist() == loop == second.tolist()
    drawn = repool(maps, 0, "stochastic", 3, 1, seed=7)
    assert np.array_equal(*drawn)  # nothing moved, so nothing may change
    assert not np.array_equal(drawn[0], repool(maps, 0, "stochastic", 3, 1, seed=8)[0])


def test_what_cannot_be_done_is_said():
    model = tiny(net_with_pools(), (16, 16))
    with pytest.raises(UnknownName):
        capture_pooled_maps(model, smooth(), (0, 1), "nine")
    with pytest.raises(BadInput, match="whole pixels"):
        capture_pooled_maps(model, smooth(), (0, 0.5), "2")
    negative = -np.ones((1, 4, 4))
    with pytest.raises(BadInput, match="0 or more"):
        repool(PooledMaps("p", negative, negative, negative, negative), 0, "stochastic")
