"""scikit-learn's handwritten digits: read from its file, split alike every time, refused in words without it."""

import gzip
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnviz.data.labelled import load_labelled
from cnnviz.data.preprocessing import MNIST_MEAN, MNIST_STD, Preprocessing
from cnnviz.data.public import handwritten
from cnnviz.errors import BadInput, CnnvizError

GRAY = Preprocessing((28, 28), mean=MNIST_MEAN, std=MNIST_STD)
RGB = Preprocessing((32, 32))


def write(home: Path, text: str) -> None:
    (home / "datasets" / "data").mkdir(parents=True, exist_ok=True)
    with gzip.open(home / "datasets" / "data" / "digits.csv.gz", "wt") as file:
        file.write(text)


def find_at(home: Path | None, monkeypatch) -> None:
    """Have the package found in this folder, or nowhere."""
    spec = ModuleSpec("sklearn", None, is_package=True)
    if home is not None:
        spec.submodule_search_locations.append(str(home))
    monkeypatch.setattr(handwritten, "find_spec", lambda name: spec if home is not None else None)
    handwritten._read.cache_clear()


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A package that lies where scikit-learn would, with 50 digits: pixels and labels."""
    rng = np.random.default_rng(0)
    table = np.concatenate([rng.integers(0, 17, (50, 64)), rng.permutation(np.arange(50) % 10)[:, None]], 1)
    write(tmp_path, "\n".join(",".join(map(str, row)) for row in table))
    find_at(tmp_path, monkeypatch)
    yield table[:, :-1].reshape(-1, 8, 8), table[:, -1]
    handwritten._read.cache_clear()


def test_every_fifth_is_a_test_image_and_pixels_fill_the_range_and_the_networks_input(made):
    pixels, labels = made
    for split, rows in (("train", [i for i in range(50) if i % 5 != 4]), ("test", list(range(4, 50, 5)))):
        found = load_labelled("digits", split, GRAY)
        assert found.labels.tolist() == labels[rows].tolist() and found.class_names == [str(n) for n in range(10)]
        for place, row in enumerate(rows[:5]):
            small = Image.fromarray(np.rint(pixels[row] * 255 / 16).astype(np.uint8))
            large = small.resize((28, 28), Image.Resampling.BILINEAR)
            np.testing.assert_array_equal(found.pixels[place, :, :, 0], np.asarray(large))
    assert load_labelled("digits", "train", RGB).pixels.shape == (40, 32, 32, 3)
    few = load_labelled("digits", "train", GRAY, per_class=2)
    assert np.bincount(few.labels).max() == 2 and len(load_labelled("digits", "test", GRAY, per_class=2)) == 10


def test_without_the_package_the_command_is_named(monkeypatch):
    find_at(None, monkeypatch)
    assert not handwritten.is_installed()
    with pytest.raises(CnnvizError, match="pip install"):
        load_labelled("digits", "train", GRAY)


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b", ",".join(["99"] * 65), ",".join(["-1"] * 65)])
def test_a_damaged_file_is_refused(tmp_path, monkeypatch, text):
    write(tmp_path, text)
    find_at(tmp_path, monkeypatch)
    with pytest.raises(BadInput, match="Install scikit-learn again"):
        handwritten.read_handwritten("train")


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="scikit-learn is not installed")
def test_the_real_ones_are_1797_with_the_published_counts_and_nothing_is_imported():
    handwritten._read.cache_clear()
    before = "sklearn" in sys.modules
    train, test = (load_labelled("digits", split, GRAY) for split in ("train", "test"))
    counts = np.bincount(train.labels) + np.bincount(test.labels)
    assert (len(train), len(test)) == (1438, 359)
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert ("sklearn" in sys.modules) == before
