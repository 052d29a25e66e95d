"""Pickers that every page shares, in the same order, each bound to the URL so that a copied link opens the
same view: network, image, layer, unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import address, session, stores
from app.session import Choice
from cnnviz.errors import CnnvizError

if TYPE_CHECKING:
    from cnnviz.models.loaded import LoadedModel

DEFAULT_NETWORK, DEFAULT_PHOTO = "resnet20_cifar", "chelsea"
WEIGHTS_NOTE = {
    "bundled": "trained; comes with cnnviz",
    "pretrained": "trained on ImageNet; torchvision's own file",
    "random": "nothing learned: what you see is the architecture",
}


@dataclass(frozen=True, slots=True)
class Network:
    """The loaded network and the choice that led to it; `key` names it in caches."""

    model: LoadedModel
    choice: Choice

    @property
    def key(self) -> str:
        return self.choice.key

    @property
    def one_channel(self) -> bool:
        return self.model.input_size[0] == 1


def bound(widget: Callable[..., Any], label: str, key: str, default: Any, **options: Any) -> Any:
    """A widget whose value lives in the URL and moves along to other pages. A value that is not among the
    options, or not between `min_value` and `max_value`, gives way to `default`."""
    if "options" in options:
        named = {str(option): option for option in options["options"]}
        address.settle(key, default, named.get, options["options"])
    elif "min_value" in options:
        numbers = range(options["min_value"], options["max_value"] + 1)
        address.settle(key, default, _whole_number, numbers)
    else:
        address.settle(key, default, str)
    value = widget(label, key=key, persist_state="session", **options)
    address.keep(key, value, default)
    return value


def _whole_number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def bound_choice(label: str, key: str, options: list[str]) -> str:
    """One of a few options, side by side; the first is the default."""
    return bound(st.segmented_control, label, key, options[0], options=options, required=True)


def pick_network() -> Network:
    """Network, weights and device, in the sidebar. Raises CnnvizError if it cannot be loaded."""
    titles = session.catalogue()
    with st.sidebar:
        names = list(titles)
        default = DEFAULT_NETWORK if DEFAULT_NETWORK in names else names[0]
        name = bound(st.selectbox, "Network", "net", default, options=names)
        weights = _pick_weights(name)
        place = st.empty()
    choice = Choice(name, weights, _device())
    try:
        with place:
            loaded = session.model(choice, _loading_bar(place))
        place.empty()
    except CnnvizError:
        place.empty()
        raise
    _say_how_loaded(loaded)
    return Network(loaded, choice)


def _pick_weights(name: str) -> str:
    options = session.weights_options(name) + st.session_state.get("own_weights", {}).get(name, [])
    asked = address.current("weights")
    if asked.startswith("file-") and asked not in options:
        options = [*options, asked]
    weights = bound(st.selectbox, "Weights", "weights", options[0], options=options)
    st.caption(WEIGHTS_NOTE.get(weights, st.session_state.get("own_names", {}).get(weights, "a file of yours")))
    return weights


def _loading_bar(place: Any) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        share = done / total if total else 0.0
        place.progress(min(share, 1.0), f"Downloading weights: {done / 1e6:.0f} of {total / 1e6:.0f} MB")

    return show


def _say_how_loaded(model: LoadedModel) -> None:
    if message := model.notes.get("device"):
        st.sidebar.warning(message)
    if model.report is not None and model.report.warnings:
        with st.sidebar.expander("Notes on these weights", icon=":material/info:"):
            st.caption("  \n".join(model.report.warnings))


def _device() -> str:
    """The device to compute on. A link that names a device this machine has not means the best one here."""
    from cnnviz.device import available

    asked = st.session_state.get("forced_device") or address.current("device")
    return asked if asked in available() else "auto"


def show_device(network: Network) -> None:
    """Where it is computed: name, memory in use, precision; at the foot of the sidebar."""
    from cnnviz.device import available, describe

    info = describe(str(network.model.device))
    with st.sidebar, st.expander(f"Device: {info.device}", icon=":material/memory:"):
        bound(st.selectbox, "Compute on", "device", "auto", options=["auto", *available()])
        if message := st.session_state.get("device_message"):
            st.warning(message)
        used, total = info.memory_used / 2**30, info.memory_total / 2**30
        st.caption(f"{info.name}  \nMemory in use: {used:.1f} of {total:.0f} GiB  \nPrecision: float32")


def pick_image(network: Network) -> str:
    """The photograph: a sample, a digit, or an upload that replaces it. Returns its name."""
    from cnnviz.data.samples import sample_names

    digits, photos = [f"digit-{n}" for n in range(10)], sample_names()
    own = [n for n in st.session_state.get("uploads", {}) if stores.is_stored_photo(n)]
    linked = address.current("image")
    if linked not in own and stores.is_stored_photo(linked):
        own = [*own, linked]
    options = own + (digits + photos if network.one_channel else photos + digits)
    first = "digit-3" if network.one_channel else DEFAULT_PHOTO
    with st.sidebar:
        default = first if first in options else options[0]
        choice = bound(st.selectbox, "Image", "image", default, options=options)
        st.file_uploader(
            "Use your own image", key="upload", on_change=_take_upload, label_visibility="collapsed",
            type=["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "avif"], max_upload_size=64,
        )  # fmt: skip
        if message := st.session_state.pop("upload_problem", None):
            st.error(message, icon=":material/broken_image:")
    return choice


def show_photo_early(place: Any) -> None:
    """The photograph that this view most likely asks for, before the network is there."""
    name = address.current("image") or ("" if address.current("net") else DEFAULT_PHOTO)
    try:
        if name:
            place.image(session.photo(name), alt="The chosen photograph", width="stretch")
    except (CnnvizError, ValueError):
        return  # a link with an unknown name: the picker falls back


def _take_upload() -> None:
    """Store a new upload and choose it. A file that is no usable image leaves the view as it was."""
    file = st.session_state.get("upload")
    if file is None:
        return
    try:
        name = stores.store_photo(file.getvalue())
    except (CnnvizError, OSError) as error:
        st.session_state["upload_problem"] = f"{error} The view is unchanged."
        return
    st.session_state.setdefault("uploads", {})[name] = True
    st.session_state["image"] = name


def pick_layer(network: Network, kinds: tuple[str, ...] = ("conv", "block", "pool", "linear")) -> str:
    """The layer, with the shape of its output. Layers that never run are not offered."""
    from cnnviz.models.loaded import layer_kinds

    shapes, known = session.layer_shapes(network.key, network.model), layer_kinds(network.model.module)
    options = [layer for layer in shapes if known[layer] in kinds]
    with st.sidebar:
        default = telling_layer(network)
        default = default if default in options else options[0]
        layer = bound(st.selectbox, "Layer", "layer", default, options=options)
        channels, height, width = shapes[layer]
        st.caption(f"{known[layer]}: {channels} channels of {height}×{width} units")
        return layer


def telling_layer(network: Network) -> str:
    """The layer that a page opens on: a third of the way, so that maps are neither plain edges nor tiny (at
    least 8 units a side); a block, whose output is rectified, where the network has blocks."""
    from cnnviz.models.loaded import layer_kinds

    shapes, kinds = session.layer_shapes(network.key, network.model), layer_kinds(network.model.module)
    mapped = [layer for layer in shapes if min(shapes[layer][1:]) >= 8] or list(shapes)
    mapped = [layer for layer in mapped if kinds[layer] == "block"] or mapped
    return mapped[len(mapped) // 3]


def pick_unit(channels: int, first: int = 0) -> int:
    """The channel, a number in the sidebar. A link that names a channel the layer has not falls back."""
    with st.sidebar:
        return int(
            bound(st.number_input, f"Channel (0 to {channels - 1})", "unit", first, min_value=0,
                  max_value=channels - 1, step=1)
        )  # fmt: skip


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
            row = bound(st.number_input, "Row", "row", peak[0], min_value=0, max_value=rows - 1, step=1)
        with right:
            col = bound(st.number_input, "Column", "col", peak[1], min_value=0, max_value=cols - 1, step=1)
    return int(row), int(col)
