"""Small pictures on Home of what each page shows, for the chosen network and image."""

import numpy as np
import streamlit as st

from app import access
from app.jobs import background
from app.markdown import escape_markdown
from app.pickers import controls
from app.pickers.corpus import default_corpus
from app.session import shared
from app.session.cache import picture_cache
from app.session.networks import Network
from app.views.patches import building, indexing
from app.views.patches.indexing import IndexedLayer
from cnnviz.errors import CnnvizError
from cnnviz.figures.base.charts import signed_tiles
from cnnviz.figures.base.encode import rgb_png
from cnnviz.figures.base.mosaic import maps_mosaic, tiles_mosaic

MOST, WIDTH, HEIGHT = 24, 400, 190


def filters(network: Network) -> None:
    """Some first-layer filters."""
    try:
        found = shared.filters(network, "common", None)
    except CnnvizError as error:
        st.caption(escape_markdown(str(error)))
        return
    wall = picture_cache().get(
        ("preview filters", network.key),
        lambda: tiles_mosaic(signed_tiles(found.tiles[:MOST]), width=WIDTH, height=HEIGHT, captions=False),
    )
    st.image(wall.png, output_format="PNG", alt="First-layer filters")


def maps(network: Network, image: str) -> None:
    """The strongest feature maps of a telling layer."""
    layer = controls.default_layer(network)
    values = shared.maps(network, image, layer)
    strongest = [int(c) for c in np.argsort(-values.max(axis=(1, 2)), kind="stable")[:10]]
    wall = picture_cache().get(
        ("preview maps", network.key, image, layer),
        lambda: maps_mosaic(values, strongest, "each", WIDTH, HEIGHT),
    )
    st.image(wall.png, output_format="PNG", alt=f"Feature maps of {layer}")


def top9(network: Network) -> None:
    """The winners of two channels, where an index is there already."""
    layer = controls.default_layer(network)
    images = shared.corpus(default_corpus(network))
    indexed = indexing.find_index(network, images)
    if indexed is None or not indexed.holds(layer):
        job = background.find(str(building.index_path(network, images)))
        try:
            if building.wants_start(images, None if indexed is None else indexed.index, job):
                job = building.build(network, images)
        except access.NotAllowed as error:
            st.caption(escape_markdown(str(error)))
            return
        going = job is not None and job.running
        st.caption("Being indexed; ready when you open the page." if going else "Not indexed yet; open the page.")
        return
    shown = IndexedLayer(indexed, layer)
    name = shown.name(-1, "preview")
    png = picture_cache().get(name, lambda: _draw_top9(shown))
    st.image(png, output_format="PNG", alt=f"Top-9 patches of two channels of {layer}")


def _draw_top9(layer: IndexedLayer) -> bytes:
    """The winners of two channels side by side."""
    side = indexing.small_side(layer, 58)
    blocks = [layer.tile(channel, side) for channel in range(min(2, layer.index.channels(layer.layer)))]
    gap = np.full((blocks[0].shape[0], 14, 3), 255, np.uint8)
    return rgb_png(np.concatenate([part for block in blocks for part in (block, gap)][:-1], axis=1))
