"""What the page "Inspect your image" shows, computed once for all sessions: answers, attributions, random twins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from app.jobs.batch import Counter, Wanted
from app.pickers.comparison import Side
from app.session import networks, shared
from app.session.cache import picture_cache
from app.session.networks import Network
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


class AttributionMap(NamedTuple):
    """One attribution. `values` (h, w); `signed`: it has both signs; `problem`: why there is none, "" if there is.
    `error`: completeness of integrated gradients, and the `total` that it should sum to; `correlation`, `absolute`:
    with the trained network's map, of random weights. `unjudged`: functions that no rule of rectifiers reaches."""

    values: np.ndarray
    signed: bool
    target: int
    seconds: float
    problem: str = ""
    error: float = float("nan")
    total: float = float("nan")
    correlation: float = float("nan")
    absolute: float = float("nan")
    unjudged: tuple[str, ...] = ()


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
        name = ("answer", self.network.key, self.image)
        return picture_cache().get(name, lambda: _ask(self.network.model, self.image))

    @property
    def target(self) -> int:
        """The class asked about."""
        return self.answer.check_label(None if self.label == PREDICTED else self.label)

    @property
    def received(self) -> np.ndarray:
        """What the network sees, uint8 (H, W, C)."""
        return shared.received(self.network, self.image)

    def side(self, wanted: int) -> int:
        """Pixels of a panel of about `wanted` that shows the input at a whole multiple."""
        return panel_side(max(self.received.shape[:2]), wanted)

    @property
    def name(self) -> str:
        """Of the class asked about."""
        return self.answer.class_names[self.target]


def subject_of(side: Side, first: Subject) -> Subject:
    """What is asked of one half, where `first` is asked of the left: the same class, if the networks know the same
    classes; else, and of another image where no class was chosen, what is answered there."""
    if not side.second:
        return first
    other = Subject(side.network, side.image)
    follows = first.label != PREDICTED or side.image == first.image
    alike = list(other.answer.class_names) == list(first.answer.class_names)
    return Subject(side.network, side.image, first.target) if follows and alike else other


def _ask(model: LoadedModel, image: str) -> Prediction:
    from cnnviz.probes.predictions import predict_image

    return predict_image(model, shared.photo(image))


def wanted(subject: Subject, method: str) -> Wanted:
    """One attribution of the subject."""
    model, image, target = subject.network.model, subject.image, subject.target
    return Wanted(
        ("attribution", *subject.key[:2], target, method),
        lambda counter: _cell(model, image, target, method, counter),
        f"{NAMES[method]}, {image}",
        method in QUICK,
    )


def _cell(model: LoadedModel, image: str, target: int, method: str, counter: Counter | None) -> AttributionMap:
    """The attribution, or why there is none. Raises Cancelled."""
    from cnnviz.attribution.attribute import attribute

    try:
        steps = STEPS[max(model.input_size[1:]) <= 64]
        found = attribute(model, shared.photo(image), target, method, steps=steps, progress=counter)
    except Cancelled:
        raise
    except CnnvizError as error:
        return AttributionMap(np.zeros((1, 1), np.float32), False, target, 0.0, str(error))
    total = float(found.values.sum(dtype=np.float64)) - found.completeness_error
    missing, unjudged = found.completeness_error, found.unjudged
    return AttributionMap(found.map, found.signed, target, found.seconds, "", missing, total, unjudged=unjudged)


def wanted_random(subject: Subject, method: str) -> Wanted:
    """The attribution of the same class with random weights, and how alike both are."""
    return Wanted(
        ("randomised", *subject.key[:2], subject.target, method),
        lambda counter: _random_cell(subject, method, counter),
        f"{NAMES[method]}, random weights",
    )


def _random_cell(subject: Subject, method: str, counter: Counter | None) -> AttributionMap:
    from cnnviz.studies.attribution.sanity import rank_correlation

    first = wanted(subject, method)
    trained = picture_cache().get(first.recipe, lambda: first.make(counter))
    if trained.problem:
        return trained
    twin = _randomise(subject.network)
    found = _cell(twin.model, subject.image, subject.target, method, counter)
    if found.problem:
        return found
    maps = trained.values, found.values
    return found._replace(
        correlation=rank_correlation(*maps), absolute=rank_correlation(*(np.abs(values) for values in maps))
    )


def _randomise(network: Network) -> Network:
    """The same network with random weights."""
    from cnnviz.studies.attribution.sanity import randomise

    return networks.derive(network, "randomised", lambda: randomise(network.model))
