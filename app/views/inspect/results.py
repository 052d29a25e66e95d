"""What the page "Inspect your image" shows, computed once for all sessions: answers, attributions, random twins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from app.jobs.batch import Counter, Wanted
from app.pickers.controls import Network
from app.session import networks, shared
from cnnviz.errors import Cancelled, CnnvizError
from cnnviz.figures.attribution.panels import panel_side
from cnnviz.figures.attribution.words import NAMES

if TYPE_CHECKING:
    from cnnviz.models.model import LoadedModel
    from cnnviz.probes.predictions import Prediction

QUICK = ("saliency", "grad_cam", "guided_backprop", "deconvolution")  # one pass down each
METHODS = (*QUICK, "integrated_gradients", "occlusion")
STEPS = {True: 200, False: 50}  # of integrated gradients, for inputs up to 64 pixels and for larger ones
PREDICTED = -1  # in place of a class: the most probable one


class Cell(NamedTuple):
    """One attribution. `values` (h, w); `signed`: it has both signs; `problem`: why there is none, "" if there is.
    `error`: completeness of integrated gradients, and the `total` that it should sum to; `correlation`, `absolute`:
    with the trained network's map, of random weights."""

    values: np.ndarray
    signed: bool
    target: int
    seconds: float
    problem: str = ""
    error: float = float("nan")
    total: float = float("nan")
    correlation: float = float("nan")
    absolute: float = float("nan")


@dataclass(frozen=True, slots=True)
class Subject:
    """Network, image, and the class asked about; PREDICTED is what the network answers."""

    network: Network
    image: str
    label: int = PREDICTED

    @property
    def key(self) -> tuple:
        """Names the subject in caches."""
        return self.network.key, self.image, self.label

    @property
    def answer(self) -> Prediction:
        """What the network answers."""
        return _answer(self.network.key, self.image, self.network.model)

    @property
    def target(self) -> int:
        """The class asked about."""
        return self.answer.check_label(None if self.label == PREDICTED else self.label)

    @property
    def received(self) -> np.ndarray:
        """What the network sees, uint8 (H, W, C)."""
        return shared.received(self.network.key, self.image, self.network.model)

    def side(self, wanted: int) -> int:
        """Pixels of a panel of about `wanted` that shows the input at a whole multiple."""
        return panel_side(max(self.received.shape[:2]), wanted)

    @property
    def name(self) -> str:
        """Of the class asked about."""
        return self.answer.class_names[self.target]


@st.cache_resource(max_entries=128, show_spinner=False)
def _answer(key: str, image: str, _model: LoadedModel) -> Prediction:
    from cnnviz.probes.predictions import predict_image

    return predict_image(_model, shared.photo(image))


def wanted(subject: Subject, method: str) -> Wanted:
    """One attribution of the subject."""
    model, image, target = subject.network.model, subject.image, subject.target
    return Wanted(
        ("attribution", *subject.key[:2], target, method), lambda counter: _cell(model, image, target, method, counter),
        f"{NAMES[method]}, {image}", method in QUICK,
    )  # fmt: skip


def _cell(model: LoadedModel, image: str, target: int, method: str, counter: Counter | None) -> Cell:
    """The attribution, or why there is none. Raises Cancelled."""
    from cnnviz.attribution.attribute import attribute

    try:
        steps = STEPS[max(model.input_size[1:]) <= 64]
        found = attribute(model, shared.photo(image), target, method, steps=steps, progress=counter)
    except Cancelled:
        raise
    except CnnvizError as error:
        return Cell(np.zeros((1, 1), np.float32), False, target, 0.0, str(error))
    total = float(found.values.sum(dtype=np.float64)) - found.completeness_error
    return Cell(found.map, found.signed, target, found.seconds, "", found.completeness_error, total)


def wanted_random(subject: Subject, method: str) -> Wanted:
    """The attribution of the same class with random weights, and how alike both are."""
    return Wanted(
        ("randomised", *subject.key[:2], subject.target, method),
        lambda counter: _random_cell(subject, method, counter), f"{NAMES[method]}, random weights",
    )  # fmt: skip


def _random_cell(subject: Subject, method: str, counter: Counter | None) -> Cell:
    from cnnviz.studies.attribution.sanity import rank_correlation

    first = wanted(subject, method)
    trained = shared.drawn(first.recipe, lambda: first.make(counter))
    if trained.problem:
        return trained
    twin = _twin(subject.network.key, subject.network.model)
    found = _cell(twin, subject.image, subject.target, method, counter)
    if found.problem:
        return found
    maps = trained.values, found.values
    return found._replace(
        correlation=rank_correlation(*maps), absolute=rank_correlation(*(np.abs(values) for values in maps))
    )


def _twin(key: str, model: LoadedModel) -> LoadedModel:
    from cnnviz.studies.attribution.sanity import randomise

    return networks.shared(f"{key}|randomised", lambda: randomise(model))
