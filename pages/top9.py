"""Top-9 patches: what drives each channel of a layer, as in Zeiler and Fergus, Figure 2."""

import math

import streamlit as st

from app import address, controls, index_jobs, jobs, session
from app.components.picture import Frame, picture
from app.corpus_picker import pick_corpus
from cnnviz.figures import charts
from cnnviz.figures.encode import rgb_png
from cnnviz.figures.wall import Block, crisp_side, patch_wall, three_by_three

ROWS = 4

st.title("Top-9 patches")
network = controls.pick_network()
image = controls.pick_image(network)
layer = controls.pick_layer(network)
channels = session.layer_shapes(network.key, network.model)[layer][0]
unit = controls.pick_unit(channels)
controls.show_device(network)

images, row = pick_corpus(network)
key = str(index_jobs.index_path(network, images))
index, job = index_jobs.saved_index(network, images), jobs.find(key)
if index_jobs.wants_start(images, index, job):
    job = index_jobs.build(network, images)
if job is not None and job.running:
    index_jobs.watch(key, index is not None)
elif index is None or not index.complete:
    done = f" {index.meta['next']:,} are done." if index else ""
    st.info(f"{len(images):,} images of {images.name} to index.{done} One pass serves every layer and channel.")
    if st.button("Continue" if index else "Build the index", type="primary"):
        index_jobs.build(network, images)
        address.rerun()
if job is not None and job.problem:
    st.error(job.problem)
if index is not None and index.meta.get("skipped"):
    with st.expander(f"{len(index.meta['skipped'])} images could not be read and were left out"):
        st.table({"image": [i for i, _ in index.meta["skipped"]], "why": [w for _, w in index.meta["skipped"]]})
if index is None or layer not in index.layers:
    raise session.PageEnded

ranked = list(range(channels))
with row:
    order = controls.bound_choice("Order", "wall_order", ["By index", "Strongest first"])
if order == "Strongest first":
    strength = index.strength(layer)
    ranked.sort(key=lambda c: (-strength[c], c))
with row:
    rule = controls.bound(
        st.selectbox, "Projection", "rule", "deconvnet", options=["deconvnet", "guided", "gradient"], width=150
    )
columns = 2 if channels <= 2 * 3 else 3
per_page = columns * ROWS
pages = math.ceil(channels / per_page)
with row:
    page = controls.bound(
        st.number_input, f"Page (of {pages})", "wall", ranked.index(unit) // per_page + 1, min_value=1,
        max_value=pages, step=1, width=150,
    )  # fmt: skip
shown = ranked[(int(page) - 1) * per_page : int(page) * per_page]


def choose(x: float, y: float) -> None:
    """A click on the wall chooses that channel."""
    column, line = int(x // wall.pitch[1]), int(y // wall.pitch[0])
    if 0 <= line * columns + column < len(wall.items):
        st.session_state["unit"] = wall.items[line * columns + column]


def blocks(ready: dict[int, list]) -> list[Block]:
    """The page's blocks with the reconstructions that are there."""
    made = []
    for channel in shown:
        best = index.top(layer, channel)
        caption = f"channel {channel}" + (f": up to {charts.value_text(best[0].value)}" if best else "")
        patches = index_jobs.patches(network, images, index, layer, channel)
        made.append(Block(channel, patches, ready.get(channel), caption))
    return made


def low(channel: int) -> list:
    """The reconstructions of one channel."""
    return index_jobs.reconstructions(network, images, index, layer, channel, rule)


side_of = crisp_side(
    session.receptive(network.key, layer, network.model).size, network.model.input_size[1:], 44 if columns == 3 else 66
)
large_of = crisp_side(session.receptive(network.key, layer, network.model).size, network.model.input_size[1:], 84)
recipe = (key, index.meta.get("next"), layer, rule, tuple(shown))
main, side = st.columns([3.1, 1], gap="medium")
with main:
    place = st.empty()
with side:
    winners = index.top(layer, unit)
    st.markdown(f"`{controls.unit_name(layer, unit)}`")
    large = three_by_three(index_jobs.patches(network, images, index, layer, unit), large_of)
    picture(rgb_png(large), large.shape[1::-1], f"Top-9 patches of channel {unit}", "unit_large", fill=True)
    projected = st.empty()
if not session.is_drawn(recipe):  # patches at once, reconstructions as they come
    first = patch_wall(blocks({}), columns, side_of)
    place.image(first.png, width="stretch", output_format="PNG", alt="Patches; reconstructions are being computed")
own = three_by_three(low(unit), large_of)
with projected.container():
    picture(rgb_png(own), own.shape[1::-1], f"Reconstructions of channel {unit}", "unit_low_large", fill=True)
    field = session.receptive(network.key, layer, network.model)
    st.caption(
        f"Receptive field {field.size[0]}×{field.size[1]} pixels. Values "
        + ", ".join(charts.value_text(w.value) for w in winners) + "."
    )  # fmt: skip
wall = session.drawn(recipe, lambda: patch_wall(blocks({c: low(c) for c in shown}), columns, side_of))
left, top, width, height = wall.box(unit) or (0, 0, 0, 0)
frames = [Frame(left - 2, top - 2, width + 4, height + 4)] if width else []
with place.container():
    picture(wall.png, wall.size, f"Top-9 wall of {layer}", "wall_picture", frames, choose, fill=True)

st.write(
    "Left of each block: the patches with the nine strongest activations, one an image. Right: the same units "
    "projected down to pixels. **Notice** what the nine have in common, and which part of the patch lights up."
)
with st.expander("Formula and source"):
    st.write(
        "Zeiler and Fergus, ECCV 2014, section 2.1 and Figure 2. All other activations are set to zero; the signal "
        "passes transposed filters, max-pooling switches and, under the deconvnet rule, a ReLU on the way down. "
        "Gradient masks by the forward input instead; guided does both. One winner an image."
    )
