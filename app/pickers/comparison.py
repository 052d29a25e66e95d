"""Compare: the button of the bar that splits the picture, what the right half differs in, and both halves side by side.

A page draws its main picture by one function of a `Side`: network, image, layer. Compared, it is called for both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import streamlit as st

from app.components.pickers.cards import pick_card
from app.jobs import download
from app.markdown import escape_markdown
from app.pickers import bar, controls, network_cards, photo_cards
from app.session import networks, shared
from app.session.networks import Choice, Network
from app.url import address
from app.url.address import bind
from cnnviz.errors import CnnvizError

RANDOM, WEIGHTS, NET, LAYER, IMAGE = KINDS = ("random", "weights", "net", "layer", "image")
GROUP = "compared"  # of walls and pictures that share the pointer
_NET, _WEIGHTS, _LAYER, _IMAGE = _KEYS = ("beside_net", "beside_weights", "beside_layer", "beside_image")
_LABELS = {WEIGHTS: "other weights", NET: "other network", LAYER: "other layer", IMAGE: "other image"}
_HELP = "Split the picture: trained beside random weights, or beside another network, layer or image."
_TRAINED = ("bundled", "packaged", "pretrained")


@dataclass(frozen=True, slots=True)
class Side:
    """One half of the picture. `layer`: "" on pages without. `words`: what it differs in, which stands above it; ""
    where nothing is compared. `second`: it is the right half."""

    network: Network
    image: str
    layer: str = ""
    words: str = ""
    second: bool = False

    def key(self, name: str) -> str:
        """The key of a component of this half."""
        return f"{name}_beside" if self.second else name

    def alt(self, words: str) -> str:
        """The description of a picture of this half."""
        return f"{words}, {self.words}" if self.words else words

    @property
    def layer_key(self) -> str:
        """The choice of its layer in the URL: of its own where it has one, else that of both."""
        return _LAYER if self.second and address.read("beside") in (NET, LAYER) else "layer"

    @property
    def maps(self) -> Any:
        """(C, H, W) feature maps of the layer."""
        return shared.maps(self.network, self.image, self.layer)


class NothingBeside(CnnvizError):
    """There is nothing to compare with."""


def pick_sides(
    network: Network,
    image: str,
    layer: str = "",
    kinds: tuple[str, ...] = KINDS,
    layer_kinds: tuple[str, ...] = controls.LAYER_KINDS,
) -> list[Side]:
    """The button in the bar, and in the row what the right half differs in; returns the halves: one where nothing is
    compared, or where what was asked for is not here, which is said.

    `kinds`: what can differ on this page. `layer_kinds`: of the layers that it offers."""
    left = Side(network, image, layer)
    kind = _pick_kind(network, kinds)
    if not kind:
        address.forget(*_KEYS)
        return [left]
    place = st.container()
    try:
        right = _pick_right(left, kind, layer_kinds)
    except networks.NotHere as missing:
        with place:
            _ask_for_weights(missing)
        return [left]
    except CnnvizError as error:
        with place:
            shared.problem(error)
        return [left]
    first, second = _name_difference(left, right, kind)
    return [replace(left, words=first), replace(right, words=second, second=True)]


def is_on() -> bool:
    """Whether this view is compared with another."""
    return address.read("beside") in KINDS


def _pick_kind(network: Network, kinds: tuple[str, ...]) -> str:
    asked = address.read("beside")
    shown = asked in kinds
    with bar.slot("compare"):
        st.button(
            "Compare",
            key="compare",
            help=_HELP,
            icon=":material/compare:",
            type="primary" if shown else "secondary",
            on_click=partial(address.reset, "beside") if shown else partial(address.choose, "beside", kinds[0]),
        )
    if not shown:
        bind(_keep, "Right half", "beside", "", options=["", *KINDS])
        return ""
    labels = {RANDOM: "trained weights" if network.untrained else "random weights"} | _LABELS
    with bar.row():
        return bind(
            st.selectbox,
            "Right half",
            "beside",
            "",
            options=list(kinds),
            format_func=labels.__getitem__,
            width=155,
        )


def _keep(_label: str, key: str, **_options: Any) -> Any:
    """In place of a widget: the value as it is."""
    return st.session_state[key]


# --- the right half -------------------------------------------------------------------------------------


def _pick_right(left: Side, kind: str, layer_kinds: tuple[str, ...]) -> Side:
    """Raises NotHere for weights that have to be downloaded, CnnvizError where there is nothing of this kind."""
    used = {WEIGHTS: {_WEIGHTS}, NET: {_NET, _WEIGHTS, _LAYER}, LAYER: {_LAYER}, IMAGE: {_IMAGE}}.get(kind, set())
    address.forget(*(key for key in _KEYS if key not in used))
    if kind == IMAGE:
        return replace(left, image=_pick_image(left))
    if kind == LAYER:
        return replace(left, layer=_pick_layer(left.network, layer_kinds, _next_of(left, layer_kinds)))
    if kind == RANDOM:
        return replace(left, network=networks.load(find_twin(left.network)))
    name = _pick_network(left.network) if kind == NET else left.network.choice.name
    network = networks.load(_pick_weights(name, left.network.choice))
    if not left.layer or kind == WEIGHTS:
        return replace(left, network=network)
    return replace(left, network=network, layer=_pick_layer(network, layer_kinds, find_counterpart(left, network)))


def find_twin(network: Network) -> Choice:
    """The same network with random weights; with trained ones where random are shown. Raises CnnvizError where there
    are none."""
    choice = network.choice
    if choice.untrained or choice.weights != "random":
        return replace(choice, untrained=not choice.untrained)
    trained = [weights for weights in networks.weights_options(choice.name) if weights != "random"]
    if not trained:
        raise NothingBeside(
            f"There are no trained weights of {networks.describe_name(choice.name)} to compare with: choose another "
            "network, layer or image to stand beside it, or add a weights file of your own on Home."
        )
    return replace(choice, weights=trained[0])


def find_counterpart(left: Side, network: Network, kinds: tuple[str, ...] = controls.LAYER_KINDS) -> str:
    """The layer of `network` that is called as the left half's, or stands as deep."""
    mine, others = controls.list_layers(left.network, kinds), controls.list_layers(network, kinds)
    if left.layer in others:
        return left.layer
    depth = mine.index(left.layer) / max(len(mine) - 1, 1) if left.layer in mine else 0.0
    return others[round(depth * (len(others) - 1))]


def _next_of(left: Side, kinds: tuple[str, ...]) -> str:
    """The layer after the left half's, or before if that is the last."""
    names = controls.list_layers(left.network, kinds)
    at = names.index(left.layer) if left.layer in names else -1
    return names[at + 1] if at + 1 < len(names) else names[max(at - 1, 0)]


def _pick_network(left: Network) -> str:
    names = networks.catalogue()
    controls.take_back_unknown(names, _NET)
    asked = address.read(_NET)
    names += [asked] if asked and asked not in names and controls.is_known(asked) else []
    with bar.row():
        name = bind(
            pick_card,
            "Other network",
            _NET,
            _find_peer(names, left.choice.name),
            options=names,
            cards=network_cards.list_cards(names, {}, {}),
            on_pick=partial(address.choose, _NET),
            search="Name, year or family; also timm:NAME",
            new_names=True,
        )
    controls.say_unknown()
    return name


def _find_peer(names: list[str], mine: str) -> str:
    """The network that stands beside `mine` first: of those with weights here one of the same images."""
    others, trained = [name for name in names if name != mine], networks.trained_here()
    alike = [name for name in others if trained.get(mine, {}).keys() & trained.get(name, {}).keys()]
    return (alike or others)[0]


def _pick_weights(name: str, left: Choice) -> Choice:
    words, own = controls.list_weights(name, address.read(_WEIGHTS))
    shown = "random" if left.untrained else left.weights
    others = [key for key in words if name != left.name or key != shown]
    default = min(others, key=lambda key: name == left.name and key == "random", default=shown)
    with bar.row():
        weights = bind(
            st.selectbox,
            "Other weights",
            _WEIGHTS,
            default,
            options=list(words),
            format_func=words.__getitem__,
            width=150,
        )
    found = own.get(weights)
    return Choice(name, weights, left.device, False, found.version if found else "")


def _pick_layer(network: Network, kinds: tuple[str, ...], default: str) -> str:
    with bar.row():
        return bind(
            st.selectbox, "Other layer", _LAYER, default, options=controls.list_layers(network, kinds), width=170
        )


def _pick_image(left: Side) -> str:
    names = photo_cards.list_uploads([address.read(_IMAGE)]) + shared.photo_names(left.network.one_channel)
    with bar.row():
        return bind(
            st.selectbox,
            "Other image",
            _IMAGE,
            next(name for name in names if name != left.image),
            options=names,
            format_func=photo_cards.title_of,
            width=170,
        )


def _ask_for_weights(missing: networks.NotHere) -> None:
    download.ask(
        "beside_download",
        networks.weights_download(missing.name),
        f"The trained weights of {missing.name} are {missing.state}.",
        "Nothing stands beside the picture until then.",
        "Stop comparing",
        partial(address.reset, "beside"),
    )


# --- what differs, in words ------------------------------------------------------------------------------


def _name_difference(left: Side, right: Side, kind: str) -> tuple[str, str]:
    if kind == IMAGE:
        return photo_cards.title_of(left.image), photo_cards.title_of(right.image)
    if kind == LAYER:
        return left.layer, right.layer
    if kind == NET:
        return _name_network(left), _name_network(right)
    first, second = (_name_weights(side.network) for side in (left, right))
    return (first, second) if first != second else (_label_weights(left.network), _label_weights(right.network))


def _name_network(side: Side) -> str:
    parts = [networks.describe_name(side.network.choice.name), side.layer]
    parts.append(_name_weights(side.network) if side.network.choice.weights not in _TRAINED else "")
    return " · ".join(filter(None, parts))


def _name_weights(network: Network) -> str:
    choice = network.choice
    if network.untrained or choice.untrained:
        return "random weights"
    return "trained" if choice.weights in _TRAINED else _label_weights(network)


def _label_weights(network: Network) -> str:
    """As the picker calls them: "after 5 epochs", a file's name."""
    weights = network.choice.weights
    return controls.list_weights(network.choice.name, weights)[0].get(weights, weights)


# --- both side by side -----------------------------------------------------------------------------------


def collect(sides: Iterable[Side], make: Callable[[Side], Any]) -> dict[Side, Any]:
    """{side: what `make` returns}. The right half is left out where it has no such thing, which is said."""
    found = {}
    for side in sides:
        try:
            found[side] = make(side)
        except CnnvizError as error:
            if not side.second:
                raise
            st.info(f"Nothing to show beside it: {escape_markdown(str(error))}", icon=":material/compare:")
    return found


def show(sides: Iterable[Side], draw: Callable[[Side], None]) -> None:
    """Draw one half, or both side by side with what they differ in above them."""
    sides = list(sides)
    if len(sides) == 1:
        draw(sides[0])
        return
    for place, side in zip(st.columns(len(sides), gap="medium"), sides, strict=True):
        with place:
            st.markdown(f"**{escape_markdown(side.words)}**")
            draw(side)


def group_of(sides: Iterable[Side]) -> str:
    """The group whose walls and pictures share the pointer; "" for one half alone."""
    return GROUP if len(list(sides)) > 1 else ""


def same_place(row: int, col: int, shape: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, int]:
    """The unit of a map of shape `other` (h, w) over the same place as the unit (row, col) of one of `shape`."""
    place = [min(int((at + 0.5) * n / m), n - 1) for at, m, n in zip((row, col), shape, other, strict=True)]
    return place[0], place[1]


def order_alike(first: list[int], ranked: list[int], count: int) -> list[int]:
    """`count` channels of the right half in the left half's order, so that equal ones stand at equal places. `first`:
    of the left half; `ranked`: all of the right half in an order of its own, in which those follow that the left half
    does not show."""
    known, seen = set(ranked), set(first)
    return ([c for c in first if c in known] + [c for c in ranked if c not in seen])[:count]
