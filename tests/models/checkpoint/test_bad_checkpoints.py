"""Bad files at the door: each refused with its reason, unopened, unchanged, in little memory."""

import pickle
import re

import badfiles as bad
import numpy as np
import pytest
import torch
from hostile_files import BOMBS, CODE, DAMAGED, HOSTILE, memory
from twins import LENET5
from weightfiles import filled

from cnnviz.errors import BadCheckpoint
from cnnviz.models.load import load
from cnnviz.models.recognise.inspect import inspect

STRANGERS = {  # honest files of another kind
    "text": (bad.as_bytes("für alle".encode() * 900), "text file"),
    "class list": (bad.as_bytes(b"cat\ndog\nmouse\n"), "text file, not weights"),
    "web page": (bad.as_bytes(b"\n<!DOCTYPE html><html>404 not found</html>"), "web page"),
    "JPEG": (bad.as_bytes(bad.jpeg()), "is a JPEG image"),
    "Git LFS pointer": (bad.as_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0"), "git lfs pull"),
    "HDF5": (bad.as_bytes(b"\x89HDF\r\n\x1a\n" + bytes(90)), "HDF5"),
    "gzip that is cut short": (bad.as_bytes(b"\x1f\x8b\x08" + bytes(90)), "cut short or damaged"),
    "zip of pictures": (bad.zipped({"cat.jpg": bad.jpeg()}), "zip archive without weights"),
    "zip with paths that lead out": (
        bad.zipped({"archive/data.pkl": pickle.dumps({}, 2), "archive/../../evil.py": b"1"}),
        "lead out of the archive",
    ),
    "optimizer": (bad.as_saved(bad.optimizer), "state of an optimizer and no weights"),
    "optimizer beside an epoch": (bad.as_saved(lambda: {"epoch": 3, "opt": bad.optimizer()}), "state of an optimizer"),
    "empty dict": (bad.as_saved(dict), "no weights by name, but a dict with nothing"),
    "dict of text": (bad.as_saved(lambda: {"conv1.weight": "heavy", "b": "light"}), "a dict with conv1.weight, b"),
    "arrays": (bad.as_saved(lambda: {"counts": np.arange(3)}), "no tensors by name, but NumPy arrays"),
    "list of tensors": (bad.as_saved(lambda: [torch.ones(3), torch.ones(2)]), "no weights by name, but a list"),
    "dicts in dicts": (
        bad.as_saved(lambda: {"a": {"b": {"c": {"d": {"e": torch.ones(3)}}}}}),
        "no weights by name, but a dict",
    ),
}
UNFIT = {  # tensors by name, and still no network's weights
    "integers": (bad.as_saved(lambda: {"w.weight": torch.ones(3, dtype=torch.int64)}), "whole numbers only"),
    "complex": (bad.as_saved(lambda: {"w.weight": torch.ones(3, dtype=torch.complex64)}), "complex numbers"),
    "sparse": (bad.as_saved(lambda: {"w.weight": torch.eye(3).to_sparse()}), "no plain tensor|could not be read"),
    "quantised": (bad.as_saved(lambda: {"conv1.weight": bad.quantized()}), "quantised"),
    "quantised layers": (bad.as_saved(lambda: {"fc._packed_params": 1}), "packed weights of a quantised network"),
    "no classes": (bad.as_saved(lambda: bad.changed(fc__weight=torch.ones(0, 64))), r"fc\.weight is empty.* 0 classes"),
    "a network nobody knows": (
        bad.as_saved(lambda: {f"f{i}.weight": torch.ones(9, 9, 7, 7) for i in range(3)}),
        "No known architecture fits given.pth.*not a chain, since f0 takes 9 channels",
    ),
    "one shape changed": (
        bad.as_saved(lambda: bad.changed(layer3__2__conv2__weight=torch.ones(64, 64, 5, 5))),
        r"Closest: resnet20_cifar, with 96 of 97.* layer3\.2\.conv2\.weight: shape \(64, 64, 5, 5\) in the file, "
        r"\(64, 64, 3, 3\) expected",
    ),
    "six shapes changed": (bad.as_saved(bad.widened), r"What differs:( [^;]*;){5} and 1 more"),
}
ALL = HOSTILE | BOMBS | DAMAGED | STRANGERS | UNFIT


def refused(path) -> str:
    with pytest.raises(BadCheckpoint) as caught:
        inspect(path)
    return str(caught.value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("file", ALL)
def test_a_bad_file_is_refused_with_its_reason_unrun_and_unchanged(tmp_path, file):
    make, reason = ALL[file]
    path, canary = tmp_path / "given.pth", tmp_path / "ran"
    make(path, canary)
    before = path.read_bytes()
    text = refused(path)
    assert re.search(reason, text), text
    assert "given.pth" in text
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("file", BOMBS)
def test_a_bomb_is_refused_for_its_own_reason_in_little_memory(tmp_path, file):
    """Without memory for what it declares: the reason would be another one if anybody asked for that."""
    bad.as_bytes(b"text")(tmp_path / "text.pt", tmp_path / "ran")
    bad.truncated("safetensors", 0.5)(tmp_path / "half.pt", tmp_path / "ran")
    assert "text" in refused(tmp_path / "text.pt") and "damaged" in refused(tmp_path / "half.pt")  # imports are done
    make, reason = BOMBS[file]
    make(tmp_path / "w.pt", tmp_path / "ran")
    with memory(64 * 2**20):
        assert re.search(reason, refused(tmp_path / "w.pt"))


def test_the_gadgets_are_real(tmp_path):
    """What is refused above would have run."""
    for i, gadget in enumerate((bad.shell, bad.evaluates, bad.imports, bad.object_array)):
        content = pickle.dumps(gadget(tmp_path / str(i)))
        try:
            pickle.loads(content)
        except TypeError:  # a partial of what is no function: the inner call has run by then
            pass
        assert (tmp_path / str(i)).exists()


def test_a_folder_and_a_missing_file_are_named(tmp_path):
    assert "is a folder" in refused(tmp_path)
    assert "no file" in refused(tmp_path / "gone.pth")


def test_metadata_that_repeat_themselves_without_end_are_left_out(tmp_path):
    """Three lists of 50,000, each of the one before: 150,000 places in the file, 10¹⁴ values to walk through."""
    endless: object = 0
    for _ in range(3):
        endless = [endless] * 50_000
    torch.save({"state_dict": filled("lenet5").state_dict(), "classes": endless}, tmp_path / "w.pt")
    found = inspect(tmp_path / "w.pt")
    assert found.candidates == LENET5 and found.class_names is None


def test_nan_weights_are_not_refused_but_warned_of(tmp_path):
    state = bad.changed("lenet5", fc1__bias=torch.full((120,), float("nan")), fc2__bias=torch.full((84,), float("inf")))
    torch.save(state, tmp_path / "w.pt")
    (warning,) = inspect(tmp_path / "w.pt").warnings
    assert "2 tensors hold NaN or infinite" in warning and "fc1.bias" in warning


def test_an_architecture_nobody_knows_is_named_with_its_closest(tmp_path):
    torch.save({"arch": "resnet20_cifra", "state_dict": filled("resnet20_cifar").state_dict()}, tmp_path / "w.pt")
    found = inspect(tmp_path / "w.pt")
    assert (found.named, found.candidates[0]) == ("resnet20_cifra", "resnet20_cifar")
    assert "no network is called" in found.warnings[0] and "resnet20_cifar" in found.warnings[0]


def test_a_file_that_is_refused_does_not_load_under_a_name_either(tmp_path):
    bad.hidden(bad.shell, True)(tmp_path / "w.pt", tmp_path / "ran")
    with pytest.raises(BadCheckpoint, match=CODE):
        load("lenet5", tmp_path / "w.pt", "cpu")
    bad.as_saved(bad.widened)(tmp_path / "w.pt", tmp_path / "ran")
    with pytest.raises(BadCheckpoint, match="do not fit resnet20_cifar: (.*; ){5}and 1 more"):
        load("resnet20_cifar", tmp_path / "w.pt", "cpu")
    assert not (tmp_path / "ran").exists()
