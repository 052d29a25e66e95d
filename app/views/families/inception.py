"""GoogLeNet's table with the cells that do not hold, Inception modules, and factorised convolutions."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.pickers import controls
from app.views.families import results
from cnnviz.figures.families import rows
from cnnviz.figures.families.table import bars_scene, stack_scenes, table_scene
from cnnviz.figures.playground.cards import cost_scene
from cnnviz.wording import plural


def googlenet(_row: Any) -> None:
    """Table 1 of GoogLeNet beside the network."""
    from cnnviz.studies.families.inception import auxiliary_cost, googlenet_rows

    found, heads = results.remembered(("googlenet",), lambda: (googlenet_rows(), auxiliary_cost()))
    table = rows.printed_rows(found, heads)
    scene = results.show(lambda width: table_scene(table, width, 570.0, 20.0, 2), "Table of GoogLeNet", "googlenet")
    wrong = [row.name for row in found if row.wrong_parameters or row.wrong_operations]
    macs, printed = sum(row.macs for row in found), sum(row.printed_m for row in found)
    thousands = sum(row.printed_k for row in found)
    st.write(
        f"Printed figures beside those of the network; marked is what does not hold: {', '.join(wrong)}. **Notice** "
        f"the first row: 64 kernels of 7×7×3 are 9,408 weights and 118 M operations, not 2.7K and 34M. The printed "
        f"operations sum to {printed:,.0f} M and the parameters to "
        f"{thousands:,.1f}K (6.80 M); the network takes {macs / 1e6:,.2f} M."
    )
    results.offer("googlenet-table", scene, table)
    results.explain(
        "K is 1,024, operations are multiply-adds, in millions. Printed parameters are taken as right where they lie "
        "between the weights alone and the parameters with biases, give or take the last digit. 2.7K and 34M would fit "
        f"a 7×1 behind a 1×7 convolution. The network has {plural(heads.without, 'parameter')}; with the two auxiliary "
        f"heads, which exist in training only, {heads.total:,}. “5 million, 12 times fewer than AlexNet” does not "
        "hold: it is 8.7 times fewer, and 19.8 times fewer than VGG-16. Source: Szegedy et al., CVPR 2015 "
        "(arXiv:1409.4842), table 1 and section 5."
    )


def modules(_row: Any) -> None:
    """The naive module against the one with reductions."""
    from cnnviz.studies.families.inception import inception_branches

    naive, reduced = results.remembered(("modules",), lambda: (inception_branches(False), inception_branches(True)))
    table = rows.branch_rows(naive, reduced)
    sums = [sum(sum(branch.macs) for branch in module) for module in (naive, reduced)]
    names = ("naive", "with 1×1 reductions")
    bars = [
        (name, float(total), f"{total / 1e6:,.0f} M multiply-adds") for name, total in zip(names, sums, strict=True)
    ]
    scene = results.show(
        lambda width: stack_scenes([table_scene(table, width, 260.0, 20.0, 2), bars_scene(bars, width, 150.0)], 24.0),
        "Two Inception modules",
        "inception_modules",
    )
    st.write(
        "Four branches read 28×28 maps of 256 channels, and their outputs are concatenated. **Notice** that 1×1 "
        f"convolutions before the 3×3 and 5×5 and behind the pool take the cost from {sums[0]:,} to {sums[1]:,}, and "
        "that without them the depth can only grow: the pool alone hands on 256 of 672 channels."
    )
    results.offer("inception-modules", scene, table)
    results.explain(
        "Multiply-adds of the networks `naive_inception` and `reduced_inception`. Lecture notes give 358 M for the "
        "reduced module; that counts the 86,704,128 of its 3×3 convolution twice. Source: Szegedy et al., CVPR 2015, "
        "figure 2; widths of a common lecture example."
    )


WAYS = ["3×3 layers", "1×n, n×1", "Grid"]


def factorised(row: Any) -> None:
    """Convolutions in place of a large one, and three ways to a smaller grid."""
    from cnnviz.studies.families.factorised import asymmetric_pair, grid_reductions, stacked_threes

    with row:
        way = controls.bind_choice("Way", "way", WAYS)
        size = controls.bind(
            st.selectbox, "n", "n", {WAYS[0]: 5, WAYS[1]: 7, WAYS[2]: 3}[way], options=[3, 5, 7, 9, 11], width=76
        )
        channels = controls.bind(st.selectbox, "Channels", "wide", 64, options=[16, 64, 128, 192, 320], width=92)
        side = controls.bind(
            st.selectbox, "Map", "side", 34 if way == WAYS[2] else 17, options=[8, 17, 34, 56], width=76
        )
    make = {WAYS[0]: stacked_threes, WAYS[1]: asymmetric_pair, WAYS[2]: grid_reductions}[way]
    if way == WAYS[2] and side % 2:
        st.info(f"A map of {side}×{side} cannot be halved. Choose 8, 34 or 56.", icon=":material/info:")
        return
    found = make(size, channels, side)
    first, last = found[0][1], found[-1][1]
    saved = 1 - last.macs / first.macs
    working = f"{last.macs:,} of {first.macs:,} multiply-adds"
    scene = results.show(
        lambda width: cost_scene(working, last, list(found[::-1]), width), f"Cost of {way}", "factorised"
    )
    notice = {
        WAYS[
            0
        ]: "two 3×3 see 5×5 pixels as one 5×5 does, with 18 weights a channel pair in place of 25, and a ReLU more",
        WAYS[1]: "the gain grows with n: 2n weights in place of n², at the same receptive field",
        WAYS[2]: "a pool first is cheapest of the sequences, but squeezes all through fewer values; side by side both "
        "are avoided",
    }[way]
    st.write(f"The last way takes {saved:.0%} fewer multiply-adds than the first. **Notice** that {notice}.")
    results.offer("factorised", scene)
    results.explain(
        "Channels stay, n is the kernel, the map's size is that of the input; biases are left out. For the grid the "
        "paper writes 2d²k² operations with the pool behind the convolution and 2(d/2)²k² before it, "
        "which is a quarter of them. The convolution beside the pool has k filters of "
        "stride 2, and the pool's k maps are concatenated: (d/2)²k². All of them times the kernel's n². Source: "
        "Szegedy et al., CVPR 2016 (arXiv:1512.00567), sections 3.1, 3.2 and 5; 1×7 and 7×1 on 17×17 maps is what "
        "Inception v3 does.",
        r"n^2C^2\;\to\;\tfrac{n-1}{2}\cdot 9\,C^2,\qquad n^2C^2\;\to\;2n\,C^2",
    )
