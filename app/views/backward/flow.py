"""The view of gradients layer by layer: plain and residual networks, with batch norm and without, several activations,
or the network of the bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.plots import plot
from app.markdown import escape_markdown
from app.pickers import controls
from app.pickers.controls import Title
from app.session import networks
from app.session.networks import Choice, Network
from app.views.backward import results
from app.views.backward.results import CIFAR, DIGITS, PHOTOGRAPHS, SOURCES, PassSetting
from cnnviz.errors import BadInput
from cnnviz.figures.backward import flow as figures
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.backward.flow import GradientFlow

SHORTCUTS, NORMS, ACTIVATION, CHOSEN = "Shortcuts", "Batch norm", "Activation", "Chosen network"
WEIGHTS, MAPS, BLOCKS = "Weights", "Activations", "Blocks"
INITIAL, TRAINED = "Initial", "Trained"
LAYERS = {SHORTCUTS: ["56", "20", "110"], NORMS: ["56", "20"], ACTIVATION: ["20", "56"]}
STATISTICS = ["batch", "running"]
HELP = (
    "What a batch norm divides by. Batch: the deviations of this batch, as in training. Running: as in evaluation, "
    "where a norm is a fixed scale; before any training it is what the initial weights let one expect."
)


def view(title: Title, row: Any) -> None:
    """Controls, the curves, what was measured in words, formulas."""
    with row:
        compared = _pick("Compare", "compare", [SHORTCUTS, NORMS, ACTIVATION, CHOSEN], 180)
        measure = _pick("Gradient of", "of", [WEIGHTS, MAPS, BLOCKS], 145)
    network = None
    if compared == CHOSEN:
        network = controls.pick_network(title, "resnet56_cifar")
        choices, state = _list_chosen(network), TRAINED
    else:
        with row:
            depth = _pick("Layers", "depth", LAYERS[compared], 76)
            trained = compared == SHORTCUTS and depth != "110"  # there are weights of it
            state = _pick("Weights", "state", [INITIAL, TRAINED] if trained else [INITIAL], 118)
        choices = _list_compared(compared, depth, state)
    with row:
        offered = results.offered_sources()
        usual = _usual_source(network, state, offered)
        source = controls.bind(
            st.selectbox, "Images", "batch", usual, options=offered, format_func=SOURCES.get, width=205
        )
        statistics = controls.bind(
            st.selectbox,
            "Statistics",
            "statistics",
            "batch",
            options=STATISTICS,
            width=108,
            help=HELP,
        )
    setting = PassSetting(tuple(choices), source, statistics)
    if measure == BLOCKS:
        _draw_blocks(setting)
    else:
        _draw_flows(setting, compared, state, measure == WEIGHTS)
    if network is not None:
        controls.show_device(network)


def _pick(label: str, key: str, options: list[str], width: int) -> str:
    """One of a few options, as a list, so that all controls stand in a row."""
    return str(controls.bind(st.selectbox, label, key, options[0], options=options, width=width))


def _list_compared(compared: str, depth: str, state: str) -> list[tuple[str, Choice]]:
    plain, residual, device = f"plain{depth}_cifar", f"resnet{depth}_cifar", controls.choose_device()
    weights, words = "bundled" if state == TRAINED else "random", plural(depth, "layer")
    if compared == SHORTCUTS:
        named = {f"plain, {words}": plain, f"residual, {words}": residual}
    elif compared == NORMS:
        named = {"plain": plain, "plain, no batch norm": f"variant:{plain}.nonorm"}
        named |= {"residual": residual, "residual, no batch norm": f"variant:{residual}.nonorm"}
    else:
        named = {"ReLU": f"variant:{plain}.nonorm", "tanh": f"variant:{plain}.tanh.nonorm"}
        named |= {"sigmoid": f"variant:{plain}.sigmoid.nonorm", "sigmoid with batch norm": f"variant:{plain}.sigmoid"}
    return [(words, Choice(name, weights, device)) for words, name in named.items()]


def _list_chosen(network: Network) -> list[tuple[str, Choice]]:
    """The network as it is and, where it is trained, with random weights beside it."""
    choice = network.choice
    name = networks.describe_name(choice.name)
    if network.untrained:
        return [(f"{name}, random weights", choice)]
    twin = Choice(choice.name, choice.weights, choice.device, untrained=True, version=choice.version)
    return [(f"{name}, trained", choice), (f"{name}, random weights", twin)]


def _usual_source(network: Network | None, state: str, offered: list[str]) -> str:
    from cnnviz.data.class_names import CIFAR10, MNIST

    classes = CIFAR10 if network is None else network.model.class_names
    if list(classes) == CIFAR10 and CIFAR in offered:
        return CIFAR
    return PHOTOGRAPHS if state == TRAINED and list(classes) != MNIST else DIGITS


def _draw_flows(setting: PassSetting, compared: str, state: str, weights: bool) -> None:
    found = results.flows(setting)
    if found is None:
        return
    named = [(words, flow) for (words, _), flow in zip(setting.choices, found, strict=True)]
    measure = figures.WEIGHTS if weights else figures.ACTIVATIONS
    plot(figures.flow_figure(named, measure), "Gradient of every layer", "backward_flow", "gradient-flow")
    st.markdown(" ".join(figures.flow_sentence(escape_markdown(words), flow, measure) for words, flow in named))
    st.write(f"{_describe_images(setting, found[0].images)} {_notice(compared, state, setting.statistics, found)}")
    _explain()


def _describe_images(setting: PassSetting, count: int) -> str:
    words = f"One backward pass of the mean cross-entropy over {count} {SOURCES[setting.source]}"
    if setting.source == PHOTOGRAPHS:
        return f"{words}; their labels are assumed: each network's own most probable class."
    return f"{words} with their labels."


def _notice(compared: str, state: str, statistics: str, flows: list[GradientFlow]) -> str:
    """What to see; of what depends on the weights only what was measured."""
    if compared == SHORTCUTS and state == INITIAL and statistics == "batch":
        if figures.is_growing(flows[0]):
            return (
                "**Notice** that it is not vanishing gradients that shortcuts cure here: with batch norm, at "
                "the initial weights, the gradient *grows* towards the input of the plain network, and more with depth."
            )
        return "**Notice** how little the shortcuts change at this depth; 56 and 110 layers are another matter."
    if compared == SHORTCUTS and state == INITIAL:
        return (
            "**Notice** that running statistics, which are fixed scales, let the plain network's gradients keep their "
            "order: the growth of the other choice, *batch*, is the work of batch norm."
        )
    if compared == SHORTCUTS:
        return "**Notice** that training has left neither of them with vanishing or exploding gradients."
    if compared == NORMS:
        return (
            "**Notice** that the plain network's gradients keep their order without batch norm, as He's initial "
            "weights made to do. In the residual one every block adds its variance to that of its input: without "
            "norms, answers, loss and gradients grow with depth in all layers at once."
        )
    if compared == ACTIVATION:
        return (
            "**Notice** that they vanish with sigmoids, whose slope is 1/4 at most, and that batch norm brings them "
            "back: it divides by small deviations, which multiplies gradients. All four start from the same weights, "
            "which He's rule makes for ReLU."
        )
    return "**Notice** how far the first layers' gradients are from the last ones', and what training made of it."


def _draw_blocks(setting: PassSetting) -> None:
    try:
        found = results.gains(setting)
    except BadInput as error:
        st.info(escape_markdown(str(error)))
        return
    if found is None:
        return
    named = [(words, one) for (words, _), one in zip(setting.choices, found, strict=True)]
    plot(figures.gains_figure(named), "Gain of every block", "backward_gains", "block-gains")
    st.markdown(" ".join(figures.gains_sentence(escape_markdown(words), one) for words, one in named))
    st.write(
        "What a block does to the gradient that arrives at its output: 1 + F′ with a shortcut, F′ without. **Notice** "
        "that the shortcut passes on what the last ReLU lets through, most of it, however small F′ is, and that the "
        "product of many gains, each a little above 1, is large all the same."
    )
    _explain()


def _explain() -> None:
    with st.expander("Formula and source"):
        st.latex(
            r"y=F(x)+x:\quad \frac{\partial L}{\partial x}=\Bigl(1+\frac{\partial F}{\partial x}\Bigr)^{\!\top}"
            r"\frac{\partial L}{\partial y}\qquad y=\mathrm{ReLU}(F(x)+x):\quad \frac{\partial L}{\partial x}="
            r"\Bigl(1+\frac{\partial F}{\partial x}\Bigr)^{\!\top}"
            r"\Bigl(\mathbf 1_{y>0}\odot\frac{\partial L}{\partial y}\Bigr)"
        )
        st.write(
            "Norms are L2, of a layer's weights without its bias, and of activations over the whole batch. Initial "
            "weights are He's (random, the same at every call); dropout is off. Branch and shortcut add up as vectors, "
            "not as norms. Where a stage begins, the shortcut of option A subsamples and passes less. Sources: Glorot "
            "and Bengio, AISTATS 2010; He et al., ECCV 2016, arXiv:1603.05027, equation 5, which holds without a ReLU "
            "behind the sum; exploding gradients under batch norm: Yang et al., ICLR 2019, arXiv:1902.08129."
        )
