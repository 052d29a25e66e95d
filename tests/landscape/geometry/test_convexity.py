"""The share of a slice that curves downwards, on surfaces whose curvature is known."""

from dataclasses import replace

import numpy as np
import pytest

from cnnviz.errors import BadInput
from cnnviz.landscape.bundled import folder
from cnnviz.landscape.geometry.convexity import nonconvexity
from cnnviz.landscape.results import Surface

AXIS = np.linspace(-1, 1, 41)
A, B = np.meshgrid(AXIS, AXIS, indexing="ij")


def surface(loss: np.ndarray, error: np.ndarray | float = 0.0, axes=(AXIS, AXIS)) -> Surface:
    filled = np.broadcast_to(np.asarray(error, float), loss.shape).copy()
    return Surface(*axes, loss, np.zeros(loss.shape), filled, np.zeros(loss.shape))


def test_a_bowl_is_convex_everywhere():
    found = nonconvexity(surface(1 + A**2 + 3 * B**2 + A * B))
    assert found.share == 0 and found.counted == 39 * 39
    inner = found.smallest[1:-1, 1:-1]
    np.testing.assert_allclose(inner, np.linalg.eigvalsh([[2, 1], [1, 6]])[0], rtol=1e-9)
    np.testing.assert_allclose(found.largest[1:-1, 1:-1], np.linalg.eigvalsh([[2, 1], [1, 6]])[1], rtol=1e-9)


def test_the_nearest_point_that_curves_downwards_is_told_by_its_distance():
    """f = 2 - exp(-r² / 2s²) bends down along the radius where r > s."""
    axis = np.linspace(-1, 1, 201)
    a, b = np.meshgrid(axis, axis, indexing="ij")
    bell = surface(2 - np.exp(-(a**2 + b**2) / (2 * 0.4**2)), axes=(axis, axis))
    assert abs(nonconvexity(bell).nearest - 0.4) < 0.01
    assert nonconvexity(surface(1 + A**2 + B**2)).nearest == np.inf
    aside = Surface(axis + 3, axis - 4, bell.loss, *[np.zeros(bell.loss.shape)] * 3)
    assert abs(nonconvexity(aside).nearest - np.hypot(2.01, 3.01)) < 1e-9  # from (0, 0), to the corner of inner points


@pytest.mark.parametrize("saddle", [A**2 - B**2, A * B], ids=["along the axes", "between them"])
def test_a_saddle_is_convex_nowhere(saddle):
    found = nonconvexity(surface(5 + saddle))
    assert found.share == 1
    assert found.negative[1:-1, 1:-1].all() and not found.negative[0].any()


def test_a_wave_in_one_direction_is_negative_where_its_cosine_is_positive():
    """f = 2 + cos(k a) + b²: f_aa = -k² cos(k a), the sign of its central difference is exact."""
    axis = np.linspace(-1, 1, 201)
    a, b = np.meshgrid(axis, axis, indexing="ij")
    wave = np.cos(4.9 * np.pi * a)
    found = nonconvexity(surface(2 + wave + b**2, axes=(axis, axis)))
    assert (found.negative[1:-1, 1:-1] == (wave[1:-1, 1:-1] > 1e-12)).all()
    assert abs(found.share - 0.5) < 0.03


def test_a_cosine_lattice_is_convex_on_a_quarter_of_the_plane():
    """f = 2 - cos(k a) - cos(k b): both second derivatives are positive where both cosines are."""
    k = 4.9 * np.pi
    axis = np.linspace(-1, 1, 201)
    a, b = np.meshgrid(axis, axis, indexing="ij")
    found = nonconvexity(surface(3 - np.cos(k * a) - np.cos(k * b), axes=(axis, axis)))
    convex = (np.cos(k * a) > 1e-12) & (np.cos(k * b) > 1e-12)
    assert (found.negative[1:-1, 1:-1] == ~convex[1:-1, 1:-1]).all()
    assert abs(found.share - 0.75) < 0.03


def test_the_logarithm_has_a_curvature_of_its_own():
    """exp(-2 a² + 5 b²): the Hessian of its logarithm is diag(-4, 10) everywhere."""
    found = nonconvexity(surface(np.exp(-2 * A**2 + 5 * B**2)), clip=np.inf, log=True)
    np.testing.assert_allclose(found.smallest[1:-1, 1:-1], -4, rtol=1e-6)
    np.testing.assert_allclose(found.largest[1:-1, 1:-1], 10, rtol=1e-6)
    bell_turned_over = surface(np.exp(2 * A**2 + B**2))
    assert nonconvexity(bell_turned_over, clip=np.inf, log=True).share == 0


def test_what_is_above_the_clip_or_not_finite_is_not_counted():
    loss = 1 + A**2 + B**2
    loss[20, 20] = np.inf
    loss[5, 5] = np.nan
    loss[A > 0.5] += 100
    found = nonconvexity(surface(loss), clip=10)
    expected = 0
    for i in range(1, 40):
        for j in range(1, 40):
            around = loss[i - 1 : i + 2, j - 1 : j + 2]
            expected += bool(np.isfinite(around).all() and loss[i, j] <= 10)
    assert found.counted == expected
    assert np.isnan(found.smallest[19:22, 19:22]).all() and np.isnan(found.smallest[35]).all()
    assert not found.negative[35].any()


def test_a_surface_with_nothing_to_count_has_no_share():
    assert np.isnan(nonconvexity(surface(np.full(A.shape, 50.0)), clip=10).share)


def test_errors_that_all_points_share_cancel():
    """A shift common to all points cancels in second differences; independent noise does not."""
    weak = surface(5 + A**2 - 0.5 * B**2, error=0.01)
    assert nonconvexity(weak, correlation=1.0).share == 1
    assert nonconvexity(weak, correlation=0.0).share == 0


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_the_error_is_that_of_noise_drawn_with_this_correlation(correlation):
    """Monte Carlo: errors with the given pairwise correlation on a 3x3 surface; the eigenvalue's spread."""
    rng = np.random.default_rng(0)
    axis = np.array([-0.1, 0.0, 0.1])
    a, b = np.meshgrid(axis, axis, indexing="ij")
    loss, spread = 1 + 3 * a**2 + 40 * b**2 + 8 * a * b, 0.002 * (1 + 0.2 * a)
    told = nonconvexity(surface(loss, spread, (axis, axis)), correlation=correlation).error[1, 1]
    drawn = []
    for _ in range(4000):
        common, own = rng.standard_normal(), rng.standard_normal((3, 3))
        noise = spread * (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)
        drawn.append(nonconvexity(surface(loss + noise, 0.0, (axis, axis))).smallest[1, 1])
    assert np.std(drawn) == pytest.approx(told, rel=0.06)


def test_noise_alone_is_not_taken_for_nonconvexity():
    rng = np.random.default_rng(1)
    noisy = 2 + A**2 + B**2 + 0.01 * rng.standard_normal(A.shape)
    assert nonconvexity(surface(noisy, 0.01), sigmas=0).share > 0.5
    assert nonconvexity(surface(noisy, 0.01), correlation=0.0, sigmas=3).share < 0.02
    assert nonconvexity(surface(noisy), rounding=0.01 / 2, sigmas=3).share < 0.02


def test_bfloat16_surfaces_are_known_to_scatter():
    exact = surface(2 + 0.1 * A**2 - 0.1 * B**2)
    fast = replace(exact, meta={"precision": "bfloat16"})
    assert nonconvexity(exact).share == 1
    assert nonconvexity(fast).share == 0


def test_a_bfloat16_surface_is_taken_over_two_steps_where_it_has_them():
    rough = replace(surface(1 + A**2 + B**2), meta={"precision": "bfloat16"})
    assert np.array_equal(nonconvexity(rough).smallest, nonconvexity(rough, stride=2).smallest, equal_nan=True)
    small = replace(surface((1 + A**2 + B**2)[::4, ::4], axes=(AXIS[::4], AXIS[::4])), meta=rough.meta)
    assert np.array_equal(nonconvexity(small).smallest, nonconvexity(small, stride=1).smallest, equal_nan=True)


def test_wider_differences_see_through_noise():
    rng = np.random.default_rng(2)
    noisy = surface(2 + A**2 + B**2 + 0.005 * rng.standard_normal(A.shape))
    assert nonconvexity(noisy, sigmas=0, stride=8).share < 0.01 < nonconvexity(noisy, sigmas=0).share


def test_unknown_errors_count_as_none():
    assert nonconvexity(surface(5 + A * B, np.nan)).share == 1


@pytest.mark.parametrize(
    ("axis", "options", "said"),
    [
        (np.array([0.0, 1.0]), {}, "at least 3 points"),
        (np.linspace(-1, 1, 5), {"stride": 3}, "at least 7 points"),
        (np.array([0.0, 1.0, 3.0]), {}, "even"),
        (np.linspace(-1, 1, 5), {"correlation": 2.0}, "correlation"),
    ],
)
def test_grids_without_second_differences_are_refused(axis, options, said):
    loss = np.ones((len(axis), len(axis)))
    with pytest.raises(BadInput, match=said):
        nonconvexity(surface(loss, axes=(axis, axis)), **options)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_with_shortcuts_the_bundled_slices_stay_convex_further_from_their_centre(seed):
    """What the lecture plan says of the pair of 56 layers."""
    found = {}
    for name in ("resnet56_cifar", "plain56_cifar"):
        slice_ = Surface.load(folder() / f"{name}-seed{seed}.npz")
        bent = nonconvexity(slice_)
        near = (np.hypot(slice_.alphas[:, None], slice_.betas) <= 0.5) & np.isfinite(bent.smallest)
        found[name] = bent.nearest, bent.negative[near].mean(), bent.share
    (far, calm, whole), (close, bumpy, rough) = found.values()
    assert 0.56 < far < 0.58 and 0.39 < close < 0.44
    assert calm == 0 and bumpy > 0.04 and whole < rough
