"""The parts of a unit's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.notes import note_unjudged
from app.components.picture import Label, picture
from app.markdown import escape_markdown
from app.session import shared
from app.session.cache import picture_cache
from app.session.networks import Network
from app.views.patches import indexing
from app.views.patches.deferred import Deferred
from app.views.patches.indexing import IndexedLayer
from cnnviz.errors import CnnvizError
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.figures.base.plot_style import plot_config
from cnnviz.figures.patches import charts as unit_charts
from cnnviz.figures.patches.context import WinnerPictures, list_words, winners_sheet
from cnnviz.figures.patches.wall import EMPTY
from cnnviz.figures.receptive.fields import fields_picture
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.attribution.effective_field import EffectiveField
    from cnnviz.figures.base.mosaic import Mosaic
    from cnnviz.studies.channels.connectivity import Connectivity, Link

SHARES = (0.5, 0.95)  # of the gradient, whose boxes are drawn


def winners(later: Deferred, layer: IndexedLayer, channel: int, rule: str) -> None:
    """All winners in context, with their patches and reconstructions."""
    low = later.get(layer.name(channel, rule), lambda: layer.reconstructions(channel, rule), lead=True)
    sheet, labels = picture_cache().get(
        layer.name(channel, f"sheet {rule} {low is not None}"), lambda: _draw_winners(layer, channel, low)
    )
    words = f"The {plural(len(sheet.items), 'winner')} of channel {channel} of {layer.layer} in context"
    picture(sheet.png, sheet.size, words, "winners", labels=labels)
    note_unjudged(later.get(*layer.unjudged(rule)))


def _draw_winners(layer: IndexedLayer, channel: int, low: list[np.ndarray] | None) -> tuple[Mosaic, list[Label]]:
    unit, names = layer.unit(channel), layer.index.meta.get("labels") or {}
    best = unit.winners
    images: list[Any] = [to_rgb(image) for image in unit.images()] if layer.indexed.has_images else [None] * len(best)
    patches = layer.patches(channel) or [np.full((1, 1, 3), EMPTY, np.uint8)] * len(best)
    captions = [
        (f"{number}: {value_text(w.value)}", names.get(str(w.image), w.image_id)) for number, w in enumerate(best, 1)
    ]
    boxes = [winner.box for winner in best]
    projected: list[Any] = list(low or []) or [None] * len(best)
    seen = list(map(WinnerPictures, images, boxes, patches, projected, captions))
    sheet = winners_sheet(seen, words=False)
    return sheet, [Label(*place) for place in list_words(sheet, seen)]


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
    value = f"{image} reaches {value_text(float(maps.max()))} at ({row}, {col})"
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


def links(later: Deferred, layer: IndexedLayer, channel: int, places: tuple[Any, Any]) -> None:
    """Strongest input and output channels, in two columns."""
    found: Connectivity | None = later.get(("wiring", layer.network.key), lambda: _follow(layer.network))
    with places[0]:
        st.markdown("**Strongest inputs**")
        inputs = None if found is None else found.inputs(layer.layer, channel, 5) or []
        _list_links(inputs, layer, "Not for this layer: it is no convolution.")
    with places[1]:
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
