"""Gates as masks in a network of one's choice: what the sigmoid puts out is multiplied into a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.picture import labelled_picture
from app.pickers import controls
from app.session import networks, shared
from app.session.cache import array_cache
from app.session.networks import Network
from app.url import address
from app.views.families import results
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.families.masks import mask_strip
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.families.gates import Gate, GateMaps

TOPIC, FIRST = "Gates as masks", "highway19_cifar10"
OFFERED = {  # networks with gates
    FIRST: "Highway-19",
    "resnet110_exclusive_gating": "ResNet-110, exclusive gates",
    "senet18_cifar": "SENet-18, a factor a channel",
}


def is_chosen() -> bool:
    """Whether the page shows this topic, which needs a network with weights; before its pickers are drawn."""
    return address.read("view") == "Families" and address.read("topic") == TOPIC


def masks(network: Network, image: str, row: Any) -> None:
    """One channel of one gate: map, mask and product."""
    from cnnviz.studies.families.gates import find_gates

    gates = results.remembered(("gates", network.key), lambda: find_gates(network.model))
    if not gates:
        _offer_others(network)
        return
    names = {gate.product: gate for gate in gates}
    with row:
        gate = names[controls.bind(st.selectbox, "Gate", "gate", gates[0].product, options=list(names), width=250)]
    found = _capture(network, image, gate)
    with row:
        channel = int(
            controls.bind(
                st.number_input, "Channel", "gated", 0, min_value=0, max_value=len(found.main) - 1, step=1, width=110
            )
        )
    factor = "1 − g" if gate.complement else "g"
    drawn = mask_strip(found.main[channel], found.mask[channel], found.product[channel], factor)
    labelled_picture(drawn, f"Gate {gate.product}, channel {channel}", "gate_maps")
    low, high, mean = (float(part) for part in (found.mask.min(), found.mask.max(), found.mask.mean()))
    state = " Its weights are random: the mask shows what the gate does, nothing that it learned." * network.untrained
    kind = "one factor for a whole channel" if found.channelwise else "a factor for every value"
    st.write(
        f"`{gate.sigmoid}` puts out {kind}, over all channels from {value_text(low)} to {value_text(high)}, "
        f"{value_text(mean)} on average; "
        f"times `{gate.main}` it gives the right map. **Notice** that where the mask is dark the product is white: the "
        f"gate is closed there, whatever the main path says.{state}"
    )
    results.explain(
        "The mask is the sigmoid's output, not its input, which can have any sign and size. In a highway layer and in "
        "ResNet-110 with exclusive gates g multiplies the new features and 1 − g the shortcut, so that they sum to 1; "
        "with shortcut-only gates the residual stays whole. A gate's bias starts below 0 (−2 in Highway-19, −6 in "
        "ResNet-110): at first the shortcut passes nearly all. Squeeze-and-excitation has one factor a channel. "
        "Sources: Srivastava, Greff, Schmidhuber 2015 (arXiv:1505.00387), equation 2; He et al., ECCV 2016, section 3; "
        "Hu, Shen, Sun, CVPR 2018, section 3.1.",
        r"y=g(x)\odot F(x)+(1-g(x))\odot x,\qquad g(x)=\frac{1}{1+e^{-(W_gx+b_g)}}",
    )


def _capture(network: Network, image: str, gate: Gate) -> GateMaps:
    from cnnviz.studies.families.gates import capture_gate

    name = ("gate", network.key, image, gate)
    return array_cache().get(name, lambda: capture_gate(network.model, shared.photo(image), gate))


def _offer_others(network: Network) -> None:
    """Say so where a network has no gate, and offer networks that have."""
    title = shared.facts(network)["title"]
    st.markdown(
        f":blue-background[:material/info: {title} multiplies no map by the output of a sigmoid layer: it has no "
        f"gates.] {plural(len(OFFERED), 'network')} that have:"
    )
    with st.container(horizontal=True, gap="small"):
        for name, words in OFFERED.items():
            if name in networks.catalogue():
                st.button(words, key=f"gated_{name}", on_click=_take, args=(name,))


def _take(name: str) -> None:
    """Another network, with weights and gate of its own."""
    address.choose("net", name)
    for key in ("weights", "gate", "gated"):
        address.choose(key, None)
