"""How many images dense and convolutional networks need: `python -m benchmarks.sample_efficiency DATA [--out FILE]`.

DATA: MNIST, as for `cnnviz train`. The study is written after every training, and the same command goes on where it
stopped. See `cnnviz.studies.learning.efficiency`."""

import argparse
import platform
from pathlib import Path

import numpy as np
import torch

from cnnviz.data.labelled import load_labelled
from cnnviz.models.bundled import assets
from cnnviz.models.catalogue.registry import find
from cnnviz.studies.learning.efficiency import (
    BATCH,
    BUNDLED,
    DECAY,
    MOMENTUM,
    RATE,
    SHIFT,
    STEPS,
    EfficiencyStudy,
    describe_efficiency,
    empty_study,
    run_efficiency,
)

NETWORKS, COUNTS, SEEDS, TEST = ("mlp", "lenet5"), (1, 3, 10, 30, 100, 300, 1000), 5, 3000


def main() -> None:
    """Train what is left, and print what the study shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, default=assets() / "studies" / BUNDLED, help="%(default)s")
    options = parser.parse_args()
    prepared = find("lenet5").preprocessing
    parts = []
    for split, most in (("train", max(COUNTS)), ("test", TEST // 10)):
        found = load_labelled(options.data, split, prepared, per_class=most)
        images = prepared.normalise(torch.from_numpy(found.batch(np.arange(len(found.labels)))))
        parts.append((images, torch.from_numpy(found.labels.astype("int64"))))
    recipe = {"steps": STEPS, "batch": BATCH, "lr": RATE, "momentum": MOMENTUM, "weight_decay": DECAY, "shift": SHIFT}
    meta = {
        "data": "MNIST",
        "test": len(parts[1][1]),
        "recipe": recipe,
        "processor": platform.processor() or platform.machine(),
        "command": "python -m benchmarks.sample_efficiency mnist",
    }
    study = empty_study(NETWORKS, COUNTS, range(SEEDS), meta)
    if options.out.is_file() and (kept := EfficiencyStudy.load(options.out)).meta.get("recipe") == recipe:
        study = kept

    def watch(name: str, seed: int, count: int) -> None:
        study.save(options.out)
        column = study.counts.index(count)
        usual, moved = study.accuracy[name][:, study.seeds.index(seed), column]
        print(f"{name} seed {seed}, {count} of each class: {usual:.1%}, moved {moved:.1%}", flush=True)

    run_efficiency(study, parts[0], parts[1], watch)
    study.save(options.out)
    print("\n".join(describe_efficiency(study)))


if __name__ == "__main__":
    main()
