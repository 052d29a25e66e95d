"""The picture of a network shows every layer once, apart from each other, inside the picture."""

import itertools
from collections import Counter

import pytest
from made_anatomies import dense, inception, residual

from cnnviz.errors import BadInput
from cnnviz.figures.anatomy.block_graph import block_graph
from cnnviz.figures.anatomy.blocks import choose_example_block, group_blocks
from cnnviz.figures.anatomy.network_graph import network_graph, network_graphs, parse_block_item
from cnnviz.figures.anatomy.nodes import build_nodes
from cnnviz.figures.base.colors import CHOSEN
from cnnviz.figures.base.scene import Box, Polyline, Scene, Text
from cnnviz.figures.base.text import text_width
from cnnviz.models.families.stochastic_depth import survival_probabilities
from cnnviz.studies.anatomy.anatomy import anatomy

NAMED = (
    "vgg16 googlenet_2014 resnet34 densenet121 fractalnet_c3b5 highway19_cifar10 lenet5_1998 mobilenet_v3_small "
    "naive_inception inception_v3"
).split()


def boxes(scene: Scene) -> list[Box]:
    """The shapes of cells: they tell about a layer."""
    return [s for s in scene.shapes if isinstance(s, Box) and "\noutput " in s.title]


def texts(scene: Scene) -> list[str]:
    return [s.text for s in scene.shapes if isinstance(s, Text)]


def apart(a: Box, b: Box) -> bool:
    beside = a.x + a.width <= b.x + 0.01 or b.x + b.width <= a.x + 0.01
    return beside or a.y + a.height <= b.y + 0.01 or b.y + b.height <= a.y + 0.01


@pytest.mark.parametrize("name", NAMED)
def test_cells_lie_inside_the_picture_and_apart_from_each_other(name):
    found = anatomy(name)
    block = choose_example_block(found)
    scenes = [network_graph(found, 690, 590, block)] + ([block_graph(found, block, 360)] if block is not None else [])
    for scene in scenes:
        cells = boxes(scene)
        assert cells
        for box in cells:
            assert box.x >= 0 and box.y >= 0
            assert box.x + box.width <= scene.width and box.y + box.height <= scene.height
        assert all(apart(a, b) for a, b in itertools.combinations(cells, 2))
        for text in (s for s in scene.shapes if isinstance(s, Text)):
            wide = text_width(text.text, text.size, text.bold)
            left = text.x - {"start": 0, "middle": wide / 2, "end": wide}[text.anchor]
            assert left >= -1 and left + wide <= scene.width + 1, text.text


@pytest.mark.parametrize("block", ["Mixed_6b", "Mixed_7b"])  # 7b: two concatenations inside the last one
def test_inner_concatenations_cover_their_own_branches_alone(block):
    found = anatomy("inception_v3")
    number = [b.block for b in found.blocks].index(block)
    cells = boxes(block_graph(found, number, 360))
    assert all(apart(a, b) for a, b in itertools.combinations(cells, 2))
    assert len(cells) == sum(cell.block == number for cell in build_nodes(found))


def test_a_narrow_cell_says_what_it_is_with_fewer_words():
    found = anatomy("inception_v3")
    said = texts(block_graph(found, [b.block for b in found.blocks].index("Mixed_7b"), 360))
    assert {"1×1", "3×1", "avg", "concat: 768", "concat: 2048 maps"} <= set(said)
    assert not any(text.startswith("…") for text in said)


@pytest.mark.parametrize("name", NAMED)
def test_the_overview_of_an_ordinary_network_fits_into_its_room(name):
    assert network_graph(anatomy(name), 1070, 590).height <= 610


def test_every_layer_is_drawn_once_when_nothing_is_folded():
    found = anatomy("resnet34")
    titles = Counter(box.title.split(":")[0] for box in boxes(network_graph(found, repeats="all")))
    main = [r.layer for r in found.rows if r.kind in ("conv", "linear", "pool", "add")]
    assert titles == Counter(main)


def test_folded_blocks_count_up_to_all_of_them():
    found = residual(9)
    units = group_blocks(found, True)
    assert [u.repeat for u in units] == [1, 9, 1] and [len(u.blocks) for u in units] == [1, 9, 1]
    assert "× 9" in texts(network_graph(found, repeats="folded"))
    assert not any(t.startswith("× ") for t in texts(network_graph(found, repeats="all")))


def test_six_hundred_blocks_are_folded_by_stage():
    scene = network_graph(anatomy("resnet110_cifar"), 690, 590)
    assert {"× 18", "× 17"} <= set(texts(scene)) and scene.height <= 610
    many = residual(150)
    assert "× 150" in texts(network_graph(many, repeats="all"))  # too many to draw, asked for or not


def test_two_compared_networks_fold_alike():
    found = [residual(2), residual(9)]
    assert ["× 9" in texts(scene) for scene in network_graphs(found, 300, 200)] == [False, True]
    twins = network_graphs([anatomy("plain34"), anatomy("resnet34_a")], 620, 420)
    assert [any(t == "× 5" for t in texts(scene)) for scene in twins] == [True, True]


def test_a_residual_block_shows_its_plus_and_a_way_around():
    scene = network_graph(residual())
    assert "+" in texts(scene)
    skips = [s for s in scene.shapes if isinstance(s, Polyline) and s.arrow and s.width > 1.5]
    assert len(skips) == 1
    (conv1, conv2) = [b for b in boxes(scene) if ".conv" in b.title]
    (skip,) = skips
    assert min(y for _, y in skip.points) < min(conv1.y, conv2.y)  # above the branch
    assert skip.points[0][0] < conv1.x and skip.points[-1][0] > conv2.x + conv2.width


def test_the_four_branches_of_an_inception_module_end_at_one_concatenation():
    cells = boxes(network_graph(inception(), chosen=1))
    (join,) = [b for b in cells if b.title.startswith("mix cat")]
    ends = [b for b in cells if b.title.startswith(("mix.a_one", "mix.b:", "mix.c:", "mix.d_one"))]
    assert len({round(b.y) for b in ends}) == 4
    assert all(b.x + b.width < join.x and join.y <= b.y and b.y + b.height <= join.y + join.height for b in ends)


@pytest.mark.parametrize("layers", [5, 12])
def test_a_dense_block_shows_every_connection(layers):
    found = dense(layers)
    (unit,) = [u for u in group_blocks(found, True) if u.dense]
    wires = len(unit.layout.routes) + len(unit.layout.skips)
    assert len(unit.cells) == layers and wires == layers * (layers + 1) // 2
    titled = [b for b in boxes(network_graph(found)) if b.item]
    assert len({b.item for b in titled}) == layers + 1  # each layer can be chosen, and the stem


def test_the_chosen_block_is_framed_and_a_click_names_it():
    found = residual(2)
    scene = network_graph(found, chosen=2)
    (frame,) = [s for s in scene.shapes if isinstance(s, Box) and s.stroke == CHOSEN]
    assert found.blocks[parse_block_item(frame.item)].block == "layer1"
    assert parse_block_item("block:x") is None and parse_block_item("layer:3") is None


def test_the_line_of_map_sizes_is_that_of_the_paper():
    sizes = [s.text for s in network_graph(anatomy("vgg16")).shapes if isinstance(s, Text) and s.bold][1:]
    assert list(dict.fromkeys(sizes)) == ["224×224", "112×112", "56×56", "28×28", "14×14", "7×7", "vector"]


def test_a_block_in_large_names_its_layers_and_where_they_read():
    found = anatomy("googlenet_2014")
    number = next(i for i, b in enumerate(found.blocks) if b.block == "inception3a")
    words = texts(block_graph(found, number, 460))
    for label in ("1×1 conv, 64", "3×3 conv, 128", "5×5 conv, 32", "concat: 256 maps", "output 28×28×256"):
        assert label in words
    assert any(w.startswith("from ") for w in words)
    assert any("164 k parameters" in w for w in words)


def test_a_block_that_is_not_there_is_refused():
    with pytest.raises(BadInput, match="blocks 0 to 2, got 7"):
        block_graph(residual(), 7)


def test_a_block_that_is_drawn_with_its_reader_has_no_picture_of_its_own():
    with pytest.raises(BadInput, match="stage1.drop"):
        block_graph(anatomy("maxout_mnist"), 0)


def test_the_telling_block_is_one_with_branches():
    assert choose_example_block(inception()) == 1 and choose_example_block(anatomy("vgg16")) is None
    found = dense(6)
    assert found.blocks[choose_example_block(found)].block == "block.layer3"


def test_cells_of_branches_without_a_module_of_their_own_are_drawn_as_one_block():
    (unit,) = group_blocks(anatomy("naive_inception"), True)
    assert unit.merged and len(unit.cells) == len(build_nodes(anatomy("naive_inception"))) == 5


def test_folded_blocks_that_survive_with_other_probabilities_say_so():
    survival = survival_probabilities(54)
    units = [unit for unit in group_blocks(anatomy("stochastic_depth110"), True) if unit.repeat > 1]
    for unit, (first, last) in zip(units, ((0, 17), (19, 35), (37, 53)), strict=True):
        assert unit.varied and f"× {survival[first]:.3g} … {survival[last]:.3g}" in " ".join(
            c.notes for c in unit.cells
        )
    drawn = " ".join(texts(network_graph(anatomy("stochastic_depth110"), 1070, 590, None, True)))
    assert "× 18, factors differ" in drawn
    assert not any(unit.varied for unit in group_blocks(anatomy("resnet110_cifar"), True))


def test_the_output_of_lenet_5_of_1998_is_a_distance():
    assert anatomy("lenet5_1998").rows[-1].detail == "− squared distance to fixed codes"
