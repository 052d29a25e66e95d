"""The loss landscapes that the page can show: those that come with cnnviz and those computed on this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.session import networks, uploads
from cnnviz.errors import BadInput, CnnvizError
from cnnviz.landscape.bundled import landscapes

if TYPE_CHECKING:
    from app.session.networks import Network
    from cnnviz.landscape.bundled import Landscapes
    from cnnviz.landscape.results import Surface, Trajectory

NONE = "(none)"
PAIRS = (  # with and without shortcuts; first those of the published picture
    ("resnet56_cifar_b", "resnet56_noshort"),
    ("resnet56_cifar", "plain56_cifar"),
    ("resnet20_cifar", "plain20_cifar"),
)
MEDIAN = "median"
_COMPUTED = "computed-"


@dataclass(frozen=True, slots=True)
class ShownLandscape:
    """A landscape chosen for a panel. `name`: in the URL; `architecture`, `weights`, `untrained`: the network it
    belongs to, as in a `Choice`; `surface`: the one drawn; `others`: those of the other direction pairs."""

    name: str
    architecture: str
    weights: str
    title: str
    surface: Surface
    others: tuple[Surface, ...] = ()
    untrained: bool = False

    @property
    def is_median(self) -> bool:
        """Whether its heights are medians over planes: no slice, so that no network and no curvature lie there."""
        return "median of" in self.surface.meta


def list_bundled() -> dict[str, Landscapes]:
    """{architecture: files} of what comes with cnnviz, those with a surface to open on."""
    return {name: found for name, found in landscapes().items() if found.seeds}


def list_computed() -> dict[str, dict[str, Any]]:
    """{"computed-<hash>": what was chosen for it} of the surfaces computed here, newest first."""
    files = sorted(uploads.cache_folder("landscapes").glob("*.json"), key=lambda p: -p.stat().st_mtime)
    found = {}
    for file in files:
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # half written by another program: as if it were not there
        if file.with_suffix(".npz").is_file() and isinstance(said, dict) and {"architecture", "title"} <= said.keys():
            found[_COMPUTED + file.stem] = said
    return found


def names() -> list[str]:
    """What the pickers of the two panels offer: architectures that come with surfaces, then computed ones."""
    return [*list_bundled(), *list_computed()]


def default_pair(offered: list[str]) -> tuple[str, str]:
    """A network with shortcuts and its twin without, where both are there; else the first two, or one."""
    for left, right in PAIRS:
        if left in offered and right in offered:
            return left, right
    return (offered[0], offered[1]) if len(offered) > 1 else (offered[0], NONE)


def label(name: str) -> str:
    """A panel's network for people: its title, or what was computed."""
    if name.startswith(_COMPUTED):
        return str(list_computed().get(name, {}).get("title", name))
    return _bundled_title(name) if name in list_bundled() else title(name) if name != NONE else name


def _bundled_title(name: str) -> str:
    """What the surface itself says whose it is; else the title of its architecture."""
    said = surface(next(iter(list_bundled()[name].seeds.values()))).meta.get("title")
    return said if isinstance(said, str) else title(name)


@st.cache_data(max_entries=256, show_spinner=False)
def title(architecture: str) -> str:
    """The title of an architecture, or its name where the catalogue has none."""
    from cnnviz.models.catalogue.registry import find

    try:
        return find(architecture).title
    except CnnvizError:
        return architecture


def network_title(network: Network) -> str:
    """The title of a network that was chosen, with what its weights are where they are not the trained ones."""
    when = networks.snapshots(network.model.name).get(network.choice.weights)
    if network.untrained and (network.choice.untrained or not when):
        when = "random weights"
    elif network.choice.weights.startswith("run:"):
        when = f"weights of the {network.choice.weights.replace(':', ' ', 1)}"
    return title(network.model.name) + (f", {when}" if when else "")


def seeds(chosen: list[str]) -> list[str]:
    """The direction seeds that all these panels have, and "median" where there are several."""
    own = [set(list_bundled()[name].seeds) for name in chosen if name in list_bundled()]
    shared = [str(seed) for seed in sorted(set.intersection(*own))] if own else []
    return [*shared, MEDIAN] if len(shared) > 1 else shared


def load_landscape(name: str, seed: str) -> ShownLandscape:
    """The landscape `name` on the plane of a direction seed, or the median of all its planes.

    Raises BadInput for a file that is gone or damaged."""
    if name.startswith(_COMPUTED):
        said = list_computed().get(name)
        if said is None:
            raise BadInput("The surface of this link is no longer on this machine. Compute it again.")
        path = uploads.cache_folder("landscapes") / f"{name.removeprefix(_COMPUTED)}.npz"
        twin = said.get("untrained") is True
        weights = str(said.get("weights", ""))
        return ShownLandscape(name, said["architecture"], weights, said["title"], surface(path), untrained=twin)
    files = list_bundled()[name].seeds
    every = {number: surface(path) for number, path in files.items()} if len(files) <= 5 else {}
    if seed == MEDIAN and len(every) > 1:
        median = _median(tuple(files.values()))
        return ShownLandscape(name, name, "bundled", _bundled_title(name), median, tuple(every.values()))
    number = int(seed) if seed.isdigit() and int(seed) in files else next(iter(files))
    others = tuple(found for other, found in every.items() if other != number)
    return ShownLandscape(name, name, "bundled", _bundled_title(name), surface(files[number]), others)


def surface(path: Path) -> Surface:
    """A surface on disk. Raises BadInput if it is gone or damaged."""
    return _surface(str(path), _stamp(path))


def trajectory(path: Path) -> Trajectory:
    """The path of a training run on disk. Raises BadInput if it is gone or damaged."""
    return _trajectory(str(path), _stamp(path))


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@st.cache_resource(max_entries=96, show_spinner=False)
def _surface(path: str, stamp: int) -> Surface:
    from cnnviz.landscape.results import Surface

    found = Surface.load(path)
    expected = (len(found.alphas), len(found.betas))
    if found.loss.shape != expected or not found.done:
        raise BadInput(
            f"{path} holds no surface: losses of shape {found.loss.shape}, {found.done} of them known, for "
            f"{expected[0]}×{expected[1]} points. Delete it and compute again."
        )
    return found


@st.cache_resource(max_entries=16, show_spinner=False)
def _trajectory(path: str, stamp: int) -> Trajectory:
    from cnnviz.landscape.results import Trajectory

    return Trajectory.load(path)


def _median(paths: tuple[Path, ...]) -> Surface:
    return _median_of(tuple(map(str, paths)), tuple(map(_stamp, paths)))


@st.cache_resource(max_entries=8, show_spinner=False)
def _median_of(paths: tuple[str, ...], stamps: tuple[int, ...]) -> Surface:
    """Cell by cell over the planes; the errors are half the distance of the quartiles."""
    import numpy as np

    from cnnviz.landscape.plane.seeds import summarise_planes
    from cnnviz.landscape.results import Surface

    every = [_surface(path, stamp) for path, stamp in zip(paths, stamps, strict=True)]
    found = summarise_planes(every)
    low, high = np.quantile([one.accuracy for one in every], [0.25, 0.75], axis=0)
    meta = {name: value for name, value in every[0].meta.items() if name != "cosine"}  # each plane has its own
    meta |= {"seed": None, "median of": found.planes}
    half = np.where(np.isinf(found.upper), np.nan, found.upper - found.lower) / 2
    return Surface(found.alphas, found.betas, found.median, found.accuracy, half, (high - low) / 2, meta)
