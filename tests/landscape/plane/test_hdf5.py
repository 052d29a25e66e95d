"""HDF5 files laid out as the reference tool writes them, made here with h5py."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from nets import tiny
from torch import nn

from cnnviz.errors import BadInput, CnnvizError
from cnnviz.landscape.plane.hdf5 import read_directions, read_surface
from cnnviz.landscape.results import Line, Surface

h5py = pytest.importorskip("h5py")


def write_list(file, name: str, tensors: list) -> None:
    """A group of data sets "0", "1", …; more than ten, so that their order as text is not that of numbers."""
    group = file.create_group(name)
    for number, tensor in enumerate(tensors):
        group.create_dataset(str(number), data=np.asarray(tensor))


@pytest.fixture
def model():
    blocks = [layer for _ in range(3) for layer in (nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3))]
    return tiny(nn.Sequential(*blocks))


def directions(path: Path, tensors: list, *more: list) -> Path:
    with h5py.File(path, "w") as file:
        write_list(file, "xdirection", tensors)
        for other in more:
            write_list(file, "ydirection", other)
    return path


def test_directions_over_weights_take_the_order_of_the_parameters(model, tmp_path):
    x, y = ([torch.randn_like(p) for p in model.module.parameters()] for _ in range(2))
    first, second = read_directions(directions(tmp_path / "d.h5", x, y), model)
    names = [name for name, _ in model.module.named_parameters()]
    assert len(names) > 10 and list(first) == names == list(second)
    for name, one, other in zip(names, x, y, strict=True):
        torch.testing.assert_close(first[name], one)
        torch.testing.assert_close(second[name], other)


def test_directions_over_states_include_running_statistics_but_no_counters(model, tmp_path):
    state = model.module.state_dict()
    tensors = [torch.randn(t.shape) for t in state.values()]
    [found] = read_directions(directions(tmp_path / "d.h5", tensors), model)
    expected = {k: t for k, t in zip(state, tensors, strict=True) if not k.endswith("num_batches_tracked")}
    assert found.keys() == expected.keys() and "1.running_var" in found
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor)


def test_states_of_the_time_before_counters_are_read_too(model, tmp_path):
    state = {k: t for k, t in model.module.state_dict().items() if not k.endswith("num_batches_tracked")}
    [found] = read_directions(directions(tmp_path / "d.h5", list(state.values())), model)
    assert list(found) == list(state)


def test_a_tensor_of_another_shape_is_named(model, tmp_path):
    tensors = [torch.zeros(p.shape) for p in model.module.parameters()]
    tensors[4] = torch.zeros(4, 3, 3, 3)
    with pytest.raises(BadInput, match=r"tensor 4 has shape \(4, 3, 3, 3\), but 2.weight of this network has \(3, 3"):
        read_directions(directions(tmp_path / "d.h5", tensors), model)


def test_another_number_of_tensors_is_told(model, tmp_path):
    with pytest.raises(BadInput, match="has 2 tensors; this network has 12 parameters"):
        read_directions(directions(tmp_path / "d.h5", [torch.zeros(1)] * 2), model)


def surface_file(path: Path, x: np.ndarray, y: np.ndarray | None, loss: np.ndarray, accuracy: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file["dir_file"] = "somewhere/else/resnet56_weights.h5"
        file["xcoordinates"] = x
        if y is not None:
            file["ycoordinates"] = y
        file["train_loss"], file["train_acc"] = loss, accuracy
    return path


def test_a_surface_comes_with_x_first_although_the_file_counts_y_first(tmp_path):
    """The tool fills flat index n with the n-th point of meshgrid(x, y), in an array of shape (x, y)."""
    x, y = np.linspace(-1, 1, 3), np.linspace(0, 2, 5)
    mesh_x, mesh_y = np.meshgrid(x, y)
    loss = (10 + mesh_x + 100 * mesh_y).ravel().reshape(3, 5)
    found = read_surface(surface_file(tmp_path / "s.h5", x, y, loss, np.full((3, 5), 92.5)))
    assert isinstance(found, Surface)
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            assert found.loss[i, j] == 10 + a + 100 * b
    assert (found.accuracy == 0.925).all() and np.isnan(found.loss_error).all()
    assert found.meta["directions"] == "resnet56_weights.h5"
    assert len(found.csv().splitlines()) == 16


def test_points_that_were_not_computed_are_told_from_those_that_overflowed(tmp_path):
    loss = np.array([[1.0, -1.0], [np.nan, 2.0]])
    accuracy = np.array([[90.0, -1.0], [10.0, 80.0]])
    axis = np.array([0.0, 1.0])
    found = read_surface(surface_file(tmp_path / "s.h5", axis, axis, loss, accuracy))
    assert np.isnan(found.loss[1, 0]) and np.isnan(found.accuracy[1, 0])
    assert np.isinf(found.loss[0, 1]) and found.done == 3 and not found.complete


def test_a_line_has_no_second_axis(tmp_path):
    steps = np.linspace(-1, 1, 5)
    found = read_surface(surface_file(tmp_path / "l.h5", steps, None, steps**2, np.full(5, 50.0)))
    assert isinstance(found, Line)
    np.testing.assert_array_equal(found.loss, steps**2)


def test_a_surface_cut_short_or_of_another_kind_is_refused(tmp_path, model):
    axis = np.linspace(0, 1, 3)
    with pytest.raises(BadInput, match="no whole surface"):
        read_surface(surface_file(tmp_path / "s.h5", axis, axis, np.ones(4), np.ones(4)))
    path = directions(tmp_path / "d.h5", [torch.zeros(1)])
    with pytest.raises(BadInput, match="no xcoordinates.*holds xdirection"):
        read_surface(path)
    with pytest.raises(BadInput, match="no xdirection"):
        read_directions(tmp_path / "s.h5", model)
    with pytest.raises(BadInput, match="test_loss"):
        read_surface(surface_file(tmp_path / "t.h5", axis, None, axis, axis), split="test")


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all"])
def test_damaged_and_missing_files_are_refused_in_words(tmp_path, content):
    path = tmp_path / "broken.h5"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="broken.h5 is damaged"):
        read_surface(path)
    with pytest.raises(BadInput, match="no file"):
        read_surface(tmp_path / "absent.h5")


def test_text_where_numbers_belong_and_huge_declared_arrays_are_refused(tmp_path, model):
    with h5py.File(tmp_path / "text.h5", "w") as file:
        file["xcoordinates"] = "left to right"
        file["train_loss"], file["train_acc"] = 1.0, 1.0
    with pytest.raises(BadInput, match="xcoordinates of this file"):
        read_surface(tmp_path / "text.h5")
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_group("xdirection").create_dataset("0", shape=(2**40,), chunks=(2**10,), dtype="f4")
    with pytest.raises(BadInput, match="declares"):
        read_directions(tmp_path / "huge.h5", model)


def test_without_h5py_the_command_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("cnnviz.landscape.plane.hdf5.find_spec", lambda name: None)
    with pytest.raises(CnnvizError, match=r"pip install \"cnnviz\[reference\]\", or pip install h5py"):
        read_surface(tmp_path / "any.h5")
