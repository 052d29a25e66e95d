"""Notebook HTML of a patch index, of one of its layers and of one of its units."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.device import describe_precision
from cnnviz.errors import CnnvizError
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.figures.base.text import shorten
from cnnviz.figures.notebook.parts import card, facts, fold, picture, table, words
from cnnviz.figures.patches.context import LETTERS, WinnerPictures, winners_sheet
from cnnviz.figures.patches.patch_wall import patches_png
from cnnviz.figures.patches.wall import crisp_side, reconstruction_rgb
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.index.records import Winner
    from cnnviz.index.result import LayerView, PatchIndex, UnitView

SMALL, WALL, COLUMNS = 6, 12, 6  # channels of an index's wall and of a layer's, beside each other
PATCH, WHOLE = 40, 84  # pixels of a patch on a wall, of a picture of a unit
PATCHES = 9  # of a channel, whatever k is
SECONDS = 0.5  # after which a wall ends: a cell must not wait for slow disks
PICTURES = (CnnvizError, OSError, RuntimeError)  # a lost file, a full device: the records are shown all the same
_Block = tuple[list[np.ndarray], list[str]]  # patches of a channel, and the words below them
VALUES = "each layer's own output; a convolution's before its ReLU"


def index_html(index: PatchIndex) -> str:
    """What was searched, how, every layer in a line, and a small wall of the layer in the middle."""
    views = [index.layer(name) for name in index.layers]
    lines = [_list_layer(view) for view in views]
    header = ["layer", "channels", "field", "strongest", "its value", "dead"]
    channels = sum(len(view) for view in views)
    title = f"Patch index of {index.meta.get('model', 'a network')} over {index.meta.get('corpus', 'images')}"
    listing = fold(
        f"{plural(len(views), 'layer')}, {plural(channels, 'channel')}", table([header, *lines], right=(1, 2, 3, 4, 5))
    )
    wall = _draw_strongest(views[len(views) // 2], SMALL) if views else ""
    return card(title, facts(_describe_run(index)), listing, wall)


def layer_html(view: LayerView) -> str:
    """The wall of a layer's strongest channels; their records where there are no pictures."""
    height, width = view.field or (0, 0)
    said = [
        ("channels", f"{len(view):,}; {int(view.index.dead(view.layer).sum()):,} of them dead"),
        ("receptive field", f"{height}×{width} pixels" if view.field else ""),
        ("images", _describe_images(view.index)),
    ]
    return card(
        f"{view.layer} of {view.index.meta.get('model', 'a network')}", facts(said), _draw_strongest(view, WALL)
    )


def unit_html(unit: UnitView) -> str:
    """A unit's winners in the whole image, as patches and projected back, and their records."""
    best, labels = unit.winners, unit.index.meta.get("labels") or {}
    said = [("receptive field", _pixels(best[0].full_box) if best else ""), ("images", _describe_images(unit.index))]
    title = f"{unit.name} of {unit.index.meta.get('model', 'a network')}"
    if not best:
        return card(title, facts(said), words("No image won: none was searched."))
    records = table(
        [["", "value", "image", "class", "unit", "pixels (top, left, bottom, right)"]]
        + [[str(n + 1), *_list_record(winner, labels)] for n, winner in enumerate(best)],
        right=(0, 1),
    )
    pictures, why = _draw_winners(unit)
    shown = fold("Records", records) if pictures else records
    return card(title, facts(said), pictures, words(why, faint=True) if why else "", shown)


def _describe_run(index: PatchIndex) -> list[tuple[str, str]]:
    meta = index.meta
    weights = f", {meta['weights']} weights" if meta.get("weights") else ""
    agreed = meta.get("screening") and "float32, screened in bfloat16: exact"
    crops = f"inside, at most {plural(meta['embedded'], 'pixel')}" if meta.get("embedded") else ""
    return [
        ("network", f"{meta.get('model', '?')}{weights}"),
        ("images", _describe_images(index)),
        ("winners", f"{meta['k']} a channel, one an image" if meta.get("k") else ""),
        ("precision", agreed or describe_precision(meta)),
        ("values", VALUES),
        ("crops", crops),
    ]


def _describe_images(index: PatchIndex) -> str:
    meta = index.meta
    total, seen = meta.get("images", 0), meta.get("next", 0)
    over = f"{total:,} of {meta.get('corpus', '?')}"
    if not index.complete:
        over = f"{seen:,} of the {over}: not complete"
    return f"{over}; {len(meta['skipped']):,} could not be read" if meta.get("skipped") else over


def _list_layer(view: LayerView) -> list[str]:
    best = view.strongest(1)
    value = value_text(float(view.index.strength(view.layer)[best[0]])) if best else ""
    field = f"{view.field[0]}×{view.field[1]}" if view.field else ""
    dead = int(view.index.dead(view.layer).sum())
    return [view.layer, f"{len(view):,}", field, f"channel {best[0]}" if best else "", value, str(dead or "")]


def _draw_strongest(view: LayerView, most: int) -> str:
    """The wall of the strongest channels, or their records and why there is no wall."""
    channels = view.strongest(most)
    try:
        blocks = _collect_blocks(view, channels)
    except PICTURES as error:
        return words(f"No pictures: {error}") + _list_records(view, channels)
    if not any(patches for patches, _words in blocks):
        return words("No image won: none was searched.")
    png, size = patches_png(blocks, COLUMNS, _choose_side(blocks))
    shown = f"{view.layer}: the {len(blocks)} strongest of {plural(len(view), 'channel')}, nine patches each"
    return words(shown) + picture(png, size, shown)


def _collect_blocks(view: LayerView, channels: Sequence[int]) -> list[_Block]:
    labels, started = view.index.meta.get("labels") or {}, time.monotonic()
    blocks: list[_Block] = []
    for channel in channels:
        if blocks and time.monotonic() - started > SECONDS:
            break
        unit = view.unit(channel)
        patches, best = [to_rgb(patch) for patch in unit.patches(PATCHES)], unit.winners
        reach = f"channel {channel}: {value_text(best[0].value)}" if best else f"channel {channel}"
        label = labels.get(str(best[0].image), "") if best else ""
        blocks.append((patches, [reach, label] if labels else [reach]))
    return blocks


def _choose_side(blocks: Sequence[_Block]) -> int:
    height, width = np.max([patch.shape[:2] for patches, _words in blocks for patch in patches], axis=0)
    return crisp_side((int(height), int(width)), (int(height), int(width)), PATCH)


def _list_records(view: LayerView, channels: Sequence[int]) -> str:
    labels = view.index.meta.get("labels") or {}
    best = {channel: view.unit(channel).winners for channel in channels}
    lines = [[str(channel), *_list_record(winners[0], labels)] for channel, winners in best.items() if winners]
    header = ["channel", "value", "strongest image", "class", "unit", "pixels (top, left, bottom, right)"]
    return table([header, *lines], right=(0, 1))


def _list_record(winner: Winner, labels: dict[str, str]) -> list[str]:
    place, box = f"({winner.row}, {winner.col})", ", ".join(map(str, winner.box))
    return [value_text(winner.value), winner.image_id, labels.get(str(winner.image), ""), place, f"({box})"]


def _draw_winners(unit: UnitView) -> tuple[str, str]:
    """The picture of a unit, and what is missing of it and why; each may be empty."""
    try:
        images, patches = unit.images(PATCHES), unit.patches(PATCHES)
    except PICTURES as error:
        return _draw_crops(unit, str(error))
    low: list[np.ndarray] | list[None] = [None] * len(images)
    why = ""
    try:
        low = [reconstruction_rgb(signal) for signal in unit.reconstructions(most=PATCHES)]
    except PICTURES as error:
        why = f"No reconstructions: {error}"
    seen = [
        WinnerPictures(
            to_rgb(image), winner.box, to_rgb(patch), signal, (value_text(winner.value), _shorten_name(winner.image_id))
        )
        for image, winner, patch, signal in zip(images, unit.winners, patches, low, strict=False)
    ]
    sheet = winners_sheet(seen, WHOLE)
    return picture(sheet.png, sheet.size, f"The strongest images of {unit.name}"), why


def _draw_crops(unit: UnitView, why: str) -> tuple[str, str]:
    """What can be shown without the images."""
    try:
        patches = [to_rgb(patch) for patch in unit.patches(PATCHES)]
    except PICTURES:
        return "", f"No pictures: {why}"
    blocks: list[_Block] = [(patches, [])]
    png, size = patches_png(blocks, 1, _choose_side(blocks))
    return picture(png, size, f"Patches of {unit.name}"), f"Crops kept inside the index; the images are not here: {why}"


def _shorten_name(name: str) -> str:
    return shorten(name, LETTERS, WHOLE)


def _pixels(box: tuple[int, int, int, int]) -> str:
    return f"{box[2] - box[0]}×{box[3] - box[1]} pixels"
