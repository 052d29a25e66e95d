"""Ten minutes on a machine with a GPU: everything that can only be seen there, the most telling first.

python -m benchmarks.gpu_session [--device cuda] [--minutes 10] [--small]

Each part is a process of its own with a limit, so that one that hangs costs no other; what a part prints is shown as it
ends. Parts: the tests marked gpu; the first picture; an index, exact and as on the CPU; a landscape, as on the CPU; a
training that is stopped and goes on; memory that does not suffice. --small: a rehearsal on any device."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

PARTS = ("tests", "picture", "index", "landscape", "training", "memory")
LIMITS = {"tests": 240, "picture": 60, "index": 120, "landscape": 90, "training": 60, "memory": 60}  # seconds


def main() -> None:
    """Run the parts one after the other, within the time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", nargs="?", choices=PARTS, help="only this one, in this process")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    if options.part:
        _RUN[options.part](options.device, options.small)
        return
    until = time.monotonic() + 60 * options.minutes
    passed = [_run_part(name, options, until) for name in PARTS]
    print(f"\n{sum(passed)} of {len(passed)} parts passed")
    sys.exit(not all(passed))


def _run_part(name: str, options: argparse.Namespace, until: float) -> bool:
    started, limit = time.monotonic(), min(LIMITS[name], until - time.monotonic())
    print(f"\n## {name}", flush=True)
    if limit < 5:
        print("no time left")
        return False
    command = [sys.executable, "-m", "benchmarks.gpu_session", name, "--device", options.device]
    command += ["--small"] * options.small
    if name == "tests":
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests"]
    try:
        code = subprocess.run(command, timeout=limit).returncode
    except subprocess.TimeoutExpired:
        code = -1
        print(f"ended after its {limit:.0f} s")
    print(f"{name}: {'passed' if code == 0 else 'FAILED'} in {time.monotonic() - started:.1f} s", flush=True)
    return code == 0


def show_picture(device: str, _small: bool) -> None:
    """Seconds of a new process until the maps of a layer are there, and of the next layer."""
    started = time.perf_counter()
    import cnnviz

    model, photo = cnnviz.load("resnet50", "random", device), cnnviz.corpus("samples").image(0)
    for layer in ("layer1.0", "layer3.0"):
        shape = cnnviz.capture(model, photo, [layer])[layer].shape
        print(f"{layer} {shape}: after {time.perf_counter() - started:.2f} s")
    print(model)


def build_index(device: str, small: bool) -> None:
    """Images a second of a ResNet in every precision; the winners of float32 against the CPU's."""
    import cnnviz
    from cnnviz.data.corpus import MemoryCorpus

    name, count = ("resnet20_cifar", 24) if small else ("resnet50", 4000)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), np.uint8)
    names = [f"{i:05}" for i in range(count)]
    model = cnnviz.load(name, "random", device)
    for precision in ("float32", "auto"):
        started = time.perf_counter()
        found = cnnviz.index_patches(model, MemoryCorpus("noise", names, pixels), precision=precision)
        seconds = time.perf_counter() - started
        print(f"{precision}: {count / seconds:,.0f} images/s, {found.meta['precision']}, batch {found.meta['batch']}")
    few, layers = MemoryCorpus("noise", names[:24], pixels[:24]), ["conv1", "layer2.0"]
    here = cnnviz.index_patches(model, few, layers, precision="float32")
    there = cnnviz.index_patches(cnnviz.load(name, "random", "cpu"), few, layers, precision="float32")
    same = [
        [(one.image_id, one.row, one.col) for one in here.top(layer, c)]
        == [(one.image_id, one.row, one.col) for one in there.top(layer, c)]
        for layer in layers
        for c in range(here.channels(layer))
    ]
    print(f"winners as on the CPU: {sum(same)} of {len(same)} channels")
    assert np.mean(same) > 0.95, "more than rounding"


def draw_landscape(device: str, small: bool) -> None:
    """Points a second, and the largest difference from the CPU's in float32."""
    import cnnviz

    steps, count = (3, 32) if small else (25, 1000)
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (count, 32, 32, 3), np.uint8), random.integers(0, 10, count)
    name = "lenet5_tanh" if small else "resnet56_cifar"
    if small:
        images = images[:, :28, :28, :1]
    model = cnnviz.load(name, device=device)
    for precision in ("float32", "auto"):
        started = time.perf_counter()
        found = cnnviz.loss_surface(model, images, labels, steps, precision=precision)
        seconds = time.perf_counter() - started
        print(f"{precision}: {steps**2 / seconds:.1f} points/s over {count} images, {found.meta['precision']}")
    few = images[:32], labels[:32]
    here = cnnviz.loss_surface(model, *few, 3, precision="float32").loss
    there = cnnviz.loss_surface(cnnviz.load(name, device="cpu"), *few, 3, precision="float32").loss
    worst = float(np.abs(here / there - 1).max())
    print(f"largest relative difference from the CPU: {worst:.1e}")
    assert worst < 1e-3


def train_network(device: str, small: bool) -> None:
    """LeNet-5 on scikit-learn's digits: images a second; stopped and continued, the losses of a run that
    was never stopped."""
    from cnnviz.errors import Cancelled
    from cnnviz.training.control import TrainingControl
    from cnnviz.training.loop import TrainingProgress, train
    from cnnviz.training.recipe import Recipe

    recipe, rates = Recipe(epochs=1 if small else 4, batch=64, precision="float32"), list[float]()

    def watch(state: TrainingProgress) -> None:
        rates.append(state.images_per_second)

    with tempfile.TemporaryDirectory() as folder:
        whole = train("lenet5", "digits", Path(folder) / "whole", recipe, device, watch)
        control, seen = TrainingControl(), list[int]()

        def stop(state: TrainingProgress) -> None:
            seen.append(state.step)
            if state.step >= 3:
                control.stop()

        try:
            train("lenet5", "digits", Path(folder) / "parts", recipe, device, stop, control=control)
        except Cancelled as error:
            print(error)
        parts = train("lenet5", "digits", Path(folder) / "parts", recipe, device)
        histories = [json.loads((path.parent / "history.json").read_text(encoding="utf-8")) for path in (whole, parts)]
        runs = [[epoch["train_loss"] for epoch in history] for history in histories]
    print(f"{max(rates):,.0f} images/s")
    print("continued as if never stopped" if runs[0] == runs[1] else "continued with other losses in the last digits")


def fill_memory(device: str, small: bool) -> None:
    """With almost no memory left, passes take fewer images at once, and a network that has no room comes to the CPU."""
    import torch

    import cnnviz
    from cnnviz.device import describe, halving

    if not device.startswith("cuda"):
        print("only CUDA can be filled")
        return
    asked: list[int] = []
    model = cnnviz.load("resnet50", "random", device)
    info = describe(str(model.device))
    taken = torch.empty(info.memory_total - info.memory_used - (3 << 29), dtype=torch.uint8, device=model.device)

    def run(size: int) -> int:
        asked.append(size)
        model.predict([np.zeros((224, 224, 3), np.uint8)] * size)
        return size

    print(f"{halving(run, 64 if small else 4096, model.device)} images at once, of {asked} tried")
    large = cnnviz.load("vgg19", "random", device)
    print(f"vgg19 is on {large.device}: {large.notes.get('device', 'there was room')}")
    del taken


_RUN: dict[str, Callable[[str, bool], None]] = {
    "picture": show_picture,
    "index": build_index,
    "landscape": draw_landscape,
    "training": train_network,
    "memory": fill_memory,
}

if __name__ == "__main__":
    main()
