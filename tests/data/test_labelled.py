"""Labelled sets: class folders and IDX files, split alike every time, read safely, refused with reasons."""

from pathlib import Path

import numpy as np
import pytest
from idxfiles import idx
from PIL import Image

from cnnviz.data import images, labelled
from cnnviz.data.labelled import load_labelled, read_files
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.data.zipped import is_held_out
from cnnviz.errors import BadInput

GRAY = Preprocessing((8, 8), mean=(0.0,), std=(1.0,))
RGB = Preprocessing((8, 8))
CLASSES = ("ash", "birch")


def folders(root: Path, count: int = 60) -> Path:
    """`count` noise pictures a class; every one is different."""
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(root / name / f"{i:02d}.png")
    return root


def all_pixels(root: Path) -> dict[bytes, str]:
    return {np.asarray(Image.open(p)).tobytes(): p.parent.name for p in root.rglob("*.png")}


def idx_folder(root: Path, pixels: np.ndarray, labels: np.ndarray) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for prefix in ("train", "t10k"):
        (root / f"{prefix}-images-idx3-ubyte").write_bytes(idx(pixels))
        (root / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(labels))
    return root


def digits(count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 8, 8), dtype=np.uint8), rng.integers(0, 10, count, dtype=np.uint8)


def test_train_and_test_folders_are_taken_as_they_are(tmp_path):
    folders(tmp_path / "train", 3)
    folders(tmp_path / "val", 2)
    training, testing = (load_labelled(tmp_path, split, RGB) for split in ("train", "test"))
    assert (len(training), len(testing)) == (6, 4)
    assert training.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert training.class_names == list(CLASSES)
    for pixels, label in zip(training.pixels, training.labels, strict=True):
        assert all_pixels(tmp_path / "train")[pixels.tobytes()] == CLASSES[label]


def test_about_a_tenth_is_held_out_where_there_is_no_test_folder(tmp_path):
    folders(tmp_path)
    training, testing = (load_labelled(tmp_path, split, RGB) for split in ("train", "test"))
    here = [{p.tobytes() for p in part.pixels} for part in (training, testing)]
    assert not here[0] & here[1]
    assert here[0] | here[1] == set(all_pixels(tmp_path))
    assert 0.03 < len(testing) / 120 < 0.2


def test_what_is_held_out_depends_on_names_alone(tmp_path):
    first = load_labelled(folders(tmp_path / "a"), "test", RGB)
    for name in ("extra.png", "more.png"):
        Image.new("RGB", (8, 8), "red").save(tmp_path / "a" / "ash" / name)
    (tmp_path / "a").rename(tmp_path / "elsewhere")
    again = load_labelled(tmp_path / "elsewhere", "test", RGB)
    assert {p.tobytes() for p in first.pixels} <= {p.tobytes() for p in again.pixels}


def test_a_train_folder_without_a_test_folder_holds_out_its_own_tenth(tmp_path):
    folders(tmp_path / "set" / "train")
    plain = load_labelled(tmp_path / "set" / "train", "test", RGB)
    found = load_labelled(tmp_path / "set", "test", RGB)
    assert found.fingerprint == plain.fingerprint
    assert len(load_labelled(tmp_path / "set", "train", RGB)) + len(found) == 120


def test_too_few_images_to_hold_any_out_is_said(tmp_path):
    folders(tmp_path, 60)
    for path in tmp_path.rglob("*.png"):
        if int(path.stem) != 1 or is_held_out(path.parent.name, path.name):
            path.unlink()
    with pytest.raises(BadInput, match="too few to hold out a tenth.*data/test"):
        load_labelled(tmp_path, "test", RGB)


def test_one_class_alone_is_refused_with_an_example(tmp_path):
    folders(tmp_path / "train", 2)
    folders(tmp_path / "test", 2)
    for path in (tmp_path / "train" / "ash").iterdir():
        path.unlink()
    with pytest.raises(BadInput, match="holds 1 class with.*data/train/cat/1.jpg"):
        load_labelled(tmp_path, "train", RGB)


def test_what_is_no_folder_is_refused_with_the_alternatives(tmp_path):
    with pytest.raises(BadInput, match="nowhere.*class folders.*mnist, cifar10"):
        load_labelled(tmp_path / "nowhere", "train", RGB)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n broken"])
def test_an_unreadable_image_is_named_with_its_class(tmp_path, content):
    folders(tmp_path / "train", 2)
    folders(tmp_path / "test", 2)
    (tmp_path / "train" / "birch" / "broken.png").write_bytes(content)
    with pytest.raises(BadInput, match="birch/broken.png"):
        load_labelled(tmp_path, "train", RGB)


def test_hidden_files_and_other_files_are_passed_over(tmp_path):
    folders(tmp_path / "train", 2)
    folders(tmp_path / "test", 2)
    for name in ("._00.png", "notes.txt", ".DS_Store"):
        (tmp_path / "train" / "ash" / name).write_bytes(b"no image")
    (tmp_path / "train" / ".cache").mkdir()
    found = load_labelled(tmp_path, "train", RGB)
    assert len(found) == 4 and found.class_names == list(CLASSES)


def test_photographs_are_turned_upright_before_they_are_learnt(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, :4] = 255  # bright on the left as stored, on top when turned clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    (found,) = read_files([tmp_path / "turned.png"], RGB)
    assert (found[:4] == 255).all() and (found[4:] == 0).all()


def test_sixteen_bit_grays_keep_their_shades(tmp_path):
    ramp = (np.arange(64, dtype=np.uint16) * 1040).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    (found,) = read_files([tmp_path / "deep.png"], GRAY)
    assert np.abs(found[:, :, 0].astype(int) - np.rint(ramp / 257)).max() <= 1


def test_a_picture_too_large_to_decode_is_refused_by_its_header(tmp_path, monkeypatch):
    Image.new("L", (64, 64)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    with pytest.raises(BadInput, match="bomb.png.*million pixels"):
        read_files([tmp_path / "bomb.png"], GRAY)


def test_a_large_set_is_decoded_when_needed_and_equals_the_one_in_memory(tmp_path, monkeypatch):
    folders(tmp_path)
    kept = load_labelled(tmp_path, "train", RGB)
    monkeypatch.setattr(labelled, "IN_MEMORY", 0)
    lazy = load_labelled(tmp_path, "train", RGB)
    assert lazy.pixels is None and kept.pixels is not None
    rows = np.array([5, 0, len(lazy) - 1, 5])
    np.testing.assert_array_equal(lazy.batch(rows), kept.batch(rows))
    np.testing.assert_array_equal(lazy.labels, kept.labels)
    assert lazy.fingerprint == kept.fingerprint


def test_the_fingerprint_tells_changed_pixels_and_labels_apart(tmp_path):
    pixels, answers = digits()
    known = {load_labelled(idx_folder(tmp_path / "a", pixels, answers), "train", GRAY).fingerprint}
    known.add(load_labelled(idx_folder(tmp_path / "b", 255 - pixels, answers), "train", GRAY).fingerprint)
    known.add(load_labelled(idx_folder(tmp_path / "c", pixels, answers[::-1].copy()), "train", GRAY).fingerprint)
    assert len(known) == 3
    assert load_labelled(idx_folder(tmp_path / "d", pixels, answers), "train", GRAY).fingerprint in known


@pytest.mark.parametrize("below", ["", "MNIST/raw"])
def test_idx_files_are_found_and_read_as_stored(tmp_path, below):
    pixels, answers = digits()
    idx_folder(tmp_path / below, pixels, answers)
    found = load_labelled(tmp_path, "test", GRAY)
    np.testing.assert_array_equal(found.batch(np.arange(6))[..., 0], pixels)
    assert found.labels.tolist() == answers.tolist() and found.class_names == [str(i) for i in range(10)]


def test_idx_images_are_sized_for_the_network(tmp_path):
    pixels, answers = digits()
    found = load_labelled(idx_folder(tmp_path, pixels, answers), "train", Preprocessing((16, 16)))
    expected = np.stack([Preprocessing((16, 16)).receive(p) for p in pixels])
    np.testing.assert_array_equal(found.pixels, expected)


def test_idx_files_that_do_not_belong_together_are_refused(tmp_path):
    pixels, answers = digits()
    with pytest.raises(BadInput, match="6 images.*5 labels"):
        load_labelled(idx_folder(tmp_path / "a", pixels, answers[:5]), "train", GRAY)
    with pytest.raises(BadInput, match=r"shapes \(N, H, W\) and \(N,\)"):
        load_labelled(idx_folder(tmp_path / "b", pixels.reshape(-1), answers), "train", GRAY)
    with pytest.raises(BadInput, match="shapes"):
        load_labelled(idx_folder(tmp_path / "c", pixels[:0], answers[:0]), "train", GRAY)
    (tmp_path / "a" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(BadInput, match="lacks the test images or labels"):
        load_labelled(tmp_path / "a", "test", GRAY)


def test_the_first_images_of_each_class_are_trained_on_and_all_test_images_measured(tmp_path):
    folders(tmp_path / "train", 5)
    folders(tmp_path / "test", 3)
    (tmp_path / "train" / "ash" / "00.png").unlink()
    few = load_labelled(tmp_path, "train", RGB, per_class=2)
    whole = load_labelled(tmp_path, "train", RGB)
    assert list(few.labels) == [0, 0, 1, 1]
    np.testing.assert_array_equal(few.pixels, whole.pixels[[0, 1, 4, 5]])
    assert few.fingerprint != whole.fingerprint
    assert len(load_labelled(tmp_path, "test", RGB, per_class=2)) == 6
    more = load_labelled(tmp_path, "train", RGB, per_class=5)
    assert list(np.bincount(more.labels)) == [4, 5]  # all of a class that has fewer
    with pytest.raises(BadInput, match="at least 1, got -1"):
        load_labelled(tmp_path, "train", RGB, per_class=-1)


def test_few_digits_of_each_class_are_the_first_ones(tmp_path):
    pixels, _answers = digits(9)
    answers = np.array([3, 1, 3, 1, 1, 3, 0, 0, 0], np.uint8)
    found = load_labelled(idx_folder(tmp_path, pixels, answers), "train", GRAY, per_class=2)
    assert list(found.labels) == [3, 1, 3, 1, 0, 0]
    np.testing.assert_array_equal(found.pixels[..., 0], pixels[[0, 1, 2, 3, 6, 7]])
