"""One image in growing company: what a network answers when batch norm takes its statistics from the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.interventions.batch_statistics import BatchStatisticsMode
from cnnviz.models.model import LoadedModel
from cnnviz.progress import StudyWatcher, Ticker
from cnnviz.wording import plural


@dataclass(frozen=True, slots=True, repr=False)
class CompanyAnswers(Summarised):
    """Probabilities of one image. `companions` (S,): how many other images were in the batch. `evaluation` (K,): by the
    running statistics, whatever the batch. `training` (S, K): by the statistics of the batch; NaN where a channel had a
    single value, which has no variance: `problems` (S), "" where there is none."""

    companions: np.ndarray
    evaluation: np.ndarray
    training: np.ndarray
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class CompanySpread(Summarised):
    """Many draws of companions. `companions` (S,). `winners` (D, S) int: class with the highest probability, -1 where
    nothing could be computed. `usual`: that of evaluation; `probability` (D, S): of that class."""

    companions: np.ndarray
    winners: np.ndarray
    usual: int
    probability: np.ndarray

    @property
    def changed(self) -> np.ndarray:
        """(S,) 0 … 1: the share of draws in which another class wins than in evaluation."""
        share: np.ndarray = (self.winners != self.usual).mean(axis=0)
        return share


def draw_companions(count: int, most: int, seed: int) -> np.ndarray:
    """(min(most, count),) indices of 0 … count - 1 in a random order, none twice; a smaller company is the beginning of
    a larger one."""
    return np.random.default_rng(seed).permutation(count)[:most]


def normalise_batch(model: LoadedModel, received: Sequence[np.ndarray]) -> Tensor:
    """Images uint8 (H, W, C) as `LoadedModel.receive` gives them → the batch (N, C, H, W) that enters the network."""
    return model.normalise(torch.from_numpy(np.stack(received)))


def answers_in_company(model: LoadedModel, received: Sequence[np.ndarray], companions: Sequence[int]) -> CompanyAnswers:
    """What the network answers to the first image in evaluation, and with the next n images in its batch, for each n of
    `companions`, with batch statistics in every batch norm. Dropout stays off and running statistics are not updated.

    `received`: uint8 (H, W, C) each, see `normalise_batch`. Raises BadInput if there are fewer images than asked for,
    if the network has no batch norm, or if its images cannot share a pass.
    Source: Ioffe and Szegedy, ICML 2015 (arXiv:1502.03167), section 3.1."""
    return _answer(model, normalise_batch(model, received), companions)


def _answer(model: LoadedModel, batch: Tensor, companions: Sequence[int]) -> CompanyAnswers:
    if len(batch) <= max(companions):
        raise BadInput(f"Expected {plural(max(companions), 'companion')} at least, got {len(batch) - 1}. Give more.")
    if model.most_at_once == 1:
        raise BadInput(
            f"{model.name} answers an image otherwise beside others, in evaluation too: images go one at a time."
        )
    found: list[np.ndarray] = []
    problems: list[str] = []
    with model.lock, torch.inference_mode():
        evaluation = _probabilities(model, batch[:1])
        for count in companions:
            mode = BatchStatisticsMode()
            try:
                with mode:
                    found.append(_probabilities(model, batch[: count + 1]))
                problems.append("")
            except ValueError as error:  # of PyTorch: a channel has a single value
                if isinstance(error, BadInput) or not mode.calls:
                    raise
                found.append(np.full_like(evaluation, np.nan))
                problems.append(str(error))
            if not mode.calls:
                raise BadInput(f"{model.name} has no batch norm: an answer never depends on the batch.")
    return CompanyAnswers(np.array(companions), evaluation, np.stack(found), tuple(problems))


def _probabilities(model: LoadedModel, batch: Tensor) -> np.ndarray:
    """(K,) float64 of the first image of a batch that goes through the network as one."""
    with_all = model.probabilities(model.compute_logits(model.lay_out(batch.clone())).float().cpu().numpy())
    return np.asarray(with_all[0], float)


def company_spread(
    model: LoadedModel,
    received: Sequence[np.ndarray],
    companions: Sequence[int],
    draws: int = 20,
    progress: StudyWatcher | None = None,
) -> CompanySpread:
    """`answers_in_company` for the draws of seeds 0 … draws - 1 among all images but the first, the one that is asked
    about. Raises what that raises."""
    batch = normalise_batch(model, received)
    first, rest = batch[:1], batch[1:]
    ticker, found = Ticker(draws, progress), []
    for seed in range(draws):
        order = torch.from_numpy(draw_companions(len(rest), max(companions), seed))
        found.append(_answer(model, torch.cat([first, rest[order.to(rest.device)]]), companions))
        ticker.tick("draws")
    usual = int(found[0].evaluation.argmax())
    training = np.stack([one.training for one in found])  # (D, S, K)
    known = ~np.isnan(training[..., 0])
    winners = np.where(known, np.nan_to_num(training).argmax(axis=2), -1)
    return CompanySpread(np.array(companions), winners, usual, training[..., usual])
