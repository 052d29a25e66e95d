"""Measure how transferable features are: `python -m benchmarks.transfer_study DATA [--out FILE] [--seeds N]`.

DATA: CIFAR-10, as for `cnnviz train`. The study is written after every training, and the same command goes on where it
stopped. Halves A and B are the classes at even and at odd places; of each class the first images of the training split
are trained on, and those that follow measured, since they are more than the test split has.
Source: Yosinski et al., NIPS 2014; see `cnnviz.studies.learning.transfer`."""

import argparse
import time
from pathlib import Path

from cnnviz.data.labelled import load_labelled
from cnnviz.models.bundled import assets
from cnnviz.models.catalogue.registry import find
from cnnviz.progress import duration
from cnnviz.studies.learning.halves import run_study, split_classes
from cnnviz.studies.learning.transfer import BUNDLED, TransferStudy, describe_study
from cnnviz.training.recipe import Recipe

ARCHITECTURE, LAYERS = "lenet_cifar", ("conv1", "conv2", "fc1", "fc2")
RECIPE = Recipe(epochs=15, batch=128, lr=0.03, warmup=1, crop=2, flip=True, precision="float32")
TRAIN_EACH, TEST_EACH, SEEDS = 2_000, 1_000, 5


def main() -> None:
    """Train what is left, and print what the study shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, default=assets() / "studies" / BUNDLED, help="%(default)s")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="%(default)s")
    options = parser.parse_args()
    data = load_labelled(options.data, "train", find(ARCHITECTURE).preprocessing, per_class=TRAIN_EACH + TEST_EACH)
    halves = split_classes(data, TRAIN_EACH, TEST_EACH)
    meta = {
        "architecture": ARCHITECTURE,
        "data": "CIFAR-10",
        "halves": {name: half.training.class_names for name, half in zip("AB", halves, strict=True)},
        "images": {"trained_each_class": TRAIN_EACH, "measured_each_class": TEST_EACH, "from": "training split"},
        "recipe": RECIPE.as_dict(),
        "source": "Yosinski et al., NIPS 2014",
        "command": f"python -m benchmarks.transfer_study DATA --seeds {options.seeds}",
    }
    study = _open(options.out, TransferStudy.empty(LAYERS, range(options.seeds), meta))
    left, begun, done = len(list(study.list_open())), time.monotonic(), 0

    def save(current: TransferStudy, row: int, kind: str, column: int) -> None:
        nonlocal done
        done += 1
        current.save(options.out)
        place = f" {LAYERS[column]}" if column >= 0 else ""
        value = current.accuracy[kind][row, column] if column >= 0 else current.bases[row, "AB".index(kind)]
        rest = (time.monotonic() - begun) / done * (left - done)
        print(f"seed {row} {kind}{place}: {value:.2%}  ({done}/{left}, {duration(rest)} left)", flush=True)

    run_study(study, ARCHITECTURE, halves, RECIPE, save)
    study.save(options.out)
    print("\n".join(describe_study(study)))


def _open(path: Path, empty: TransferStudy) -> TransferStudy:
    """The study on disk with what it lacks, if it is of the same settings, else the empty one."""
    if not path.is_file():
        return empty
    found = TransferStudy.load(path)
    found.meta["recipe"] = Recipe.from_dict(found.meta.get("recipe", {})).as_dict()  # an earlier one had fewer settings
    differing = [
        name for name in ("architecture", "halves", "images", "recipe") if found.meta.get(name) != empty.meta[name]
    ]
    if differing or found.layers != empty.layers:
        what = ", ".join(differing) or "layers"
        raise SystemExit(f"{path} is a study of other settings ({what}). Choose another --out, or remove it.")
    for row, seed in enumerate(empty.seeds):
        if seed in found.seeds:
            at = found.seeds.index(seed)
            empty.bases[row] = found.bases[at]
            for kind, values in empty.accuracy.items():
                values[row] = found.accuracy[kind][at]
    return empty


if __name__ == "__main__":
    main()
