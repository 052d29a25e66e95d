"""Weights that a training starts from: what is taken of them, and what starts anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cnnviz.errors import BadInput
from cnnviz.models.load import load
from cnnviz.models.model import LoadedModel
from cnnviz.models.recognise.shapes import outline
from cnnviz.wording import plural

_COUNTERS = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class StartReport:
    """What a training took of other weights. `weights`: the word or the file's name. `fingerprint`: of the network that
    they make. `taken`: number of its tensors; `fresh`: names of those that keep their random values, and `why`."""

    weights: str
    fingerprint: str
    taken: int
    fresh: tuple[str, ...]
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "weights": self.weights,
            "fingerprint": self.fingerprint,
            "taken": self.taken,
            "fresh": list(self.fresh),
            "why": self.why,
        }

    def describe(self) -> str:
        """One sentence, e.g. "start: packaged, 260 tensors taken; fresh: classifier.weight, classifier.bias (…)"."""
        shown = ", ".join(self.fresh[:4]) + (f" and {len(self.fresh) - 4} more" if len(self.fresh) > 4 else "")
        fresh = f"; fresh: {shown} ({self.why})" if self.fresh else "; nothing is fresh"
        return f"start: {self.weights}, {plural(self.taken, 'tensor')} taken{fresh}"


def load_start(architecture: str, start: str | Path) -> LoadedModel:
    """The network whose weights a training of `architecture` starts from, on the CPU.

    `start`: as `weights` of `cnnviz.load`. Raises as it does, and BadInput for "random", which is no start."""
    if str(start) == "random":
        raise BadInput("A start from random weights is a training from scratch. Leave the start (--from) out.")
    return load(architecture, start, "cpu")


def copy_start(module: nn.Module, start: LoadedModel, classes: list[str]) -> StartReport:
    """Copy the weights of `start` into `module`, the same network for `classes`.

    The head stays as it is where its classes are others: another number, or as many under other names, unless the names
    of the start only count ("class 0", …). So do tensors that the start's file lacked. Raises BadInput, naming the
    first tensor, if anything else differs."""
    ours, theirs = module.state_dict(), start.module.state_dict()
    head = outline(start.name).head
    for name in [*ours, *theirs]:
        here, there = (tuple(state[name].shape) if name in state else None for state in (ours, theirs))
        if here != there and name not in head:
            raise BadInput(
                f"{start.origin} does not fit {start.name} as it is trained here: {name} is {_describe(there)} there, "
                f"{_describe(here)} here. Only the head may differ, in its number of classes."
            )
    fresh = set(start.report.missing) if start.report else set()
    why = "not in the file" if fresh else ""
    if _are_others(start.class_names, classes):
        fresh, why = fresh | head, _say_why(start.class_names, classes)
    taken = {name: tensor for name, tensor in theirs.items() if name not in fresh}
    with torch.no_grad():
        module.load_state_dict(taken, strict=False)
    anew = tuple(name for name in ours if name in fresh and not name.endswith(_COUNTERS))
    return StartReport(start.origin, start.fingerprint, len(taken), anew, why)


def _are_others(theirs: list[str], ours: list[str]) -> bool:
    counted = [f"class {i}" for i in range(len(ours))]
    return theirs not in (ours, counted)


def _say_why(theirs: list[str], ours: list[str]) -> str:
    if len(theirs) != len(ours):
        return f"{plural(len(ours), 'class')}, {len(theirs)} in the start"
    here, there = next((a, b) for a, b in zip(ours, theirs, strict=True) if a != b)
    return f"other classes: {here!r} where the start has {there!r}"


def _describe(shape: tuple[int, ...] | None) -> str:
    return "not" if shape is None else f"of shape {shape}"
