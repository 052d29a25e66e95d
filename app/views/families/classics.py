"""LeNet-5's C3, AlexNet's towers, VGG's configurations, ZFNet's changes and Network in Network, from the networks."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.pickers import controls
from app.url import address
from app.views.families import results
from cnnviz.figures.families import diagrams, rows
from cnnviz.figures.families.table import bars_scene, stack_scenes, table_scene
from cnnviz.wording import plural


def lenet_c3(row: Any) -> None:
    """Which maps of S2 each map of C3 sees."""
    from cnnviz.studies.families.lenet_c3 import c3_connections

    found = results.remembered(("c3",), c3_connections)
    with row:
        chosen = int(controls.bind(st.slider, "Map of C3", "map", 0, min_value=0, max_value=15, step=1, width=240))
    seen = [str(number) for number in found.sees[:, chosen].nonzero()[0]]

    def choose(item: str) -> None:
        address.choose("map", int(item.partition(":")[2]))

    scene = results.show(
        lambda width: diagrams.connections_scene(found, width, chosen), "Connections of C3", "c3_table", choose
    )
    count = int(found.parameters[chosen])
    st.write(
        f"Map {chosen} of C3 sees the maps {', '.join(seen)} of S2 and has {len(seen)}·25 + 1 = "
        f"{plural(count, 'parameter')}. **Notice** that no two maps see the same maps: "
        f"{plural(found.kernels, 'kernel')} of 5×5 and 16 biases are **{int(found.parameters.sum()):,}** parameters, "
        f"where a dense convolution has {found.dense.parameters:,}, and {found.macs:,} multiply-adds in place of "
        f"{found.dense.macs:,}."
    )
    results.offer("lenet5-c3", scene)
    results.explain(
        "The table and the counts are those of the network `lenet5_1998`; its C3 is built of a group of convolutions "
        "for each row of the table, so that only these connections exist. The paper counts 151,600 connections: 1,516 "
        "at each of 10×10 places. The dense C3 of most code has 2,416 parameters, and the whole network 61,706 in "
        "place of 60,000. Source: LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86(11), 1998, section II.B, table I.",
        r"P=25\cdot\sum_{m}|S_m|+16=25\cdot 60+16=1{,}516",
    )


def towers(_row: Any) -> None:
    """AlexNet on two GPUs."""
    from cnnviz.studies.families.towers import alexnet_towers

    layers = results.remembered(("towers",), alexnet_towers)
    scene = results.show(
        lambda width: diagrams.towers_scene(layers, width, 470.0 if width > results.NARROW else 380.0),
        "The two towers of AlexNet",
        "towers",
    )
    st.write(
        "Each tower lies on a GPU of its own and has half of the maps. **Notice** where lines cross: only conv3 and "
        "the linear layers read both towers; conv2, conv4 and conv5 are convolutions of two groups, with half the "
        "parameters that all connections would take."
    )
    results.offer("alexnet-towers", scene)
    results.explain(
        "Units are the values of each layer's output, counted from the network `alexnet_2012` at 227 pixels: 659,272, "
        "and 813,859 with the 154,587 values of the input, which lecture notes count as neurons too. The paper prints "
        "224 pixels, 150,528 inputs and 253,440 units of conv1, and “650,000 neurons”; (224 − 11) / 4 is no whole "
        "number, and 55×55 units need 227 pixels, or a padding. Source: Krizhevsky, Sutskever, Hinton, NIPS 2012, "
        "sections 3.2 and 3.5, figure 2.",
        r"154{,}587+290{,}400+186{,}624+2\cdot 64{,}896+43{,}264+2\cdot 4{,}096+1{,}000=813{,}859",
    )


def vgg(row: Any) -> None:
    """Table 1 of VGG with columns of one's choice."""
    from cnnviz.studies.families.layer_tables import CONFIGURATIONS, vgg_configurations

    names = list(CONFIGURATIONS)
    with row:
        columns = address.bind_several(st.pills, "Columns", "columns", names, options=names, selection_mode="multi")
    columns = [name for name in names if name in columns]
    found = results.remembered(("vgg", *columns), lambda: vgg_configurations(columns))
    table = rows.configuration_rows(found)
    scene = results.show(lambda width: table_scene(table, width, 560.0, 16.5), "Configurations of VGG", "vgg_table")
    st.write(
        "Bold and marked is what a column adds to the one before it that is shown. **Notice** that from A to E the "
        "depth grows from 11 to 19 layers and the parameters by 8 % only: most are in the first linear layer, "
        "102,764,544 of them; and that C has 16 layers as D has, with three 1×1 where D has 3×3, and a larger error."
    )
    results.offer("vgg-table", scene, table)
    results.explain(
        "“conv3-64” is a 3×3 convolution of 64 maps with a ReLU behind it. Every stage ends in a 2×2 max pooling; "
        "three linear layers of 4,096, 4,096 and 1,000 units follow. Layers and counts are those of the registered "
        "networks. The sums of lecture tables are weights without biases: 138,344,128 for D, whose parameters are "
        "138,357,544. Errors: ILSVRC-2012 validation, one network at one scale, the best of the table. Source: "
        "Simonyan and Zisserman, ICLR 2015 (arXiv:1409.1556), tables 1 to 3."
    )


def zfnet(row: Any) -> None:
    """What ZFNet changes in AlexNet."""
    from cnnviz.studies.families.layer_tables import PROPERTIES, zfnet_changes

    with row:
        only = controls.bind_choice("Columns", "costs", ["Layers", "Layers and costs"]) == "Layers"
    changes = results.remembered(("zfnet",), zfnet_changes)
    table = rows.change_rows(changes, PROPERTIES[: 6 if only else 8])
    scene = results.show(lambda width: table_scene(table, width, 540.0, 21.0), "ZFNet against AlexNet", "zfnet_table")
    st.write(
        "Marked is what differs, AlexNet's value first. **Notice** the first two lines: smaller kernels at half the "
        "stride, because the first filters of AlexNet showed aliasing and dead units; the maps behind are larger, and "
        "the multiply-adds grow by 61 %."
    )
    results.offer("zfnet-alexnet", scene, table)
    results.explain(
        "AlexNet with two groups (`alexnet_2012`, 60,965,224 parameters, input 227) and ZFNet (`zfnet`, 62,357,608, "
        "input 224): one GPU, so conv2, conv4 and conv5 read all maps. AlexNet normalises before pooling, ZFNet behind "
        "it. ZFNet's pools round the size up. The 11.7 % of ILSVRC-2013 are Clarifai's ensemble, whose networks were "
        "not published. Source: Zeiler and Fergus, ECCV 2014, section 4.1, figure 3."
    )


def mlpconv(_row: Any) -> None:
    """A linear convolution against an mlpconv layer, and what the classifier weighs."""
    from cnnviz.studies.families.mlpconv import head_sizes, mlpconv_layers

    layers, sizes = results.remembered(("mlpconv",), lambda: (mlpconv_layers(), head_sizes()))
    table = rows.mlpconv_rows(layers)
    bars = [(one.title, one.mebibytes, f"{one.mebibytes:.1f} MiB") for one in sizes]
    share = sizes[0].head / (sizes[0].head + sizes[0].features)
    scene = results.show(
        lambda width: stack_scenes([table_scene(table, width, 260.0, 20.0, 2), bars_scene(bars, width, 170.0)], 30.0),
        "mlpconv layers, and the size of two networks",
        "mlpconv",
    )
    st.write(
        "A linear convolution gives a weighted sum of its patch; an mlpconv layer sends it through two 1×1 "
        "convolutions with ReLUs: a small perceptron at every place. **Notice** the bars: the network has more "
        "convolutions than AlexNet and an eighth of its size, because global average pooling takes the place of three "
        f"linear layers, which hold {share:.0%} of AlexNet's parameters."
    )
    results.offer("mlpconv", scene, table)
    results.explain(
        "The last mlpconv layer puts out a map for each of 1,000 classes, and its mean is the score: no parameters. "
        f"AlexNet has {plural(sizes[0].features, 'parameter')} in its convolutions and {sizes[0].head:,} in its linear "
        f"layers; Network in Network has {sizes[1].features:,} in all (7.6 M, not the 7.5 M of some notes). MiB are "
        "2²⁰ bytes of float32; in powers of ten it is 243.9 and 30.4 MB. Source: Lin, Chen, Yan, ICLR 2014 "
        "(arXiv:1312.4400), sections 3.1 and 3.2.",
        r"f^{(n)}_{i,j}=\max(W_n f^{(n-1)}_{i,j}+b_n,\,0),\qquad f^{(0)}_{i,j}=x_{i,j}",
    )
