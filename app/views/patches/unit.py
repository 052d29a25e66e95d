"""The parts of a unit's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.picture import Label, picture
from app.markdown import escape_markdown
from app.pickers.controls import Network
from app.session import shared
from app.views.patches import deferred, indexing
from app.views.patches.deferred import Later
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.figures.base.plot_style import plot_config
from cnnviz.figures.patches import charts as unit_charts
from cnnviz.figures.patches.context import WinnerPictures, list_words, winners_sheet
from cnnviz.figures.patches.wall import EMPTY
from cnnviz.figures.receptive.fields import fields_picture

if TYPE_CHECKING:
    from cnnviz.attribution.effective_field import EffectiveField
    from cnnviz.data.corpus import Corpus
    from cnnviz.index.result import PatchIndex
    from cnnviz.studies.channels.connectivity import Link

SHARES = (0.5, 0.95)  # of the gradient, whose boxes are drawn


def winners(
    later: Later, network: Network, images: Corpus, index: PatchIndex, layer: str, channel: int, rule: str
) -> None:
    """All winners in context, with their patches and reconstructions."""
    where = (network, images, index, layer, channel)
    low = deferred.reconstructions(later, *where, rule, lead=True)
    best, labels = index.top(layer, channel), index.meta.get("labels") or {}
    patches = indexing.patches(*where)
    here = indexing.has_images(images)
    projected = low or [None] * len(best)
    patches = patches or [np.full((1, 1, 3), EMPTY, np.uint8)] * len(best)
    seen = [
        WinnerPictures(
            to_rgb(indexing.received(network, images, w)) if here else None, w.box, patch, down,
            (f"{number}: {value_text(w.value)}", labels.get(str(w.image), w.image_id)),
        )
        for number, (w, patch, down) in enumerate(zip(best, patches, projected, strict=True), 1)
    ]  # fmt: skip
    name = indexing.recipe(*where, f"sheet {rule} {low is not None}")
    sheet = shared.drawn(name, lambda: winners_sheet(seen, words=False))
    words = f"The {len(best)} winners of channel {channel} of {layer} in context"
    picture(sheet.png, sheet.size, words, "winners", labels=[Label(*place) for place in list_words(sheet, seen)])


def histogram(index: PatchIndex, layer: str, channel: int, name: str) -> None:
    """How strongly the channel answers over the whole corpus."""
    from cnnviz.index.search.topk import bin_edges

    found, edges, best = index.statistics.get(layer), bin_edges(), index.top(layer, channel)
    if found is None:
        st.caption("This index holds no statistics. Build it again.")
        return
    least = best[-1].value if best else None
    figure = unit_charts.maxima_histogram(found.histogram[channel], edges, least)
    st.plotly_chart(figure, key="maxima", theme=None, config=plot_config(f"{name}-maxima"))
    st.caption(unit_charts.statistics_sentence(found, channel, edges) + " Orange: the value of the last winner.")


def classes(network: Network, images: Corpus, index: PatchIndex, layer: str, channel: int) -> str:
    """The classes of the winners as a sentence; "" where the images have none."""
    found = deferred.selective(network, images, index, layer)
    if found is None or not found.classes[channel]:
        return ""
    return escape_markdown(unit_charts.classes_sentence(
        found.classes[channel], float(found.entropy[channel]), float(found.index[channel])
    ))  # fmt: skip


def place_sentence(network: Network, images: Corpus, index: PatchIndex, layer: str, channel: int, image: str) -> str:
    """Where the chosen photograph would stand among the winners."""
    places, own = deferred.places(network, images, index, layer, image)
    maps = shared.maps(network.key, image, layer, network.model)[channel]
    row, col = divmod(int(np.argmax(maps)), maps.shape[1])
    value = f"{image} reaches {value_text(float(maps.max()))} at ({row}, {col})"
    if not places[channel]:
        return f"{value} and is not among the {index.meta.get('k', 9)} strongest."
    also = ", one of the images searched" if own else ""
    return f"{value}: place {places[channel]} of {index.meta.get('k', 9)}{also}."


def fields(later: Later, network: Network, images: Corpus, index: PatchIndex, layer: str, channel: int) -> None:
    """The theoretical receptive field beside the effective one."""
    where = (network, images, index, layer, channel)
    if not indexing.has_images(images):
        st.caption("The effective receptive field needs the images of the winners, which are not here.")
        return
    found: EffectiveField | None = later.get(indexing.recipe(*where, "effective"), lambda: _effective(*where))
    size = shared.receptive(network.key, layer, network.model).size
    if found is None:
        st.caption(f"Theoretical field {size[0]}×{size[1]} pixels; the effective one is being computed.")
        return
    boxes = [found.within(share) for share in SHARES]
    dark = not found.weight.any()
    png, _size = shared.drawn(
        indexing.recipe(*where, "fields"),
        lambda: fields_picture(found.weight, network.model.input_size[1:], [] if dark else boxes),
    )
    st.image(png, output_format="PNG", alt=f"Theoretical and effective receptive field of channel {channel}")
    text = f"Left, theoretical: {size[0]}×{size[1]} pixels, all alike. Right, effective: "
    (high, wide), (most_high, most_wide) = boxes
    st.caption(text + ("no gradient arrives." if dark else
        f"mean absolute gradient over the winners; half of it lies within {high}×{wide}, 95 % within "
        f"{most_high}×{most_wide} (orange)."))  # fmt: skip


def _effective(network: Network, images: Corpus, index: PatchIndex, layer: str, channel: int) -> EffectiveField:
    import torch

    from cnnviz.attribution.effective_field import effective_field

    best = index.top(layer, channel)
    pixels = torch.from_numpy(np.stack([indexing.received(network, images, w) for w in best]))
    units = [(channel, w.row, w.col) for w in best]
    return effective_field(network.model, network.model.preprocessing.normalise(pixels), layer, units)


def links(later: Later, network: Network, index: PatchIndex, layer: str, channel: int, places: tuple[Any, Any]) -> None:
    """Strongest input and output channels, in two columns."""
    found = deferred.wired(later, network)
    with places[0]:
        st.markdown("**Strongest inputs**")
        _list(None if found is None else found.inputs(layer, channel, 5) or [], index, found is None,
              "Not for this layer: it is no convolution.")  # fmt: skip
    with places[1]:
        st.markdown("**Strongest outputs**")
        _list(None if found is None else found.outputs(layer, channel, 5) or [], index, found is None,
              "Not for this layer: no convolution reads it alone.")  # fmt: skip


def _list(found: list[Link] | None, index: PatchIndex, waiting: bool, otherwise: str) -> None:
    if not found:
        st.caption("The graph is being followed." if waiting else otherwise)
        return
    with st.container(gap=None):
        for link in found:
            norm = f" · {link.norm:.2f}"
            if link.layer and link.layer in index.layers:
                deferred.unit_link(link.layer, link.channel, note=norm, small=True)
            elif link.layer is None:
                st.caption(f"input {link.channel}, of several layers{norm}")
            else:
                st.caption(f"{link.layer or 'the image'} · channel {link.channel}{norm}")
