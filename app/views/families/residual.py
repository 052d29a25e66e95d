"""Residual units as they were varied: shortcuts, order of the layers; dense blocks; four families on one page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.components.drawing import drawing
from app.pickers import controls
from app.url import address
from app.views.anatomy import results as anatomies
from app.views.families import results
from cnnviz.figures.anatomy.block_graph import block_graph
from cnnviz.figures.base.scene import place_side_by_side
from cnnviz.figures.families import diagrams, rows, shortcut
from cnnviz.figures.families.table import stack_scenes, table_scene, title_scene
from cnnviz.wording import plural


def shortcuts(row: Any) -> None:
    """What else a shortcut may do to its signal."""
    from cnnviz.studies.families.residual_units import UNITS, shortcut_variants

    variants = results.remembered(("shortcuts",), shortcut_variants)
    keys = {one.key: one for one in variants}
    labels = {
        one.key: f"{one.name}, {one.shortcut}" + ("" if one.bias is None else f", bias {one.bias:g}")
        for one in variants
    }
    with row:
        key = controls.bind(
            st.selectbox,
            "Shortcut",
            "shortcut",
            "gate_0",
            options=list(keys),
            format_func=labels.__getitem__,
            width=250,
        )
        units = int(controls.bind(st.slider, "Units", "units", UNITS, min_value=1, max_value=200, step=1, width=130))
    chosen = keys[key]
    table = rows.shortcut_rows(variants, key, units)

    def draw(width: float) -> Any:
        unit = shortcut.unit_scene(chosen, 0.36 * width, 250.0)
        curve = shortcut.product_scene(variants, chosen, units, 0.62 * width, 250.0)
        above = place_side_by_side([unit, curve], 0.02 * width)
        return stack_scenes([above, table_scene(table, width, 330.0, 18.0, 3)], 10.0)

    scene = results.show(
        draw, "Shortcuts of a residual unit", "shortcuts", lambda item: address.choose("shortcut", item)
    )
    product = chosen.product(units)
    left = "" if product is None else f" {plural(units, 'unit')} leave {rows.product_text(product)} of it."
    st.write(
        f"A shortcut passes its signal on times λ.{left} **Notice** that the identity is the only one that leaves all "
        "of it, and has the smallest error; that the shortcut-only gate comes close once its bias keeps it nearly "
        "shut; and that gates and 1×1 convolutions could be an identity, with more parameters: they are worse because "
        "they are harder to train."
    )
    results.offer("shortcuts", scene, table)
    results.explain(
        "λ of a gate is 1 − sigmoid(bias): its value at the start, for a gate that sees 0; that is assumed here for "
        "all units. Dropout's is its mean. ResNet-110 has 54 units. The signal multiplied by the λs is what reaches "
        "the end by shortcuts alone, and the same factor meets the gradient on its way back (equation 7). Errors: "
        "CIFAR-10 with flips and crops, one run or the median of five; “fails”: above 20 %. Scaling by 0.5 and plain: "
        "the residual path alone has to carry the signal. Source: He, Zhang, Ren, Sun, ECCV 2016 (arXiv:1603.05027), "
        "section 3, table 1.",
        r"x_L=\Bigl(\prod_{i=l}^{L-1}\lambda_i\Bigr)x_l+\sum_{i=l}^{L-1}\hat F(x_i)",
    )


BEHIND_RELU, AT_SUM = "behind the ReLU", "at the sum"


def orders(row: Any) -> None:
    """One chain of layers, cut into units at another place."""
    from cnnviz.studies.families.residual_units import BEHIND, CHAIN, unit_orders

    with row:
        at = controls.bind(st.select_slider, "Sum behind the", "cut", "batch norm", options=list(BEHIND), width=190)
        start = controls.bind_choice("Shortcut starts", "start", [BEHIND_RELU, AT_SUM])
    place = BEHIND[at]
    begins = 2 if start == BEHIND_RELU else place
    found = unit_orders()
    chosen = next(one for one in found if (one.sum_behind, one.shortcut_behind) == (place, begins))
    table = rows.order_rows(found, chosen)
    chain = list(CHAIN) * 5
    sums, skips = [6 + place, 12 + place], [(begins, 6 + place), (6 + begins, 12 + place)]

    def choose(item: str) -> None:
        one = next(one for one in found if one.name == item)
        address.choose("cut", next(name for name, number in BEHIND.items() if number == one.sum_behind))
        address.choose("start", BEHIND_RELU if one.shortcut_behind == 2 else AT_SUM)

    scene = results.show(
        lambda width: stack_scenes(
            [diagrams.chain_scene(chain, sums, skips, width), table_scene(table, width, 260.0, 20.0, 4)], 22.0
        ),
        "One chain of layers cut into residual units",
        "unit_orders",
        choose,
    )
    st.write(
        f"The chain is the same; only the places of sum and shortcut move. Here: **{chosen.name}**, "
        f"{chosen.error110:.2f} % with 110 layers and {chosen.error164:.2f} % with 164. **Notice** that with the "
        "boundary behind the convolution nothing stands between one sum and the next: batch norm and ReLU come first "
        "in each unit, the shortcut is an identity from end to end, and the error is smallest."
    )
    results.offer("unit-orders", scene, table)
    results.explain(
        "The chain conv, BN, ReLU, conv, BN, ReLU, … begins with the network's first convolution; each unit has two "
        "convolutions (ResNet-164's have three). A red line stands where a unit's shortcut begins. What lies between a "
        "sum and the next red line is met by the shortcut's signal, too. Errors: CIFAR-10, median of five runs. "
        "Source: He, Zhang, Ren, Sun, ECCV 2016 (arXiv:1603.05027), section 4, figures 4 and 5, table 2."
    )


FOUR = {  # network: (family, block)
    "plain34": ("Plain", "layer1.1"),
    "googlenet_2014": ("GoogLeNet", "inception3a"),
    "resnet34_a": ("ResNet", "layer1.1"),
    "densenet_40_k12": ("DenseNet", "features.denseblock1.denselayer3"),
}


def four(_row: Any) -> None:
    """One block of each of four families."""
    scenes = []
    for name, (family, block) in FOUR.items():
        found = anatomies.anatomy(name)
        names = [one.block for one in found.blocks]
        block_scene = block_graph(found, names.index(block), 330.0, 500.0)
        scenes.append(title_scene(family, block_scene))
    drawing(scenes, [f"A block of {family}" for family, _ in FOUR.values()], "four_families", least=0.7)
    st.write(
        "One block of a plain network, GoogLeNet, a ResNet and a DenseNet, from the input at the top. **Notice** the "
        "ways around: none in the plain block, branches that are concatenated in GoogLeNet, one shortcut that is added "
        "in ResNet, and in DenseNet the maps of all layers before, concatenated."
    )
    results.offer("four-families", place_side_by_side(scenes))
    results.explain(
        "Blocks of `plain34`, `googlenet_2014`, `resnet34_a` and `densenet_40_k12`, each traced through one pass. "
        "Sources: He et al., CVPR 2016; Szegedy et al., CVPR 2015; Huang et al., CVPR 2017."
    )


def dense(row: Any) -> None:
    """A dense block of one's own size, beside one that adds."""
    from cnnviz.studies.families.dense_block import dense_wiring, halve

    with row:
        layers = int(controls.bind(st.slider, "Layers L", "layers", 5, min_value=1, max_value=12, step=1, width=130))
        growth = controls.bind(st.selectbox, "Growth k", "growth", 12, options=[4, 12, 24, 32, 40], width=80)
        inputs = controls.bind(st.selectbox, "Input", "inputs", 24, options=[16, 24, 64, 128], width=150)
    found = dense_wiring(layers, inputs, growth)
    scene = results.show(
        lambda width: diagrams.dense_scene(found, width, 470.0 if width > results.NARROW else 360.0),
        "Connections of a dense block",
        "dense_block",
    )
    kept, side, share = halve(found.output, 32)
    st.write(
        f"{plural(layers, 'layer')}: L(L+1)/2 = **{plural(found.connections, 'connection')}**. Adding, as a ResNet "
        f"does, keeps {plural(inputs, 'channel')}; concatenating makes them {found.output}. **Notice** that each layer "
        f"adds only {plural(growth, 'map')} and still reads all before it."
    )
    results.offer("dense-block", scene)
    results.explain(
        "The block's input counts as a node: 1 + 2 + … + L connections, 15 for L = 5 and 78 for L = 12. What stays in "
        "a block is the height and width of its maps, not the volume: channels grow by k a layer. A transition with θ "
        f"= 0.5 halves channels, height and width: {plural(found.output, 'channel')} of 32×32 become {kept} of "
        f"{side}×{side}, {share:.1%} of the values, about an eighth and not a half. Source: Huang, Liu, van der "
        "Maaten, Weinberger, CVPR 2017 (arXiv:1608.06993), section 3.",
        r"x_\ell=H_\ell([x_0,x_1,\dots,x_{\ell-1}]),\qquad \text{channels}=k_0+k\,(\ell-1)",
    )
