"""Pickers that every page shares, in the same order, each bound to the URL so that a copied link opens the same view:
network with its weights and device, image, layer, unit; and a page's title, which tells when the weights are random."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.access import NotAllowed
from app.components.pickers.cards import pick_card
from app.components.pickers.strip import StripLayer, layer_strip
from app.jobs import download
from app.markdown import as_literal, escape_markdown
from app.pickers import bar, network_cards, photo_cards
from app.pickers.photo_cards import DEFAULT_PHOTO
from app.session import networks, run_weights, shared, tabs
from app.session.cache import picture_cache
from app.session.networks import Choice, Network
from app.url import address
from app.url.address import bind, bind_choice
from app.weights import owners
from cnnviz.errors import CnnvizError
from cnnviz.figures.base.encode import photo_jpeg
from cnnviz.wording import plural

if TYPE_CHECKING:
    from app.weights.owners import OwnWeights
    from cnnviz.device import DeviceInfo
    from cnnviz.models.model import LoadedModel

__all__ = ["Network", "bind", "bind_choice"]
LAYER_KINDS = ("conv", "block", "pool", "linear")
_SHOWN = "shown_network"  # in the session: (links opened until then, the choice that was shown last)
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
        self.place.title(f"{self.text} :orange-badge[random weights]" if untrained else self.text, width="content")


def heading(text: str) -> Title:
    """The title of a page; hand it to `pick_network`."""
    with bar.title():
        place = st.empty()
    title = Title(place, text)
    title.show()
    return title


def pick_network(title: Title | None = None, first: str = "") -> Network:
    """Network, weights and device, in the bar; `title` says if its weights are random. `first`: what the page opens on
    in place of `networks.default_network`. Weights that are not here are asked about below the title, and the page goes
    on showing what it showed. Raises CnnvizError if it cannot be loaded."""
    with bar.slot("network"):
        name = pick_name(first=first)
    with bar.slot("weights"):
        choice = _pick_weights(name)
    network = _load_or_ask(choice, bar.notices())
    st.session_state[_SHOWN] = address.count_links(), network.choice
    _say_how_loaded(network.model)
    if title is not None and network.untrained:
        title.show(untrained=True)
    return network


def pick_name(blocks: bool = False, first: str = "") -> str:
    """The name of a network. One that nobody knows is refused in words, and the network stays.

    `blocks`: building blocks without a classifier are offered, too. `first`: what is shown where nobody has chosen, in
    place of `networks.default_network`."""
    names, usual = networks.catalogue(blocks), networks.default_network()
    asked, linked = address.read("net"), owners.find(address.read("weights"))
    default = next((wanted for wanted in (first, usual) if wanted in names), names[0])
    if not asked and linked is not None:
        default = linked.architecture  # a link that names only a file means its network
    elif not asked and (trained := run_weights.network_of_weights(address.read("weights"))):
        default = trained
    take_back_unknown(names)
    own = {found.architecture: found.file_name for found in reversed(owners.list_own())}
    others = {address.read("net"), default, *own} - {"", *names}
    extra = sorted(name for name in others if is_known(name))
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
    if asked and first not in ("", usual):
        address.record("net", name, None)  # other pages open on another network: what was asked for has to move along
    say_unknown()
    return name


def take_back_unknown(names: list[str], key: str = "net") -> None:
    """Undo the choice of a name in the picker `key` that nobody knows, and keep the reason for the page to say. A link
    with such a name opens the default network; it is told why if another zoo was asked."""
    asked = address.read(key)
    try:
        if asked and asked not in names:
            networks.check_name(asked)
    except CnnvizError as error:
        if address.take_back(key) or networks.is_prefixed(asked):
            bar.report("network_problem", f"{error} The network is unchanged.")


def say_unknown() -> None:
    """Say what `take_back_unknown` found."""
    bar.show_report("network_problem", ":material/search_off:")


def is_known(name: str) -> bool:
    """True if a network of this name can be built."""
    try:
        networks.check_name(name)
    except CnnvizError:
        return False
    return True


def _pick_weights(name: str) -> Choice:
    words, own = list_weights(name, address.read("weights"))
    options = list(words)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", wrap=False):
        weights = bind(
            st.selectbox,
            "Weights",
            "weights",
            options[0],
            options=options,
            format_func=words.__getitem__,
            width=132,
        )
        learned = weights != "random"
        untrained = bind(st.toggle, "Random", "untrained", False, disabled=not learned, help=UNTRAINED_HELP) and learned
    chosen = own.get(weights)
    with st.sidebar:
        note = _weights_note(name, weights, chosen)
        st.caption(as_literal(f"Random weights, in place of: {words[weights]}" if untrained else f"Weights: {note}"))
    return Choice(name, weights, choose_device(), untrained, chosen.version if chosen else "")


def list_weights(name: str, asked: str) -> tuple[dict[str, str], dict[str, OwnWeights | None]]:
    """{weights that `name` can take, `asked` of a link among them: how the picker calls them}, the best that needs no
    download first; and {file: what is known of it} of one's own, None where it is gone, which loading says."""
    own: dict[str, OwnWeights | None] = {found.name: found for found in owners.list_own()}
    if asked.startswith("file-") and asked not in own:
        own[asked] = owners.find(asked)
        tabs.use(asked)
    options = networks.weights_options(name)
    options += [key for key, found in own.items() if found is None or found.architecture == name]
    labels = owners.label_files([found for found in own.values() if found is not None])
    then = networks.snapshots(name)
    runs = run_weights.run_options(name, [asked, address.read("weights")])
    return {key: labels.get(key, key) for key in options} | then | runs, own


def _weights_note(name: str, weights: str, own: OwnWeights | None) -> str:
    if weights == "pretrained":
        return f"trained; published by {networks.publisher(name)}"
    if when := networks.snapshots(name).get(weights):
        return f"the bundled weights as they were {when}"
    if weights.startswith("run:"):
        return "of a recorded training; the page Training shows it"
    if own is not None:
        return f"yours, of {own.stored}; {plural(len(own.classes), 'class')}"
    return WEIGHTS_NOTE.get(weights, "a file of yours")


def _load_or_ask(choice: Choice, place: Any) -> Network:
    """The chosen network. Where its weights have to be downloaded, a question in `place` and what the page showed: what
    was chosen here before, or the network with random weights; for one that this session may not have loaded, why."""
    try:
        return networks.load(choice)
    except networks.NotHere as missing:
        problem = missing
    except NotAllowed as refused:
        return _show_instead(refused, place)
    untrained = Choice(choice.name, "random", choice.device)
    links, before = st.session_state.get(_SHOWN, (0, untrained))
    try:
        network = networks.load(before if links == address.count_links() else untrained)
    except CnnvizError:
        network = networks.load(untrained)
    _ask_for_weights(problem, network.choice, place)
    return network


def _show_instead(refused: NotAllowed, place: Any) -> Network:
    """What was chosen on this page before, or the network that pages open on."""
    usual = networks.default_network()
    links, before = st.session_state.get(_SHOWN, (0, None))
    if before is None or links != address.count_links():
        before = Choice(usual, networks.weights_options(usual)[0])
    network = networks.load(before)
    with place:
        shown = networks.describe_name(network.choice.name)
        st.info(escape_markdown(f"{refused} Shown until then: {shown}."), icon=":material/lock:")
    return network


def _ask_for_weights(missing: networks.NotHere, shown: Choice, place: Any) -> None:
    name = missing.name
    weights = "random weights" if shown.untrained or shown.weights == "random" else f"{shown.weights} weights"
    with place:
        download.ask(
            "download",
            networks.weights_download(name),
            f"The trained weights of {name} are {missing.state}.",
            f"Shown until then: {networks.describe_name(shown.name)} with {weights}.",
            "Stay with random weights" if shown.name == name else f"Show {name} with random weights",
            partial(address.choose, "weights", "random"),
        )


def _say_how_loaded(model: LoadedModel) -> None:
    if message := model.notes.get("device"):
        st.sidebar.warning(escape_markdown(message))
    if model.report is not None and model.report.warnings:
        with st.sidebar.expander("Notes on these weights", icon=":material/info:"):
            st.caption(escape_markdown("  \n".join(model.report.warnings)))


def say_untrained(network: Network) -> None:
    """Beside the answers of a network: that its weights are random, if they are."""
    if network.untrained:
        st.markdown(":orange-badge[random weights] Nothing was learned: which classes come first is chance.")


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
            st.caption("  \n".join("**{}** {}".format(*map(as_literal, fact.split(None, 1))) for fact in facts))
    info = _describe_device(str(network.model.device))
    with st.sidebar, st.expander(f"Device: {info.device}", icon=":material/memory:"):
        bind(st.selectbox, "Compute on", "device", "auto", options=["auto", *_list_devices()])
        if message := st.session_state.get("device_message"):
            st.warning(message)
        used, total = info.memory_used / 2**30, info.memory_total / 2**30
        st.caption(f"{as_literal(info.name)}  \nMemory in use: {used:.1f} of {total:.0f} GiB  \nPrecision: float32")


def pick_image(network: Network | None, first: str = "") -> str:
    """The photograph: a sample, a digit, or an upload; None: for no network. Returns its name. `first`: the photograph
    that the page opens on in place of the usual one."""
    with bar.slot("image"):
        return photo_cards.pick_photo(network, first)


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


def list_layers(network: Network, kinds: tuple[str, ...] = LAYER_KINDS) -> list[str]:
    """The layers of these kinds in their order, without those that never run."""
    known = shared.layer_kinds(network)
    return [layer for layer in shared.layer_shapes(network) if known[layer] in kinds]


def pick_layer(network: Network, kinds: tuple[str, ...] = LAYER_KINDS) -> str:
    """The layer, with the shape of its output. Layers that never run are not offered."""
    options, default = list_layers(network, kinds), default_layer(network)
    return choose_layer(network, options, default if default in options else options[0])


def choose_layer(network: Network, options: list[str], default: str, label: str = "Layer") -> str:
    """One of these layers, in the strip of the bar."""
    shapes, kinds = shared.layer_shapes(network), shared.layer_kinds(network)
    high, wide = network.input_size[1:]
    blocks = [_describe_block(name, kinds.get(name, "norm"), shapes.get(name), max(high, wide)) for name in options]

    def draw(label: str, key: str, options: list[str], persist_state: str) -> str:
        chosen = st.session_state[key]
        layer_strip(label, blocks, chosen, "layer_strip", lambda name: address.choose(key, name))
        return chosen

    with bar.slot("layer"):
        return bind(draw, label, "layer", default, options=options)


def _describe_block(name: str, kind: str, shape: tuple[int, int, int] | None, side: int) -> StripLayer:
    if shape is None:
        return StripLayer(name, kind, kind, 1.0)
    channels, height, width = shape
    words = f"{kind}, {plural(channels, 'channel')} of {height}×{width}"
    return StripLayer(name, kind, words, round(min(1.0, max(height, width) / side) ** 0.5, 3))


def default_layer(network: Network) -> str:
    """The layer that a page opens on: a third of the way, so that maps are neither plain edges nor tiny (at
    least 8 units a side); a block, whose output is rectified, where the network has blocks."""
    return _find_default(shared.layer_shapes(network), shared.layer_kinds(network))


def _find_default(shapes: dict[str, tuple[int, int, int]], kinds: dict[str, str]) -> str:
    mapped = [layer for layer in shapes if min(shapes[layer][1:]) >= 8] or list(shapes)
    mapped = [layer for layer in mapped if kinds[layer] == "block"] or mapped
    return mapped[len(mapped) // 3]


def pick_unit(channels: int, first: int = 0) -> int:
    """The channel, a number in the bar. A link that names a channel the layer has not falls back."""
    with bar.slot("channel"):
        label, last = f"Channel (0 to {channels - 1})", channels - 1
        return int(bind(st.number_input, label, "unit", first, min_value=0, max_value=last, step=1, width=140))


def pick_scale(row: Any) -> bool:
    """Where two pictures stand side by side: whether one scale holds for both."""
    with row:
        return bind_choice("Scale", "scale", ["Common", "Each map"]) == "Common"


def unit_name(layer: str, channel: int, row: int | None = None, col: int | None = None) -> str:
    """`layer3.0.conv2 · channel 17 · (4, 9)`: the same form everywhere."""
    place = "" if row is None else f" · ({row}, {col})"
    return f"{layer} · channel {channel}{place}"


def pick_position(place: Any, values: Any) -> tuple[int, int]:
    """Row and column of one unit on a map (H, W), in `place`; the strongest unit where the link names none."""
    rows, cols = values.shape
    peak = divmod(int(values.argmax()), cols)
    with place:
        row = bind(st.number_input, "Row", "row", peak[0], min_value=0, max_value=rows - 1, step=1, width=104)
        col = bind(st.number_input, "Column", "col", peak[1], min_value=0, max_value=cols - 1, step=1, width=104)
    return int(row), int(col)
