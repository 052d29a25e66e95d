"""Kernels on photographs, signals in one dimension, filters of limited size."""

import sys

import numpy as np
import pytest
from nets import images

from cnnviz.errors import BadInput, CnnvizError, UnknownName
from cnnviz.studies.convolution.convolution import convolve
from cnnviz.studies.convolution.kernels import (
    BORDERS,
    KERNELS,
    apply_kernel,
    find_kernel,
    gabor,
    rms_clip,
    to_pixels,
)
from cnnviz.studies.equivariance.signal import KERNELS as SIGNAL_KERNELS
from cnnviz.studies.equivariance.signal import SIGNALS, make_signal, shift_signal

PHOTO = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)


@pytest.mark.parametrize("flip", [False, True])
def test_a_photograph_is_filtered_as_the_playground_computes_it(flip):
    pytest.importorskip("cv2")
    for kernel in (find_kernel("emboss").weights, np.arange(15.0).reshape(3, 5) - 4):
        rows, cols = kernel.shape
        found = apply_kernel(PHOTO, kernel, flip)
        for channel in range(3):
            padded = np.pad(PHOTO[:, :, channel], ((rows // 2,) * 2, (cols // 2,) * 2))
            np.testing.assert_allclose(found[:, :, channel], convolve(padded, kernel, flip=flip).output[0], atol=1e-3)
    assert not np.allclose(apply_kernel(PHOTO, kernel), apply_kernel(PHOTO, kernel, flip=True))


def test_an_even_surface_keeps_its_brightness_or_vanishes():
    pytest.importorskip("cv2")
    even = np.full((8, 8), 100, np.uint8)
    for name, kernel in KERNELS.items():
        np.testing.assert_allclose(apply_kernel(even, kernel.weights, border="edge"), 100 * kernel.sum, atol=1e-3)
        differences = ("edges", "Sobel, horizontal", "Sobel, vertical", "Laplace")
        assert kernel.signed == (name in differences or name.startswith("simple cell"))
    assert set(BORDERS) == {"zeros", "mirror", "edge"}


def test_a_simple_cell_answers_most_to_bars_of_its_own_direction():
    bars = {angle: np.cos(2 * np.pi * np.arange(9) / 5 - 8 * np.pi / 5) for angle in (0, 90)}
    pictures = {0: np.tile(bars[0], (9, 1)), 90: np.tile(bars[90], (9, 1)).T}
    for angle in (0, 90):
        kernel = gabor(angle)
        own, other = (float((kernel * pictures[turned]).sum()) for turned in (angle, 90 - angle))
        assert own > 3 * abs(other) and abs(kernel.sum()) < 1e-9 and np.abs(kernel).max() == 1
    np.testing.assert_allclose(gabor(90), gabor(0).T, atol=1e-12)
    np.testing.assert_allclose(gabor(45), gabor(45)[::-1, ::-1], atol=1e-12)


def test_signed_answers_have_gray_for_nothing():
    assert to_pixels(np.array([-20.0, 0.0, 10.0]), signed=True).tolist() == [1, 128, 192]
    assert to_pixels(np.array([-20.0, 12.6, 300.0]), signed=False).tolist() == [0, 13, 255]


def test_wrong_pictures_kernels_and_a_missing_opencv_are_said(monkeypatch):
    for arguments, words in [((PHOTO / 255, np.ones((3, 3))), "uint8"), ((PHOTO, np.ones(3)), "table of finite")]:
        with pytest.raises(BadInput, match=words):
            apply_kernel(*arguments)
    with pytest.raises(BadInput, match="zeros, mirror"):
        apply_kernel(PHOTO, np.ones((3, 3)), border="wrap")
    with pytest.raises(UnknownName, match="sharpen"):
        find_kernel("sharpn")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(CnnvizError, match="pip install opencv-python"):
        apply_kernel(PHOTO, np.ones((3, 3)))


@pytest.mark.parametrize("dtype, limit", [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_invariant_16_filters_are_brought_down_to_an_rms_of_a_tenth_and_then_stay(dtype, limit):
    kernels = images(6, (5, 5)).numpy().astype(dtype) * np.logspace(-3, 1, 6)[:, None, None, None].astype(dtype)
    found = rms_clip(kernels)
    for before, after in zip(kernels, found, strict=True):
        rms = np.sqrt(np.mean(before.astype(float) ** 2))
        if rms <= 0.1:
            np.testing.assert_array_equal(after, before)
        else:
            assert np.sqrt(np.mean(after.astype(float) ** 2)) == pytest.approx(0.1, rel=limit)
            np.testing.assert_allclose(after / 0.1, before / rms, rtol=10 * limit)
    np.testing.assert_array_equal(rms_clip(found), found)
    assert found.dtype == dtype


@pytest.mark.parametrize("name", SIGNAL_KERNELS)
@pytest.mark.parametrize("kind", SIGNALS)
def test_a_shifted_series_has_a_shifted_response(kind, name):
    x, kernel = make_signal(kind, 48), SIGNAL_KERNELS[name]
    for shift in (-50, -3, 0, 7):
        found = shift_signal(x, kernel, shift)
        slow = [max(0.0, sum(w * x[(i + t - len(kernel) // 2) % 48] for t, w in enumerate(kernel))) for i in range(48)]
        np.testing.assert_allclose(found.response, slow, atol=1e-12)
        np.testing.assert_allclose(found.response_shifted, np.roll(slow, shift), atol=1e-12)
        assert found.error < 1e-10


def test_a_stride_in_time_is_exact_at_its_multiples_only_and_ends_are_lost_without_a_circle():
    x = make_signal("noise", 48)
    errors = [shift_signal(x, (1.0, -1.0, 0.5), d, stride=3).error for d in range(7)]
    assert max(errors[0], errors[3], errors[6]) < 1e-10 < 0.1 < min(errors[1], errors[2], errors[4], errors[5])
    assert shift_signal(x, (1.0, -1.0, 0.5), 4, circular=False).error > 0.01


def test_pooling_in_time_keeps_more_values_in_place():
    found = shift_signal(make_signal("step"), (0.25, 0.5, 0.25), 1, pool=5)
    assert found.pooled_unchanged > found.unchanged
    assert shift_signal(make_signal("event"), (1.0,), 0).unchanged == 1.0
    with pytest.raises(BadInput, match="no longer than"):
        shift_signal(np.ones(3), np.ones(4), 1)
    with pytest.raises(BadInput, match="event"):
        make_signal("sound")


def test_a_response_that_appears_only_after_the_shift_has_an_infinite_relative_error():
    found = shift_signal(np.array([0, 1.0, 0, 0]), (1.0,), 1, stride=2)  # sampled away, then not
    assert not found.response.any() and found.response_shifted.any() and np.isinf(found.error)
    assert shift_signal(np.zeros(4), (1.0,), 1).error == 0
