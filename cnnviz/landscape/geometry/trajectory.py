"""Training trajectory: the path of a run through weight space, projected on a plane through its last weights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnnviz.errors import BadInput
from cnnviz.landscape.evaluate.evaluator import Evaluator
from cnnviz.landscape.evaluate.moved_model import check_direction
from cnnviz.landscape.geometry.interpolation import check_same, copy_state
from cnnviz.landscape.geometry.pca import Direction, principal_directions, project
from cnnviz.landscape.results import Trajectory
from cnnviz.models.checkpoint.read import read_weights
from cnnviz.models.model import LoadedModel
from cnnviz.progress import StudyWatcher, Ticker
from cnnviz.training.record.files import list_epochs

Snapshot = tuple[int, Mapping[str, Tensor] | str | Path]
_FILE = re.compile(r"epoch-(\d+)\.safetensors")
_HALF, _SINGLE = 2.0**-11, 1e-6  # relative rounding: the largest of float16, and beyond what float32 leaves


def read_snapshots(folder: str | Path) -> list[tuple[int, Path]]:
    """(epoch, file) of the weights that a recorded training kept, by epoch.

    `folder`: the run's, or one of files epoch-000.safetensors, … as those that come with cnnviz. Raises BadInput if it
    holds none."""
    root = Path(folder)
    files = root.glob("epoch-*.safetensors") if root.is_dir() else ()
    found = {int(match[1]): path for path in files if (match := _FILE.fullmatch(path.name))} or list_epochs(root)
    if not found:
        raise BadInput(
            f"{folder} holds no weights of a training. `cnnviz train` and `cnnviz.record` keep some in the folder of a "
            "run."
        )
    return sorted(found.items())


def trajectory(
    model: LoadedModel,
    snapshots: Sequence[Snapshot],
    images: Any,
    labels: Any,
    directions: Sequence[Direction] | None = None,
    over: str = "weights",
    precision: str = "auto",
    statistics: str = "frozen",
    progress: StudyWatcher | None = None,
) -> tuple[Trajectory, list[dict[str, Tensor]], np.ndarray]:
    """The path of `snapshots`, (epoch, state dict or file) each, in a plane through the weights of `model`, the
    last of the run, which are its origin. Returns (trajectory, two directions, explained).

    The plane is that of the first two principal components of the differences to the last weights, each of length 1, so
    that positions are distances in weight space; hand them to `loss_surface(directions=…)`, and the path lies on that
    surface. Or it is that of two `directions` given, of any length and angle: positions are then the least-squares
    coordinates. `explained` (2,): share of the path's variance along each direction. `over`: "weights" are the tensors
    that filter directions move (convolutions and fully connected layers, no biases, no batch normalisation),
    "parameters" all parameters; distances and residuals are within these. A snapshot that differs from the last weights
    by no more than float16 rounds is the origin: its residual is 0. The last snapshot has to be it. The loss is that of
    the whole snapshot, its running statistics included, over `images` and `labels` (as for `Evaluator`, like
    `precision` and `statistics`).

    Memory: one float32 copy of these tensors a snapshot. Source: Li et al. 2018, section 7.2; residuals as the test of
    such pictures, and the warning that random walks look alike, Antognini, Sohl-Dickstein, NeurIPS 2018,
    arXiv:1806.08805. Raises BadInput for snapshots of another network (the first difference is named) or that lead to
    other weights than the model's, and a path that is no more than a straight line; Cancelled when `progress` returns
    False."""
    if over not in ("weights", "parameters"):
        raise BadInput(f'A path is taken over "weights" or "parameters", got {over!r}.')
    if not snapshots:
        raise BadInput("A path needs at least three snapshots, got none.")
    evaluator = Evaluator(model, images, labels, precision, statistics)
    last = copy_state(model, torch.device("cpu"))
    names = _list_moving(model, over)
    ordered = sorted(snapshots, key=lambda snapshot: snapshot[0])
    _check_end(ordered[-1], model, last, names)
    ticker, epochs, measured, tolerances = Ticker(len(ordered), progress), [], [], []
    differences: dict[str, list[Tensor]] = {name: [] for name in names}
    for epoch, kept in ordered:
        state, half = _load_state(kept, model, last)
        for name in names:
            differences[name].append((state[name] - last[name]).flatten())
        measured.append(evaluator.at(state))
        tolerances.append(_HALF * _measure_length([last[name] for name in names]) if half else 0.0)
        epochs.append(epoch)
        ticker.tick(f"epoch {epoch}")
    rows = {name: torch.stack(parts) for name, parts in differences.items() if parts}
    shapes = {name: last[name].shape for name in names}
    plane = _check_plane(directions, last, names) if directions is not None else principal_directions(rows, shapes)
    shown = project(rows, plane)
    near = shown.distance <= np.array(tolerances)
    meta = (
        {"architecture": model.name, "weights": model.fingerprint, "data": evaluator.data, "images": evaluator.count}
        | {"over": over, "plane": "given" if directions is not None else "PCA", "explained": shown.explained.tolist()}
        | {"cosine": shown.cosine, "distance": shown.distance.tolist(), **evaluator.precision_meta()}
        | {"statistics": statistics}
    )
    residual = np.where(near, 0.0, shown.residual)
    loss, accuracy = (np.array([getattr(m, name) for m in measured]) for name in ("loss", "accuracy"))
    path = Trajectory(np.array(epochs), shown.positions, residual, loss, accuracy, meta)
    return path, plane, shown.explained


def _list_moving(model: LoadedModel, over: str) -> list[str]:
    """The names of the tensors that a path is taken over."""
    with model.lock:
        return [name for name, p in model.module.named_parameters() if over == "parameters" or p.dim() > 1]


def _load_state(
    kept: Mapping[str, Tensor] | str | Path, model: LoadedModel, last: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], bool]:
    """A snapshot's tensors, float32 on the CPU, and whether they were rounded to float16."""
    label = "the snapshot"
    if isinstance(kept, str | Path):
        checkpoint, label = read_weights(kept), Path(kept).name
        made_for = checkpoint.metadata.get("architecture", model.name)
        if made_for != model.name:
            raise BadInput(f"{label} is a snapshot of {made_for}, the network is {model.name}.")
        kept = checkpoint.tensors
    floats = {k: v.detach() for k, v in kept.items() if v.is_floating_point()}
    check_same(last, floats, model.name, label)
    half = any(tensor.dtype == torch.float16 for tensor in floats.values())
    return {name: tensor.to("cpu", torch.float32) for name, tensor in floats.items()}, half


def _check_end(snapshot: Snapshot, model: LoadedModel, last: Mapping[str, Tensor], names: list[str]) -> None:
    """Raise BadInput unless the last snapshot is the model's weights: a plane through others shows another path."""
    epoch, kept = snapshot
    state, half = _load_state(kept, model, last)
    apart, length = _measure_length([state[n] - last[n] for n in names]), _measure_length([last[n] for n in names])
    if apart > (_HALF if half else _SINGLE) * length:
        raise BadInput(
            f"The last snapshot, of epoch {epoch}, is {apart:.3g} away from the weights of {model.name}, which are "
            f"{length:.3g} long: they are not the ones that this run ended with. Load those, with `--weights "
            "RUN/….safetensors`: `cnnviz train` writes that file into the run's folder at the end."
        )


def _check_plane(
    directions: Sequence[Direction], last: Mapping[str, Tensor], names: list[str]
) -> list[dict[str, Tensor]]:
    if len(directions) != 2:
        raise BadInput(f"A plane needs two directions, got {len(directions)}.")
    for direction in directions:
        check_direction(direction, last)
        if outside := [name for name in direction if name not in names and bool(direction[name].any())]:
            raise BadInput(
                f"The direction moves {outside[0]!r}, which this path leaves out: "
                'over="parameters" takes all parameters.'
            )
    return [{name: tensor.to("cpu", torch.float32) for name, tensor in d.items()} for d in directions]


def _measure_length(tensors: Sequence[Tensor]) -> float:
    return float(np.sqrt(sum(float(t.double().square().sum()) for t in tensors)))
