"""Public data sets: real transfers over loopback, torchvision's own layout, nothing half written."""

import gzip
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import made_sets
import numpy as np
import pytest
from made_sets import cifar, cifar_files, digits, flowers_files, imagenette_files, mnist_files, tar

from cnnviz.data.class_names import CIFAR10
from cnnviz.data.images import SUFFIXES
from cnnviz.data.labelled import load_labelled
from cnnviz.data.open import corpus
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.data.public import public_files, public_sets
from cnnviz.data.public.flowers import CLASSES as FLOWER_NAMES
from cnnviz.data.public.public_files import SETS, Archive, PublicSet
from cnnviz.errors import BadInput, Offline, UnknownName


class Quiet(SimpleHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self):
        self.asked.append(self.path)
        if self.path.startswith("/broken/"):
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"x" * 100)
            return
        super().do_GET()

    def log_message(self, *_args):
        pass


@pytest.fixture
def server(tmp_path):
    """A classroom server: (folder that it serves, its address, paths it was asked for)."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = type("Handler", (Quiet,), {"asked": []})
    service = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=service.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{service.server_port}", handler.asked
    service.shutdown()
    service.server_close()
    thread.join()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_DATA", str(tmp_path / "cache"))
    monkeypatch.delenv("CNNVIZ_DATA_MIRROR", raising=False)
    return tmp_path / "cache"


def publish(monkeypatch, folder, name, files):
    """Serve made-up archives under the real file names, their md5 in place of the published ones."""
    archives = []
    for real in SETS[name].archives:
        if name == "flowers":
            data = files[real.file]
        else:
            data = gzip.compress(files[real.file.removesuffix(".gz")]) if name == "mnist" else tar(files)
        (folder / real.file).write_bytes(data)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        archives.append(Archive(f"http://127.0.0.1:9/{real.file}", md5, len(data)))
    monkeypatch.setitem(SETS, name, PublicSet(SETS[name].title, SETS[name].folder, tuple(archives)))


def test_addresses_and_checksums_are_torchvisions():
    from torchvision import datasets

    (cifar10,) = SETS["cifar10"].archives
    assert (cifar10.url, cifar10.md5) == (datasets.CIFAR10.url, datasets.CIFAR10.tgz_md5)
    assert SETS["cifar10"].folder == datasets.CIFAR10.base_folder
    assert [(a.file, a.md5) for a in SETS["mnist"].archives] == datasets.MNIST.resources
    assert all(a.url.startswith(tuple(datasets.MNIST.mirrors)) for a in SETS["mnist"].archives)
    (imagenette,) = SETS["imagenette"].archives
    assert (imagenette.url, imagenette.md5) == datasets.Imagenette._ARCHIVES["160px"]
    flowers = {archive.file: (archive.url, archive.md5) for archive in SETS["flowers"].archives}
    prefix = datasets.Flowers102._download_url_prefix
    assert flowers == {file: (prefix + file, md5) for file, md5 in datasets.Flowers102._file_dict.values()}
    names = {wnid: words[0] for wnid, words in datasets.Imagenette._WNID_TO_CLASS.items()}
    assert public_sets.IMAGENETTE == names


@pytest.mark.parametrize("place", ["address", "folder"])
def test_cifar10_is_fetched_once_and_read_like_the_published_archive(server, home, monkeypatch, place):
    folder, address, asked = server
    publish(monkeypatch, folder, "cifar10", cifar_files())
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", address if place == "address" else str(folder))
    seen = []
    assert not public_files.is_here("cifar10")
    found = corpus("cifar10", progress=lambda done, total: seen.append((done, total)))
    test = corpus("cifar10-test")
    assert public_files.is_here("cifar10-test")
    assert asked == (["/cifar-10-python.tar.gz"] if place == "address" else [])
    assert seen[-1] == (SETS["cifar10"].size,) * 2
    assert found.ids[0] == "train/00000" and found.ids[-1] == "train/00009" and len(found) == 10
    assert test.ids == ["test/00000", "test/00001"] and test.classes == CIFAR10
    for got, index, seed, row in ((found, 0, 0, 0), (found, 9, 4, 1), (test, 1, 5, 1)):
        rows, labels = cifar(2, seed)
        image = np.asarray(got.image(index))
        for y, x in ((0, 0), (3, 31), (31, 7)):
            assert tuple(image[y, x]) == tuple(rows[row][[32 * y + x + 1024 * c for c in range(3)]])
        assert got.labels[index] == CIFAR10[labels[row]]
    left = {path.name for path in home.rglob("*")}
    assert "escaped" not in left and "link" not in left and "cifar-10-python.tar.gz" not in left
    assert not any(path.name.startswith(".") for path in home.iterdir())
    assert not (home.parent / "escaped").exists()


def test_mnist_is_fetched_with_one_progress_over_its_four_files(server, home, monkeypatch):
    folder, address, asked = server
    publish(monkeypatch, folder, "mnist", mnist_files())
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", f"{address}/")
    seen = []
    found = corpus("mnist", progress=lambda done, total: seen.append((done, total)))
    assert len(asked) == 4 and seen == sorted(seen) and {total for _, total in seen} == {SETS["mnist"].size}
    assert seen[-1][0] == SETS["mnist"].size
    images, labels = digits(3, 1)
    test = corpus("mnist-test")
    assert found.ids[-1] == "train/00004" and test.labels == [str(label) for label in labels]
    np.testing.assert_array_equal(np.asarray(test.image(2)), np.repeat(images[2][..., None], 3, 2))
    assert len(asked) == 4


def test_torchvision_reads_what_was_fetched(server, home, monkeypatch):
    from torchvision.datasets import MNIST

    folder, address, _asked = server
    publish(monkeypatch, folder, "mnist", mnist_files())
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", address)
    found, theirs = corpus("mnist"), MNIST(str(home))
    for index, (image, label) in enumerate(theirs):
        np.testing.assert_array_equal(np.asarray(found.image(index))[..., 0], np.asarray(image))
        assert found.labels[index] == str(label)


def test_imagenette_has_class_names_and_both_splits(server, home, monkeypatch):
    folder, address, _asked = server
    publish(monkeypatch, folder, "imagenette", imagenette_files())
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", address)
    found = corpus("imagenette")
    assert found.ids == ["train/n01440764/b.JPEG", "train/n03888257/a.JPEG"]
    assert found.labels == ["tench", "parachute"] and len(found.classes) == 10
    assert found.image(1).getpixel((4, 4)) == (80, 80, 80)
    assert corpus("imagenette-val").labels == ["chain saw"]


def test_flowers_have_their_authors_splits_and_names_as_torchvision_reads_them(server, home, monkeypatch):
    from torchvision.datasets import Flowers102

    folder, address, asked = server
    publish(monkeypatch, folder, "flowers", flowers_files())
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", address)
    seen = []
    assert not public_files.is_here("flowers")
    found = corpus("flowers", progress=lambda done, total: seen.append((done, total)))
    assert sorted(asked) == ["/102flowers.tgz", "/imagelabels.mat", "/setid.mat"]
    assert seen == sorted(seen) and seen[-1] == (SETS["flowers"].size,) * 2
    assert found.ids == ["jpg/image_00001.jpg", "jpg/image_00003.jpg"]
    assert found.labels == ["pink primrose", "hard-leaved pocket orchid"]
    assert len(found.classes) == len(set(found.classes)) == 102
    assert found.image(1).getpixel((4, 4)) == (120, 120, 120)
    assert corpus("flowers-val").labels == ["blackberry lily", "pink primrose"]
    assert corpus("flowers-test").labels == ["hard-leaved pocket orchid", "sunflower"] and len(asked) == 3
    monkeypatch.setattr(Flowers102, "_check_integrity", lambda self: True)  # of the published files
    for split, name in (("train", "flowers"), ("val", "flowers-val"), ("test", "flowers-test")):
        ours, theirs = corpus(name), Flowers102(str(home), split)
        known = {path.name: label for path, label in zip(theirs._image_files, theirs._labels, strict=True)}
        own = {i.rpartition("/")[2]: FLOWER_NAMES.index(n) for i, n in zip(ours.ids, ours.labels, strict=True)}
        assert own == known


def test_flowers_are_trained_on_by_name_and_by_folder(server, home, monkeypatch):
    folder, address, _asked = server
    publish(monkeypatch, folder, "flowers", flowers_files())
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", address)
    named = load_labelled("flowers", "test", Preprocessing((8, 8)))
    again = load_labelled(home / "flowers-102", "test", Preprocessing((8, 8)))
    assert named.class_names == FLOWER_NAMES and list(named.labels) == [1, 53]
    assert [int(pixels.mean()) for pixels in named.pixels] == [160, 200]
    assert again.fingerprint == named.fingerprint
    (home / "flowers-102" / "jpg" / "image_00004.jpg").unlink()
    with pytest.raises(BadInput, match="lacks image_00004.jpg"):
        load_labelled("flowers", "test", Preprocessing((8, 8)))
    (home / "flowers-102" / "setid.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(BadInput, match="setid.mat"):
        load_labelled("flowers", "train", Preprocessing((8, 8)))


@pytest.mark.parametrize(
    "broken", [{"labels": [1, 2]}, {"labels": [1, 103, 2, 2, 0]}, {"tstid": []}, {"tstid": [0, 6]}]
)
def test_tables_that_number_what_is_not_there_are_refused(server, home, monkeypatch, broken):
    folder, address, _asked = server
    monkeypatch.setattr(made_sets, "FLOWERS", made_sets.FLOWERS | broken)
    publish(monkeypatch, folder, "flowers", flowers_files())
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", address)
    with pytest.raises(BadInput, match="Flowers-102"):
        corpus("flowers-test")


def test_a_line_that_breaks_between_the_files_of_flowers_leaves_it_to_be_fetched_again(server, home, monkeypatch):
    folder, address, _asked = server
    publish(monkeypatch, folder, "flowers", flowers_files())
    table = (folder / "setid.mat").read_bytes()
    (folder / "setid.mat").unlink()
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", address)
    with pytest.raises(Offline, match="setid.mat.*CNNVIZ_DATA_MIRROR"):
        corpus("flowers")
    assert not public_files.is_here("flowers")
    (folder / "setid.mat").write_bytes(table)
    assert len(corpus("flowers")) == 2


def test_imagenette_is_trained_on_with_the_names_of_its_classes(server, home, monkeypatch):
    folder, address, _asked = server
    publish(monkeypatch, folder, "imagenette", imagenette_files())
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", address)
    found = load_labelled("imagenette", "train", Preprocessing((8, 8)))
    assert found.class_names == ["tench", "parachute"] and list(found.labels) == [0, 1]


def test_offline_names_the_file_and_where_to_put_it(home, monkeypatch, tmp_path):
    made = tar(cifar_files())
    md5 = hashlib.md5(made, usedforsecurity=False).hexdigest()
    nowhere = Archive("http://127.0.0.1:9/cifar-10-python.tar.gz", md5, len(made))
    monkeypatch.setitem(SETS, "cifar10", PublicSet("CIFAR-10", "cifar-10-batches-py", (nowhere,)))
    with pytest.raises(Offline, match=f"127.0.0.1:9.*cifar-10-python.tar.gz.*{md5}.*CNNVIZ_DATA_MIRROR") as raised:
        corpus("cifar10")
    assert str(home) in str(raised.value)
    (home / "cifar-10-python.tar.gz").write_bytes(made)
    assert len(corpus("cifar10")) == 10
    assert (home / "cifar-10-python.tar.gz").exists()  # it is the user's, not ours to remove
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", str(tmp_path / "empty"))
    with pytest.raises(Offline, match="train-images-idx3-ubyte.gz"):
        corpus("mnist")


def test_a_wrong_checksum_or_a_broken_line_leaves_nothing_behind(server, home, monkeypatch):
    folder, address, _asked = server
    publish(monkeypatch, folder, "cifar10", cifar_files())
    path = folder / "cifar-10-python.tar.gz"
    path.write_bytes(path.read_bytes() + b"more")
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", address)
    with pytest.raises(BadInput, match="md5"):
        corpus("cifar10")
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", f"{address}/broken")
    with pytest.raises(Offline, match="broke"):
        corpus("cifar10")
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", f"{address}/absent")
    with pytest.raises(Offline, match="404"):
        corpus("cifar10")
    assert not list(home.iterdir()) and not public_files.is_here("cifar10")


def test_cancelling_a_download_leaves_nothing_behind(server, home, monkeypatch):
    folder, address, _asked = server
    publish(monkeypatch, folder, "mnist", mnist_files())
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", address)

    def cancel(_done, _total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corpus("mnist", progress=cancel)
    assert not [path for path in home.rglob("*") if path.is_file()]
    assert len(corpus("mnist")) == 5


def test_two_threads_that_want_the_same_set_fetch_it_once(server, home, monkeypatch):
    folder, address, asked = server
    publish(monkeypatch, folder, "cifar10", cifar_files())
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", address)
    found = []
    threads = [threading.Thread(target=lambda: found.append(len(corpus("cifar10")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [10] * 4 and len(asked) == 1


def test_a_set_that_is_here_opens_while_sets_are_downloaded(server, home, monkeypatch):
    folder, address, _asked = server
    publish(monkeypatch, folder, "mnist", mnist_files())
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", address)
    opened = []
    with public_files.busy["cifar10"]:
        public_files.prefetch("mnist")
    with public_files.busy["mnist"]:
        thread = threading.Thread(target=lambda: opened.append(public_files.prefetch("mnist-test")), daemon=True)
        thread.start()
        thread.join(20)
    assert opened == [home / "MNIST" / "raw"]


def test_cifar10_becomes_class_folders_for_training(server, home, monkeypatch):
    folder, address, _asked = server
    publish(monkeypatch, folder, "cifar10", cifar_files())
    monkeypatch.setenv("CNNVIZ_DATA_MIRROR", address)
    written = public_sets.prepare_training_folder("cifar10")
    found, original = corpus(written), corpus("cifar10")
    assert len(found) == 12 and all(path.suffix in SUFFIXES for path in written.rglob("*.*"))
    for index, image_id in enumerate(found.ids):
        split, label, name = image_id.split("/")
        if split == "train":
            number = int(name.removesuffix(".png"))
            assert original.labels[number] == label == found.labels[index]
            np.testing.assert_array_equal(np.asarray(found.image(index)), np.asarray(original.image(number)))


def test_unknown_sets_are_answered_with_close_names():
    with pytest.raises(UnknownName, match="Closest: mnist"):
        public_sets.prefetch("mnis")
    with pytest.raises(UnknownName, match="Closest: cifar10"):
        public_sets.open_set("cifar10-val")
    assert set(public_files.SETS) == {"cifar10", "mnist", "imagenette", "flowers"}
