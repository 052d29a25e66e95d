"""Files of a training run: checkpoint, history, and the exported safetensors; `record/` has what is seen of it."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput
from cnnviz.store import read_json, write_bytes_atomic, write_json
from cnnviz.training.folded_norm import read_plain_state
from cnnviz.training.recipe import Recipe

CHECKPOINT, HISTORY = "checkpoint.pt", "history.json"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of the history. Losses in nats, accuracies in 0..1."""

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    lr: float
    seconds: float


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Settings that must agree before a run is continued. `start`: fingerprint of the network whose weights it began
    with; `freeze`: the last layer that stays as it is; "" for none."""

    architecture: str
    recipe: Recipe
    data: str
    start: str = ""
    freeze: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values; what a training from scratch has not is left out, as by earlier versions."""
        known = {"architecture": self.architecture, "recipe": self.recipe.as_dict(), "data": self.data}
        return known | {name: value for name in ("start", "freeze") if (value := getattr(self, name))}


def describe_transfer(start: Mapping[str, Any] | None, freeze: str, per_class: int) -> dict[str, Any]:
    """What metadata say of a training that began with other weights, froze layers or used few images; {} of others."""
    facts = {"start": dict(start or {}), "freeze": freeze, "images_per_class": per_class}
    return {name: value for name, value in facts.items() if value}


def make_run_folder(out: str | Path) -> Path:
    """Create the folder of a run if it does not exist. Raises BadInput if it cannot be created or written."""
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # a file of that name, or a folder above it that is not ours
        reason = "it is a file" if folder.is_file() else error.strerror or str(error)
        raise BadInput(f"{folder} cannot be the folder of a run: {reason}. Choose another --out.") from error
    if not os.access(folder, os.W_OK):
        raise BadInput(f"{folder} cannot be the folder of a run: it cannot be written. Choose another --out.")
    return folder


@dataclass(frozen=True, slots=True)
class EpochPart:
    """Where an epoch was left. `step`: steps that were made of it; `loss`, `right`: their sums over images; the states
    of the generators: `order` of the run's own, `random` of PyTorch's, `device` of the accelerator's."""

    step: int
    loss: torch.Tensor
    right: torch.Tensor
    order: torch.Tensor
    random: torch.Tensor
    device: torch.Tensor | None = None

    def as_dict(self) -> dict[str, Any]:
        """Tensors and numbers that PyTorch reads back without running anything."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


def save_checkpoint(
    folder: Path,
    identity: RunIdentity,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    history: list[Epoch],
    part: EpochPart | None = None,
) -> None:
    """Write checkpoint and history, atomically: a kill leaves the previous ones. `part`: of the epoch under way."""
    state = {
        "model": model.state_dict(),
        "optimizer": optimiser.state_dict(),
        "identity": json.dumps(identity.as_dict()),
        "history": json.dumps([asdict(e) for e in history]),
        "part": part and part.as_dict(),
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes_atomic(folder / CHECKPOINT, buffer.getvalue())
    write_json(folder / HISTORY, [asdict(e) for e in history])


def read_history(folder: str | Path) -> list[Epoch]:
    """The finished epochs of the run in `folder`. Raises BadInput if it has no readable history."""
    path = Path(folder) / HISTORY
    try:
        return [Epoch(**values) for values in read_json(path)]
    except TypeError as error:
        raise BadInput(f"{path} is no history of `cnnviz train` ({error}).") from error


def load_checkpoint(
    folder: Path, identity: RunIdentity, model: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[list[Epoch], EpochPart | None]:
    """Restore a run in place and return its history, and the part of the next epoch that is done, if there is one; []
    and None if the folder holds no run.

    Raises BadInput if the folder's run has other settings, or its checkpoint is not one of `cnnviz train`."""
    path = folder / CHECKPOINT
    if not path.is_file():
        return [], None
    state = _read(path)
    before, now = json.loads(state["identity"]), identity.as_dict()
    before["recipe"] = Recipe.from_dict(before["recipe"]).as_dict()  # an earlier version knew fewer settings
    if before != now:
        raise BadInput(
            f"{folder} holds a run with other settings ({_difference(before, now)}). Choose another --out, or "
            "remove that folder."
        )
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimizer"])
    part = EpochPart(**state["part"]) if state.get("part") else None
    return [Epoch(**values) for values in json.loads(state["history"])], part


def _read(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote. Raises BadInput for anything else."""
    reason = "it is no checkpoint of `cnnviz train`"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        state, reason = None, f"it is damaged or of another program ({(str(error).splitlines() or [''])[0][:80]})"
    if isinstance(state, dict) and state.get("part") and set(state["part"]) != {one.name for one in fields(EpochPart)}:
        state, reason = None, "the part of an epoch in it is of another version"
    if not isinstance(state, dict) or not {"model", "optimizer", "identity", "history"} <= state.keys():
        raise BadInput(f"{path} cannot be continued: {reason}. Choose another --out, or remove that file.")
    return state


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    old, new = before | before["recipe"], now | now["recipe"]
    keys = [key for key in {**new, **old} if key != "recipe" and old.get(key) != new.get(key)]
    changed = [f"{key}: {old.get(key, 'none')} there, {new.get(key, 'none')} now" for key in keys]
    return "; ".join(changed)


def export_run(
    folder: Path,
    stem: str,
    identity: RunIdentity,
    model: nn.Module,
    classes: list[str],
    preprocessing: Preprocessing,
    history: list[Epoch],
    test_images: int,
    others: Mapping[str, Any],
) -> Path:
    """Write `<stem>.safetensors`, whose metadata say everything, and the same as `<stem>.json`. `others`: what
    else they shall say, such as `device.precision_meta` of the last epochs, and `describe_transfer`."""
    from safetensors.torch import save

    last = history[-1]
    notes = {
        "architecture": identity.architecture,
        "classes": classes,
        "preprocessing": preprocessing.as_dict(),
        "recipe": identity.recipe.as_dict(),
        **others,
        "data": identity.data,
        "accuracy": {"test": last.test_accuracy, "test_images": test_images, "train": last.train_accuracy},
        "made_by": "cnnviz train",
    }
    tensors = {k: v.detach().cpu().contiguous() for k, v in read_plain_state(model).items()}
    target = folder / f"{stem}.safetensors"
    write_bytes_atomic(target, save(tensors, metadata={"cnnviz": json.dumps(notes)}))
    write_json(folder / f"{stem}.json", notes | {"history": [asdict(e) for e in history]})
    return target
