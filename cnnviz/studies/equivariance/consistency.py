"""Consistency of predictions under shifts: one image under many shifts, and shares over a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnnviz.data.corpus import Corpus
from cnnviz.display import Summarised
from cnnviz.errors import BadImage, BadInput
from cnnviz.interventions.padding import check_padding, override_padding
from cnnviz.models.model import LoadedModel, decided
from cnnviz.progress import StudyWatcher, Ticker
from cnnviz.studies.equivariance.shifting import PIXELS_AT_ONCE, check_shifts, make_canvas, make_shiftable, split_shifts
from cnnviz.wording import plural


@dataclass(frozen=True, slots=True, repr=False)
class Wobble(Summarised):
    """Predictions for one image under K shifts. `shifts` (K, 2) pixels. `probabilities` (K, classes) float32.
    `class_names`: one a class. `still` (classes,): those without a shift."""

    shifts: np.ndarray
    probabilities: np.ndarray
    still: np.ndarray
    class_names: tuple[str, ...]

    @property
    def answers(self) -> np.ndarray:
        """(K,) int: the most probable class under each shift; of a network with one output 1 for yes, 0 for no."""
        return decided(self.probabilities)

    @property
    def changed(self) -> float:
        """Share of the shifts under which the most probable class is another than without a shift."""
        return float((self.answers != decided(self.still)).mean())

    def top(self, k: int = 5) -> list[int]:
        """The k classes that come highest under any shift, by their highest probability."""
        order = np.argsort(-self.probabilities.max(axis=0), kind="stable")
        return [int(c) for c in order[:k]]


def measure_wobble(
    model: LoadedModel,
    image: Any,
    shifts: Any,
    padding: str = "native",
    how: str = "circular",
    progress: StudyWatcher | None = None,
) -> Wobble:
    """The probabilities of all classes under every shift. Arguments and errors as for `shift.equivariance`."""
    check_padding(padding)
    pairs = check_shifts(shifts)
    source = make_shiftable(model, image, how, max(abs(d) for pair in pairs for d in pair))
    still = _probabilities(model, source.at([(0, 0)]), padding)[0]
    ticker, found = Ticker(len(pairs), progress), []
    for part in split_shifts(pairs, source.size):
        found.append(_probabilities(model, source.at(part), padding))
        ticker.tick("shifts", len(part))
    return Wobble(np.array(pairs), np.concatenate(found), still, tuple(model.class_names))


@dataclass(frozen=True, slots=True, repr=False)
class Consistency(Summarised):
    """Answers to four crops of each of N images: two at random places, two that are one step apart.

    `ids`: of the images. `offsets` (N, 2, 2) int: (top, left) of the random crops in the larger image. `random` (N,
    2): their most probable classes. `still`, `moved` (N,): those of the crop in the middle, and of the one whose
    contents lie `step` pixels further down and right. `probability` (N, 2): of the class `still`, before and after; of
    a network with one output that of "yes".
    `most`: offsets are 0 … most - 1.
    `skipped`: (id, why) of what could not be read.
    Sources: `consistency`, Zhang, ICML 2019 (arXiv:1904.11486), section 4; `change`, `mean_change`, Azulay and Weiss,
    JMLR 2019 (arXiv:1805.12177), section 2."""

    ids: tuple[str, ...]
    offsets: np.ndarray
    random: np.ndarray
    still: np.ndarray
    moved: np.ndarray
    probability: np.ndarray
    most: int
    step: int
    skipped: tuple[tuple[str, str], ...]

    @property
    def agree(self) -> np.ndarray:
        """(N,) True where the two random crops get the same class."""
        return self.random[:, 0] == self.random[:, 1]

    @property
    def consistency(self) -> float:
        """Share of the images whose two random crops get the same class, 0 … 1."""
        return float(self.agree.mean())

    @property
    def change(self) -> float:
        """P(top-1 changes): share of the images whose class changes with the diagonal step."""
        return float((self.still != self.moved).mean())

    @property
    def mean_change(self) -> float:
        """Mean absolute change of the probability of the class that was most probable before the step."""
        return float(np.abs(np.diff(self.probability, axis=1)).mean())

    def standard_error(self, share: float) -> float:
        """Of a share over these images, as of independent draws."""
        return float(np.sqrt(share * (1 - share) / max(len(self.ids), 1)))


def measure_consistency(
    model: LoadedModel,
    corpus: Corpus,
    seed: int = 0,
    most: int | None = None,
    step: int = 1,
    padding: str = "native",
    progress: StudyWatcher | None = None,
) -> Consistency:
    """Four crops of every image of a corpus: `crop_offsets` says where.

    The larger image has `most` pixels more a side than the network's input: for 224 of 256, `most` is 32, the published
    setting; without `most`, a seventh of the input. It is the network's own preprocessing with a larger crop, scaled up
    where there is nothing more. `progress(Progress)` returns False to stop. Raises BadInput for most < 2 · step or
    a corpus of which nothing can be read, Cancelled."""
    most = model.input_size[1] * 32 // 224 if most is None else most
    if step < 1 or most < 2 * step:
        raise BadInput(f"Crops {step} apart need step >= 1 and at least {2 * step} offsets, got {most}.")
    check_padding(padding)
    offsets = crop_offsets(len(corpus), seed, most, step)
    ticker, found, faults = Ticker(len(corpus), progress), [], []
    many = max(1, min(16, PIXELS_AT_ONCE // (4 * model.input_size[1] * model.input_size[2])))
    with ThreadPoolExecutor(2) as pool:  # decodes the next images while the network works
        spans = [range(start, min(start + many, len(corpus))) for start in range(0, len(corpus), many)]
        ahead = [[pool.submit(_read, model, corpus, i, most) for i in span] for span in spans[:2]]
        for number, span in enumerate(spans):
            read = [future.result() for future in ahead.pop(0)]
            if number + 2 < len(spans):
                ahead.append([pool.submit(_read, model, corpus, i, most) for i in spans[number + 2]])
            good = [(i, image) for i, image in zip(span, read, strict=True) if isinstance(image, Tensor)]
            faults += [(corpus.ids[i], why) for i, why in zip(span, read, strict=True) if isinstance(why, str)]
            if good:
                answers = _answers(model, [(image, offsets[i]) for i, image in good], padding)
                found.append(([i for i, _ in good], answers))
            ticker.tick("images", len(span))
    if not found:
        raise BadInput(f"None of the {plural(len(corpus), 'image')} of {corpus.name!r} could be read: {faults[:1]}.")
    indices, parts = [i for good, _ in found for i in good], [answers for _, answers in found]
    return _collect(corpus, indices, parts, offsets, most, step, faults)


def crop_offsets(count: int, seed: int, most: int, step: int = 1) -> np.ndarray:
    """(count, 4, 2) int: (top, left) of the crops of each image in one that is larger by `most`. The first two are
    drawn from 0 … most - 1 by NumPy's default generator with this seed, in one call; the third is the middle, the
    fourth `step` further up and left in the image, so that its contents lie `step` lower and further right."""
    drawn = np.random.default_rng(seed).integers(0, most, (count, 2, 2))
    middle = np.full((count, 1, 2), most // 2)
    return np.concatenate([drawn, middle, middle - step], axis=1)


def _read(model: LoadedModel, corpus: Corpus, index: int, most: int) -> Tensor | str:
    try:
        return make_canvas(model, corpus.image(index), 0, most)
    except BadImage as error:
        return str(error)


def _answers(model: LoadedModel, images: Sequence[tuple[Tensor, np.ndarray]], padding: str) -> np.ndarray:
    """(B, 4, classes) probabilities."""
    height, width = model.input_size[1:]
    crops = [image[:, top : top + height, left : left + width] for image, places in images for top, left in places]
    batch = model.lay_out(torch.stack(crops))
    return _probabilities(model, batch, padding).reshape(len(images), 4, -1)


def _probabilities(model: LoadedModel, batch: Tensor, padding: str) -> np.ndarray:
    with model.lock, override_padding(padding):
        return model.predict(batch)


def _collect(
    corpus: Corpus,
    indices: list[int],
    parts: list[np.ndarray],
    offsets: np.ndarray,
    most: int,
    step: int,
    faults: list[tuple[str, str]],
) -> Consistency:
    probabilities = np.concatenate(parts)
    answers = decided(probabilities)
    places = probabilities[:, 2].argmax(axis=1)
    of_still = np.take_along_axis(probabilities[:, 2:], places[:, None, None], axis=2)[:, :, 0]
    return Consistency(
        tuple(corpus.ids[i] for i in indices),
        offsets[indices, :2],
        answers[:, :2],
        answers[:, 2],
        answers[:, 3],
        of_still,
        most,
        step,
        tuple(faults),
    )
