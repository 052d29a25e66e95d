"""An index run under faults: killed at random moments, shared by ranks, with damaged files in its corpus.

SqueezeNet 1.0 with random weights over photographs that are made here, through `cnnviz index` as users run it,
saving as it does by itself. Prints what was seen and whether the index is bit for bit that of a quiet run."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from cnnviz.errors import CnnvizError
from cnnviz.store import load_arrays

COUNT, KILLS, FAULTY = int(os.environ.get("CNNVIZ_BENCH_COUNT", 1000)), 10, 20
RANKS = (2, 3)
TORCHRUN = ["-m", "torch.distributed.run", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]


def main() -> None:
    """Print one line a fault."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_photographs(place / "images", COUNT)
        run_index(place, "quiet.npz")
        print(f"{COUNT} images, {count_threads()} threads a process")
        steps = kill_and_resume(place, "killed.npz")
        print(
            f"killed {len(steps)} times, images safe at each kill {steps}: {compare(place, 'killed.npz', 'quiet.npz')}"
        )
        for ranks in RANKS:
            run_index(place, f"ranks{ranks}.npz", ranks)
            print(f"{ranks} ranks: {compare(place, f'ranks{ranks}.npz', 'quiet.npz')}")
        damaged = damage(place / "images")
        run_index(place, "faulty.npz")
        reported = {name for name, _why in load_arrays(place / "faulty.npz")[1]["skipped"]}
        for name in damaged:  # left out, the others find the same
            (place / "images" / name).unlink()
        print(f"{FAULTY} damaged files: all reported: {reported == set(damaged)}; {compare_winners(place)}")


def write_photographs(folder: Path, count: int) -> None:
    """Clouds of colour with edges, as JPEG files of 256 × 256 pixels."""
    folder.mkdir()
    grain = np.random.default_rng(0)
    for i in range(count):
        coarse = grain.integers(0, 256, (grain.integers(3, 40), grain.integers(3, 40), 3), dtype=np.uint8)
        kind = (Image.Resampling.BICUBIC, Image.Resampling.NEAREST)[i % 2]
        Image.fromarray(coarse).resize((256, 256), kind).save(folder / f"{i:05}.jpg", quality=90)


def make_command(place: Path, out: str) -> list[str]:
    options = "-m cnnviz index squeezenet1_0 --weights random --device cpu --batch 8 --precision float32".split()
    return [*options, "--data", str(place / "images"), "--out", str(place / out)]


def start_process(words: list[str]) -> subprocess.Popen[bytes]:
    more = {"OMP_NUM_THREADS": str(count_threads())}  # torchrun would set 1, and a sum's order depends on it
    quiet = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, *words], env=os.environ | more, stdout=quiet, stderr=quiet)


def count_threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS", 1))


def run_index(place: Path, out: str, ranks: int = 1) -> None:
    words = make_command(place, out)
    if ranks > 1:
        words = [*TORCHRUN, f"--nproc-per-node={ranks}", *words]
    if start_process(words).wait():
        sys.exit(f"The run for {out} failed: {' '.join(words)}")


def kill_and_resume(place: Path, out: str) -> list[int]:
    """Images that the file held after each kill."""
    whole, start = time_index(place, "timed.npz"), time_index(place, "timed.npz")  # the second finds nothing to do
    moments, steps = random.Random(0), list[int]()
    while len(steps) < KILLS:
        process = start_process(make_command(place, out))
        time.sleep(start * moments.uniform(0.8, 1.0) + (whole - start) * moments.uniform(0.0, 1.5 / KILLS))
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            print(f"it was finished before kill {len(steps) + 1}")
            break
        steps.append(count_saved(place / out))
    run_index(place, out)
    return steps


def time_index(place: Path, out: str) -> float:
    began = time.monotonic()
    run_index(place, out)
    return time.monotonic() - began


def count_saved(path: Path) -> int:
    try:
        return int(load_arrays(path)[1]["next"])
    except CnnvizError:
        return 0  # killed before the first save


def compare(place: Path, one: str, other: str) -> str:
    (mine, told), (theirs, said) = load_arrays(place / one), load_arrays(place / other)
    alike = told == said and mine.keys() == theirs.keys()
    alike = alike and all(np.array_equal(array, theirs[name]) for name, array in mine.items())
    return "identical" if alike else "DIFFERENT"


def damage(folder: Path) -> list[str]:
    """Cut or overwrite some files; their names."""
    chosen = random.Random(1).sample(sorted(path.name for path in folder.iterdir()), FAULTY)
    for i, name in enumerate(chosen):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes((b"", b"no image", data[: len(data) // 3], bytes(len(data)))[i % 4])
    return chosen


def compare_winners(place: Path) -> str:
    """Whether the index with damaged files and that without them name the same images with values alike."""
    run_index(place, "without.npz")
    (mine, told), (theirs, said) = load_arrays(place / "faulty.npz"), load_arrays(place / "without.npz")
    layers, ids, others = told["layers"], told["ids"], said["ids"]

    def names(images: np.ndarray, of: dict[str, str]) -> list[str]:
        return [of.get(str(i), "") for i in images.ravel()]

    equal = [
        a == b
        for layer in layers
        for a, b in zip(names(mine[f"images/{layer}"], ids), names(theirs[f"images/{layer}"], others), strict=True)
    ]
    apart = max(float(np.abs(mine[f"values/{layer}"] - theirs[f"values/{layer}"]).max()) for layer in layers)
    return f"{np.mean(equal):.2%} of the winners the same as without them, values to {apart:.1e}"


if __name__ == "__main__":
    main()
