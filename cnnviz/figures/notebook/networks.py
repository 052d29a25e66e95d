"""Notebook HTML of a network, its anatomy, its first-layer filters and its receptive fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnviz.figures.anatomy.network_graph import network_graph
from cnnviz.figures.anatomy.nodes import shape_text
from cnnviz.figures.anatomy.tables import layer_table
from cnnviz.figures.base.charts import count_text, preprocessing_sentence, signed_tiles
from cnnviz.figures.base.colors import CHOSEN, GREY
from cnnviz.figures.base.mosaic import tiles_mosaic
from cnnviz.figures.base.scene import Box, Scene
from cnnviz.figures.base.text import size_text
from cnnviz.figures.notebook.parts import card, drawing, facts, fold, picture, table, words
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.models.model import LoadedModel
    from cnnviz.probes.filters import FirstLayerFilters
    from cnnviz.studies.anatomy.rows import Anatomy
    from cnnviz.tracing.receptive_field import ReceptiveField

GRAPH = (880.0, 420.0)  # pixels of a network's drawing
MOST_GRAPH = 600_000  # characters; a larger drawing is left to the app
FILTERS = 150  # shown; a perceptron may have thousands
FIELD = 220  # pixels of the drawing of a field
PALE, EDGE, FRAME, NEXT = "#eceef1", "#a0a9b5", CHOSEN, GREY


def model_html(model: LoadedModel) -> str:
    """What was loaded, from where, and which layers there are to look at."""
    names = model.class_names
    classes = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    kinds = {kind: len(model.layers(kind)) for kind in ("conv", "pool", "linear", "block")}
    amounts = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    warnings = model.report.warnings if model.report else []
    said = [
        ("weights", model.origin),
        ("parameters", count_text(sum(p.numel() for p in model.module.parameters()))),
        ("input", preprocessing_sentence(model.preprocessing.as_dict())),
        ("classes", f"{len(names):,}: {classes}" if names else ""),
        ("device", str(model.device)),
    ]
    layers = fold(f"Layers to look at: {amounts}", words(", ".join(model.layers())))
    return card(model.name, facts(said), *(words(warning, faint=True) for warning in warnings), layers)


def anatomy_html(anatomy: Anatomy) -> str:
    """The network drawn, its totals, and its layer table to unfold."""
    said = [
        ("input", shape_text(anatomy.input_size)),
        ("depth", f"{anatomy.depth} convolutions and linear layers on the longest path"),
        ("parameters", f"{anatomy.parameters:,}"),
        ("multiply-adds", f"{anatomy.macs:,} for one image"),
        ("activations", f"{anatomy.activations:,}, {anatomy.activation_bytes / 1e6:,.2f} MB as float32"),
    ]
    scene = network_graph(anatomy, *GRAPH)
    svg = scene.svg()
    if len(svg) > MOST_GRAPH:
        graph = words("The drawing of this network is large: see the page Anatomy of the app.", faint=True)
    else:
        graph = drawing(svg, (scene.width, scene.height), f"{anatomy.title}, layer by layer")
    columns = layer_table(anatomy)
    lines = [list(columns), *([_format_cell(v) for v in row] for row in zip(*columns.values(), strict=True))]
    listing = fold(
        f"{plural(len(anatomy.rows), 'layer')}, counts of one image", table(lines, right=range(2, len(columns)))
    )
    return card(anatomy.title, facts(said), graph, listing)


def filters_html(filters: FirstLayerFilters) -> str:
    """The kernels as pictures."""
    count, channels, high, wide = filters.weights.shape
    tiles = signed_tiles(filters.tiles[:FILTERS])
    zero = "mid-gray is 0" if filters.tiles.shape[3] == 3 else "white is 0, blue below, red above"
    top, least = float(filters.scale.max()), float(filters.scale.min())
    reach = f"±{top:.3f}" if top == least else f"±{least:.3f} to ±{top:.3f}, each filter its own"
    mosaic = tiles_mosaic(tiles, width=640, height=360)
    said = [("kernels", f"{count} of {channels}×{high}×{wide}"), ("colours", f"{zero}, full contrast is {reach}")]
    more = words(f"The first {FILTERS} of {count:,} are shown.", faint=True) if count > FILTERS else ""
    return card(f"First-layer filters, {filters.layer}", facts(said), picture(mosaic.png, mosaic.size, "Filters"), more)


def field_html(field: ReceptiveField) -> str:
    """The field of the unit in the middle on the network's input, its right neighbour's beside it."""
    said = [
        ("size", f"{size_text(field.size)} pixels, padding included"),
        ("stride", f"{size_text(field.stride)} pixels from one unit to the next" if max(field.stride) else "none"),
        ("padding", f"{size_text(field.padding)} pixels outside the image at unit (0, 0)"),
        ("map", f"{size_text(field.shape)} units"),
        ("input", f"{size_text(field.input_size)} pixels"),
    ]
    scene = _draw_field(field)
    note = "Gray: the input. Orange: what the unit in the middle sees. Dark: its neighbour to the right."
    picture = drawing(scene.svg(), (scene.width, scene.height), note)
    return card(f"Receptive field of {field.layer}", facts(said), picture, words(note, faint=True))


def _draw_field(field: ReceptiveField) -> Scene:
    row, col = field.shape[0] // 2, field.shape[1] // 2
    beside = min(col + 1, field.shape[1] - 1)
    boxes = [(0, 0, *field.input_size), field.box(row, beside, clip=False), field.box(row, col, clip=False)]
    top, left = (min(box[i] for box in boxes) for i in (0, 1))
    scale = FIELD / max(max(box[i + 2] for box in boxes) - start for i, start in ((0, top), (1, left)))
    bottom, right = (max(box[i] for box in boxes) for i in (2, 3))
    scene = Scene((right - left) * scale + 4, (bottom - top) * scale + 4)
    looks = [(PALE, EDGE, 1.0), ("none", NEXT, 1.0), ("none", FRAME, 2.0)]
    for (upper, start, lower, end), (fill, stroke, line) in zip(boxes, looks, strict=True):
        place = 2 + (start - left) * scale, 2 + (upper - top) * scale
        scene.add(Box(*place, max((end - start) * scale, 1), max((lower - upper) * scale, 1), fill, stroke, line))
    return scene


def _format_cell(value: object) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
