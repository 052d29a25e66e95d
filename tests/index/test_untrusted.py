"""Index files of others: what is whole is opened, everything else is refused in words."""

import io
import json
import zipfile

import numpy as np
import pytest

from cnnviz.data.corpus import MemoryCorpus
from cnnviz.errors import BadInput
from cnnviz.index.result import PatchIndex
from cnnviz.index.search.build import index_patches
from cnnviz.index.untrusted import open_index
from cnnviz.models.load import load

LAYER = "conv1"


@pytest.fixture(scope="module")
def model():
    return load("lenet5", "bundled", "cpu")


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    """An index with crops of one layer over twelve pictures."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
    pictures = MemoryCorpus("pictures", [f"{i}.png" for i in range(12)], pixels)
    path = tmp_path_factory.mktemp("index") / "pictures.npz"
    index_patches(model, pictures, [LAYER], out=path, embed=32)
    return path


def changed(file, tmp_path, change, compress=zipfile.ZIP_STORED):
    """The file with entries replaced by `change(name, bytes)`; None leaves one out."""
    path = tmp_path / "changed.npz"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(path, "w", compress) as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    return path


def array(values) -> bytes:
    held = io.BytesIO()
    np.lib.format.write_array(held, np.asarray(values))
    return held.getvalue()


def test_a_whole_file_opens_with_its_winners_and_crops(file, model):
    found, expected = open_index(file, model), PatchIndex.load(file)
    assert found.top(LAYER, 3) == expected.top(LAYER, 3) and len(found.crops(LAYER, 3)) == 9


def test_an_index_of_another_network_is_told_by_its_weights(file):
    with pytest.raises(BadInput, match="bundled weights.* random weights"):
        open_index(file, load("lenet5", "random", "cpu"))


def described(**changes):
    def change(name, data):
        return json.dumps(json.loads(data) | changes) if name == "meta.json" else data

    return change


def replaced(entry, data):
    return lambda name, old: data if name == entry else old


HUGE = (
    b"\x93NUMPY\x01\x00v\x00"
    + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}".ljust(117)
    + b"\n"
)


@pytest.mark.parametrize(
    "change",
    [
        described(kind="surface"),
        described(format=99),
        described(layers=["conv9"]),
        described(images="many"),
        described(model=None),
        described(ids={}),
        described(ids=[]),
        described(labels={"0": 5}),
        replaced(f"values/{LAYER}.npy", None),
        replaced(f"values/{LAYER}.npy", HUGE),
        replaced(f"values/{LAYER}.npy", array(np.zeros((6, 4), np.float32))),
        replaced(f"rows/{LAYER}.npy", array(np.zeros((6, 9), np.float32))),
        replaced(f"images/{LAYER}.npy", array(np.full((6, 9), 77))),
        replaced(f"crops/at/{LAYER}.npy", array(np.full((6, 9), 10**6))),
        replaced(f"crops/sizes/{LAYER}.npy", array(np.full((6, 2), 64))),
        replaced(f"crops/pixels/{LAYER}.npy", None),
        replaced(f"maximum/{LAYER}.npy", array(np.zeros(2))),
        replaced("meta.json", b"[]"),
        replaced("meta.json", None),
        replaced(f"values/{LAYER}.npy", b"no array"),
    ],
)
def test_a_file_whose_parts_do_not_fit_is_refused(file, tmp_path, change):
    with pytest.raises(BadInput):
        open_index(changed(file, tmp_path, change))


def test_what_unpacks_is_refused_and_so_are_pickles_large_files_and_no_archives(file, tmp_path):
    same = changed(file, tmp_path, lambda _name, data: data, zipfile.ZIP_DEFLATED)
    with pytest.raises(BadInput, match="compressed"):
        open_index(same)
    pickled = io.BytesIO()
    np.save(pickled, np.array([print], object), allow_pickle=True)
    with pytest.raises(BadInput, match="as large as it says"):
        open_index(changed(file, tmp_path, replaced(f"values/{LAYER}.npy", pickled.getvalue())))
    with pytest.raises(BadInput, match="0 MB are opened"):
        open_index(file, largest=100)
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(BadInput, match="damaged"):
        open_index(tmp_path / "text.npz")
    with pytest.raises(BadInput, match="Could not read"):
        open_index(tmp_path / "missing.npz")
