"""Backpropagation by hand: the notes' formulas with their corrections, against the chain rule written out."""

import math

import numpy as np
import pytest

from cnnviz.errors import BadInput
from cnnviz.studies.backward.by_hand import HandNetwork, descend, run_by_hand

NET = HandNetwork(np.array([1.0, 0.5]), np.array([[0.5, -0.4], [0.3, 0.8]]), np.array([0.7, -0.6]), 1.0)


def test_every_number_is_that_of_the_chain_rule_written_out():
    found = run_by_hand(NET)
    z1, z2 = math.tanh(0.5 * 1 - 0.4 * 0.5), math.tanh(0.3 * 1 + 0.8 * 0.5)
    y_hat = 0.7 * z1 - 0.6 * z2
    assert found.z.tolist() == pytest.approx([z1, z2]) and found.output == pytest.approx(y_hat)
    assert found.loss == pytest.approx((y_hat - 1) ** 2 / 2) and found.delta == pytest.approx(y_hat - 1)
    assert found.of_w.tolist() == pytest.approx([(y_hat - 1) * z1, (y_hat - 1) * z2])
    d1, d2 = (1 - z1 * z1) * 0.7 * (y_hat - 1), (1 - z2 * z2) * -0.6 * (y_hat - 1)
    assert found.deltas.tolist() == pytest.approx([d1, d2])
    assert found.of_v.ravel().tolist() == pytest.approx([d1, d1 * 0.5, d2, d2 * 0.5])
    assert found.error < 1e-15 and found.difference_error < 1e-9


def test_the_slips_of_the_notes_would_be_other_numbers():
    found = run_by_hand(NET)
    wrong_slope = (1 - found.z) ** 2 * NET.w * found.delta
    assert np.abs(wrong_slope - found.deltas).min() > 0.05
    assert (
        np.sign(found.of_w).tolist()
        == np.sign((found.output - NET.y) * found.z).tolist()
        != np.sign((NET.y - found.output) * found.z).tolist()
    )


def test_a_step_goes_down_by_the_learning_rate_times_the_gradient():
    passes = descend(NET, 0.5, 30)
    assert len(passes) == 31 and passes[1].net.w.tolist() == pytest.approx((NET.w - 0.5 * passes[0].of_w).tolist())
    losses = [one.loss for one in passes]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 1e-4
    assert [one.loss for one in descend(NET, 0.0, 3)] == [losses[0]] * 4


def test_a_learning_rate_that_is_too_large_ends_before_numbers_do():
    passes = descend(HandNetwork(np.array([5.0]), np.array([[0.1]]), np.array([100.0]), -1e3), 5.0, 400)
    assert all(np.isfinite(one.loss) for one in passes)


def test_shapes_that_do_not_fit_and_negative_rates_are_refused_in_words():
    with pytest.raises(BadInput, match="one column for each input"):
        HandNetwork(np.array([1.0]), NET.v, NET.w, 1.0)
    with pytest.raises(BadInput, match="learning rate"):
        descend(NET, -1.0, 2)
