"""Heights of losses: one scale for all, cut where it says, and what is not computed yet filled in linearly."""

import numpy as np
import pytest

from cnnviz.figures.landscape.scale import CUT_COLOUR, common_scale, fill_gaps

LOSS = np.array([[0.05, 1.0], [8.0, 40.0]])


def test_losses_above_the_cut_are_as_high_as_the_cut_and_said_to_be():
    scale = common_scale([LOSS], log=True, cut=10.0)
    np.testing.assert_allclose(scale.height(LOSS), np.log10([[0.05, 1.0], [8.0, 10.0]]), rtol=1e-6)
    assert scale.cuts and "above 10 nats" in scale.sentence()
    assert scale.colours()[-1] == (1.0, CUT_COLOUR) and scale.ticks()[1][-1] == "≥ 10"


def test_nothing_is_said_where_nothing_is_cut():
    scale = common_scale([LOSS], log=False, cut=None)
    assert not scale.cuts and scale.sentence() == "" and scale.ticks()[1][-1] == "40"
    np.testing.assert_allclose(scale.height(LOSS), LOSS)


def test_two_surfaces_share_the_ends_of_both():
    scale = common_scale([np.array([[0.1, 3.0]]), np.array([[0.02, 7.0]])])
    assert scale.ends == pytest.approx((np.log10(0.02), np.log10(7.0)))


def test_an_overflow_is_cut_even_without_a_cut_and_nan_stays():
    scale = common_scale([np.array([[0.5, np.inf, np.nan, 3.0]])], log=False, cut=None)
    heights = scale.height(np.array([np.inf, np.nan]))
    assert scale.cuts and heights[0] == 3.0 and np.isnan(heights[1])


@pytest.mark.parametrize("values", [[], [[np.nan]], [[0.0, 0.0]], [[np.inf]], [[-1e-9, 2.0]]])
def test_odd_losses_still_have_a_scale_with_ticks_in_order(values):
    for log in (True, False):
        scale = common_scale([np.array(values)], log)
        ticks, texts = scale.ticks()
        assert scale.ends[0] < scale.ends[1] and len(ticks) == len(texts) >= 1
        assert np.isfinite(scale.height(np.array([0.0, 1e9]))).all() and ticks == sorted(ticks)


def test_a_coarse_grid_is_filled_bilinearly():
    axis = np.arange(7.0)
    whole = 2 + axis[:, None] * 3 - axis[None] + 0.5 * axis[:, None] * axis[None]  # bilinear, so exactly met
    coarse = np.full((7, 7), np.nan)
    coarse[::3, ::3] = whole[::3, ::3]
    np.testing.assert_allclose(fill_gaps(coarse), whole)
    assert np.isnan(fill_gaps(np.full((2, 2), np.nan))).all()
    assert np.isinf(fill_gaps(np.array([[np.inf, np.nan, np.inf]]))).all()
