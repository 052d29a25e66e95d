"""`cnnviz landscape` on two networks, a path, a minimum and the reference tool's directions."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from weightfiles import write_snapshot

import cnnviz
from cnnviz.cli import main
from cnnviz.data.class_names import CIFAR10
from cnnviz.landscape.evaluate.moved_model import perturb
from cnnviz.landscape.plane.directions import plane_directions
from cnnviz.landscape.results import Line, Surface, Trajectory
from cnnviz.models.bundled import assets, snapshots


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Three digits of noise, two images each."""
    root, noise = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for number in range(6):
        path = root / "train" / str(number % 3) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 256, (28, 28), dtype=np.uint8)).save(path)
    (root / "test").mkdir()
    return root


@pytest.fixture(scope="module")
def model():
    return cnnviz.load("lenet5", device="cpu")


def words(data: Path, out: Path, *more: str) -> list[str]:
    fixed = ["landscape", "lenet5", "--device", "cpu", "--steps", "3", "--batch", "6", "--precision", "float32"]
    return [*fixed, "--data", str(data), "--out", str(out), *more]


def test_the_line_to_other_weights_is_saved_with_its_barrier(data, model, tmp_path, capsys):
    moved = perturb(model, plane_directions(model), 0.5, 0.0)
    state = {name: tensor.contiguous() for name, tensor in moved.module.state_dict().items()}
    save_file(state, tmp_path / "other.safetensors")
    assert main(words(data, tmp_path / "l.npz", "--interpolate", str(tmp_path / "other.safetensors"))) == 0
    line = Line.load(tmp_path / "l.npz")
    assert len(line.steps) == 25 and line.meta["kind of line"] == "interpolation"
    assert "barrier: " in capsys.readouterr().out
    assert main(words(data, tmp_path / "l.csv", "--interpolate", "random")) == 0
    assert (tmp_path / "l.csv").read_text().startswith("step,loss,accuracy")


def test_a_path_is_saved_with_the_plane_it_lies_on(data, model, tmp_path, capsys):
    for epoch, steps in enumerate([(0.5, 0.0), (0.3, 0.2), (0.1, 0.1), (0.0, 0.0)]):
        write_snapshot(tmp_path, "lenet5", epoch, perturb(model, plane_directions(model), *steps).module)
    plane, path = tmp_path / "plane.npz", tmp_path / "path.npz"
    assert main(words(data, path, "--trajectory", str(tmp_path), "--plane", str(plane))) == 0
    found, surface = Trajectory.load(path), Surface.load(plane)
    assert found.residual.max() < 0.01 and found.residual[-1] == 0
    assert surface.complete and surface.loss.shape == (3, 3)
    for axis, values in ((surface.alphas, found.positions[:, 0]), (surface.betas, found.positions[:, 1])):
        assert axis.min() < values.min() and values.max() < axis.max()
    assert main(words(data, tmp_path / "path.csv", "--trajectory", str(tmp_path))) == 0
    with open(tmp_path / "path.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2, 3] and float(rows[-1]["residual"]) == 0
    assert [float(row["direction_2"]) for row in rows] == found.positions[:, 1].tolist()
    said = capsys.readouterr().out
    assert "variance along the two directions" in said and "direction 1" in said


def test_a_path_of_another_run_is_refused_until_the_run_brings_its_own_weights(data, model, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    for epoch, steps in enumerate([(0.5, 0.0), (0.3, 0.2), (0.2, 0.4)]):
        last = perturb(model, plane_directions(model), *steps).module
        write_snapshot(run, "lenet5", epoch, last)
    path = tmp_path / "path.npz"
    assert main(words(data, path, "--trajectory", str(run))) == 1 and not path.exists()
    assert "not the ones that this run ended with" in capsys.readouterr().err
    save_file({k: v.contiguous() for k, v in last.state_dict().items()}, run / "lenet5-digits.safetensors")
    assert main(words(data, path, "--trajectory", str(run))) == 0
    assert "the weights of the run" in capsys.readouterr().err
    assert Trajectory.load(path).residual[-1] == 0
    assert main(words(data, path, "--trajectory", str(run), "--weights", "bundled")) == 1


def test_the_path_of_the_bundled_weights_needs_no_run(tmp_path, capsys):
    noise = np.random.default_rng(0)
    for name in CIFAR10:
        path = tmp_path / "images" / "train" / name / "0.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(noise.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    (tmp_path / "images" / "test").mkdir()
    told = ["landscape", "plain20_cifar", "--data", str(tmp_path / "images"), "--device", "cpu"]
    assert main([*told, "--trajectory", "bundled", "--out", str(tmp_path / "path.npz")]) == 0
    found = Trajectory.load(tmp_path / "path.npz")
    assert found.epochs.tolist() == list(snapshots("plain20_cifar"))
    shipped = Trajectory.load(assets() / "landscapes" / "plain20_cifar-trajectory.npz")
    np.testing.assert_allclose(found.residual, shipped.residual, atol=1e-4)  # of the weights alone, not of the images
    np.testing.assert_allclose(np.abs(found.positions), np.abs(shipped.positions), rtol=1e-3, atol=1e-2)
    told[1] = "resnet20_cifar"
    capsys.readouterr()
    assert main([*told, "--trajectory", "bundled", "--out", str(tmp_path / "other.npz")]) == 1
    assert "No snapshots of resnet20_cifar" in (said := capsys.readouterr().err) and "plain20_cifar" in said
    told[1] = "resnet110_cifar"  # no bundled weights either
    assert main([*told, "--trajectory", "bundled", "--out", str(tmp_path / "other.npz")]) == 1
    assert "No snapshots of resnet110_cifar" in capsys.readouterr().err


def test_sharpness_is_said_with_its_caveat_and_saved_as_json(data, tmp_path, capsys):
    assert main(words(data, tmp_path / "s.json", "--sharpness")) == 0
    said, kept = capsys.readouterr().out, json.loads((tmp_path / "s.json").read_text())
    assert "largest eigenvalues" in said and "arXiv:2302.07011" in said
    assert kept["architecture"] == "lenet5" and len(kept["spectrum"]["largest"]) == 3


def test_a_direction_file_of_the_reference_tool_gives_its_plane(data, model, tmp_path, capsys):
    h5py = pytest.importorskip("h5py")
    directions = plane_directions(model, 3)
    with h5py.File(tmp_path / "d.h5", "w") as file:
        for group, direction in zip(("xdirection", "ydirection"), directions, strict=True):
            for number, tensor in enumerate(direction.values()):
                file[f"{group}/{number}"] = tensor.numpy()
        for number, tensor in enumerate(directions[0].values()):
            file[f"one/xdirection/{number}"] = tensor.numpy()
    with h5py.File(tmp_path / "d.h5") as file, h5py.File(tmp_path / "one.h5", "w") as one:
        file.copy("one/xdirection", one)
    assert main(words(data, tmp_path / "own.npz", "--directions", str(tmp_path / "d.h5"))) == 0
    assert main(words(data, tmp_path / "seed.npz", "--seed", "3")) == 0
    own, seed = Surface.load(tmp_path / "own.npz"), Surface.load(tmp_path / "seed.npz")
    np.testing.assert_allclose(own.loss, seed.loss, rtol=1e-6)
    assert main(words(data, tmp_path / "one.npz", "--directions", str(tmp_path / "one.h5"))) == 1
    assert "holds one direction, a plane needs two: add --line" in capsys.readouterr().err
    assert main(words(data, tmp_path / "one.npz", "--directions", str(tmp_path / "one.h5"), "--line")) == 0
    np.testing.assert_allclose(Line.load(tmp_path / "one.npz").loss, seed.loss[:, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--sharpness", "--interpolate", "random"], "one of --interpolate and --sharpness"),
        (["--plane", "p.npz"], "give --trajectory"),
        (["--sharpness"], "written as .json"),
        (["--trajectory", "nowhere"], "holds no weights of a training"),
        (["--sharpness", "--seeds", "2"], "leave --seeds and --line away"),
        (["--interpolate", "absent.pt"], "no file absent.pt"),
        (["--directions", "absent.h5"], "no file absent.h5"),
    ],
)
def test_mistakes_are_explained(data, tmp_path, capsys, more, said):
    assert main(words(data, tmp_path / "s.npz", *more)) == 1
    assert said in capsys.readouterr().err
    assert torch.is_grad_enabled()
