"""Tables and diagrams of families: every cell is inside, marks stand where figures do not hold, arcs are counted."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from cnnviz.figures.base.scene import Box, Polyline, Scene, Text
from cnnviz.figures.base.text import text_width
from cnnviz.figures.families import rows
from cnnviz.figures.families.diagrams import chain_scene, connections_scene, dense_scene, towers_scene
from cnnviz.figures.families.masks import mask_strip
from cnnviz.figures.families.table import CHANGED, WRONG, TableCell, bars_scene, table_scene
from cnnviz.studies.families.cifar_errors import MEASURES, cifar_results
from cnnviz.studies.families.dense_block import dense_wiring
from cnnviz.studies.families.inception import auxiliary_cost, googlenet_rows
from cnnviz.studies.families.layer_tables import vgg_configurations, zfnet_changes
from cnnviz.studies.families.lenet_c3 import c3_connections
from cnnviz.studies.families.residual_units import shortcut_variants, unit_orders
from cnnviz.studies.families.towers import alexnet_towers

WIDTHS = (690.0, 1070.0)


def texts(scene: Scene) -> list[str]:
    return [shape.text for shape in scene.shapes if isinstance(shape, Text)]


def reaches_out(scene: Scene) -> list[str]:
    """Texts that reach beyond the paper."""
    out = []
    for shape in scene.shapes:
        if isinstance(shape, Text):
            wide = text_width(shape.text, shape.size, shape.bold)
            left = shape.x - {"start": 0.0, "middle": 0.5, "end": 1.0}[shape.anchor] * wide
            if left < -1 or left + wide > scene.width + 1 or not 0 <= shape.y <= scene.height:
                out.append(shape.text)
    return out


def all_tables() -> dict[str, list]:
    orders = unit_orders()
    return {
        "vgg": rows.configuration_rows(vgg_configurations()),
        "zfnet": rows.change_rows(zfnet_changes(), ("kernel", "stride", "parameters", "multiply-adds")),
        "googlenet": rows.printed_rows(googlenet_rows(), auxiliary_cost()),
        "shortcuts": rows.shortcut_rows(shortcut_variants(), "gate_6", 54),
        "orders": rows.order_rows(orders, orders[0]),
        "cifar": rows.cifar_rows(cifar_results(), MEASURES),
    }


@pytest.mark.parametrize("width", WIDTHS)
def test_no_table_reaches_beyond_its_paper_and_no_cell_into_the_next(width):
    for name, table in all_tables().items():
        scene = table_scene(table, width)
        assert reaches_out(scene) == [], name
        assert len(texts(scene)) == sum(map(len, table)), name
        drawn = ET.fromstring(scene.svg())
        assert float(drawn.get("width")) == width


def test_columns_are_as_wide_as_their_longest_words():
    scene = table_scene([["a", "b"], ["long words of a cell", "1"], ["x", "22"]], 300.0, left=1)
    first = [s for s in scene.shapes if isinstance(s, Text) and s.anchor == "start"]
    last = [s for s in scene.shapes if isinstance(s, Text) and s.anchor == "end"]
    ends = max(s.x + text_width(s.text, s.size, s.bold) for s in first)
    assert ends < min(s.x - text_width(s.text, s.size, s.bold) for s in last)
    assert len({s.size for s in (*first, *last)}) == 1
    with pytest.raises(ValueError, match="argument"):
        table_scene([["a", "b"], ["c"]])


def test_flags_of_googlenet_stand_on_the_printed_cells():
    table = rows.printed_rows(googlenet_rows(), auxiliary_cost())
    marked = [cell.text for row in table for cell in row if isinstance(cell, TableCell) and cell.fill == WRONG]
    assert marked == ["2.7K", "34M", "364K", "463K", "580K", "840K", "1072K", "54M", "1388K"]
    words = [cell.text if isinstance(cell, TableCell) else cell for row in table for cell in row]
    for text in ("6,998,552", "13,378,280", "6,797.7K", "1,502M", "1,582.67M"):
        assert text in words


def test_what_a_configuration_adds_is_bold_and_marked():
    table = rows.configuration_rows(vgg_configurations(["D", "E"]))
    marked = [cell for row in table for cell in row if isinstance(cell, TableCell) and cell.fill == CHANGED]
    assert [cell.text for cell in marked] == ["conv3-256", "conv3-512", "conv3-512"] and all(c.bold for c in marked)


def test_small_products_are_written_as_powers_of_ten():
    assert [rows.product_text(v) for v in (1.0, 0.0, 0.8748639, 2.0**-54)] == ["1", "0", "0.875", "5.55·10^−17"]


def test_a_click_on_a_row_of_shortcuts_and_orders_chooses_it():
    orders = unit_orders()
    for table, keys in (
        (rows.shortcut_rows(shortcut_variants(), "conv", 54), [one.key for one in shortcut_variants()]),
        (rows.order_rows(orders, orders[1]), [one.name for one in orders]),
    ):
        items = [s.item for s in table_scene(table).shapes if isinstance(s, Box) and s.item]
        assert list(dict.fromkeys(items)) == keys


@pytest.mark.parametrize("width", WIDTHS)
def test_diagrams_stay_on_their_paper(width):
    scenes = [
        connections_scene(c3_connections(), width, 3),
        towers_scene(alexnet_towers(), width),
        *(dense_scene(dense_wiring(layers, 64, 32), width) for layers in (1, 5, 12)),
        chain_scene(["conv", "BN", "ReLU"] * 5, [7, 13], [(2, 7), (8, 13)], width),
        bars_scene([("AlexNet", 232.6, "232.6 MiB"), ("none", 0.0, "0")], width),
    ]
    for scene in scenes:
        assert reaches_out(scene) == []


def test_c3s_picture_has_a_filled_cell_for_each_of_the_60_connections():
    found = c3_connections()
    boxes = [s for s in connections_scene(found, chosen=15).shapes if isinstance(s, Box) and s.item]
    filled = [box for box in boxes if box.fill != "#ffffff"]
    assert len(boxes) == 96 and len(filled) == 60
    assert len({box.item for box in filled if box.fill == filled[-1].fill}) == 1  # the chosen map has its own colour


def test_only_crossing_layers_have_lines_between_the_towers():
    lines = [s for s in towers_scene(alexnet_towers()).shapes if isinstance(s, Polyline)]
    assert sum(line.points[0][1] != line.points[1][1] for line in lines) == 2 * 4  # conv3, fc6, fc7, fc8


def test_a_dense_block_has_a_line_for_every_connection():
    lines = [s for s in dense_scene(dense_wiring(5, 24, 12)).shapes if isinstance(s, Polyline)]
    assert len(lines) == 15


def test_a_mask_is_drawn_from_0_to_1_and_its_product_on_the_scale_of_the_map():
    main, mask = np.full((4, 4), -2.0), np.zeros((4, 4))
    strip = mask_strip(main, mask, main * mask, "g")
    assert {"−2", "2", "0", "1", "mask g"} <= {text for *_, text in strip.words}
