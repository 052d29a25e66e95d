"""Points of a loss landscape a second, against a plain loop as the reference evaluates.

The plain loop: a DataLoader over single images (ToTensor and Normalize an image, batch 128, no workers), float32,
PyTorch's own memory format, the nn.Module moved in place from point to point. Ours: what `loss_surface` does at a
point after the first two. Alternating, median of the rounds. The plain
loop runs twice: in a process of its own, as a script of those lines does, and in ours, where freed memory stays with
the process, as `cnnviz landscape` has it (CNNVIZ_BENCH_KEEP=0: as PyTorch comes, for both). Then the cost against
points and images, and what fused sums and rectifiers and torch.compile are worth.

ResNet-56, bundled weights where they are there, else random. Images: $CNNVIZ_BENCH_CIFAR, a folder of class
folders, else random pixels. $CNNVIZ_BENCH_COUNT: how many (1000)."""

import copy
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

import cnnviz
from cnnviz.data.labelled import load_labelled
from cnnviz.heap import keep_freed_memory
from cnnviz.landscape.evaluate.evaluator import Evaluator, Plane, log_error
from cnnviz.landscape.plane.directions import plane_directions
from cnnviz.models.bundled import bundled

COUNT, ROUNDS = int(os.environ.get("CNNVIZ_BENCH_COUNT", 1000)), 5
NAME, SCRIPT = "resnet56_cifar", "plain loop, script"
POINTS = [(0.1, -0.2), (0.5, 0.5), (-0.7, 0.3), (0.9, -0.9), (-0.4, -0.6)]


def main() -> None:
    """Print points a second, the ratio, errors, and how the cost grows."""
    kept = os.environ.get("CNNVIZ_BENCH_KEEP") != "0" and keep_freed_memory()
    model, pixels, labels, whence, directions = prepare()
    plain = Plain(model, pixels, labels, directions)
    planes = {p: Evaluator(model, pixels, labels, p).plane(*directions) for p in ("bfloat16", "float32")}
    script = Script()
    ways: dict[str, Callable[[float, float], float]] = {
        SCRIPT: script.at,
        "plain loop here": plain.at,
        "cnnviz bfloat16": lambda a, b: planes["bfloat16"].at(a, b).loss,
        "cnnviz float32": lambda a, b: planes["float32"].at(a, b).loss,
    }
    losses, seconds = alternate(ways)
    threads = torch.get_num_threads()
    print(
        f"{NAME}, {model.origin} weights, {len(pixels)} images of {whence}, {threads} threads, {ROUNDS} rounds,"
        f" freed memory is {'kept' if kept else 'given back'} here"
    )
    base, here = (statistics.median(seconds[way]) for way in (SCRIPT, "plain loop here"))
    for way, times in seconds.items():
        middle = statistics.median(times)
        errors = [log_error(a, b) for a, b in zip(losses[SCRIPT], losses[way], strict=True)]
        print(
            f"{way:19} {middle:6.3f} s a point, {1 / middle:5.2f} points/s, {base / middle:5.1f} × the script, "
            f"{here / middle:5.1f} × the loop here; "
            f"|Δlog10 loss| median {statistics.median(errors):.5f}, largest {max(errors):.5f}"
        )
    script.close()
    measure_growth(model, pixels, labels, directions)
    compare_compiled(model, pixels, labels, planes["bfloat16"])


def prepare() -> tuple[cnnviz.LoadedModel, np.ndarray, np.ndarray, str, tuple]:
    """(network, pixels, labels, where they are from, directions)."""
    model = cnnviz.load(NAME, "bundled" if NAME in bundled() else "random", "cpu")
    return model, *load_images(model), plane_directions(model)


def load_images(model: cnnviz.LoadedModel) -> tuple[np.ndarray, np.ndarray, str]:
    """(pixels, labels, where they are from)."""
    folder = os.environ.get("CNNVIZ_BENCH_CIFAR")
    if not folder:
        noise = np.random.default_rng(0)
        return noise.integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8), noise.integers(0, 10, COUNT), "noise"
    data = load_labelled(folder, "train", model.preprocessing, lazy=True)
    rows = np.arange(COUNT) * len(data) // COUNT
    return data.batch(rows), data.labels[rows], "CIFAR-10"


class _Single(Dataset):
    def __init__(self, model: cnnviz.LoadedModel, pixels: np.ndarray, labels: np.ndarray) -> None:
        self.pixels, self.labels = pixels, labels
        steps = [transforms.ToTensor(), transforms.Normalize(model.preprocessing.mean, model.preprocessing.std)]
        self.transform = transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.pixels[index]), int(self.labels[index])


class Plain:
    """What one would write: move the weights, go through the loader."""

    def __init__(self, model: cnnviz.LoadedModel, pixels: np.ndarray, labels: np.ndarray, directions: tuple) -> None:
        self.module = copy.deepcopy(model.module).to(memory_format=torch.contiguous_format).eval()
        self.weights = [p.detach().clone() for p in self.module.parameters()]
        self.directions = [list(direction.values()) for direction in directions]
        self.loader = DataLoader(_Single(model, pixels, labels), batch_size=128)

    def at(self, alpha: float, beta: float) -> float:
        for p, w, a, b in zip(self.module.parameters(), self.weights, *self.directions, strict=True):
            p.data = w + alpha * a + beta * b
        total, count = 0.0, 0
        with torch.no_grad():
            for images, labels in self.loader:
                total += F.cross_entropy(self.module(images), labels).item() * len(labels)
                count += len(labels)
        return total / count


class Script:
    """The plain loop in a process of its own, which waits while others are timed."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_answer, args=(theirs,), daemon=True)
        self._process.start()

    def at(self, alpha: float, beta: float) -> float:
        self._ours.send((alpha, beta))
        return self._ours.recv()

    def close(self) -> None:
        self._ours.send(None)
        self._process.join()


def _answer(asked: Connection) -> None:
    model, pixels, labels, _, directions = prepare()
    plain = Plain(model, pixels, labels, directions)
    while (point := asked.recv()) is not None:
        asked.send(plain.at(*point))


def alternate(ways: dict[str, Callable[[float, float], float]]) -> tuple[dict, dict]:
    """(losses, seconds) of each way at each point, one after the other; each is warmed up first."""
    losses: dict[str, list[float]] = {way: [] for way in ways}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for way, work in ways.items():
        for step in range(2 if way.startswith("cnnviz") else 1):
            work(0.1 * step, 0.0)
    for point in POINTS[:ROUNDS]:
        for way, work in ways.items():
            started = time.perf_counter()
            losses[way].append(work(*point))
            seconds[way].append(time.perf_counter() - started)
    return losses, seconds


def measure_growth(model: cnnviz.LoadedModel, pixels: np.ndarray, labels: np.ndarray, directions: tuple) -> None:
    """Cost against points and images: a table, a straight line through it, and the plot as a page."""
    print("images  points  seconds  µs an image and point")
    found = []
    for part in (4, 2, 1):
        rows = slice(0, max(1, len(pixels) // part))
        plane = Evaluator(model, pixels[rows], labels[rows], "bfloat16").plane(*directions)
        for step in range(2):
            plane.at(0.1 * step, 0.0)
        for points in (2, 4, 8):
            started = time.perf_counter()
            for k in range(points):
                plane.at(k / points, 0.0)
            took = time.perf_counter() - started
            found.append((rows.stop, points, took))
            print(f"{rows.stop:6} {points:7} {took:8.2f} {1e6 * took / points / rows.stop:8.1f}")
    passes, seconds = np.array([images * points for images, points, _ in found]), np.array([row[2] for row in found])
    slope, start = np.polyfit(passes, seconds, 1)
    fit = 1 - ((seconds - slope * passes - start) ** 2).sum() / ((seconds - seconds.mean()) ** 2).sum()
    print(f"seconds = {start:.3f} + {1e6 * slope:.1f} µs × images × points, R² = {fit:.4f}; plot: {draw(found)}")


def draw(found: list[tuple[int, int, float]]) -> Path:
    """The plot of (images, points, seconds), a line per number of images."""
    from plotly.graph_objects import Figure

    figure = Figure(layout={"xaxis_title": "points", "yaxis_title": "seconds", "title": "Cost of a loss landscape"})
    for images in sorted({row[0] for row in found}):
        own = [row for row in found if row[0] == images]
        figure.add_scatter(x=[row[1] for row in own], y=[row[2] for row in own], name=f"{images:,} images")
    path = Path("build") / "landscape_cost.html"
    path.parent.mkdir(exist_ok=True)
    figure.write_html(path)
    return path


def compare_compiled(model: cnnviz.LoadedModel, pixels: np.ndarray, labels: np.ndarray, plane: Plane) -> None:
    """Our pass as it is, without fused sums and rectifiers, and through torch.compile, which fuses them in its own
    way."""
    ways = {"fused": plane}
    for way in ("not fused", "through torch.compile"):
        evaluator = Evaluator(model, pixels, labels, "bfloat16", batch=plane.evaluator.batch)
        evaluator.fused = ()
        evaluator._runners.clear()
        runner = evaluator._runner(evaluator.precision == "bfloat16")
        if way == "through torch.compile":
            compiled: Any = torch.compile(runner.module)
            runner.module = compiled
        ways[way] = evaluator.plane(*plane.directions)
        started = time.perf_counter()
        try:
            ways[way].at(0.0, 0.0)
        except RuntimeError as error:  # no compiler for C++ here
            print(f"{way}: not here ({str(error).splitlines()[0][:80]})")
            del ways[way]
        if way == "through torch.compile" and way in ways:
            print(f"torch.compile: {time.perf_counter() - started:.0f} s of compiling")
    seconds = [[time_point(other) for other in ways.values()] for _ in range(ROUNDS)]
    medians = map(statistics.median, zip(*seconds, strict=True))
    print("a point: " + ", ".join(f"{way} {middle:.3f} s" for way, middle in zip(ways, medians, strict=True)))


def time_point(plane: Plane) -> float:
    """Seconds of one point."""
    started = time.perf_counter()
    plane.at(0.2, 0.2)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
