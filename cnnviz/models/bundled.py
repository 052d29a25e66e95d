"""The trained weights that come with cnnviz: assets/weights/<architecture>-<dataset>.safetensors.

Snapshots of the same training, for some: assets/weights/snapshots/<architecture>/epoch-NNN.safetensors, float16. Of
others the whole recorded training: assets/runs/<architecture>, as `cnnviz.record` wrote it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from cnnviz.errors import BadInput
from cnnviz.paths import project
from cnnviz.store import is_there, read_json

SHIPPED = (  # the architectures whose trained weights belong to every cnnviz
    "lenet5",
    "lenet5_avg",
    "lenet5_tanh",
    "nin_cifar10",
    "plain20_cifar",
    "plain56_cifar",
    "resnet20_cifar",
    "resnet56_cifar",
)
BUNDLED = "bundled:"  # begins the names of the trainings that come with cnnviz
_WORD, _FILE = re.compile(r"epoch-(\d+)"), re.compile(r"epoch-(\d+)\.safetensors")


def assets() -> Path:
    """The folder of bundled files: $CNNVIZ_ASSETS, else those that came with this cnnviz."""
    chosen = os.environ.get("CNNVIZ_ASSETS")
    return Path(chosen).expanduser() if chosen else project() / "assets"


def bundled() -> dict[str, Path]:
    """{architecture: weights file}, sorted; the first data set by name where there are several.

    SHIPPED, unless files are missing or CNNVIZ_ASSETS names a folder with others. A file's recipe lies beside it as
    .json."""
    found: dict[str, Path] = {}
    for path in sorted((assets() / "weights").glob("*.safetensors")):
        found.setdefault(path.stem.partition("-")[0], path)
    return found


def snapshot_folder(name: str) -> Path:
    """Where the snapshots of the training of the bundled weights of `name` lie; it may not be there."""
    return assets() / "weights" / "snapshots" / name


def snapshots(name: str) -> dict[int, Path]:
    """{epochs trained: file}, ascending, of the bundled snapshots of `name`; {} where it has none."""
    folder = snapshot_folder(name)
    if not is_there(folder):  # also a name that is longer than a file's may be
        return {}
    files = folder.glob("epoch-*.safetensors")
    return dict(sorted((int(match[1]), path) for path in files if (match := _FILE.fullmatch(path.name))))


def recorded_folder(name: str) -> Path | None:
    """The recorded run of the bundled weights of `name`, "lenet5_tanh", where it comes along whole; else None."""
    folder = assets() / "runs" / name
    return folder if name in bundled() and is_there(folder / "run.json") else None


def read_training(name: str) -> dict[str, Any]:
    """What is written beside the bundled weights of `name`: recipe, classes, accuracy, and as "history" what was
    measured after each epoch, [{"epoch", "train_loss", …}]; {} where there is nothing to be read."""
    path = bundled().get(name)
    try:
        notes = read_json(path.with_suffix(".json")) if path else {}
    except BadInput:
        return {}
    return notes if isinstance(notes, dict) else {}


def epoch_of(weights: object) -> int | None:
    """The number of epochs in a word "epoch-5", which names a bundled snapshot; None for anything else."""
    match = _WORD.fullmatch(weights) if isinstance(weights, str) else None
    return int(match[1]) if match else None
