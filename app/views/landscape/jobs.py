"""Computing surfaces beside the page: where they lie, what was chosen for them, progress, cancel, resume."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.jobs import background
from app.session import uploads
from app.views.landscape import catalogue as landscapes
from app.views.landscape import data as landscape_data
from cnnviz.errors import BadInput, Cancelled

if TYPE_CHECKING:
    from app.pickers.controls import Network
    from cnnviz.data.corpus import Corpus
    from cnnviz.landscape.results import Surface


PREVIEW = 7  # steps of the first picture
FEW = {64: 50, 1 << 30: 8}  # its images, for inputs of up to so many pixels a side


@dataclass(frozen=True, slots=True)
class Setting:
    """What a surface is computed with. `own_answers`: the network's own answers serve as labels."""

    count: int
    steps: int
    span: float
    seed: int
    statistics: str
    precision: str
    own_answers: bool


@dataclass(frozen=True, slots=True)
class State:
    """How far a computation is. `done`, `total`: points, or images while they are read; `seconds_left`: None while
    unknown; `surface`: what is there so far."""

    doing: str
    done: int
    total: int
    seconds_left: float | None = None
    surface: Surface | None = None


def path_of(network: Network, images: Corpus, setting: Setting) -> Path:
    """Where this surface lies; the same after a restart. The names of the classes belong to it, since the labels of
    the images find their outputs by them."""
    model = network.model
    said = json.dumps([model.fingerprint, model.class_names, images.fingerprint, asdict(setting)], sort_keys=True)
    return uploads.cache_folder("landscapes") / f"{hashlib.sha256(said.encode()).hexdigest()[:20]}.npz"


def saved(path: Path) -> Surface | None:
    """The surface on disk, complete or partial; None if there is none or it cannot be read."""
    if not path.is_file():
        return None
    try:
        return landscapes.surface(path)
    except BadInput:
        return None


def is_begun(path: Path) -> bool:
    """Whether some points of this surface are kept from a computation that was stopped."""
    from cnnviz.landscape.plane.checkpoint import files_beside

    return bool(files_beside(path))


def build(network: Network, images: Corpus, setting: Setting) -> background.Job:
    """Start (or continue) the computation beside the page."""
    path = path_of(network, images, setting)
    return background.start(str(path), "Loss surface", lambda report: _work(network, images, setting, path, report))


def _work(network: Network, images: Corpus, setting: Setting, path: Path, report: Any) -> None:
    from cnnviz.landscape.plane.surface import loss_surface

    try:
        early = _preview(network, images.take(min(_few(network), setting.count)), setting, report)
        ready = landscape_data.read(
            network, images.take(setting.count), setting.own_answers,
            lambda done, total: report(State("Reading images", done, total, surface=early)),
        )  # fmt: skip
        if early is None or ready is None:
            return
        _note(network, images, setting, path, len(ready[0]))
        report(State("Settling precision and batch", 0, 1, surface=early))

        def progress(state: Any) -> bool:
            shown = state.surface if state.done >= PREVIEW**2 else early
            return report(State("Points", state.done, state.total, state.seconds_left, shown))

        loss_surface(
            network.model, *ready, steps=setting.steps, span=setting.span, seed=setting.seed,
            precision=setting.precision, statistics=setting.statistics, progress=progress, out=path,
        )  # fmt: skip
    except Cancelled:
        return  # what is done is kept; the page offers to continue


def _preview(network: Network, few: Corpus, setting: Setting, report: Any) -> Surface | None:
    """A coarse surface over few images, in float32, so that nothing has to be measured first."""
    from cnnviz.landscape.plane.surface import loss_surface

    ready = landscape_data.read(network, few, setting.own_answers, lambda done, total: report(State("Preparing", 0, 1)))
    if ready is None:
        return None

    def progress(state: Any) -> bool:
        return report(State("A first look", state.done, state.total, state.seconds_left, state.surface))

    return loss_surface(
        network.model, *ready, steps=PREVIEW, span=setting.span, seed=setting.seed,
        precision="float32", statistics=setting.statistics, progress=progress, batch=len(ready[0]),
    )  # fmt: skip


def _few(network: Network) -> int:
    side = max(network.model.input_size[1:])
    return next(count for most, count in FEW.items() if side <= most)


def _note(network: Network, images: Corpus, setting: Setting, path: Path, count: int) -> None:
    """What the pickers of the page say about this surface, beside it."""
    from cnnviz.store import write_json

    name = landscapes.network_title(network)
    write_json(path.with_suffix(".json"), {
        "architecture": network.model.name, "weights": network.choice.weights, "untrained": network.choice.untrained,
        "title": f"{name}, {count} of {images.name}, seed {setting.seed}, ±{setting.span:g}",
        **asdict(setting),
    })  # fmt: skip
