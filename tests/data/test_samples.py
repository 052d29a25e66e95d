"""Samples are there at once, offline, and never change."""

import hashlib
import os
import pathlib
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from cnnviz.data import samples
from cnnviz.data.open import corpus
from cnnviz.errors import BadInput, CnnvizError, UnknownName


def test_samples_need_no_network_and_import_neither_skimage_nor_torch():
    script = """
import socket, sys
def refuse(*_args, **_kwargs): raise AssertionError("a connection was tried")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from cnnviz.data.open import corpus
for index, _id, _image in corpus("samples").iterate(): pass
assert index + 1 == len(corpus("samples")) and corpus("digits").image(0)
print(sorted({"skimage", "torch", "torchvision", "pooch"} & set(sys.modules)))
"""
    got = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=dict(os.environ))
    assert got.stdout.strip() == "[]", got.stderr


def test_there_are_hundreds_of_samples_whole_photographs_first():
    found, names = corpus("samples"), samples.sample_names()
    assert 300 <= len(found) <= 600 and len(set(found.ids)) == len(found)
    assert found.ids[: len(names)] == names and names[0] == "astronaut"
    assert {"astronaut", "chelsea", "coffee", "rocket", "camera", "coins", "horse", "page"} <= set(names)
    assert found.labels is None and not found.skipped
    counts = Counter(image_id.split("/")[0] for image_id in found.ids)
    assert min(counts[name] for name in ("astronaut", "chelsea", "coffee", "rocket")) >= 30


def test_the_samples_are_the_photographs_of_scikit_image():
    from skimage import data

    np.testing.assert_array_equal(np.asarray(samples.sample_photo("astronaut")), data.astronaut())
    np.testing.assert_array_equal(np.asarray(samples.sample_photo("chelsea")), data.chelsea())
    np.testing.assert_array_equal(np.asarray(samples.sample_photo("camera"))[..., 1], data.camera())
    np.testing.assert_array_equal(pixels_of("coffee"), data.coffee())


def pixels_of(image_id):
    found = corpus("samples")
    return np.asarray(found.image(found.index(image_id)))


@pytest.mark.parametrize("name", ["astronaut", "page"])
def test_each_crop_is_a_distinct_square_of_its_photograph(name):
    found, whole = corpus("samples"), np.asarray(samples.sample_photo(name)).astype(int)
    crops = [image_id for image_id in found.ids if image_id.startswith(f"{name}/")]
    assert crops[:2] == [f"{name}/00", f"{name}/01"]
    seen = set()
    for number, image_id in enumerate(crops):
        crop = pixels_of(image_id).astype(int)
        assert crop.shape[0] == crop.shape[1] >= 96
        if name == "astronaut" and number % 2:
            crop = crop[:, ::-1]
        rows, columns = (whole.shape[axis] - crop.shape[0] + 1 for axis in (0, 1))
        corners = np.argwhere((whole[:rows, :columns] == crop[0, 0]).all(-1))
        matches = [(y, x) for y, x in corners if np.array_equal(whole[y : y + len(crop), x : x + len(crop)], crop)]
        assert matches, f"{image_id} is not part of the photograph"
        seen.add((len(crop), *matches[0]))
    assert len(seen) == len(crops)


def test_samples_are_the_same_each_time():
    first, second = samples.SampleCorpus(), samples.SampleCorpus()
    assert first.ids == second.ids and first.fingerprint == second.fingerprint
    hashes = [hashlib.sha256(c.image(100).tobytes()).hexdigest() for c in (first, second)]
    assert hashes[0] == hashes[1]


def test_a_caller_may_draw_on_a_sample_without_spoiling_it():
    before = pixels_of("coffee")
    samples.sample_photo("coffee").paste("red", (0, 0, 50, 50))
    corpus("samples").image(corpus("samples").index("coffee")).paste("red", (0, 0, 50, 50))
    np.testing.assert_array_equal(pixels_of("coffee"), before)


def test_photographs_that_a_scikit_image_lacks_are_left_out(tmp_path, monkeypatch):
    data = tmp_path / "skimage" / "data"
    data.mkdir(parents=True)
    for file in ("astronaut.png", "page.png"):
        (data / file).write_bytes((samples._find_folder() / file).read_bytes())
    monkeypatch.setattr(samples, "_find_folder", lambda: data)
    samples._list_photos.cache_clear()
    try:
        assert samples.sample_names() == ["astronaut", "page"]
        assert all(image_id.split("/")[0] in ("astronaut", "page") for image_id in corpus("samples").ids)
    finally:
        monkeypatch.undo()
        samples._list_photos.cache_clear()


def test_a_missing_scikit_image_says_what_to_install(monkeypatch):
    monkeypatch.setattr(samples, "find_spec", lambda _name: None)
    samples._find_folder.cache_clear()
    with pytest.raises(CnnvizError, match="pip install 'scikit-image"):
        samples._find_folder()


def test_an_unknown_photograph_is_answered_with_close_names():
    with pytest.raises(UnknownName, match="Closest: astronaut"):
        samples.sample_photo("astronut")


def test_digits_are_white_on_black_in_the_middle():
    found = corpus("digits")
    assert len(found) == 10 * samples.VARIANTS and found.classes == [str(i) for i in range(10)]
    assert found.ids[:2] == ["digit-0/00", "digit-1/00"]
    drawn = set()
    for index, image_id, image in found.iterate():
        pixels = np.asarray(image).astype(float)[..., 0]
        assert image.mode == "RGB" and pixels.shape == (28, 28)
        assert image_id.startswith(f"digit-{found.labels[index]}/")
        assert pixels.max() > 200 and not pixels[[0, -1]].any() and not pixels[:, [0, -1]].any()
        centre = [(pixels.sum(axis) @ (np.arange(28) + 0.5)) / pixels.sum() for axis in (0, 1)]
        assert np.abs(np.array(centre) - 14).max() < 1.2
        lit = np.flatnonzero(pixels.max(1) > 100)
        assert 14 <= lit[-1] - lit[0] + 1 <= 25
        drawn.add(pixels.tobytes())
    assert len(drawn) == len(found)


def test_digits_are_the_same_each_time_and_only_ten():
    seven, again, eight = (samples.draw_digit(3, variant).tobytes() for variant in (7, 7, 8))
    assert seven == again != eight
    for wrong in (-1, 10):
        with pytest.raises(BadInput, match="0 to 9"):
            samples.draw_digit(wrong)
    with pytest.raises(BadInput):
        samples.draw_digit(1, -1)


def test_drawn_digits_look_like_handwritten_ones(shared: pathlib.Path):
    """Of 3,000 real digits the nearest one (cosine) nearly always shows the same number.

    Only for numbers whose printed and written shapes agree: the font's 1 has a flag."""
    sheet = np.asarray(Image.open(shared / "data/mnist/test_0.png"))
    digits = sheet.reshape(-1, 28, 100, 28).transpose(0, 2, 1, 3).reshape(-1, 784).astype(float)
    digits /= np.linalg.norm(digits, axis=1, keepdims=True)
    labels = np.loadtxt(shared / "data/mnist/labels.txt", dtype=int)[60000:]
    for number in (0, 2, 3, 7):
        drawn = [np.asarray(samples.draw_digit(number, v))[..., 0].ravel() for v in range(samples.VARIANTS)]
        nearest = labels[np.argmax(np.stack(drawn) @ digits.T, axis=1)]
        assert np.mean(nearest == number) >= 0.8
