"""Class folders in a zip are the set that the same folders are, however they are packed."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from made_folders import class_folders

from cnnviz.data.labelled import load_labelled
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput

RGB = Preprocessing((8, 8))


def pack(folder: Path, archive: Path, below: str = "") -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*.png")):
            file.write(path, below + path.relative_to(folder).as_posix())
    return archive


@pytest.mark.parametrize("below", ["", "mine/", "a/b/"])
@pytest.mark.parametrize("splits", [{"all": 60}, {"train": 20, "test": 10}, {"train": 60}, {"train": 12, "val": 8}])
def test_a_zip_gives_the_images_labels_and_splits_of_the_folder(tmp_path, splits, below):
    folder = class_folders(tmp_path / "set", **splits)
    archive = pack(folder, tmp_path / "set.zip", below)
    for split in ("train", "test"):
        ours, theirs = load_labelled(archive, split, RGB), load_labelled(folder, split, RGB)
        assert ours.class_names == theirs.class_names and ours.split == theirs.split
        order = np.lexsort((ours.pixels.sum((1, 2, 3)), ours.labels))
        other = np.lexsort((theirs.pixels.sum((1, 2, 3)), theirs.labels))
        assert ours.labels[order].tolist() == theirs.labels[other].tolist()
        np.testing.assert_array_equal(ours.pixels[order], theirs.pixels[other])
    assert np.bincount(load_labelled(archive, "train", RGB, per_class=3).labels).tolist() == [3, 3]


def test_a_zip_without_classes_without_test_images_or_damaged_is_refused_in_words(tmp_path):
    flat = pack(class_folders(tmp_path / "one", all=4) / "lying", tmp_path / "flat.zip")
    with pytest.raises(BadInput, match="at least two class folders"):
        load_labelled(flat, "train", RGB)
    few = pack(class_folders(tmp_path / "few", train=4), tmp_path / "few.zip")
    with pytest.raises(BadInput, match="no test images"):
        load_labelled(few, "test", RGB)
    strange = class_folders(tmp_path / "strange", train=4, test=4)
    (strange / "test" / "lying").rename(strange / "test" / "flying")
    with pytest.raises(BadInput, match="not trained: flying"):
        load_labelled(pack(strange, tmp_path / "strange.zip"), "test", RGB)
    (tmp_path / "damaged.zip").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(BadInput, match="zip"):
        load_labelled(tmp_path / "damaged.zip", "train", RGB)
