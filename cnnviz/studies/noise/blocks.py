"""Blocks taken out one by one, and how many answers stay; stochastic depth: blocks dropped at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.interventions.removed_blocks import find_branch_end, remove_blocks
from cnnviz.interventions.scaling import scale_outputs
from cnnviz.models.families.stochastic_depth import survival_probabilities
from cnnviz.models.model import LoadedModel
from cnnviz.probes.layer_io import capture_io
from cnnviz.progress import StudyWatcher, Ticker
from cnnviz.studies.anatomy.anatomy import anatomy

BRANCH, WHOLE = "branch", "whole"
AT_ONCE = 16  # passes in one batch


def list_removable(model: LoadedModel) -> dict[str, str]:
    """{block: what is taken out of it}, in the order of the pass: BRANCH, the residual branch, whose shortcut stays;
    WHOLE, the block, whose input goes on as its output. {block: ""} for one that changes the shape and has no
    shortcut. The blocks are those of `cnnviz.anatomy` that are modules with a name and hold layers of their own."""
    modules = dict(model.module.named_modules())
    names = [row.block for row in anatomy(model).blocks if row.block in modules and [*modules[row.block].children()]]
    if not names:
        return {}
    zeros = torch.zeros(1, *model.input_size, device=model.device)
    with model.lock, torch.inference_mode():
        ends = capture_io(model.module, zeros, names)
    found = {}
    for name in names:
        same = ends[name][0].shape == ends[name][1].shape
        found[name] = BRANCH if find_branch_end(modules[name]) is not None else WHOLE if same else ""
    return found


def list_branches(model: LoadedModel) -> dict[str, str]:
    """{block: the layer that ends its residual branch}, in order; {} for a network without such blocks."""
    modules = dict(model.module.named_modules())
    ends = {name: find_branch_end(child) for name, child in modules.items() if name}
    return {name: f"{name}.{end}" for name, end in ends.items() if end is not None}


@dataclass(frozen=True, slots=True, repr=False)
class RemovedBlock(Summarised):
    """One block, removed for one image. `given`, `made`: (C, H, W) what enters it and what leaves it then; `before`:
    what leaves it otherwise. float32."""

    given: np.ndarray
    made: np.ndarray
    before: np.ndarray

    @property
    def difference(self) -> float:
        """The largest difference between what leaves the removed block and what enters it; NaN where their shapes
        differ."""
        return float(np.abs(self.made - self.given).max()) if self.made.shape == self.given.shape else float("nan")


def look_at_removed(model: LoadedModel, image: Any, block: str) -> RemovedBlock:
    """What one block makes of one image when it is removed, see `remove_blocks`, and when it is not."""
    batch = model.batch(image)
    with model.lock, torch.inference_mode():
        _, before = capture_io(model.module, batch, [block])[block]
        with remove_blocks(model.module, [block]):
            given, made = capture_io(model.module, batch, [block])[block]
    arrays = [part[0].float().cpu().numpy() for part in (given, made, before)]
    return RemovedBlock(*arrays)


def predict_without(model: LoadedModel, images: Any, blocks: Sequence[str]) -> np.ndarray:
    """(N, classes) `LoadedModel.predict` with these blocks removed, see `remove_blocks`; none: as it is."""
    with model.lock, remove_blocks(model.module, blocks):
        return model.predict(images)


@dataclass(frozen=True, slots=True, repr=False)
class BlocksRemoved(Summarised):
    """Answers kept when one block is removed. `blocks`: their names; `kinds`: BRANCH, WHOLE or "" for one that cannot
    be; `kept` (B,): share of the images whose most probable class stays, NaN for "". `images`: how many."""

    blocks: tuple[str, ...]
    kinds: tuple[str, ...]
    kept: np.ndarray
    images: int


def remove_each(model: LoadedModel, images: Any, progress: StudyWatcher | None = None) -> BlocksRemoved:
    """Remove each block by itself and count the answers that stay. `images`: as for `LoadedModel.predict`.

    Raises BadInput for a network without a block that can be removed.
    Source: Veit, Wilber, Belongie, NeurIPS 2016 (arXiv:1605.06431), figure 3, which counts errors instead."""
    kinds = list_removable(model)
    if not any(kinds.values()):
        raise BadInput(f"{model.name} has no block that keeps its shape or has a shortcut, so none can be removed.")
    answers = predict_without(model, images, []).argmax(1)
    ticker, kept = Ticker(len(kinds), progress), []
    for name, kind in kinds.items():
        share = float("nan")
        if kind:
            share = float((predict_without(model, images, [name]).argmax(1) == answers).mean())
        kept.append(share)
        ticker.tick("blocks")
    return BlocksRemoved(tuple(kinds), tuple(kinds.values()), np.array(kept), len(answers))


def expected_depth(units: int, last: float) -> float:
    """Σ p_l: how many of `units` residual units run on average, p_l falling from 1 to `last` by equal steps; for
    last = 0.5 it is (3 · units − 1) / 4. Source: Huang et al., ECCV 2016 (arXiv:1603.09382), section 3."""
    return float(sum(survival_probabilities(units, last)))


@dataclass(frozen=True, slots=True, repr=False)
class RandomDepths(Summarised):
    """One image through random depths. `blocks`: with a residual branch; `survival` (L,): p_l; `alive` (T, L) bool;
    probabilities of each draw (T, classes), of the pass whose branches are multiplied by p_l, `scaled` (classes,), and
    of the whole network, `whole` (classes,)."""

    blocks: tuple[str, ...]
    survival: np.ndarray
    alive: np.ndarray
    probabilities: np.ndarray
    scaled: np.ndarray
    whole: np.ndarray


def draw_depths(
    model: LoadedModel,
    image: Any,
    last: float = 0.5,
    draws: int = 16,
    seed: int = 0,
    progress: StudyWatcher | None = None,
) -> RandomDepths:
    """Drop residual branches at random as stochastic depth does in training, `draws` times, the l-th of L with
    probability 1 − p_l; and multiply each by p_l, as it does in evaluation.

    `image`: as for `LoadedModel.batch`, one. `last`: p_L. Raises BadInput for a network without residual branches."""
    ends = list_branches(model)
    if not ends:
        raise BadInput(f"{model.name} has no residual branch that could be dropped. Try resnet56_cifar.")
    survival = np.array(survival_probabilities(len(ends), last))
    alive = np.random.default_rng(seed).random((draws, len(ends))) < survival
    own = np.array([getattr(model.module.get_submodule(name), "survival", 1.0) for name in ends])  # of StochasticBlock
    batch, factors = model.batch(image), np.concatenate([alive, survival[None], np.ones((1, len(ends)))]) / own
    ticker, found = Ticker(len(factors), progress), []
    size = min(AT_ONCE, model.most_at_once)
    for start in range(0, len(factors), size):
        part = factors[start : start + size]
        found.append(_predict_scaled(model, batch, ends, part))
        ticker.tick("passes", len(part))
    answers = np.concatenate(found)
    return RandomDepths(tuple(ends), survival, alive, answers[:-2], answers[-2], answers[-1])


def _predict_scaled(model: LoadedModel, batch: torch.Tensor, ends: dict[str, str], factors: np.ndarray) -> np.ndarray:
    """(T, classes) probabilities with the branches multiplied by `factors` (T, L)."""
    columns = torch.from_numpy(factors.T.copy())[:, :, None, None, None]
    scaled = dict(zip(ends.values(), columns, strict=True))
    repeated = model.lay_out(batch.repeat(len(factors), 1, 1, 1))
    with model.lock, torch.inference_mode(), scale_outputs(model.module, scaled):
        return model.probabilities(model.compute_logits(repeated).double().cpu().numpy())
