"""Data sets that lie on disk already, in their publishers' own formats."""

import gzip
import pickle

import numpy as np
import pytest
from made_sets import cifar, digits, idx, mnist_files, python2_batch
from PIL import Image

from cnnviz.data.open import corpus
from cnnviz.data.public import public_sets
from cnnviz.errors import BadInput


@pytest.mark.parametrize("below", [".", "raw", "MNIST/raw"])
@pytest.mark.parametrize("form", ["plain", "dotted", "gz"])
def test_a_folder_of_idx_files_is_a_corpus_of_both_splits(tmp_path, below, form):
    raw = tmp_path / "data" / below
    raw.mkdir(parents=True)
    for name, data in mnist_files().items():
        if form == "dotted":
            name = name.replace("-idx", ".idx")
        (raw / (f"{name}.gz" if form == "gz" else name)).write_bytes(gzip.compress(data) if form == "gz" else data)
    found = corpus(tmp_path / "data")
    assert found.ids == [f"train/{i:05d}" for i in range(5)] + [f"test/{i:05d}" for i in range(3)]
    assert found.labels == [str(label) for seed, n in ((0, 5), (1, 3)) for label in digits(n, seed)[1]]
    np.testing.assert_array_equal(np.asarray(found.image(6))[..., 2], digits(3, 1)[0][1])


def test_idx_files_without_labels_are_images_and_damaged_ones_are_refused(tmp_path):
    images, labels = digits(4, 0)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(images))
    assert corpus(tmp_path).labels is None and len(corpus(tmp_path)) == 4
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(labels[:2]))
    with pytest.raises(BadInput, match="4 images.*2 labels"):
        corpus(tmp_path)
    for damaged in (idx(images)[:-1], idx(images)[:9], b"", idx(labels)):
        (tmp_path / "t10k-images-idx3-ubyte").write_bytes(damaged)
        with pytest.raises(BadInput, match="t10k-images"):
            corpus(tmp_path)


def test_the_real_digits_are_read(shared, tmp_path):
    sheet = np.asarray(Image.open(shared / "data/mnist/test_0.png"))
    images = sheet.reshape(-1, 28, 100, 28).transpose(0, 2, 1, 3).reshape(-1, 28, 28)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "t10k-images-idx3-ubyte").write_bytes(idx(np.ascontiguousarray(images)))
    found = corpus(tmp_path)
    assert len(found) == 3000
    np.testing.assert_array_equal(np.asarray(found.image(2999))[..., 0], sheet[-28:, -28:])


def test_a_batch_written_by_python_3_is_read_too(tmp_path):
    rows, labels = cifar(3, 0)
    for protocol in (2, 4):
        (tmp_path / "test_batch").write_bytes(pickle.dumps({"data": rows, "labels": labels}, protocol))
        pixels, answers = public_sets.read_batch(tmp_path / "test_batch")
        np.testing.assert_array_equal(pixels, rows.reshape(3, 3, 32, 32).transpose(0, 2, 3, 1))
        assert answers.tolist() == labels and corpus(tmp_path).ids[2] == "test/00002"


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_batch_runs_no_code(tmp_path):
    trap = {"data": Trap(str(tmp_path / "sprung")), "labels": []}
    (tmp_path / "test_batch").write_bytes(pickle.dumps(trap))
    with pytest.raises(BadInput, match="it would run"):
        corpus(tmp_path)
    assert not (tmp_path / "sprung").exists()
    for damaged in (b"", python2_batch(*cifar(2, 0))[:500], pickle.dumps({"data": [1, 2], "labels": [1]})):
        (tmp_path / "test_batch").write_bytes(damaged)
        with pytest.raises(BadInput, match="test_batch"):
            corpus(tmp_path)
