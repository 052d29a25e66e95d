"""Pickers that every page shares, in the same order, each bound to the URL so that a copied link opens the same view:
network with its weights and device, image, layer, unit; and a page's title, which tells when the weights are random."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.cards import pick_card
from app.jobs import download
from app.markdown import escape_markdown
from app.pickers import network_cards, photo_cards
from app.pickers.photo_cards import DEFAULT_PHOTO
from app.session import networks, shared
from app.session.cache import picture_cache
from app.session.networks import Choice, Network
from app.url import address
from app.url.address import bind, bind_choice
from app.weights import owners
from cnnviz.errors import CnnvizError, Offline
from cnnviz.figures.base.encode import photo_jpeg

if TYPE_CHECKING:
    from app.weights.owners import OwnWeights
    from cnnviz.device import DeviceInfo
    from cnnviz.models.model import LoadedModel

__all__ = ["Network", "bind", "bind_choice"]
DEFAULT_NETWORK = "resnet20_cifar"
WEIGHTS_NOTE = {
    "bundled": "trained; comes with cnnviz",
    "packaged": "trained on ImageNet; a Python package of its own",
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
    names = networks.catalogue(blocks)
    asked, linked = address.read("net"), owners.find(address.read("weights"))
    default = first if first in names else names[0]
    if not asked and linked is not None:
        default = linked.architecture  # a link that names only a file means its network
    _take_back_unknown(names)
    own = {found.architecture: found.file_name for found in reversed(owners.list_own())}
    others = {address.read("net"), default, *own} - {"", *names}
    extra = sorted(name for name in others if _is_known(name))
    names = [*extra, *names]
    labels = {chain: networks.describe_name(chain) for chain in extra}
    if len(set(labels.values())) < len(labels):  # they differ in settings that the label leaves out
        labels = {chain: networks.describe_name(chain, outline=True) for chain in extra}
    name = bind(
        pick_card,
        "Network",
        "net",
        default,
        options=names,
        cards=network_cards.list_cards(names, labels, own),
        on_pick=partial(address.choose, "net"),
        search="Name, year or family; also timm:NAME",
        new_names=True,
    )
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
    words = dict(zip(options, options, strict=True)) | labels
    weights = bind(st.selectbox, "Weights", "weights", options[0], options=options, format_func=words.__getitem__)
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
    asked = st.session_state.get("forced_device") or address.read("device")
    return asked if asked in _list_devices() else "auto"


@st.cache_resource(show_spinner=False)
def _list_devices() -> list[str]:
    from cnnviz.device import available

    return available()


@st.cache_data(ttl=2, show_spinner=False)
def _describe_device(device: str) -> DeviceInfo:
    from cnnviz.device import describe

    return describe(device)


def show_device(network: Network) -> None:
    """At the foot of the sidebar: what is known of the weights, and where it is computed."""
    if facts := [] if network.untrained else networks.card(network.model.name, network.choice.weights):
        with st.sidebar, st.expander("About these weights", icon=":material/description:"):
            st.caption("  \n".join("**{}** {}".format(*fact.split(None, 1)) for fact in facts))
    info = _describe_device(str(network.model.device))
    with st.sidebar, st.expander(f"Device: {info.device}", icon=":material/memory:"):
        bind(st.selectbox, "Compute on", "device", "auto", options=["auto", *_list_devices()])
        if message := st.session_state.get("device_message"):
            st.warning(message)
        used, total = info.memory_used / 2**30, info.memory_total / 2**30
        st.caption(f"{info.name}  \nMemory in use: {used:.1f} of {total:.0f} GiB  \nPrecision: float32")


def pick_image(network: Network | None) -> str:
    """The photograph: a sample, a digit, or an upload; None: for no network. Returns its name."""
    with st.sidebar:
        return photo_cards.pick_photo(network)


def show_photo(place: Any, name: str) -> None:
    """The photograph as it is, as wide as the column; encoded once for all."""
    data = picture_cache().get(("photo", name), lambda: photo_jpeg(shared.photo(name)))
    place.image(data, alt="The chosen photograph", width="stretch", output_format="JPEG")


def show_photo_early(place: Any) -> None:
    """The photograph that this view most likely asks for, before the network is there."""
    name = address.read("image") or ("" if address.read("net") else DEFAULT_PHOTO)
    try:
        if name:
            show_photo(place, name)
    except (CnnvizError, ValueError):
        return  # a link with an unknown name: the picker falls back


def pick_layer(network: Network, kinds: tuple[str, ...] = ("conv", "block", "pool", "linear")) -> str:
    """The layer, with the shape of its output. Layers that never run are not offered."""
    shapes, known = shared.layer_shapes(network), shared.layer_kinds(network)
    options = [layer for layer in shapes if known[layer] in kinds]
    with st.sidebar:
        default = _find_default(shapes, known)
        default = default if default in options else options[0]
        layer = bind(st.selectbox, "Layer", "layer", default, options=options)
        channels, height, width = shapes[layer]
        st.caption(f"{known[layer]}: {channels} channels of {height}×{width} units")
        return layer


def default_layer(network: Network) -> str:
    """The layer that a page opens on: a third of the way, so that maps are neither plain edges nor tiny (at
    least 8 units a side); a block, whose output is rectified, where the network has blocks."""
    return _find_default(shared.layer_shapes(network), shared.layer_kinds(network))


def _find_default(shapes: dict[str, tuple[int, int, int]], kinds: dict[str, str]) -> str:
    mapped = [layer for layer in shapes if min(shapes[layer][1:]) >= 8] or list(shapes)
    mapped = [layer for layer in mapped if kinds[layer] == "block"] or mapped
    return mapped[len(mapped) // 3]


def pick_unit(channels: int, first: int = 0) -> int:
    """The channel, a number in the sidebar. A link that names a channel the layer has not falls back."""
    with st.sidebar:
        label, last = f"Channel (0 to {channels - 1})", channels - 1
        return int(bind(st.number_input, label, "unit", first, min_value=0, max_value=last, step=1))


def unit_name(layer: str, channel: int, row: int | None = None, col: int | None = None) -> str:
    """`layer3.0.conv2 · channel 17 · (4, 9)`: the same form everywhere."""
    place = "" if row is None else f" · ({row}, {col})"
    return f"{layer} · channel {channel}{place}"


def pick_position(values: Any) -> tuple[int, int]:
    """Row and column of one unit on a map (H, W); the strongest unit where the link names none."""
    rows, cols = values.shape
    peak = divmod(int(values.argmax()), cols)
    with st.sidebar:
        left, right = st.columns(2)
        with left:
            row = bind(st.number_input, "Row", "row", peak[0], min_value=0, max_value=rows - 1, step=1)
        with right:
            col = bind(st.number_input, "Column", "col", peak[1], min_value=0, max_value=cols - 1, step=1)
    return int(row), int(col)
