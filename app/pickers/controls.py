"""Pickers that every page shares, in the same order, each bound to the URL so that a copied link opens the
same view: network, image, layer, unit."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import limits
from app.markdown import escape_markdown
from app.pickers import webcam
from app.pickers.network import Network, Title, heading, pick_name, pick_network
from app.session import networks, shared, uploads
from app.session.cache import picture_cache
from app.url import address
from app.url.widgets import bind, bind_choice
from cnnviz.errors import CnnvizError
from cnnviz.figures.base.encode import photo_jpeg

__all__ = ["Network", "Title", "bind", "bind_choice", "heading", "pick_name", "pick_network"]
DEFAULT_PHOTO = "chelsea"


def show_device(network: Network) -> None:
    """At the foot of the sidebar: what is known of the weights, and where it is computed."""
    from cnnviz.device import available, describe

    if facts := [] if network.untrained else networks.card(network.model.name, network.choice.weights):
        with st.sidebar, st.expander("About these weights", icon=":material/description:"):
            st.caption("  \n".join("**{}** {}".format(*fact.split(None, 1)) for fact in facts))
    info = describe(str(network.model.device))
    with st.sidebar, st.expander(f"Device: {info.device}", icon=":material/memory:"):
        bind(st.selectbox, "Compute on", "device", "auto", options=["auto", *available()])
        if message := st.session_state.get("device_message"):
            st.warning(message)
        used, total = info.memory_used / 2**30, info.memory_total / 2**30
        st.caption(f"{info.name}  \nMemory in use: {used:.1f} of {total:.0f} GiB  \nPrecision: float32")


def pick_image(network: Network | None) -> str:
    """The photograph: a sample, a digit, or an upload that replaces it; None: for no network. Returns its name."""
    from cnnviz.data.samples import sample_names

    digits, photos = [f"digit-{n}" for n in range(10)], sample_names()
    own = [n for n in st.session_state.get("uploads", {}) if uploads.is_stored_photo(n)]
    linked = address.read("image")
    if linked not in own and uploads.is_stored_photo(linked):
        own = [*own, linked]
    one_channel = network is not None and network.one_channel
    options = own + (digits + photos if one_channel else photos + digits)
    first = "digit-3" if one_channel else DEFAULT_PHOTO
    with st.sidebar:
        default = first if first in options else options[0]
        choice = bind(st.selectbox, "Image", "image", default, options=options)
        st.file_uploader(
            "Use your own image",
            type="jpg jpeg png webp bmp gif tif tiff avif".split(),
            max_upload_size=limits.PHOTO_MB,
            key="upload",
            on_change=_take_upload,
            label_visibility="collapsed",
        )
        webcam.draw_button()
        if message := st.session_state.pop(webcam.PROBLEM, None):
            st.error(escape_markdown(message), icon=":material/broken_image:")
    return choice


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


def _take_upload() -> None:
    """Store a new upload and choose it. A file that is no usable image leaves the view as it was."""
    if (file := st.session_state.get("upload")) is not None:
        webcam.keep(file)


def pick_layer(network: Network, kinds: tuple[str, ...] = ("conv", "block", "pool", "linear")) -> str:
    """The layer, with the shape of its output. Layers that never run are not offered."""
    shapes, known = shared.layer_shapes(network), shared.layer_kinds(network)
    options = [layer for layer in shapes if known[layer] in kinds]
    with st.sidebar:
        default = default_layer(network)
        default = default if default in options else options[0]
        layer = bind(st.selectbox, "Layer", "layer", default, options=options)
        channels, height, width = shapes[layer]
        st.caption(f"{known[layer]}: {channels} channels of {height}×{width} units")
        return layer


def default_layer(network: Network) -> str:
    """The layer that a page opens on: a third of the way, so that maps are neither plain edges nor tiny (at
    least 8 units a side); a block, whose output is rectified, where the network has blocks."""
    shapes, kinds = shared.layer_shapes(network), shared.layer_kinds(network)
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
