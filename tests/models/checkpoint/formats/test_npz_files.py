"""NumPy's .npz: arrays by name are weights; what says too little, or is pickled, is refused."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from hostile_files import memory
from weightfiles import filled

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.read import read_weights
from cnnviz.models.load import load


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_under_the_names_of_a_state_dict_are_loaded(tmp_path, save):
    source = filled("lenet5", 4)
    arrays = {key: tensor.numpy() for key, tensor in source.state_dict().items()}
    save(tmp_path / "w.npz", **arrays, classes=np.array(["a", "b", "c", "ähre"]))
    model = load(None, tmp_path / "w.npz", "cpu")
    assert (model.name, model.class_names) == ("lenet5", ["a", "b", "c", "ähre"])
    for key, tensor in source.state_dict().items():
        torch.testing.assert_close(model.module.state_dict()[key], tensor, rtol=0, atol=0)


@pytest.mark.parametrize(
    "array", [np.ones((2, 3), ">f8"), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.ones(3, "f2")]
)
def test_arrays_of_every_layout_are_read(tmp_path, array):
    np.savez(tmp_path / "w.npz", **{"a.weight": array})
    (found,) = read_weights(tmp_path / "w.npz").tensors.values()
    np.testing.assert_array_equal(found.numpy(), array)


REFUSED = {
    "without names": (lambda: ([np.ones(3), np.ones(2)], {}), "2 arrays without names .*Keras's get_weights"),
    "of objects": (lambda: ([], {"a": np.array([None], object)}), "w.npz: a is an array of pickled Python objects"),
    "of Keras": (lambda: ([], {"conv/kernel:0": np.ones((3, 3, 1, 2))}), r"Keras or JAX \(conv/kernel:0\).*Transpose"),
    "of JAX": (lambda: ([], {"params.conv.kernel": np.ones((3, 3, 1, 2))}), "JAX .*axes stand in another order"),
    "of whole numbers": (lambda: ([], {"a": np.ones(3, int)}), "whole numbers only"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_used_is_refused_in_words(tmp_path, kind):
    make, reason = REFUSED[kind]
    bare, named = make()
    np.savez(tmp_path / "w.npz", *bare, **named)
    with pytest.raises(BadCheckpoint, match=f"w.npz.*{reason}|{reason}"):
        read_weights(tmp_path / "w.npz")


def test_an_array_that_declares_more_than_it_holds_takes_no_memory(tmp_path):
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**10,)}
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, header)
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("a.weight.npy", file.getvalue() + bytes(400))
    with memory(64 * 2**20), pytest.raises(BadCheckpoint, match="declares 40,000,000,000 bytes and holds"):
        read_weights(tmp_path / "w.npz")


def test_arrays_that_unpack_beyond_the_cap_are_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "w.npz", **{"a.weight": np.zeros(4_000_000, "f4")})
    monkeypatch.setenv("CNNVIZ_MAX_WEIGHTS_MB", "8")
    with pytest.raises(BadCheckpoint, match="unpacks to more than"):
        read_weights(tmp_path / "w.npz")


def test_a_single_array_is_named(tmp_path):
    np.save(tmp_path / "w.npy", np.ones(3))
    with pytest.raises(BadCheckpoint, match="w.npy is a single NumPy array, without a name"):
        read_weights(tmp_path / "w.npy")


def test_a_side_file_says_the_classes(tmp_path):
    np.savez(tmp_path / "w.npz", **{"a.weight": np.ones((2, 2), "f4")})
    (tmp_path / "w.json").write_text(json.dumps({"classes": ["a", "b"]}))
    assert read_weights(tmp_path / "w.npz").metadata == {"classes": ["a", "b"]}
