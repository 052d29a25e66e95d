"""The view of stochastic depth: residual branches dropped at random, and the pass that multiplies them instead."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.components.drawing import drawing, drawing_data
from app.components.motion.player import Motion, Reel, ReelFrame, offer_motion
from app.components.plots import plot, plot_data
from app.pickers import controls
from app.session import shared
from app.session.networks import Network
from app.url import address
from app.views.noise import results
from app.views.noise.dropout import PACE, pick_draw, pick_seed, shared_names
from app.views.noise.results import SHOWN
from cnnviz.figures.base.scene import Scene
from cnnviz.figures.noise import charts
from cnnviz.figures.noise.answers import answers_scene
from cnnviz.wording import plural

OFFERED = ("resnet56_cifar", "resnet20_cifar")


def view(network: Network, image: str, row: Any) -> None:
    """The line of p_l with one draw, and the answers of several."""
    from cnnviz.studies.noise.blocks import expected_depth, list_branches

    branches = results.find(("branches", network.key), lambda: list_branches(network.model))
    if not branches:
        title = shared.facts(network)["title"]
        results.offer_networks(f"{title} has no residual branch that could be dropped.", OFFERED)
        return
    with row:
        percent = int(
            controls.bind(
                st.slider, "The last survives with p_L [%]", "last", 80, min_value=10, max_value=100, step=5, width=200
            )
        )
    number, seed = pick_draw(row, "Draw"), pick_seed(row)
    found = results.depths(network, image, percent, seed, SHOWN)
    if found is None:
        return
    left, right = st.columns([1.35, 1], gap="medium")
    with left:
        plot(_draw_line(found, number), "Survival of the blocks", "survival", "stochastic-depth")
    with right:
        drawing([_draw_answers(network, found, number)], [f"Answers of {SHOWN} depths"], "depth_answers", least=0.7)
    _offer_motion(network, image, found, number, (percent, seed), row)
    units, expected = len(branches), expected_depth(len(branches), percent / 100)
    lost = int((found.probabilities.argmax(1) != found.whole.argmax()).sum())
    st.write(
        f"In training each of the {plural(units, 'residual branch')} runs with probability p_l, which falls from 1 to "
        f"p_L; {expected:.2f} of {units} run on average, {int(found.alive[number].sum())} in this draw, at random, "
        "from the seed. In evaluation all run, each multiplied by p_l. **Notice** that the network still answers with "
        f"any of its blocks missing: {SHOWN - lost} of {SHOWN} draws answer like the whole network. "
        f"{_describe_training(network)}"
    )
    with st.expander("Formula and source"):
        st.latex(
            r"p_l=1-\tfrac{l}{L}(1-p_L)\qquad H_l=\mathrm{ReLU}(b_l\,F_l(H_{l-1})+h(H_{l-1}))\qquad"
            r"\mathbb{E}[\text{depth}]=\sum_l p_l=\tfrac{3L-1}{4}\text{ for }p_L=\tfrac12"
        )
        st.write(
            "ResNet-110 has L = 54 units: 40.25 run on average at p_L = 0.5, a quarter of the training time is saved. "
            "b_l is 1 or 0 for a whole mini-batch in training; here each draw is a pass of its own. Nothing of a "
            "dropped unit is scaled up in training, so evaluation multiplies by p_l: the other convention than "
            "inverted dropout. Source: Huang, Sun, Liu, Sedra, Weinberger, ECCV 2016, arXiv:1603.09382, section 3."
        )


def _describe_training(network: Network) -> str:
    if network.model.name.startswith("stochastic_depth"):
        return "This network is built for it."
    return "It was trained at full depth, p_L is assumed; trained with stochastic depth, more draws would agree."


def _draw_line(found: Any, number: int) -> Any:
    return charts.survival_figure(found.survival, found.alive[number], found.blocks)


def _draw_answers(network: Network, found: Any, number: int) -> Scene:
    rows = [(f"draw {k + 1}: {int(found.alive[k].sum())}", found.probabilities[k]) for k in range(SHOWN)]
    rows += [(f"mean of {SHOWN}", found.probabilities.mean(0)), ("scaled by p_l", found.scaled), ("all", found.whole)]
    return answers_scene(rows, shared_names(network), number, (SHOWN, SHOWN + 1, SHOWN + 2))


def _offer_motion(network: Network, image: str, found: Any, number: int, how: tuple[int, int], row: Any) -> None:
    motion = Motion(
        "the draw", [f"draw {k + 1} of {SHOWN}" for k in range(SHOWN)], number, PACE, closed=True, stale=("pass",)
    )

    def frame(k: int) -> ReelFrame:
        alt = f"Answers of {SHOWN} depths"
        return {
            "survival": plot_data(_draw_line(found, k)),
            "depth_answers": drawing_data([_draw_answers(network, found, k)], [alt]),
        }

    with row:
        make = lambda: Reel([frame(k) for k in range(SHOWN)])  # noqa: E731
        recipe = (network.key, image, *how)
        offer_motion(motion, "motion", lambda place: address.choose("pass", place + 1), recipe, make)
