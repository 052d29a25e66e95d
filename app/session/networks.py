"""The networks that the sessions share, loaded once each with their locks, and what the pickers offer."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import limits
from app.jobs import background
from app.session.cache import Shelf
from app.session.uploads import stored_weights
from app.weights import owners
from cnnviz.errors import BadInput

if TYPE_CHECKING:
    from cnnviz.models.model import LoadedModel


@dataclass(frozen=True, slots=True)
class Choice:
    """Which network: architecture, weights ("bundled", "epoch-5", "pretrained", "random", "file-<hash>"), device.

    `untrained`: its random twin, with the classes and the preprocessing of those weights. `version`: which
    answers about a file of one's own."""

    name: str
    weights: str
    device: str = "auto"
    untrained: bool = False
    version: str = ""

    @property
    def key(self) -> str:
        """Names the network in caches."""
        return "|".join((self.name, self.weights, self.device, "untrained" * self.untrained, self.version))


def model(choice: Choice, progress: Any = None) -> LoadedModel:
    """The chosen network, loaded once for all sessions. Raises CnnvizError with what to do."""
    if choice.weights.startswith("file-"):
        stored_weights(choice.weights)  # it may have been removed since
    loaded = shared(choice.key, lambda: _load(choice, progress))
    if not background.any_running():  # what a job holds would be kept for ever
        _freeze_once(choice.key)
    return loaded


def shared(key: str, make: Callable[[], LoadedModel]) -> LoadedModel:
    """The network called `key`, made once for all sessions. Twins and moved copies of a network come here, too: the
    bounds of app/limits.py hold for all together."""
    return _shelf().get(key, make)


@st.cache_resource(show_spinner=False)
def _shelf() -> Shelf:
    return Shelf(lambda: limits.MODELS, limits.weights_room)


def _load(choice: Choice, progress: Any) -> LoadedModel:
    from cnnviz.models.load import load

    name, weights, device = choice.name, choice.weights, choice.device
    if choice.untrained:
        return _untrained(choice, progress)
    if weights == "pretrained":
        return load(name, "pretrained", device, progress=progress)
    if not weights.startswith("file-"):
        return load(name, weights, device)
    path, own = str(stored_weights(weights)), owners.find(weights)
    if own is None or own.architecture != name:
        return load(name, path, device)
    return load(name, path, device, class_names=own.classes, preprocessing=own.preprocessing)


def _untrained(choice: Choice, progress: Any) -> LoadedModel:
    """Fresh weights in place of the chosen ones. What would have to be downloaded for it alone is not."""
    from cnnviz.data.class_names import class_names
    from cnnviz.models.catalogue.registry import find
    from cnnviz.models.load import load
    from cnnviz.models.zoo import download as pretrained

    entry = find(choice.name)
    if choice.weights == "pretrained" and entry.pretrained is not None:
        trained = pretrained.find_weights(entry)
        names = trained.meta.get("categories") or class_names(entry.labels, entry.classes)
        expects = trained.preprocessing
        scaled = choice.name in pretrained.SCALED_INPUT
    else:
        trained_choice = replace(choice, untrained=False)
        model = shared(trained_choice.key, lambda: _load(trained_choice, progress))
        names, expects = model.class_names, model.preprocessing
        scaled = getattr(model.module, "transform_input", False)
    twin = load(choice.name, "random", choice.device, class_names=names, preprocessing=expects)
    if scaled:  # torchvision's ports rescale their input inside, which is preprocessing, too
        twin.module.transform_input = True
    return twin


@st.cache_resource(max_entries=8, show_spinner=False)
def _freeze_once(key: str) -> None:
    gc.freeze()


def forget() -> None:
    """Let go of all networks."""
    _shelf().clear()


@st.cache_data(show_spinner=False)
def catalogue(blocks: bool = False) -> dict[str, str]:
    """{architecture: title} in the order of the picker: bundled networks first, then the families in the order
    of their first publication, within a family by depth. `blocks`: building blocks without a classifier, too."""
    from cnnviz.models.catalogue.registry import architectures, find

    entries = [entry for entry in map(find, architectures()) if blocks or entry.classifier]
    first: dict[str, int] = {}
    for entry in entries:
        first[entry.family] = min(first.get(entry.family, 9999), entry.year or 9999)
    order = sorted(entries, key=lambda e: (e.name not in _bundled(), first[e.family], e.family, _natural(e.name)))
    return {entry.name: entry.title for entry in order}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts resnet20 before resnet110."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def check_name(name: str) -> None:
    """Raise CnnvizError, with near misses or the package to install, unless the picker may take `name`: of the
    catalogue or, with its prefix, of another zoo."""
    from cnnviz.models.catalogue.registry import find

    if not find(name).classifier:
        raise BadInput(f"{name} is a building block without a classifier; the page Anatomy shows it.")


def is_prefixed(name: str) -> bool:
    """True for names like "timm:resnet18"."""
    from cnnviz.models.zoo import zoos

    return zoos.is_prefixed(name)


def plugin_problems() -> list[str]:
    """Why files of $CNNVIZ_PLUGINS could not be used, a sentence each; their networks are not in the picker."""
    from cnnviz.models.catalogue.plugins import list_problems

    return list_problems()


def publisher(name: str) -> str:
    """Who publishes the pretrained weights of a network, in a word or two."""
    from cnnviz.models.catalogue.registry import find
    from cnnviz.models.zoo.download import find_weights

    return find_weights(find(name)).source


@st.cache_data(max_entries=64, show_spinner=False)
def card(name: str, weights: str) -> list[str]:
    """What is known of bundled or published weights, a line a fact, without the file's own address; [] for others."""
    from cnnviz.models.catalogue.cards import cards

    if weights not in ("bundled", "pretrained"):
        return []
    lines = [line.strip() for found in cards(name) if found.weights == weights for line in found.lines()[1:]]
    return [line for line in lines if not line.startswith(("address", "here"))]


@st.cache_data(show_spinner=False)
def _bundled() -> list[str]:
    from cnnviz.models.bundled import bundled

    return sorted(bundled())


def weights_options(name: str) -> list[str]:
    """Weights that `name` can take, the best that needs no download first."""
    from cnnviz.models.catalogue.registry import find
    from cnnviz.models.zoo.download import cache_path, find_weights

    options = [*(["bundled"] if name in _bundled() else []), "random"]
    if find(name).pretrained is not None:
        here = cache_path(find_weights(find(name)).url).is_file()
        options.insert(len(options) - 1 if here else len(options), "pretrained")
    return options


@st.cache_data(show_spinner=False)
def snapshots(name: str) -> dict[str, str]:
    """{what `load` takes: "after 5 epochs"} of the bundled weights of `name` as they were in their training; {} without
    any."""
    from cnnviz.models.bundled import snapshots

    return {f"epoch-{n}": f"after {n} epochs" if n else "before training" for n in snapshots(name)}
