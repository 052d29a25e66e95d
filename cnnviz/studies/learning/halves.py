"""The trainings of the study of transfer: halves of a data set's classes, and networks cut after a layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz.data.labelled import LabelledSet, choose_per_class
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput
from cnnviz.models.catalogue.registry import build, find
from cnnviz.probes.upstream import find_upstream
from cnnviz.studies.learning.transfer import BASES, KINDS, TransferStudy
from cnnviz.training.augment import random_crop, random_flip
from cnnviz.training.freeze import FrozenLayers, freeze_layers
from cnnviz.training.loop import evaluate
from cnnviz.training.loss import total_loss
from cnnviz.training.recipe import Recipe, learning_rate
from cnnviz.wording import plural

Saver = Callable[[TransferStudy, int, str, int], None]  # after each training: the study, its row, kind and column


@dataclass(frozen=True, slots=True)
class HalfSet:
    """One half of the classes: images to train on, and to measure with."""

    training: LabelledSet
    testing: LabelledSet


def split_classes(data: LabelledSet, train_each: int, test_each: int) -> tuple[HalfSet, HalfSet]:
    """Halves A (the classes at even places) and B (those at odd places), of the first `train_each` images of each class
    and the `test_each` that follow. Raises BadInput for too few classes or images."""
    counts = np.bincount(data.labels, minlength=len(data.class_names))
    if len(counts) < 4 or counts.min() < train_each + test_each:
        raise BadInput(
            f"The study takes {plural(train_each + test_each, 'image')} of each of at least 4 classes; there are "
            f"{plural(len(counts), 'class')}, the smallest with {plural(int(counts.min()), 'image')}."
        )
    first = choose_per_class(data.labels, train_each)
    both = choose_per_class(data.labels, train_each + test_each)
    rows = {"training": first, "testing": np.setdiff1d(both, first)}
    halves = [{name: _cut(data, part, start) for name, part in rows.items()} for start in (0, 1)]
    return HalfSet(**halves[0]), HalfSet(**halves[1])


def _cut(data: LabelledSet, rows: np.ndarray, start: int) -> LabelledSet:
    own = rows[data.labels[rows] % 2 == start]
    names = data.class_names[start::2]
    return LabelledSet(data.labels[own] // 2, names, data.split, data.batch(own))


def run_study(
    study: TransferStudy,
    architecture: str,
    halves: tuple[HalfSet, HalfSet],
    recipe: Recipe,
    save: Saver | None = None,
) -> TransferStudy:
    """Train what is left of `study`, in place, and return it. `save` is called after each training.

    A training depends on its seed, kind and layer alone, so that a study which was interrupted goes on to the same
    numbers; the networks on A and on B are trained once more for the rest of a seed's trainings."""
    bases: dict[tuple[int, str], dict[str, Tensor]] = {}
    for row, kind, column in list(study.list_open()):
        own = halves[BASES.index(kind[0] if kind in BASES else "B")]
        if kind in BASES:
            module, score = _train_base(architecture, own, recipe, study.seeds[row], kind)
            bases = {key: state for key, state in bases.items() if key[0] == row} | {(row, kind): module.state_dict()}
            study.bases[row, BASES.index(kind)] = score
        else:
            origin = kind[0]
            if (row, origin) not in bases:
                half = halves[BASES.index(origin)]
                bases[row, origin] = _train_base(architecture, half, recipe, study.seeds[row], origin)[0].state_dict()
            trained = bases[row, origin]
            seed = _make_seed(study.seeds[row], kind, column)
            cut = _Cut(study.layers[column], tuned=kind.endswith("+"))
            study.accuracy[kind][row, column] = _train_cut(architecture, trained, cut, own, recipe, seed)
        if save:
            save(study, row, kind, column)
    return study


@dataclass(frozen=True, slots=True)
class _Cut:
    layer: str
    tuned: bool


def _make_seed(seed: int, kind: str, column: int) -> int:
    return 1_000 * seed + 10 * (column + 1) + (*BASES, *KINDS).index(kind)


def _train_base(architecture: str, half: HalfSet, recipe: Recipe, seed: int, kind: str) -> tuple[nn.Module, float]:
    seed = _make_seed(seed, kind, -1)
    module = _build(architecture, len(half.training.class_names), seed)
    return module, train_quietly(module, half, find(architecture).preprocessing, replace(recipe, seed=seed))


def _train_cut(
    architecture: str, trained: dict[str, Tensor], cut: _Cut, half: HalfSet, recipe: Recipe, seed: int
) -> float:
    """Accuracy of a network whose layers up to a cut are those of `trained`."""
    entry = find(architecture)
    module = _build(architecture, len(half.training.class_names), seed)
    copy_up_to(module, trained, cut.layer, entry.input_size)
    frozen = FrozenLayers() if cut.tuned else freeze_layers(module, cut.layer, entry.input_size)
    return train_quietly(module, half, entry.preprocessing, replace(recipe, seed=seed), frozen)


def _build(architecture: str, classes: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(architecture, classes)


@torch.no_grad()
def copy_up_to(module: nn.Module, trained: dict[str, Tensor], layer: str, input_size: Sequence[int]) -> list[str]:
    """Copy the tensors of `layer` and of all that runs before it from `trained`; their names."""
    upstream = find_upstream(module, torch.zeros(1, *input_size), layer)
    state = module.state_dict()
    taken = [name for name in state if name in upstream.parameters or name.rpartition(".")[0] in upstream.modules]
    for name in taken:
        state[name].copy_(trained[name])
    return taken


def train_quietly(
    module: nn.Module,
    half: HalfSet,
    preprocessing: Preprocessing,
    recipe: Recipe,
    frozen: FrozenLayers | None = None,
) -> float:
    """Train `module` in float32 where it lies, without a trace on disk, and return its accuracy on the test images."""
    frozen, data = frozen or FrozenLayers(), half.training
    where, steps = next(module.parameters()).device, math.ceil(len(data) / recipe.batch)
    optimiser = torch.optim.SGD(
        [p for p in module.parameters() if p.requires_grad],
        recipe.lr,
        recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
    )
    generator = torch.Generator().manual_seed(recipe.seed)
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        torch.manual_seed(recipe.seed)
        for epoch in range(recipe.epochs):
            frozen.hold(module)
            order = torch.randperm(len(data), generator=generator).numpy()
            for step in range(steps):
                rows = order[step * recipe.batch : (step + 1) * recipe.batch]
                images = preprocessing.normalise(torch.from_numpy(data.batch(rows)).to(where))
                images = random_crop(images, recipe.crop + recipe.shift, generator)
                images = random_flip(images, generator) if recipe.flip else images
                optimiser.param_groups[0]["lr"] = learning_rate(recipe, epoch * steps + step, steps)
                loss = total_loss(module(images), torch.from_numpy(data.labels[rows]).to(where), recipe.label_smoothing)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
    return evaluate(module, half.testing, preprocessing)[1]
