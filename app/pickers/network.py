"""Network, weights and device in the sidebar, and a page's title, which tells when the weights are random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.jobs import download
from app.markdown import escape_markdown
from app.session import networks
from app.session.networks import Choice, Network
from app.url import address
from app.url.widgets import bind
from app.weights import owners
from cnnviz.errors import CnnvizError, Offline

if TYPE_CHECKING:
    from app.weights.owners import OwnWeights
    from cnnviz.models.model import LoadedModel

DEFAULT_NETWORK = "resnet20_cifar"
WEIGHTS_NOTE = {
    "bundled": "trained; comes with cnnviz",
    "random": "nothing learned: what you see is the architecture",
}
UNTRAINED_HELP = "The same network, classes and preprocessing without any training: what its structure alone does."


@dataclass(frozen=True, slots=True)
class Title:
    """The title of a page, which tells when random weights are shown."""

    place: Any
    text: str

    def show(self, untrained: bool = False) -> None:
        """Write it, or write it again."""
        self.place.title(f"{self.text} :orange-badge[random weights]" if untrained else self.text)


def heading(text: str) -> Title:
    """The title of a page; hand it to `pick_network`."""
    title = Title(st.empty(), text)
    title.show()
    return title


def pick_network(title: Title | None = None, first: str = DEFAULT_NETWORK) -> Network:
    """Network, weights and device, in the sidebar; `title` says if its weights are random. `first`: what the page
    opens on. Raises CnnvizError if it cannot be loaded, PageEnded while its weights are downloaded."""
    with st.sidebar:
        name = pick_name(first=first)
        choice = _pick_weights(name)
    network = load_network(choice)
    _say_how_loaded(network.model)
    if title is not None and network.untrained:
        title.show(untrained=True)
    return network


def pick_name(blocks: bool = False, first: str = DEFAULT_NETWORK) -> str:
    """The name of a network. One that nobody knows is refused in words, and the network stays.

    `blocks`: building blocks without a classifier are offered, too. `first`: what is shown where nobody has chosen."""
    names = list(networks.catalogue(blocks))
    own = owners.find(address.read("weights"))
    default = first if first in names else names[0]
    asked = address.read("net")
    if not asked and own is not None:
        default = own.architecture  # a link that names only a file means its network
    _take_back_unknown(names)
    extra = {name for name in (address.read("net"), default) if name and name not in names and _is_known(name)}
    names = [*sorted(extra), *names]
    name = bind(st.selectbox, "Network", "net", default, options=names, accept_new_options=True)
    if asked and first != DEFAULT_NETWORK:
        address.record("net", name, None)  # other pages open on another network: what was asked for has to move along
    if message := st.session_state.pop("network_problem", None):
        st.error(escape_markdown(message), icon=":material/search_off:")
    return name


def _take_back_unknown(names: list[str]) -> None:
    """Undo the choice of a name that nobody knows, and keep the reason for the page to say. A link with such a
    name opens the default network; it is told why if another zoo was asked."""
    asked = address.read("net")
    try:
        if asked and asked not in names:
            networks.check_name(asked)
    except CnnvizError as error:
        if address.take_back("net") or networks.is_prefixed(asked):
            st.session_state["network_problem"] = f"{error} The network is unchanged."


def _is_known(name: str) -> bool:
    try:
        networks.check_name(name)
    except CnnvizError:
        return False
    return True


def _pick_weights(name: str) -> Choice:
    own: dict[str, OwnWeights | None] = {found.name: found for found in owners.list_own()}
    asked = address.read("weights")
    if asked.startswith("file-") and asked not in own:
        own[asked] = owners.find(asked)  # of a link; None where it is gone, which loading says
    labels = owners.label_files([found for found in own.values() if found is not None])
    options = networks.weights_options(name)
    options += [key for key, found in own.items() if found is None or found.architecture == name]
    then = networks.snapshots(name)
    options, labels = [*options, *then], labels | then
    weights = bind(
        st.selectbox, "Weights", "weights", options[0], options=options, format_func=lambda w: labels.get(w, w)
    )
    learned = weights != "random"
    untrained = (
        bind(st.toggle, "Random weights", "untrained", False, disabled=not learned, help=UNTRAINED_HELP) and learned
    )
    chosen = own.get(weights)
    st.caption(f"in place of: {labels.get(weights, weights)}" if untrained else _weights_note(name, weights, chosen))
    return Choice(name, weights, choose_device(), untrained, chosen.version if chosen else "")


def _weights_note(name: str, weights: str, own: OwnWeights | None) -> str:
    if weights == "pretrained":
        return f"trained; published by {networks.publisher(name)}"
    if when := networks.snapshots(name).get(weights):
        return f"the bundled weights as they were {when}"
    if own is not None:
        return f"yours, of {own.stored}; {len(own.classes)} classes"
    return WEIGHTS_NOTE.get(weights, "a file of yours")


def load_network(choice: Choice) -> Network:
    """The network, its weights downloaded before if need be. Raises as `pick_network`."""
    if choice.weights == "pretrained" and not choice.untrained:
        download.require_weights(choice.name)
    try:
        return networks.load(choice, download.refuse)
    except download.Damaged:
        download.require_weights(choice.name, damaged=True)
        return networks.load(choice, download.refuse)
    except Offline as error:
        raise Offline(download.explain_problem(f"Downloading weights of {choice.name}", str(error))) from error


def _say_how_loaded(model: LoadedModel) -> None:
    if message := model.notes.get("device"):
        st.sidebar.warning(escape_markdown(message))
    if model.report is not None and model.report.warnings:
        with st.sidebar.expander("Notes on these weights", icon=":material/info:"):
            st.caption(escape_markdown("  \n".join(model.report.warnings)))


def choose_device() -> str:
    """The device to compute on. A link that names a device this machine has not means the best one here."""
    from cnnviz.device import available

    asked = st.session_state.get("forced_device") or address.read("device")
    return asked if asked in available() else "auto"
