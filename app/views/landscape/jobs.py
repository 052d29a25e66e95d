"""Computing surfaces beside the page: where they lie, what was chosen for them, progress, cancel, resume."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.jobs import background
from app.jobs.background import Report
from app.session import uploads
from app.views.landscape import catalogue
from app.views.landscape.data import read
from cnnviz.errors import BadInput, Cancelled
from cnnviz.progress import Progress

if TYPE_CHECKING:
    from app.session.networks import Network
    from cnnviz.data.corpus import Corpus
    from cnnviz.landscape.results import Surface


PREVIEW = 7  # steps of the first picture
FEW = {64: 50, 1 << 30: 8}  # its images, for inputs of up to so many pixels a side


@dataclass(frozen=True, slots=True)
class SurfaceSetting:
    """What a surface is computed with. `own_answers`: the network's own answers serve as labels."""

    count: int
    steps: int
    span: float
    seed: int
    statistics: str
    precision: str
    own_answers: bool

    @property
    def options(self) -> dict[str, Any]:
        """What `cnnviz.loss_surface` takes of it."""
        return dict(span=self.span, seed=self.seed, precision=self.precision, statistics=self.statistics)


def path_of(network: Network, images: Corpus, setting: SurfaceSetting) -> Path:
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
        return catalogue.surface(path)
    except BadInput:
        return None


def is_begun(path: Path) -> bool:
    """Whether some points of this surface are kept from a computation that was stopped."""
    from cnnviz.landscape.plane.checkpoint import find_files

    return bool(find_files(path))


def build(network: Network, images: Corpus, setting: SurfaceSetting) -> background.Job:
    """Start (or continue) the computation beside the page. What there is so far, a `Surface`, is its `partial`."""
    path = path_of(network, images, setting)
    return background.start(str(path), "Loss surface", partial(_work, network, images, setting, path))


def _work(network: Network, images: Corpus, setting: SurfaceSetting, path: Path, report: Report) -> None:
    from cnnviz.landscape.plane.surface import SurfaceProgress, loss_surface

    try:
        early = _preview(network, images.take(min(_few(network), setting.count)), setting, report)
        if early is None:
            return
        chosen, own = images.take(setting.count), setting.own_answers
        ready = read(network, chosen, own, lambda done, total: report(Progress(done, total, "images read"), early))
        if ready is None:
            return
        _note(network, images, setting, path, len(ready[0]))
        report(Progress(0, 1, "choosing precision and batch size"), early)

        def progress(state: SurfaceProgress) -> bool:
            return report(state, state.surface if state.done >= PREVIEW**2 else early)

        loss_surface(network.model, *ready, setting.steps, **setting.options, progress=progress, out=path)
    except Cancelled:
        return  # what is done is kept; the page offers to continue


def _preview(network: Network, few: Corpus, setting: SurfaceSetting, report: Report) -> Surface | None:
    """A coarse surface over few images, in float32, so that nothing has to be measured first."""
    from cnnviz.landscape.plane.surface import SurfaceProgress, loss_surface

    preparing = Progress(0, 1, "preparing")
    ready = read(network, few, setting.own_answers, lambda done, total: report(preparing))
    if ready is None:
        return None

    def progress(state: SurfaceProgress) -> bool:
        return report(replace(state, note="first estimate"), state.surface)

    options = setting.options | {"precision": "float32"}
    return loss_surface(network.model, *ready, PREVIEW, **options, progress=progress, batch=len(ready[0]))


def _few(network: Network) -> int:
    side = max(network.input_size[1:])
    return next(count for most, count in FEW.items() if side <= most)


def _note(network: Network, images: Corpus, setting: SurfaceSetting, path: Path, count: int) -> None:
    """What the pickers of the page say about this surface, beside it."""
    from cnnviz.store import write_json

    name = catalogue.network_title(network)
    about = {
        "architecture": network.model.name,
        "weights": network.choice.weights,
        "untrained": network.choice.untrained,
        "title": f"{name}, {count} of {images.name}, seed {setting.seed}, ±{setting.span:g}",
    }
    write_json(path.with_suffix(".json"), about | asdict(setting))
