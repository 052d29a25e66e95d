"""The views of the page of anatomies: graph, layers, profile, two networks, history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing
from app.components.plots import plot
from app.pickers import controls
from app.session import networks
from app.url import address
from app.views.anatomy import depths, removal, results
from cnnviz.figures.anatomy import block_graph, network_graph
from cnnviz.figures.anatomy import blocks as units
from cnnviz.figures.anatomy import profile as anatomy_charts
from cnnviz.figures.anatomy.nodes import build_nodes
from cnnviz.figures.anatomy.tables import compare_totals, layer_table, totals_sentence
from cnnviz.figures.base.scene import place_side_by_side
from cnnviz.store import shorten_file_name

if TYPE_CHECKING:
    from cnnviz.studies.anatomy.rows import Anatomy

WHOLE, ROW_HEIGHT = "Whole network", 28
SHOWS, REMOVES = "Shows a block", "Removes it"
NARROW = 690  # pixels; the page of a window of 1024
REPEATS = {"Auto": "auto", "Folded": "folded", "All": "all"}


def graph(found: Anatomy, row: Any) -> None:
    """The whole network, and the chosen block in large beside it."""
    names = [block.block for block in found.blocks]
    telling = units.choose_example_block(found)
    default = WHOLE if telling is None else names[telling]
    drawn = {cell.block for cell in build_nodes(found)}  # dropout in front of a network is drawn with its reader
    offered = [WHOLE, *(name for number, name in enumerate(names) if number in drawn)]
    with row:
        clicks = [SHOWS, REMOVES] if found.name in networks.catalogue() else [SHOWS]
        click = controls.bind_choice("A click", "click", clicks)
    if click == REMOVES:
        removal.view(found, row)
        return
    with row:
        block = controls.bind(st.selectbox, "Block", "block", default, options=offered, width=220)
        repeats = REPEATS[controls.bind_choice("Equal blocks", "repeats", list(REPEATS))]
    chosen = None if block == WHOLE else names.index(block)

    def choose(item: str) -> None:
        """A click on the network chooses that block."""
        if (number := network_graph.parse_block_item(item)) is not None:
            st.session_state["block"] = names[number]

    if (layer := results.map_layers(found.name).get(block)) is not None:
        with row:
            st.page_link(
                "../pages/feature_maps.py",
                label="Show its feature maps",
                icon=":material/layers:",
                query_params=address.link(("unit", "row", "col"), net=found.name, layer=layer),
            )
    narrow = None
    if chosen is None:
        scenes = [network_graph.network_graph(found, 1070, 590, None, repeats)]
        narrow = [network_graph.network_graph(found, NARROW, 590, None, repeats)]
    else:
        scenes = [
            network_graph.network_graph(found, 690, 590, chosen, repeats),
            block_graph.block_graph(found, chosen, 360, 590),
        ]
    alts = [f"Graph of {found.title}", f"Layers of {block}"][: len(scenes)]
    drawing(scenes, alts, "network_graph", choose, narrow=narrow)
    offer_downloads(f"{found.name}-graph", place_side_by_side(scenes), found.csv())
    st.write(
        "Every coloured cell is a layer, in the order of the forward pass, under the size of its output maps. Click a "
        "block to see it in large. **Notice** where the maps shrink, and what runs beside the main way: branches that "
        "are concatenated, skips that are added, dense wires to all later layers."
    )
    with st.expander("How to read it, and source"):
        st.write(results.about_text(found.name))
        st.write(
            "Normalisation, ReLUs and dropout are drawn with the layer they follow or, in pre-activation networks, "
            "precede. “/2” is a stride of 2. “× n” stands for n blocks of the same layers in a row, "
            "“factors differ” where the number that they multiply by goes from … to (stochastic depth: the probability "
            "that a block survives). Layers and edges "
            "are those of one traced forward pass; places follow Sugiyama, Tagawa and Toda 1981."
        )


def layers(found: Anatomy, row: Any) -> None:
    """The table of layers or blocks with its totals."""
    with row:
        kind = controls.bind_choice("One line for each", "rows", ["Layer", "Block"])
    st.markdown(totals_sentence(found))
    table = layer_table(found, kind.lower())
    whole = st.column_config.NumberColumn(format="localized", width=108)  # room for 1,849,688,064
    numbers = {name: whole for name, column in table.items() if any(isinstance(value, int) for value in column)}
    numbers["parameters"] = st.column_config.NumberColumn(format="localized", width=95)
    first = next(iter(table))  # as wide as its names, and there also when the rest is moved sideways
    longest = max(map(len, table[first]), default=0)
    numbers[first] = st.column_config.TextColumn(width=min(260, 24 + 6 * longest), pinned=True)
    lines = len(table[first])
    st.dataframe(
        table,
        hide_index=True,
        column_config=numbers,
        height=min(600, 38 + ROW_HEIGHT * lines),
        row_height=ROW_HEIGHT,
        key=f"table_{kind}",
        placeholder="",
    )
    offer_downloads(f"{found.name}-layers", None, found.csv())
    st.write(
        "One line a step of the forward pass, for one image. **Notice** which layers hold the parameters and which "
        "the multiply-adds; they are rarely the same."
    )
    with st.expander("Formula and source"):
        st.latex(
            r"P=C_{out}\left(\tfrac{C_{in}}{g}\,k_h k_w+1\right)\qquad "
            r"\mathrm{MACs}=C_{out}H_{out}W_{out}\tfrac{C_{in}}{g}k_h k_w"
        )
        st.write(
            "Multiply-adds count convolutions and linear layers; papers call them FLOPs. Activation bytes are float32. "
            "The receptive field is propagated through the graph (Araujo, Norris, Sim, Distill 2019). "
            + results.about_text(found.name)
        )


def profile(found: Anatomy, _row: Any) -> None:
    """Memory, parameters and work of every layer as aligned bars."""
    scene = anatomy_charts.profile(found, 900, 520)
    alts = [f"Activations, parameters and multiply-adds of {found.title}"]
    drawing([scene], alts, "profile", narrow=[anatomy_charts.profile(found, NARROW, 520)])
    offer_downloads(f"{found.name}-profile", scene, found.csv())
    st.write(totals_sentence(found))
    st.write(
        "Each line is a layer, first on top; in deep networks a block. **Notice** that memory is spent early, where "
        "maps are large, and parameters late, where channels are many."
    )
    with st.expander("What is counted, and source"):
        st.write(
            "Activations: the values of the image and of the outputs of convolutions, pools and linear layers; norms, "
            "rectifiers and dropout work in place. Bars of one column have one scale that starts at 0. "
            + results.about_text(found.name)
        )


def compare(found: Anatomy, row: Any, names: list[str]) -> None:
    """Two networks: graphs, totals and bars on one scale."""
    partner = results.PARTNERS.get(found.name, "vgg16")
    partner = next(n for n in (partner, *names) if n in names and n != found.name)
    with row:
        other_name = controls.bind(st.selectbox, "Compare with", "with", partner, options=names, width=280)
    other = results.anatomy(other_name)
    both = [found, other]
    graphs = network_graph.network_graphs(both, 620, 420)
    drawing(graphs, [f"Graph of {one.title}" for one in both], "both_graphs", least=0.7)
    st.table(compare_totals(both))
    scale = anatomy_charts.find_peaks(both)
    bars = [anatomy_charts.profile(one, 620, 560, scale) for one in both]
    drawing(bars, [f"Bars of {one.title}" for one in both], "both_bars", least=0.7)
    left, right = st.columns(2)
    with left:
        offer_downloads(f"{found.name}-{other.name}-graphs", place_side_by_side(graphs))
    with right:
        offer_downloads(f"{found.name}-{other.name}-bars", place_side_by_side(bars))
    st.write(
        f"Both networks, each cell a layer; bars of the two share one scale. {results.compare_costs(found, other)}"
    )
    with st.expander("Sources"):
        st.write(results.about_text(found.name))
        st.write(results.about_text(other.name))


def history(row: Any) -> None:
    """The challenge year by year, accuracy against size and cost, the ranking of 2012, or depth to scale."""
    from cnnviz.figures.anatomy.history import bubble_figure, timeline_figure
    from cnnviz.studies.anatomy.history import HUMAN, timeline

    with row:
        chart = controls.bind_choice("Chart", "chart", ["Challenge", "Accuracy, size, cost", *depths.CHARTS])
        newest = False
        if chart == "Accuracy, size, cost":
            newest = controls.bind_choice("torchvision's weights", "recipe", ["First", "Newest"]) == "Newest"
    if chart in depths.CHARTS:
        depths.CHARTS[chart]()
        return
    if chart == "Challenge":
        figure, name, title = timeline_figure(timeline(), HUMAN), "ilsvrc", "The ImageNet challenge year by year"
        table = results.facts_csv([*timeline(), HUMAN])
    else:
        with st.spinner("Reading torchvision's metadata"):
            entries = results.models(newest)
        figure, name, title = bubble_figure(entries), "accuracy-size-cost", "Accuracy, size and cost of networks"
        table = results.facts_csv(entries)
    plot(figure, title, name, shorten_file_name(name))
    offer_downloads(name, None, table)
    if chart == "Challenge":
        st.write(
            "Top-5 error of the ImageNet challenge, 1,000 classes. **Notice** the fall in 2012, and that winners are "
            "ensembles: one network alone is mostly "
            "worse (AlexNet 18.2 against 15.3); VGG's best single network, 7.0, came after the challenge, where seven "
            "of an earlier kind had 7.3. Hover over a bar for its conditions and source."
        )
    else:
        st.write(
            "Each circle is a network. **Notice** VGG-16, far right and large, beaten by networks with a fiftieth of "
            "its work. Figures from papers (rings) were measured under other conditions: hover over one to read them."
        )
    with st.expander("Conditions and sources"):
        st.write(
            "Figures of single networks and ensembles, one crop and many, validation and test set are not comparable; "
            "each says what it is. 16.4 % is five AlexNets without other data, 15.3 % seven with two trained on the "
            "2011 release. The 11.7 % of 2013 are Clarifai's; the academic entry ZF had about 13.5 %. "
            "AlexNet's 17.0 % is ILSVRC-2010 and does not belong beside CNN-F, M and S (16.7, 13.7, 13.1 % on 2012); "
            "NIN's 39.2 % takes several views, its centre crop has 40.64 %. Multiply-adds "
            "and parameters of circles are torchvision's metadata, those of rings are counted from the architecture."
        )
