"""What version 0.1 wrote still opens: tests/files_of_0_1, and the runs and landscapes that come with cnnviz."""

import numpy as np
from source_tree import ROOT

import cnnviz
from cnnviz.landscape.bundled import landscapes
from cnnviz.landscape.results import Surface
from cnnviz.models.bundled import bundled, recorded_folder
from cnnviz.training.record.result import read_run

OLD = ROOT / "tests" / "files_of_0_1"


def test_an_index_opens_and_goes_on_with_its_network(tmp_path):
    index, model = cnnviz.PatchIndex.load(OLD / "index.npz"), cnnviz.load("lenet5", device="cpu")
    assert index.complete and index.meta["model_fingerprint"] == model.fingerprint
    digits = cnnviz.corpus("digits", 12)
    again = cnnviz.index_patches(model, digits, ["conv1"], k=2, batch=4)
    for channel in range(index.channels("conv1")):
        old, new = index.top("conv1", channel), again.top("conv1", channel)
        assert [(one.image_id, one.row, one.col) for one in old] == [(one.image_id, one.row, one.col) for one in new]
        np.testing.assert_allclose([one.value for one in old], [one.value for one in new], rtol=1e-4)
    copy = tmp_path / "index.npz"
    copy.write_bytes((OLD / "index.npz").read_bytes())
    assert cnnviz.index_patches(model, digits, ["conv1"], k=2, batch=4, out=copy).complete  # it is not begun anew


def test_a_surface_opens():
    found = Surface.load(OLD / "surface.npz")
    model = cnnviz.load("lenet5", device="cpu")
    images, labels = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1), np.uint8), np.arange(8) % 10
    again = cnnviz.loss_surface(model, images, labels, steps=3, precision="float32")
    np.testing.assert_allclose(found.loss, again.loss, rtol=1e-3)


def test_runs_and_landscapes_that_came_with_it_open():
    for name in filter(recorded_folder, bundled()):
        assert read_run(recorded_folder(name)).epochs
    for found in landscapes().values():
        assert all(Surface.load(path).loss.size for path in found.seeds.values())
