"""Blocks taken out of the graph by a click: what the network answers without them, and how many answers stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing
from app.markdown import as_literal
from app.pickers import controls
from app.session import networks, shared
from app.session.networks import Choice, Network
from app.url import address
from app.views.noise import results
from cnnviz.figures.anatomy import network_graph
from cnnviz.figures.base.charts import share_text
from cnnviz.figures.noise.answers import answers_scene
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.anatomy.rows import Anatomy

WIDE, NARROW, HEIGHT = 800, 520, 590  # pixels of the graph


def view(found: Anatomy, row: Any) -> None:
    """The graph whose clicked blocks are grey; beside it the answer with and without them."""
    name = found.name
    network = networks.load(Choice(name, networks.weights_options(name)[0], controls.choose_device()))
    image = controls.pick_image(network)
    kinds = results.removable(network)
    names = [block.block for block in found.blocks]
    options = [block for block in names if kinds.get(block)]
    if not options:
        words = f"{found.title} has no block that keeps its shape or has a shortcut: none can be removed."
        results.offer_networks(words, ("resnet56_cifar", "plain56_cifar", "resnet20_cifar"))
        drawing([network_graph.network_graph(found, WIDE, HEIGHT)], [f"Graph of {found.title}"], "network_graph")
        return
    with row:
        gone = address.bind_several(st.multiselect, "Removed", "removed", [], options, width=380, placeholder="none")

    def toggle(item: str) -> None:
        """A click on a block takes it out, or puts it back."""
        number = network_graph.parse_block_item(item)
        if number is not None and names[number] in options:
            chosen = names[number]
            address.choose("removed", [one for one in options if (one in gone) != (one == chosen)])

    left, right = st.columns([1.7, 1], gap="medium")
    numbers = {names.index(one) for one in gone}
    with left:
        scenes = [network_graph.network_graph(found, width, HEIGHT, None, "all", numbers) for width in (WIDE, NARROW)]
        drawing(scenes[:1], [f"Graph of {found.title}"], "network_graph", toggle, narrow=scenes[1:])
    with right:
        _answers(network, image, tuple(gone))
    offer_downloads(f"{name}-removed", scenes[0])
    refused = [block for block, kind in kinds.items() if not kind]
    st.write(
        "Click a block to take it out, and again to put it back. Of a residual block the branch is 0, and its shortcut "
        "goes on; any other block hands on its input. **Notice** how much of a residual network can go, and how little "
        f"of a plain one. {_describe_refused(refused)}"
    )
    with st.expander("How it is done, and source"):
        st.write(
            "A block gives ReLU(F(x) + h(x)); with F = 0 and an identity h it gives x exactly. Kept: the most probable "
            f"class stays, over {plural(results.IMAGES, 'image')} of the corpus *samples*. The page Noise in training "
            "has a bar for each block. Source: Veit, Wilber, Belongie, NeurIPS 2016, arXiv:1605.06431, section 4.1."
        )


def _answers(network: Network, image: str, gone: tuple[str, ...]) -> None:
    controls.say_untrained(network)
    rows = [("whole network", results.without(network, image, ()))]
    if gone:
        rows.append((f"without {len(gone)}", results.without(network, image, gone)))
    classes = list(network.model.class_names)
    drawing([answers_scene(rows, classes)], ["Answer with and without the removed blocks"], "removed_answer", least=0.7)
    if not gone:
        st.write(f"{as_literal(shared.facts(network)['title'])} as it is. No block is removed yet.")
        return
    share = results.kept_without(network, gone)
    if share is not None:
        st.markdown(
            f"Without {plural(len(gone), 'block')} it keeps **{share_text(share)}** of its answers to "
            f"{plural(results.IMAGES, 'sample image')}."
        )


def _describe_refused(refused: list[str]) -> str:
    if not refused:
        return ""
    return f"{', '.join(refused[:4])}{' …' if len(refused) > 4 else ''} cannot be removed: the shape changes there."
