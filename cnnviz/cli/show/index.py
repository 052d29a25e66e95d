"""`cnnviz show INDEX.npz`: a patch index in words, a layer as a wall, a unit's winners."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.cli.bar import ProgressBar
from cnnviz.cli.common import check_out, open_network, print_json
from cnnviz.errors import BadInput
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.figures.patches.wall import Block
    from cnnviz.index.result import LayerView, PatchIndex

WIDTH = 120  # characters of a line
RULES = ("deconvnet", "guided", "gradient", "none")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what an index is shown by."""
    group = parser.add_argument_group("an index (.npz)")
    group.add_argument("--layer", help="one layer: a line a channel; with --out its wall")
    group.add_argument("--unit", type=int, metavar="CHANNEL", help="one channel of --layer: its winners")
    out = "write what --layer or --unit names as .png or .pdf: patches, and beside them reconstructions"
    group.add_argument("--out", metavar="FILE", type=Path, help=out)
    group.add_argument(
        "--rule", choices=RULES, default="deconvnet", help='of the reconstructions (default: "deconvnet")'
    )
    group.add_argument(
        "--data", help="the images it was made from; not needed for public data, nor for patches kept inside"
    )
    group.add_argument("--weights", help="the weights it was made with, if they are a file")
    group.add_argument("--device", default="auto", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> None:
    """Print the summary, a layer or a unit; write the wall if that was asked for."""
    from cnnviz.index.result import PatchIndex

    if options.layer is None and (options.unit is not None or options.out):
        raise BadInput("--unit and --out belong to a layer: name it with --layer.")
    if options.out and options.out.suffix.lower() not in (".png", ".pdf"):
        raise BadInput(f"--out writes .png or .pdf, got {options.out}.")
    if options.out:
        check_out(options.out)
    index = PatchIndex.load(options.network)
    if options.json:
        print_json(_collect(options, index))
    else:
        _print(options, index)
    if options.out:
        _write(options, _connect(options, index))


def _print(options: argparse.Namespace, index: PatchIndex) -> None:
    from cnnviz.studies.anatomy.text import align_columns
    from cnnviz.studies.channels import tables

    right: tuple[int, ...]
    cut: tuple[int, ...]
    if options.layer is None:
        print("\n".join([options.network, *(f"{name:10} {value}" for name, value in tables.describe_index(index))]))
        table, right, cut = tables.layer_table(index), (1, 2, 3, 5), (0, 7)
    elif options.unit is None:
        table, right, cut = tables.channel_table(index, options.layer), (0, 1, 2, 4, 5), (3, 6)
    else:
        table, right, cut = tables.winner_table(index, options.layer, options.unit), (0, 1), (2, 5)
    lines = align_columns(table, right, [column for column in cut if column < len(table[0])], WIDTH)
    print("\n" + "\n".join([lines[0], "─" * max(len(line) for line in lines), *lines[1:]]))


def _collect(options: argparse.Namespace, index: PatchIndex) -> dict[str, Any]:
    """What the index was built from, and of its layers, or of --layer or --unit, the winners of every channel: each
    with image, position, value and box."""
    if options.layer is None:
        layers = [{"layer": layer, "channels": index.channels(layer)} for layer in index.layers]
        return {"meta": index.meta, "layers": layers}
    channels = range(index.channels(options.layer)) if options.unit is None else [options.unit]
    found = [{"channel": channel, "top": index.top(options.layer, channel)} for channel in channels]
    return {"meta": index.meta, "layer": options.layer, "channels": found}


def _connect(options: argparse.Namespace, index: PatchIndex) -> PatchIndex:
    """The index with its network and images; as it is where it has crops and no images are named."""
    from cnnviz.data.open import NAMES, corpus
    from cnnviz.models.bundled import epoch_of
    from cnnviz.models.load import WORDS
    from cnnviz.models.runs.moment import PREFIX

    meta = index.meta
    if index.embedded and options.data is None:
        return index
    source = options.data or (meta.get("corpus") if meta.get("corpus") in NAMES else None)
    if source is None:
        raise BadInput(
            f"Pictures are cut from the images of {meta.get('corpus')!r}: name them with --data, or build the index "
            "with --embed."
        )
    options.network = meta["model"]
    told = meta["weights"]
    if options.weights is None and (told in WORDS or epoch_of(told) is not None or str(told).startswith(PREFIX)):
        options.weights = meta["weights"]
    if options.weights is None:
        raise BadInput(f"The index was made with the weights {meta['weights']}: name that file with --weights.")
    return index.attached(open_network(options), corpus(source, meta["images"]))


def _write(options: argparse.Namespace, index: PatchIndex) -> None:
    from cnnviz.figures.patches.sheet import caption_room, choose_columns, layer_pages, pdf_bytes, png_bytes
    from cnnviz.store import write_bytes_atomic

    view, meta = index.layer(options.layer), index.meta
    channels = list(range(len(view))) if options.unit is None else [options.unit]
    rule = None if options.rule == "none" or index.source.model is None else options.rule
    columns = choose_columns(len(channels), rule is not None)
    blocks = _blocks(view, channels, rule, caption_room(columns, rule is not None))
    images = plural(meta["images"], "image")
    note = f"top-{meta['k']} of {images} of {meta['corpus']}; {rule or 'patches'}; drawn with cnnviz"
    pages = layer_pages(blocks, f"{meta['model']} · {options.layer}", note, columns)
    write_bytes_atomic(options.out, pdf_bytes(pages) if options.out.suffix.lower() == ".pdf" else png_bytes(pages))
    print(f"\nwritten: {options.out}", file=sys.stderr if options.json else sys.stdout)


def _blocks(view: LayerView, channels: list[int], rule: str | None, room: int) -> list[Block]:
    from cnnviz.figures.patches.blocks import unit_block

    bar, blocks = ProgressBar(), []
    for number, channel in enumerate(channels, 1):
        blocks.append(unit_block(view.unit(channel), rule, room))
        bar.update(number / len(channels), f"{number:,} of {plural(len(channels), 'channel')}")
    bar.clear()
    return blocks
