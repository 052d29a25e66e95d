"""The view of removed blocks: how many answers stay without each, of a residual network and of its plain twin."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.components.drawing import drawing
from app.components.plots import plot
from app.pickers import controls
from app.session import shared
from app.session.networks import Network
from app.url import address
from app.views.noise import results
from app.views.noise.dropout import shared_names
from app.views.noise.results import IMAGES
from cnnviz.figures.base.charts import share_text, value_text
from cnnviz.figures.noise import charts
from cnnviz.figures.noise.answers import answers_scene
from cnnviz.wording import plural

OFFERED = ("resnet56_cifar", "plain56_cifar", "resnet20_cifar")
TWINS = {
    "resnet56_cifar": "plain56_cifar",
    "resnet20_cifar": "plain20_cifar",
    "plain56_cifar": "resnet56_cifar",
    "plain20_cifar": "resnet20_cifar",
}
BRANCH, REMOVES = "branch", "Removes it"  # of the choice "A click" of the page Anatomy


def view(network: Network, image: str, row: Any) -> None:
    """A bar a block; the answer to the image without the chosen one."""
    kinds = results.removable(network)
    options = [name for name, kind in kinds.items() if kind]
    title = shared.facts(network)["title"]
    if not options:
        results.offer_networks(f"{title} has no block that keeps its shape or has a shortcut.", OFFERED)
        return
    with row:
        block = str(
            controls.bind(st.selectbox, "Removed", "block", options[len(options) // 2], options=options, width=180)
        )
        query = address.link(("view",), view="Graph", click=REMOVES, removed=block, net=network.model.name)
        st.page_link("../pages/anatomy.py", label="In the graph", icon=":material/account_tree:", query_params=query)
    lines = [(title, results.removed_each("each", network))]
    twin = TWINS.get(network.model.name)
    if twin and network.choice.weights == "bundled" and not network.untrained:
        other = results.load_beside(twin, network)
        lines.append((shared.facts(other)["title"], results.removed_each("each_twin", other)))
    found = [(name, one) for name, one in lines if one is not None]
    if found:
        figure = charts.removed_figure(found, len(shared_names(network)), block)
        plot(figure, "Answers kept without each block", "removed_bars", "removed-blocks", on_point=_choose)
    left, right = st.columns([1, 1.35], gap="medium")
    with left:
        rows = [("whole network", results.without(network, image, ()))]
        rows.append((f"without {block}", results.without(network, image, (block,))))
        drawing([answers_scene(rows, shared_names(network))], [f"Answer without {block}"], "removed_answer", least=0.7)
    with right:
        _say(found, network, image, block, kinds[block])
    _explained()


def _choose(hit: list[Any]) -> None:
    """A click on a bar chooses that block."""
    address.choose("block", str(hit[0]))


def _say(found: list[tuple[str, Any]], network: Network, image: str, block: str, kind: str) -> None:
    from cnnviz.studies.noise.blocks import look_at_removed

    recipe = ("look", network.key, image, block)
    seen = results.find(recipe, lambda: look_at_removed(network.model, shared.photo(image), block))
    if kind == BRANCH and not np.isnan(seen.difference):
        how = (
            f"The branch of `{block}` is 0, what is left is its shortcut: output less input is "
            f"{value_text(seen.difference)} at most."
        )
    elif kind == BRANCH:
        how = f"The branch of `{block}` is 0; its shortcut goes on, which changes the shape."
    else:
        how = f"`{block}` has no shortcut: its input is handed on in place of its output."
    told = [
        f"{name} keeps between {share_text(np.nanmin(one.kept))} and {share_text(np.nanmax(one.kept))} of its answers, "
        f"{share_text(np.nanmedian(one.kept))} in the middle"
        for name, one in found
    ]
    if len(found) > 1:
        lesson = (
            "**Notice** that the residual network goes on without almost any of its blocks, worst where a stage "
            "begins, and the plain one falls to chance (dotted): there every layer needs what the one before makes."
        )
    else:
        lesson = "**Notice** which blocks the answers depend on; the dotted line is chance."
    st.write(
        f"{how} One block at a time is removed, and the answers to {plural(IMAGES, 'sample image')} are compared with "
        f"those of the whole network. {'; '.join(told)}. {lesson}"
    )


def _explained() -> None:
    with st.expander("What is measured, and source"):
        st.write(
            "A block gives ReLU(F(x) + h(x)). With F = 0 and h the identity it gives ReLU(x) = x exactly, since x left "
            "a ReLU before. In a plain network the pair of layers is skipped; where a stage begins the shape changes, "
            "and nothing could stand in its place (×). Kept: the most probable class of the whole network stays the "
            "most probable one, right or wrong; the images are those of the corpus *samples*, crops of photographs "
            "that the networks were not trained on. Veit et al. measure the error on CIFAR-10 in place of that. "
            "Source: Veit, Wilber, Belongie, NeurIPS 2016, arXiv:1605.06431, section 4.1."
        )
