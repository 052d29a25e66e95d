"""Right of the wall: what drives the unit in general, how often it answers, what it really sees, and what feeds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from app.components.picture import picture
from app.markdown import as_literal, escape_markdown
from app.pickers import photo_cards
from app.pickers.corpus import find_chosen_corpus
from app.session import shared
from app.session.cache import picture_cache
from app.session.networks import Network
from app.views.microscope.look import choose_winner
from app.views.patches import indexing
from app.views.patches.deferred import Deferred
from app.views.patches.indexing import IndexedLayer
from cnnviz.errors import CnnvizError
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.base.plot_style import plot_config
from cnnviz.figures.patches import charts as unit_charts
from cnnviz.figures.receptive.fields import fields_picture

if TYPE_CHECKING:
    from cnnviz.attribution.effective_field import EffectiveField
    from cnnviz.studies.channels.connectivity import Connectivity, Link

SHARES = (0.5, 0.95)  # of the gradient, whose boxes are drawn
SIDE = 84  # pixels of a patch as it is sent, about
NO_WINNER = "No image of this corpus gives this channel a value. Choose another channel or other images."


def find_layer(network: Network, layer: str) -> IndexedLayer | None:
    """The layer's index over the images that are chosen on the pages that search them; None while there is none, which
    is said, and where a small corpus is searched by itself."""
    try:
        return indexing.find_layer(network, find_chosen_corpus(network), layer)
    except CnnvizError as error:
        st.caption(escape_markdown(str(error)))
        return None


def show_winners(
    later: Deferred, layer: IndexedLayer, channel: int, rule: str, beside: Callable[[], None] = lambda: None
) -> None:
    """Nine patches and their projections, of which a click leads to the winner's image; and their values. `beside`:
    draws what stands between the two."""
    low = later.get(layer.name(channel, rule), lambda: layer.reconstructions(channel, rule))
    if not layer.unit(channel).winners:
        st.caption(NO_WINNER)
        return
    side = indexing.small_side(layer, SIDE)
    png, size = layer.tile_png(channel, side)

    def choose(x: float, y: float) -> None:
        across, down = (min(2, int(3 * at / length)) for at, length in zip((x, y), size, strict=True))
        choose_winner(layer, channel, 3 * down + across)

    st.caption(f"Top {layer.k} of {as_literal(layer.indexed.images.name)}")
    picture(png, size, f"Top-9 patches of channel {channel}", "unit_patches", None, choose, fill=True)
    beside()
    waiting = "Reconstructions are being computed" if low is None else "Reconstructions need the images themselves"
    words = f"Reconstructions of channel {channel}" if low else waiting
    png, size = indexing.draw_empty(side) if low is None else layer.tile_png(channel, side, rule)
    picture(png, size, words, "unit_low", None, choose, fill=True)
    st.caption(_write_values(layer, channel))


def _write_values(layer: IndexedLayer, channel: int) -> str:
    """The size of the receptive field, and the values of the winners."""

    def write() -> str:
        high, wide = shared.receptive(layer.network, layer.layer).size
        values = ", ".join(value_text(winner.value) for winner in layer.unit(channel).winners)
        return f"Receptive field {high}×{wide} pixels. Values {values}."

    return picture_cache().get(layer.name(channel, "values"), write)


def show_sentences(layer: IndexedLayer, channel: int, image: str) -> None:
    """The classes of the winners, and where the photograph would stand among them."""
    st.caption(f"{describe_classes(layer, channel)} {describe_place(layer, channel, image)}")


def histogram(layer: IndexedLayer, channel: int) -> None:
    """How strongly the channel answers over the whole corpus."""
    from cnnviz.index.search.topk import bin_edges

    found, edges, best = layer.index.statistics.get(layer.layer), bin_edges(), layer.unit(channel).winners
    if found is None:
        st.caption("This index holds no statistics. Build it again.")
        return
    least = best[-1].value if best else None
    figure = unit_charts.maxima_histogram(found.histogram[channel], edges, least)
    st.plotly_chart(figure, key="maxima", theme=None, config=plot_config(f"{layer.layer}-{channel}-maxima"))
    st.caption(unit_charts.statistics_sentence(found, channel, edges) + " Orange: the value of the last winner.")


def describe_classes(layer: IndexedLayer, channel: int) -> str:
    """The classes of the winners as a sentence; "" where the images have none."""
    found = layer.selectivity
    if found is None or not found.classes[channel]:
        return ""
    entropy, index = float(found.entropy[channel]), float(found.index[channel])
    return escape_markdown(unit_charts.classes_sentence(found.classes[channel], entropy, index))


def describe_place(layer: IndexedLayer, channel: int, image: str) -> str:
    """Where the chosen photograph would stand among the winners."""
    places, own = layer.places(image)
    maps = shared.maps(layer.network, image, layer.layer)[channel]
    row, col = divmod(int(np.argmax(maps)), maps.shape[1])
    value = f"{escape_markdown(photo_cards.title_of(image))} reaches {value_text(float(maps.max()))} at ({row}, {col})"
    if not places[channel]:
        return f"{value} and is not among the {layer.k} strongest."
    also = ", one of the images searched" if own else ""
    return f"{value}: place {places[channel]} of {layer.k}{also}."


def fields(later: Deferred, layer: IndexedLayer, channel: int) -> None:
    """The theoretical receptive field beside the effective one."""
    if not layer.indexed.has_images:
        st.caption("The effective receptive field needs the images of the winners, which are not here.")
        return
    found: EffectiveField | None = later.get(layer.name(channel, "effective"), layer.unit(channel).effective_field)
    size = shared.receptive(layer.network, layer.layer).size
    if found is None:
        st.caption(f"Theoretical field {size[0]}×{size[1]} pixels; the effective one is being computed.")
        return
    boxes = [found.within(share) for share in SHARES]
    dark = not found.weight.any()
    png, _size = picture_cache().get(
        layer.name(channel, "fields"),
        lambda: fields_picture(found.weight, layer.network.input_size[1:], [] if dark else boxes),
    )
    st.image(png, output_format="PNG", alt=f"Theoretical and effective receptive field of channel {channel}")
    (high, wide), (most_high, most_wide) = boxes
    effective = (
        f"mean absolute gradient over the winners; half of it lies within {high}×{wide}, 95 % within "
        f"{most_high}×{most_wide} (orange)."
    )
    text = f"Left: theoretical field {size[0]}×{size[1]}. Right: effective field, "
    st.caption(text + ("no gradient arrives." if dark else effective))


def links(later: Deferred, layer: IndexedLayer, channel: int) -> None:
    """Strongest input and output channels, as the way to them."""
    found: Connectivity | None = later.get(("wiring", layer.network.key), lambda: _follow(layer.network))
    st.markdown("**Strongest inputs**")
    inputs = None if found is None else found.inputs(layer.layer, channel, 5) or []
    _list_links(inputs, layer, "Not for this layer: it is no convolution.")
    st.markdown("**Strongest outputs**")
    outputs = None if found is None else found.outputs(layer.layer, channel, 5) or []
    _list_links(outputs, layer, "Not for this layer: no convolution reads it alone.")


def _follow(network: Network) -> Connectivity:
    """Which channels feed which; empty where the graph cannot be followed."""
    from cnnviz.studies.channels.connectivity import Connectivity, trace_connectivity

    try:
        return trace_connectivity(network.model)
    except CnnvizError:
        return Connectivity({}, {})


def _list_links(found: list[Link] | None, layer: IndexedLayer, otherwise: str) -> None:
    """Channels as links to their pages; None while they are not known yet."""
    if not found:
        st.caption("The graph is being followed." if found is None else otherwise)
        return
    with st.container(gap=None):
        for link in found:
            norm = f" · {link.norm:.2f}"
            if link.layer and layer.indexed.holds(link.layer):
                indexing.unit_links([(link.layer, link.channel, norm)])
            elif link.layer is None:
                st.caption(f"input {link.channel}, of several layers{norm}")
            else:
                st.caption(f"{link.layer or 'the image'} · channel {link.channel}{norm}")
