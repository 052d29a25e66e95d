"""Eight threads on one network, and disks that are full: results as of one thread, files whole or as they were."""

import io
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_folders import class_folders
from nets import hooks_left
from slowindex import memory
from torch import nn

import cnnviz
from cnnviz.attribution.attribute import attribute
from cnnviz.attribution.effective_field import effective_field
from cnnviz.attribution.occlusion import occlude
from cnnviz.cli import main
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import CnnvizError
from cnnviz.models.model import LoadedModel
from cnnviz.studies.equivariance.shift import equivariance
from cnnviz.training.loop import train
from cnnviz.training.recipe import Recipe

THREADS, REQUESTS = 8, 1000
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 12, 12, 3), dtype=np.uint8)


class Small(nn.Module):
    """Two convolutions, batch normalisation, in-place and functional rectifiers: all that probes act upon."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.norm, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        self.pool, self.b, self.head = nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, padding=1), nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.relu(self.norm(self.a(x))))
        return self.head(torch.relu(self.b(x)).mean((2, 3)))


def small() -> LoadedModel:
    return LoadedModel(Small(), "small", Preprocessing((12, 12)), ["a", "b", "c"], torch.device("cpu"))


def unknown_layer(model: LoadedModel, image: np.ndarray) -> np.ndarray:
    """A request that fails must leave as little behind as one that succeeds."""
    with pytest.raises(CnnvizError):
        cnnviz.capture(model, image, ["nowhere"])
    return np.zeros(1)


ASKED: dict[str, Callable[[LoadedModel, np.ndarray], np.ndarray]] = {
    "answer": lambda model, image: model.logits(image),
    "maps": lambda model, image: cnnviz.capture(model, image, ["b"])["b"],
    "maps of an earlier layer": lambda model, image: cnnviz.capture(model, image, ["a"])["a"],
    "gradient": lambda model, image: cnnviz.reconstruct(model, image, "b", 1, 2, 3, rule="gradient"),
    "deconvnet": lambda model, image: cnnviz.reconstruct(model, image, "b", 1, 2, 3, rule="deconvnet"),
    "guided": lambda model, image: cnnviz.reconstruct(model, image, "b", 2, 3, 1, rule="guided"),
    "effective field": lambda model, image: effective_field(model, image, "b", [(1, 2, 3)]).weight,
    "saliency": lambda model, image: attribute(model, image, 1, "saliency").values,
    "guided backprop": lambda model, image: attribute(model, image, 0, "guided_backprop").values,
    "Grad-CAM": lambda model, image: attribute(model, image, 2, "grad_cam").values,
    "occlusion": lambda model, image: occlude(model, image, 0, 4, 4).probability,
    "equivariance": lambda model, image: equivariance(model, image, (0, 2), ["a", "b"], "circular")["b"].relative,
    "a mistake": unknown_layer,
}


def flags(module: nn.Module) -> list[Any]:
    return [
        [part.training for part in module.modules()],
        [(p.requires_grad, p.grad) for p in module.parameters()],
        [getattr(part, "padding_mode", None) for part in module.modules()],
        [getattr(part, "inplace", None) for part in module.modules()],
    ]


def test_a_thousand_mixed_requests_of_eight_threads_answer_as_one_thread_and_leave_nothing_behind():
    model = small()
    flat = [(name, number) for name in ASKED for number in range(len(IMAGES))]
    expected = {(name, n): np.array(ASKED[name](model, IMAGES[n])) for name, n in flat}
    before, state = flags(model.module), {k: v.clone() for k, v in model.module.state_dict().items()}
    order = np.random.default_rng(1).integers(0, len(flat), REQUESTS)
    wrong, barrier = [], threading.Barrier(THREADS)

    def work(part: np.ndarray) -> None:
        barrier.wait()
        for place in part:
            name, number = flat[place]
            found = np.array(ASKED[name](model, IMAGES[number]))
            if not np.array_equal(found, expected[name, number], equal_nan=True):
                wrong.append((name, float(np.abs(found - expected[name, number]).max())))

    threads = [threading.Thread(target=work, args=(part,)) for part in np.array_split(order, THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not wrong and not any(thread.is_alive() for thread in threads)
    assert hooks_left(model.module) == 0 and flags(model.module) == before
    assert all(torch.equal(value, state[name]) for name, value in model.module.state_dict().items())
    leaf = torch.tensor([-1.0, 1.0], requires_grad=True)
    (-torch.relu(leaf)).sum().backward()  # a rule for rectifiers that were left on would stop the -1
    assert leaf.grad.tolist() == [0.0, -1.0]


# --- disks that are full --------------------------------------------------------------------------------


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file may become larger than `room` bytes: writing fails half-way, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def index(folder: Path) -> None:
    cnnviz.index_patches(small(), memory(IMAGES), ["a", "b"], k=3, out=folder / "index.npz")


def surface(folder: Path) -> None:
    cnnviz.loss_surface(small(), IMAGES, np.arange(6) % 3, steps=5, precision="float32", out=folder / "surface.npz")


def training(folder: Path) -> None:
    train("lenet5", folder.parent / "data", folder, Recipe(epochs=1, batch=8), "cpu")


SAVED: dict[str, tuple[Callable[[Path], None], str]] = {
    "index": (index, "index.npz"),
    "surface": (surface, "surface.npz"),
    "training": (training, "checkpoint.pt"),
}


@pytest.mark.parametrize("kind", SAVED)
@pytest.mark.parametrize("room", [0, 300], ids=["no room at all", "room for a part"])
def test_a_full_disk_is_reported_and_what_was_there_stays(kind, room, tmp_path):
    make, name = SAVED[kind]
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "other.txt").write_text("an old file")
    class_folders(tmp_path / "data", train=8, test=2)
    with full_disk(room), pytest.raises(CnnvizError, match="(?s)Could not write.*(unchanged|kept)") as said:
        make(folder)
    assert str(folder) in str(said.value) and "File too large" in str(said.value)
    assert (folder / "other.txt").read_text() == "an old file"
    assert not [path for path in folder.rglob("*") if path.suffix == ".part" or path.name == name]
    make(folder)  # once there is room, the same call succeeds
    assert [path for path in folder.rglob("*") if not path.name.startswith(".")]


def test_an_index_on_the_disk_survives_a_run_that_finds_it_full(tmp_path):
    index(tmp_path)
    before = (tmp_path / "index.npz").read_bytes()
    with full_disk(100), pytest.raises(CnnvizError, match="unchanged"):
        cnnviz.PatchIndex.load(tmp_path / "index.npz").save(tmp_path / "index.npz")
    assert (tmp_path / "index.npz").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_the_command_line_says_that_the_disk_is_full(tmp_path, capsys):
    words = ["index", "lenet5", "--weights", "random", "--device", "cpu", "--data", "digits", "--layers", "conv1"]
    with full_disk(100):
        assert main([*words, "--out", str(tmp_path / "index.npz")]) == 1
    message = capsys.readouterr().err
    assert "Could not write" in message and "Free space" in message and "Traceback" not in message
    assert not list(tmp_path.iterdir())


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB in memory; skipped where none can be mounted."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs the superuser")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_really_full_is_reported_and_the_old_file_is_intact(tiny_disk):
    index(tiny_disk)
    before = (tiny_disk / "index.npz").read_bytes()
    with pytest.raises(OSError), open(tiny_disk / "filling", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    found = cnnviz.PatchIndex.load(tiny_disk / "index.npz")
    for save in (lambda: found.save(tiny_disk / "index.npz"), lambda: surface(tiny_disk)):
        with pytest.raises(CnnvizError, match="No space left on device.*Free space on that disk"):
            save()
    assert (tiny_disk / "index.npz").read_bytes() == before
    assert not [path.name for path in tiny_disk.iterdir() if ".part" in path.name]
    (tiny_disk / "filling").unlink()
    surface(tiny_disk)
    assert cnnviz.PatchIndex.load(tiny_disk / "index.npz").complete


def test_standard_output_that_is_full_ends_a_command_without_a_stack_trace():
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full is Linux's")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cnnviz", "list", "devices"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert io.StringIO(done.stderr).readline()
