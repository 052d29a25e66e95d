"""The networks that the sessions share, loaded once each with their locks, and what the pickers offer."""

from __future__ import annotations

import gc
import os
import re
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import access, limits
from app.access import NotAllowed
from app.jobs import background
from app.session import run_weights
from app.session.cache import LruCache, network_cache, release_memory, weight_of
from app.session.uploads import called, stored_weights
from app.weights import owners
from cnnviz.errors import BadInput, CnnvizError
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.models.catalogue.downloads import Download
    from cnnviz.models.catalogue.summary import Summary
    from cnnviz.models.model import LoadedModel

USUAL, BUNDLED = "efficientnet_lite0", "resnet20_cifar"  # that pages open on: of a package, or without it
HERE_SECONDS = 3  # after which it is looked up anew which weights were downloaded
_ONE_BY_ONE = threading.Lock()  # held while a large network is loaded
INDEXES = 4  # that are kept with a network, over different images


class NotHere(CnnvizError):
    """Published weights that have to be downloaded first. `damaged`: a file is here, but of no use."""

    def __init__(self, name: str, damaged: bool = False) -> None:
        self.name, self.state = name, "damaged on this computer" if damaged else "not on this computer"
        super().__init__(
            f"The published weights of {name} are {self.state}, and nothing is downloaded unasked: choose the network "
            "with these weights on any page, which offers the download."
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """Which network: architecture, weights ("bundled", "packaged", "epoch-5", "run:mine@3", "pretrained", "random",
    "file-<hash>"), device.

    `untrained`: its random twin, with the classes and the preprocessing of those weights. `version`: which
    answers about a file of one's own, or which file of a recorded training."""

    name: str
    weights: str
    device: str = "auto"
    untrained: bool = False
    version: str = ""

    @property
    def key(self) -> str:
        """Names the network in caches."""
        return "|".join((self.name, self.weights, self.device, "untrained" * self.untrained, self.version))


@dataclass(eq=False)
class Network:
    """A loaded network and the choice that led to it. `key` names it in caches: that of the choice, and of a copy
    that was changed what was done to it. Two of one key are the same."""

    model: LoadedModel
    choice: Choice
    key: str = ""
    indexes: LruCache = field(default_factory=lambda: LruCache(lambda _group: 1, lambda: INDEXES, lambda _index: 0))
    is_frozen: bool = False  # taken out of the garbage collector's sight

    def __post_init__(self) -> None:
        self.key = self.key or self.choice.key
        self.input_size: tuple[int, int, int] = self.model.input_size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def untrained(self) -> bool:
        """True if its weights are random."""
        return self.model.untrained

    @property
    def one_channel(self) -> bool:
        return self.input_size[0] == 1


def load(choice: Choice) -> Network:
    """The chosen network, loaded once for all sessions; nothing is downloaded for it. Raises CnnvizError with what to
    do, NotHere among them."""
    if choice.weights.startswith("file-"):
        stored_weights(choice.weights)  # it may have been removed since
    if (version := run_weights.find_version(choice.weights)) is not None:
        choice = replace(choice, version=version)
    if choice.key not in _cache():
        _check_may_open(choice)
    network = _cache().get(choice.key, lambda: Network(_load(choice), choice))
    if not network.is_frozen and not background.any_running():  # what a job holds would be kept for ever
        gc.freeze()
        network.is_frozen = True
    return network


def derive(network: Network, change: str, make: Callable[[], LoadedModel]) -> Network:
    """A changed copy of a network, made once for all sessions; `change` names it. The bounds of app/limits.py hold for
    networks and their copies together."""
    key = f"{network.key}|{change}"

    def make_with_room() -> Network:
        _cache().make_room(weight_of(network.model), str(network.model.device))
        return Network(make(), network.choice, key)

    return _cache().get(key, make_with_room)


def forget() -> None:
    """Let go of all networks."""
    _cache().clear()
    release_memory("cpu")


@st.cache_resource(show_spinner=False)
def _cache() -> LruCache:
    return network_cache(lambda: limits.MODELS, limits.weights_room)


def _check_may_open(choice: Choice) -> None:
    """Raise NotAllowed where this session may not have the network loaded: a student of a class a large one only while
    the lecturer allows long work, or shows it. Work without a page, which somebody was allowed to start, may."""
    if get_script_run_ctx(suppress_warning=True) is None or access.may_start():
        return
    size, name, weights = weigh(choice.name, choice.weights), choice.name, choice.weights
    if (
        size <= limits.LARGE_NETWORK
        or access.is_shown(name)
        or (weights.startswith("file-") and access.is_shown(weights))
    ):
        return
    raise NotAllowed(
        f"{describe_name(name)} takes {size / limits.MIB:,.0f} MB of the memory that all share; in this class students "
        f"open networks of up to {limits.LARGE_NETWORK / limits.MIB:,.0f} MB by themselves. What the lecturer shows "
        "opens for all: ask for this one, or choose a smaller network."
    )


def weigh(name: str, weights: str = "") -> int:
    """Bytes that a network will take, known before anything is allocated: of its tensors, or of the file that fills
    them, if that has more."""
    one = summaries().get(name)
    size = 4 * one.parameters if one is not None and one.parameters else _weigh_on_meta(name)
    return max(size, stored_weights(weights).stat().st_size if weights.startswith("file-") else 0)


@st.cache_data(max_entries=256, show_spinner=False)
def _weigh_on_meta(name: str) -> int:
    from cnnviz.models.catalogue.parameter_counts import weigh as weigh_tensors

    return weigh_tensors(name)


def _load(choice: Choice) -> LoadedModel:
    """The network, for which others have made room before; of large ones one is loaded at a time."""
    if choice.untrained:
        return _load_untrained(choice)
    size = weigh(choice.name, choice.weights)
    with _ONE_BY_ONE if size > limits.HEAVY_NETWORK else nullcontext():
        _make_room(choice, size)
        return _load_trained(choice)


def _make_room(choice: Choice, size: int) -> None:
    from cnnviz.device import choose

    _cache().make_room(size, str(choose(choice.device)))


def _load_trained(choice: Choice) -> LoadedModel:
    from cnnviz.models.load import load

    name, weights, device = choice.name, choice.weights, choice.device
    if weights == "pretrained":
        return load(name, "pretrained", device, progress=_refuse_download(name))
    if not weights.startswith("file-"):
        return load(name, weights, device)
    path, own = str(stored_weights(weights)), owners.find(weights)
    with called(weights.removeprefix("file-"), own.file_name if own is not None else "The file"):
        if own is None or own.architecture != name:
            return load(name, path, device)
        return load(name, path, device, class_names=own.classes, preprocessing=own.preprocessing)


def _refuse_download(name: str) -> Callable[[int, int], None]:
    """In place of a progress, which is asked before anything is connected to: raises NotHere."""
    published = _published_file(name)

    def refuse(_done: int, _total: int) -> None:
        raise NotHere(name, damaged=published is not None and published.is_file())

    return refuse


def _load_untrained(choice: Choice) -> LoadedModel:
    """Random weights in place of the chosen ones. What would have to be downloaded for it alone is not."""
    from cnnviz.models.untrained import load_untrained

    trained = replace(choice, untrained=False)
    _make_room(choice, weigh(choice.name, choice.weights))
    return load_untrained(choice.name, choice.weights, choice.device, lambda: load(trained).model)


@st.cache_resource(show_spinner=False)
def default_network() -> str:
    """The network that pages open on: what $CNNVIZ_NETWORK names, else one of real photographs and a thousand classes
    where its package is installed, else one that comes with cnnviz."""
    named = os.environ.get("CNNVIZ_NETWORK", "")
    return named if named in summaries() else USUAL if USUAL in _packaged() else BUNDLED


@st.cache_resource(show_spinner=False)
def summaries() -> dict[str, Summary]:
    """{architecture: what is known of it without building it}, in the order of the picker: networks with weights here
    first, then the families in the order of their first publication, within a family by depth."""
    from cnnviz.models.catalogue.summary import summaries as collect

    found = collect()
    first: dict[str, int] = {}
    here = {*_bundled(), *_packaged()}
    for one in found.values():
        first[one.family] = min(first.get(one.family, 9999), one.year or 9999)
    order = sorted(found.values(), key=lambda e: (e.name not in here, first[e.family], e.family, _natural(e.name)))
    return {one.name: one for one in order}


def catalogue(blocks: bool = False) -> list[str]:
    """The architectures in the order of the picker. `blocks`: building blocks without a classifier, too."""
    return [one.name for one in summaries().values() if blocks or one.classifier]


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts resnet20 before resnet110."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def check_name(name: str) -> None:
    """Raise CnnvizError, with near misses or the package to install, unless the picker may take `name`: of the
    catalogue or, with its prefix, of another zoo."""
    from cnnviz.models.catalogue.registry import find

    if not find(name).classifier:
        raise BadInput(f"{name} is a building block without a classifier; the page Anatomy shows it.")


def describe_name(name: str, outline: bool = False) -> str:
    """How pages call a network: by its name, a chain by the widths of its layers; `outline`: with its settings."""
    from cnnviz.models.chains.chain import is_chain, parse_chain

    if not is_chain(name):
        return name
    try:
        chain = parse_chain(name)
    except BadInput:  # of a link
        return name[:40]
    return f"Chain {chain.outline}" if outline else chain.label


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


def weights_download(name: str) -> Download:
    """The download of the published weights of a network."""
    from cnnviz.models.catalogue.downloads import weights_download as find_download

    return find_download(name)


@st.cache_data(max_entries=64, show_spinner=False)
def card(name: str, weights: str) -> list[str]:
    """What is known of bundled or published weights, a line a fact, without the file's own address; [] for others."""
    from cnnviz.models.catalogue.cards import cards

    if weights not in ("bundled", "packaged", "pretrained"):
        return []
    lines = [line.strip() for found in cards(name) if found.weights == weights for line in found.lines()[1:]]
    return [line for line in lines if not line.startswith(("address", "here"))]


@st.cache_data(show_spinner=False)
def _bundled() -> list[str]:
    """With those that should be there: loading them says what is missing, in place of random weights."""
    from cnnviz.models.bundled import SHIPPED, bundled

    return sorted({*SHIPPED, *bundled()})


def weights_options(name: str) -> list[str]:
    """Weights that `name` can take, the best that needs no download first."""
    here = {"bundled": _bundled(), "packaged": _packaged()}
    options = [*(word for word, names in here.items() if name in names), "random"]
    if (file := _published_file(name)) is not None:
        options.insert(len(options) - 1 if file.is_file() else len(options), "pretrained")
    return options


@st.cache_data(show_spinner=False)
def _packaged() -> list[str]:
    from cnnviz.models.zoo.packaged import packaged

    return sorted(packaged())


@st.cache_data(max_entries=256, show_spinner=False)
def _published_file(name: str) -> Path | None:
    """Where the published weights of a network lie once they are downloaded; None where there are none."""
    from cnnviz.models.zoo.download import cache_path, find_weights

    if (one := summaries().get(name)) is not None:
        return cache_path(one.url) if one.url else None
    from cnnviz.models.catalogue.registry import find

    return None if find(name).pretrained is None else cache_path(find_weights(find(name)).url)


@st.cache_data(ttl=HERE_SECONDS, show_spinner=False)
def downloaded() -> frozenset[str]:
    """The networks of the catalogue whose published weights are on this machine now."""
    return frozenset(name for name in summaries() if (file := _published_file(name)) is not None and file.is_file())


@st.cache_resource(show_spinner=False)
def trained_here() -> dict[str, dict[str, dict[str, float]]]:
    """{network: {data set: {measure: per cent}}} of those whose weights come with cnnviz or as a package that is
    installed; {} where no accuracy is told."""
    from cnnviz.models.bundled import bundled
    from cnnviz.models.catalogue.summary import recorded_accuracy
    from cnnviz.models.zoo.packaged import PACKAGES

    found = {name: PACKAGES[name].accuracy for name in _packaged()}
    return found | {name: recorded_accuracy(path) for name, path in bundled().items()}


@st.cache_data(show_spinner=False)
def snapshots(name: str) -> dict[str, str]:
    """{what `load` takes: "after 5 epochs"} of the bundled weights of `name` as they were in their training; {} without
    any."""
    from cnnviz.models.bundled import snapshots

    return {f"epoch-{n}": f"after {plural(n, 'epoch')}" if n else "before training" for n in snapshots(name)}
