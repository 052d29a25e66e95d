"""Many images: ids that stay, files that fail, uploads."""

import gc
import os
import pickle
from io import BytesIO

import numpy as np
import pytest
from made_pictures import archive, picture, pixels, png, tree
from PIL import Image

from cnnviz.data.images import image_sha256
from cnnviz.data.open import corpus
from cnnviz.errors import BadImage, BadInput, UnknownName


def test_a_folder_gives_its_images_under_their_relative_paths(tmp_path):
    tree(tmp_path, ["b/2.PNG", "b/10.png", "a/deep/er/1.jpeg", "top.webp"])
    for other in ("notes.txt", "b/data.csv", ".hidden.png", ".git/x.png"):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).write_bytes(png(9))
    found = corpus(tmp_path)
    assert found.ids == ["a/deep/er/1.jpeg", "b/10.png", "b/2.PNG", "top.webp"] and len(found) == 4
    np.testing.assert_array_equal(pixels(found, 2), picture(0))
    assert found.index("b/10.png") == 1 and found.image(1).mode == "RGB" and found.labels is None
    assert corpus(str(tmp_path)).ids == found.ids and corpus(found) is found


def test_ids_do_not_depend_on_the_order_in_which_a_file_system_lists(tmp_path, monkeypatch):
    names = ["Z.png", "a.png", "ä.png", "a-b/1.png", "a/1.png", "10.png", "9.png"]
    found = corpus(tree(tmp_path, names)).ids
    real = os.scandir

    class Backwards:
        def __init__(self, path):
            with real(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(os, "scandir", Backwards)
    assert corpus(tmp_path).ids == found == sorted(names, key=lambda name: name.encode())


def test_composed_and_decomposed_names_give_the_same_id(tmp_path):
    (tmp_path / "mac").mkdir()
    tree(tmp_path / "mac", ["u\u0308ber.png"])
    assert corpus(tmp_path / "mac").ids == ["\u00fcber.png"]
    assert corpus(tmp_path / "mac").image(0).size == (6, 6)


def test_names_that_are_no_unicode_get_ids_that_are(tmp_path):
    try:
        with open(os.fsencode(tmp_path) + b"/\xff.png", "wb") as file:
            file.write(png(0))
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    found = corpus(tmp_path)
    assert found.ids[0].encode() == rb"\xff.png"
    np.testing.assert_array_equal(pixels(found, 0), picture(0))


def test_links_that_run_in_circles_are_harmless(tmp_path):
    tree(tmp_path, ["real/1.png"])
    try:
        (tmp_path / "real" / "up").symlink_to(tmp_path, target_is_directory=True)
        (tmp_path / "again").symlink_to(tmp_path / "real", target_is_directory=True)
        (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    except OSError:
        pytest.skip("no symbolic links here")
    found = corpus(tmp_path)
    assert found.ids == ["real/1.png", "self.png"]
    assert [index for index, _id, _image in found.iterate()] == [0]


def test_a_folder_linked_from_elsewhere_is_read(tmp_path):
    outside = tree(tmp_path / "outside", ["1.png"])
    (tmp_path / "root").mkdir()
    try:
        (tmp_path / "root" / "link").symlink_to(outside, target_is_directory=True)
    except OSError:
        pytest.skip("no symbolic links here")
    assert corpus(tmp_path / "root").ids == ["link/1.png"]


def test_unreadable_files_among_good_ones_are_skipped_and_reported(tmp_path):
    tree(tmp_path, ["1.png", "2.png", "3.png", "4.png"])
    (tmp_path / "2.png").write_bytes(png(1)[:30])
    (tmp_path / "3.png").write_text("not a picture")
    found = corpus(tmp_path)
    assert [(index, image_id) for index, image_id, _image in found.iterate()] == [(0, "1.png"), (3, "4.png")]
    assert [image_id for image_id, _reason in found.skipped] == ["2.png", "3.png"]
    assert "damaged" in found.skipped[0][1] and "holds text" in found.skipped[1][1]
    with pytest.raises(BadImage, match="2.png"):
        found.image(1)
    assert len(found.skipped) == 2 and len(found) == 4


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path, monkeypatch):
    tree(tmp_path, ["open/1.png", "shut/2.png"])
    real = os.scandir

    def guarded(path):  # permissions do not bind the superuser, who often runs tests
        if os.path.basename(path) == "shut":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", guarded)
    found = corpus(tmp_path)
    assert found.ids == ["open/1.png"]
    assert found.skipped == [("shut/", "The folder cannot be listed: Permission denied.")]


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["cat/1.png", "dog/a/1.png"], ["cat", "dog"]),
        (["test/cat/1.png", "train/cat/1.png", "train/dog/2.png"], ["cat", "cat", "dog"]),
        (["set/train/cat/1.png", "set/train/dog/1.png"], ["cat", "dog"]),
        (["1.png", "cat/1.png"], None),
        (["holiday/1.png", "holiday/2.png"], None),
        (["train/1.png", "val/cat/1.png"], None),
    ],
)
def test_labels_are_class_folders_below_splits_and_wrappers(tmp_path, paths, labels):
    found = corpus(tree(tmp_path, paths))
    assert found.ids == paths and found.labels == labels
    assert found.classes == (None if labels is None else sorted(set(labels)))
    zipped = archive(tmp_path / "x.zip", {path: png(0) for path in reversed(paths)})
    assert corpus(zipped).ids == paths and corpus(zipped).labels == labels


def test_a_limit_takes_the_first_or_the_same_number_of_each_class(tmp_path):
    assert corpus(tree(tmp_path / "plain", ["1.png", "2.png", "3.png"]), limit=2).ids == ["1.png", "2.png"]
    tree(tmp_path / "sets", [f"{name}/{i}.png" for name in "abc" for i in range(4)])
    few = corpus(tmp_path / "sets", limit=5)
    assert few.ids == ["a/0.png", "a/1.png", "b/0.png", "b/1.png", "c/0.png"]
    assert few.labels == ["a", "a", "b", "b", "c"] and few.classes == ["a", "b", "c"]
    np.testing.assert_array_equal(pixels(few, 4), picture(8))
    assert len(corpus(tmp_path / "sets", limit=99)) == 12
    (tmp_path / "sets" / "a" / "0.png").write_text("broken")
    assert [image_id for _i, image_id, _image in few.iterate()] == few.ids[1:]
    assert few.skipped[0][0] == "a/0.png"
    with pytest.raises(BadInput, match="limit"):
        corpus(tmp_path / "sets", limit=0)


def test_the_fingerprint_changes_with_ids_contents_and_choice_alone(tmp_path):
    tree(tmp_path, ["1.png", "2.png", "3.png"])
    first = corpus(tmp_path).fingerprint
    assert corpus(tmp_path).fingerprint == first and len(first) == 64
    assert corpus(tmp_path, limit=2).fingerprint != first
    os.utime(tmp_path / "1.png", ns=(1, 1))
    touched = corpus(tmp_path).fingerprint
    (tmp_path / "1.png").rename(tmp_path / "0.png")
    assert len({first, touched, corpus(tmp_path).fingerprint}) == 3
    one, two = (corpus(archive(tmp_path / f"{n}.zip", {"1.png": png(n)})) for n in (1, 2))
    again = corpus(archive(tmp_path / "again.zip", {"1.png": png(1)}))
    assert one.fingerprint == again.fingerprint != two.fingerprint


def test_reading_leaves_no_file_open(tmp_path):
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("open files cannot be counted here")
    tree(tmp_path, ["1.png", "2.png"])
    (tmp_path / "2.png").write_bytes(png(1)[:40])
    zipped = archive(tmp_path / "x.zip", {"1.png": png(0), "2.png": b"broken"})
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    kept = [list(corpus(source).iterate()) for source in (tmp_path, zipped)]
    assert len(os.listdir("/proc/self/fd")) == before and len(kept[0]) == len(kept[1]) == 1


def test_every_kind_of_corpus_survives_pickling(tmp_path):
    tree(tmp_path / "f", ["a/1.png", "b/2.png"])
    zipped = archive(tmp_path / "x.zip", {"1.png": png(0), "2.png": png(1)})
    for found in (
        corpus(tmp_path / "f"),
        corpus(zipped),
        corpus([("a", png(0)), ("b", png(1))]),
        corpus(tmp_path / "f", limit=1),
        corpus("samples", limit=3),
        corpus("digits", limit=3),
    ):
        copy = pickle.loads(pickle.dumps(found))
        assert (copy.ids, copy.labels, copy.fingerprint) == (found.ids, found.labels, found.fingerprint)
        np.testing.assert_array_equal(pixels(copy, 0), pixels(found, 0))


def test_uploads_are_known_by_their_contents_not_their_names():
    found = corpus([("../../etc/x.png", png(0)), ("b.png", png(1)), ("copy of x.png", png(0))])
    assert found.ids == [image_sha256(png(0))[:12], image_sha256(png(1))[:12]]
    np.testing.assert_array_equal(pixels(found, 1), picture(1))
    assert corpus([("other", png(0)), ("order", png(1))]).fingerprint == found.fingerprint
    assert corpus(("one", png(0))).ids == corpus(png(0)).ids == corpus([BytesIO(png(0))]).ids == found.ids[:1]


def test_broken_uploads_are_reported_like_files():
    found = corpus([("good.png", png(0)), ("bad.png", b"nonsense")])
    assert [index for index, _id, _image in found.iterate()] == [0]
    assert found.skipped[0][0] == image_sha256(b"nonsense")[:12]


def test_pil_images_and_arrays_are_images():
    first, second = picture(0), picture(1)
    found = corpus([Image.fromarray(first), second])
    for index, expected in enumerate((first, second)):
        np.testing.assert_array_equal(pixels(found, index), expected)
    assert found.ids == corpus(np.stack([first, second])).ids
    assert len(corpus(first)) == len(corpus(Image.fromarray(first))) == 1
    assert len(set(corpus([np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8)]).ids)) == 2
    with pytest.raises(BadInput, match="uint8"):
        corpus([np.zeros((3, 3, 3))])


def test_a_list_of_files_keeps_its_order_and_one_file_is_a_corpus(tmp_path):
    tree(tmp_path, ["b/2.png", "a/1.png"])
    found = corpus([tmp_path / "b/2.png", str(tmp_path / "a/1.png"), tmp_path / "b/2.png"])
    assert found.ids == ["b/2.png", "a/1.png"]
    assert corpus(tmp_path / "a/1.png").ids == ["1.png"]
    with pytest.raises(BadInput, match="does not exist"):
        corpus([tmp_path / "b/2.png", tmp_path / "none.png"])
    with pytest.raises(BadInput, match="not both"):
        corpus([tmp_path / "b/2.png", png(0)])


def test_what_is_no_corpus_is_refused_with_a_hint(tmp_path):
    with pytest.raises(UnknownName, match="Closest: samples"):
        corpus("sample")
    with pytest.raises(UnknownName, match="Closest: cifar10"):
        corpus("cifar-10")
    for missing in (tmp_path / "none", "./none", "none.zip", "~/no/such/folder"):
        with pytest.raises(BadInput, match="does not exist"):
            corpus(missing)
    (tmp_path / "notes.txt").write_text("hello")
    for empty in (tmp_path, [], archive(tmp_path / "e.zip", {"a.txt": b"x"})):
        with pytest.raises(BadInput, match="holds no images"):
            corpus(empty)
    with pytest.raises(BadInput, match="got int"):
        corpus(7)
    with pytest.raises(BadImage, match="holds text"):
        corpus(tmp_path / "notes.txt").image(0)


def test_indices_and_ids_outside_the_corpus_are_refused(tmp_path):
    found = corpus(tree(tmp_path, ["cat.png"]))
    for index in (-1, 1):
        with pytest.raises(BadInput, match="images 0 to 0"):
            found.image(index)
    with pytest.raises(UnknownName, match="Closest: cat.png"):
        found.index("cap.png")


def test_a_photograph_lying_on_its_side_stands_upright_from_its_file_and_as_a_pil_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), "red").save(tmp_path / "e.jpg", exif=exif)
    path = tmp_path / "e.jpg"
    for source in ([path], [Image.open(path)], Image.open(path), [path.read_bytes()]):
        assert corpus(source).image(0).size == (20, 40)
