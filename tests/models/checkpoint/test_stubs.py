"""What training scripts leave beside weights is read as data; whatever else is named in a file stays refused."""

import argparse
import datetime
import enum
import pathlib
import pickle
import threading
import tracemalloc
import types
from collections import defaultdict

import badfiles as bad
import numpy as np
import pytest
import torch

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.read import read_weights
from cnnviz.models.checkpoint.stubs import Settings

STATE = {"conv.weight": torch.arange(54.0).view(2, 3, 3, 3), "conv.bias": torch.tensor([1.0, 2.0])}


class Colour(enum.Enum):
    RED = 1


def beside(path, zipped=True, **values):
    """The metadata that are read from a file of weights with `values` beside them."""
    torch.save({"model": STATE, **values}, path, _use_new_zipfile_serialization=zipped)
    found = read_weights(path)
    assert found.tensors.keys() == STATE.keys()
    return found.metadata


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", [argparse.Namespace, types.SimpleNamespace])
def test_the_arguments_of_a_script_are_read_as_a_dict(tmp_path, kind, zipped):
    given = kind(model="resnet18", lr=0.1, out=pathlib.Path("/runs/a b"), win=pathlib.PureWindowsPath("a", "b"))
    (settings,) = beside(tmp_path / "w.pt", zipped, args=given).values()
    assert type(settings) is dict
    assert settings == {"model": "resnet18", "lr": 0.1, "out": "/runs/a b", "win": "a/b"}


def test_settings_that_are_not_plain_are_left_out_and_the_others_stay(tmp_path):
    given = argparse.Namespace(model="vgg11", device=torch.device("cuda:0"), day=datetime.date(2024, 1, 2), n=3)
    assert beside(tmp_path / "w.pt", args=given)["args"] == {"model": "vgg11", "n": 3}


def test_a_path_of_python_3_13_is_read_on_every_other(tmp_path):
    """Python 3.13 calls the module pathlib._local, and gives the parts as they were written."""
    state = {"model": STATE, "args": argparse.Namespace(out=pathlib.PurePosixPath("runs"))}
    torch.save(state, tmp_path / "w.pt", _use_new_zipfile_serialization=False)
    content = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "w.pt").write_bytes(content.replace(b"cpathlib\n", b"cpathlib._local\n"))
    assert b"pathlib._local" in (tmp_path / "w.pt").read_bytes()
    assert read_weights(tmp_path / "w.pt").metadata["args"] == {"out": "runs"}


def test_histories_dates_and_arrays_are_no_obstacle(tmp_path):
    values = {"history": defaultdict(list, {"loss": [2.0, 1.0]}), "when": datetime.datetime.now()}
    found = beside(tmp_path / "w.pt", **values, rng=np.random.get_state(), counts=np.arange(3))
    assert found == {"history": {"loss": [2.0, 1.0]}}


@pytest.mark.parametrize("code", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">f4", "?"])
def test_numpy_scalars_are_the_numbers_that_numpy_says(tmp_path, code):
    value = np.dtype(code).type(1.5)
    found = beside(tmp_path / "w.pt", best=value)["best"]
    assert found == value.item() and type(found) is type(value.item())


def test_numpy_texts_are_texts(tmp_path):
    found = beside(tmp_path / "w.pt", classes=[np.str_("cat"), np.str_("ähre")])["classes"]
    assert found == ["cat", "ähre"] and {type(name) for name in found} == {str}


@pytest.mark.parametrize("kind", ["U4", ">U4", object])
def test_an_array_of_class_names_is_a_list_of_texts(tmp_path, kind):
    names = np.array(["cat", "ähre", ""], kind)
    assert beside(tmp_path / "w.pt", classes=names)["classes"] == ["cat", "ähre", ""]


@pytest.mark.parametrize("odd", [np.array([["cat"]]), np.arange(3), np.array(["cat", 3], object), np.zeros(0, "U3")])
def test_other_arrays_are_no_class_names(tmp_path, odd):
    assert not beside(tmp_path / "w.pt", class_names=odd).get("class_names")


@pytest.mark.parametrize("zipped", [True, False])
def test_code_among_settings_is_refused_and_not_run(tmp_path, zipped):
    content = {"model": STATE, "args": argparse.Namespace(model="vgg11", hook=bad.shell(tmp_path / "ran"))}
    torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(BadCheckpoint, match="system.*can run code"):
        read_weights(tmp_path / "w.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("value", [Colour.RED, argparse.ArgumentParser, pathlib.Path.unlink, np.random.default_rng()])
def test_other_classes_stay_refused(tmp_path, value):
    torch.save({"model": STATE, "x": value}, tmp_path / "w.pt")
    with pytest.raises(BadCheckpoint, match="can run code"):
        read_weights(tmp_path / "w.pt")


class _Many:
    """Pickles as a path of one long text, many times over."""

    def __reduce__(self):
        return pathlib.PosixPath, ("x" * 100_000,) * 50_000


def test_a_path_that_repeats_itself_takes_no_memory(tmp_path):
    """Half a megabyte that joined would be 5 GB."""
    torch.save({"model": STATE, "args": argparse.Namespace(out=_Many())}, tmp_path / "w.pt")
    assert (tmp_path / "w.pt").stat().st_size < 10**6
    tracemalloc.start()
    settings = read_weights(tmp_path / "w.pt").metadata["args"]
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()
    assert settings == {"out": None}


def test_reading_leaves_the_list_of_torch_as_it_was_and_threads_do_not_disturb_each_other(tmp_path):
    torch.save({"model": STATE, "args": argparse.Namespace(a=1)}, tmp_path / "w.pt")
    before, failed = set(torch.serialization.get_safe_globals()), []

    def read():
        for _ in range(15):
            try:
                read_weights(tmp_path / "w.pt")
            except BadCheckpoint as error:
                failed.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and set(torch.serialization.get_safe_globals()) == before


def test_settings_survive_a_copy():
    given = Settings()
    given.__setstate__({"a": 1})
    assert dict(pickle.loads(pickle.dumps(given))) == {"a": 1}
