"""Learn from few photographs, in four ways: `python -m benchmarks.transfer_learning DATA [--out FOLDER]`.

DATA: a folder of class folders, as for `cnnviz train`, with train/ and test/. The network is trained from scratch, with
augmentation, and from its trained weights, the head only and all layers, each for the same number of epochs. The runs
stay in FOLDER, where the same command goes on."""

import argparse
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

from cnnviz.cli.bar import ProgressBar
from cnnviz.studies.learning.attempts import ATTEMPTS, AttemptProgress, AttemptsRecord, describe_attempts, run_attempts
from cnnviz.training.recipe import Recipe


def main() -> None:
    """Train, and print accuracies and seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--network", default="efficientnet_lite0")
    parser.add_argument("--from", dest="start", default="packaged")
    parser.add_argument("--images-per-class", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.05, help="from scratch; a tenth with trained weights")
    parser.add_argument("--crop", type=int, default=28, help="pixels of the random crop's padding")
    parser.add_argument("--save", type=Path, help="JSON file for the epochs of all attempts")
    parser.add_argument("--about", default="", help="what the images are, for that file")
    parser.add_argument("--attempts", nargs="*", default=list(ATTEMPTS), choices=list(ATTEMPTS))
    options = parser.parse_args()
    recipe = Recipe(epochs=options.epochs, batch=20, lr=options.lr, crop=options.crop, precision="float32")
    bar, begun = ProgressBar(), time.monotonic()

    def show(state: AttemptProgress) -> None:
        bar.update(state.share, state.describe())

    with tempfile.TemporaryDirectory() as temporary:
        results = run_attempts(
            options.network,
            options.data,
            options.out or temporary,
            recipe,
            options.start,
            options.attempts,
            options.images_per_class,
            progress=show,
        )
        bar.clear()
        print(f"{options.network}, {find_processor()}, {time.monotonic() - begun:.0f} s in all")
        histories = {result.attempt.name: result.history for result in results}
        for line in describe_attempts(histories):
            print(line)
        if options.save:
            AttemptsRecord(histories, describe_run(options, recipe)).save(options.save)
        for result in results:
            print(f"{result.attempt.title}: {sum(epoch.seconds for epoch in result.history):.0f} s of training")


def describe_run(options: argparse.Namespace, recipe: Recipe) -> dict[str, Any]:
    """What a file of attempts says of how they were made."""
    return {
        "network": options.network,
        "start": options.start,
        "images": options.about,
        "images_per_class": options.images_per_class,
        "recipe": recipe.as_dict(),
        "processor": find_processor(),
        "command": f"python -m benchmarks.transfer_learning DATA --epochs {options.epochs}",
    }


def find_processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
