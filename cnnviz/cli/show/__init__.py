"""Show a network: source, published result, and what each layer costs for one image; or show a patch index.

NETWORK is an architecture of `cnnviz list`, a network of another zoo ("timm:resnet18") or a weights file.
Two networks are set side by side, block by block. MACs are multiply-adds of convolutions and linear
layers, memory is that of the output as float32, field the receptive field in pixels.

INDEX.npz is what `cnnviz index` wrote, also while it is being written: its summary; with --layer a line a
channel; with --layer and --unit that channel's winners; with --out the pictures. With --maximize, of a network,
the images that its channels or classes prefer.

  cnnviz show squeezenet.npz
  cnnviz show squeezenet.npz --layer features.3.squeeze --out wall.pdf --data photographs/
  cnnviz show squeezenet.npz --layer features.3.squeeze --unit 7
  cnnviz show resnet20_cifar --layer layer2.1 --unit 7 --maximize --out preferred.png
  cnnviz show resnet20_cifar --maximize --out classes.pdf"""

from __future__ import annotations

import argparse
import sys
from itertools import zip_longest
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from cnnviz.cli.common import add_json, add_labelled, check_out, print_json
from cnnviz.cli.show import index, preferred
from cnnviz.errors import BadInput
from cnnviz.store import write_bytes_atomic
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.anatomy.rows import Anatomy

WIDTH = 120  # characters of a line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("network", metavar="NETWORK|INDEX.npz", help="an architecture, a weights file or an index")
    parser.add_argument("other", metavar="OTHER", nargs="?", help="a second one, to be set beside the first")
    parser.add_argument("--blocks", action="store_true", help="one line a block instead of one a layer")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write the layer table, every figure to the unit")
    parser.add_argument("--graph", metavar="FILE.svg", type=Path, help="write a drawing of the network, .svg or .png")
    add_labelled(parser)
    add_json(parser, "every figure to the unit")
    index.add_arguments(parser)
    preferred.add_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Print the tables; write the files that were asked for."""
    if options.network.lower().endswith(".npz"):
        if options.other or options.blocks or options.csv or options.graph or options.maximize:
            raise BadInput(
                "OTHER, --blocks, --csv, --graph and --maximize are of networks: an index is shown by --layer and "
                "--unit."
            )
        index.run(options)
        return
    if options.maximize:
        if options.other or options.blocks or options.csv or options.graph:
            raise BadInput("--maximize makes images: OTHER, --blocks, --csv and --graph are of the table of layers.")
        preferred.run(options)
        return
    if options.layer is not None or options.unit is not None or options.out:
        raise BadInput(
            f"--layer, --unit and --out show an index, an .npz file; {options.network} is a network. "
            "Its preferred inputs are made with --maximize."
        )
    if options.graph and options.graph.suffix.lower() not in (".svg", ".png"):
        raise BadInput(f"--graph writes .svg or .png, got {options.graph}.")
    if options.other and (options.csv or options.graph):
        raise BadInput("--csv and --graph write one network. Name one, not two.")
    for out in filter(None, (options.csv, options.graph)):
        check_out(out)
    first = _find_anatomy(options.network, options.labelled)
    other = _find_anatomy(options.other, options.labelled) if options.other else None
    if options.json:
        print_json([first, other] if other else first)
    elif other:
        _print_comparison(first, other)
    else:
        _describe(options.network, first)
        _print_table(first, "blocks" if options.blocks else "layers")
        _print_totals(first)
        _print_cards(options.network)
    if options.csv:
        write_bytes_atomic(options.csv, first.csv().encode())
    if options.graph:
        _draw(first, options.graph)
    for out in filter(None, (options.csv, options.graph)):
        print(f"\nwritten: {out}", file=sys.stderr if options.json else sys.stdout)


def _find_anatomy(network: str, labelled: str | None) -> Anatomy:
    from cnnviz.studies.anatomy.anatomy import anatomy

    if not Path(network).is_file():
        return anatomy(network)
    from cnnviz.models.load import load

    return anatomy(load(None, network, "cpu", labelled=labelled))


def _describe(network: str, found: Anatomy) -> None:
    from cnnviz.models.catalogue.registry import find

    print(f"{found.name}: {found.title}")
    if Path(network).is_file():
        return
    entry = find(network)
    said = {"source": entry.source, "year": entry.year or "", "published": entry.published, "note": entry.note}
    for word, text in said.items():
        if text:
            print(_fold_line(f"{word:11} {text}"))


def _fold_line(line: str) -> str:
    """A long line in several, the later ones below its text; addresses stay whole."""
    words = fill(line, WIDTH, subsequent_indent=" " * 12, break_long_words=False, break_on_hyphens=False)
    return words if len(line) > WIDTH else line


def _print_table(found: Anatomy, kind: str) -> None:
    from cnnviz.studies.anatomy.text import align_columns

    columns = {"layers": ((0, 4, 5, 6, 7), (8, 1, 2)), "blocks": ((3, 4, 5, 6, 7), (0, 1))}
    right, cut = columns[kind]
    lines = align_columns(found.table(kind), right, cut, WIDTH)
    print("\n" + "\n".join([lines[0], "─" * max(len(line) for line in lines), *lines[1:]]))


def _print_totals(found: Anatomy) -> None:
    from cnnviz.studies.anatomy.text import format_size, format_total_memory

    print(f"\ninput {format_size(found.input_size)}, {plural(found.depth, 'layer')} deep")
    print(f"{plural(found.parameters, 'parameter')}, {found.weights:,} without biases and norms")
    print(f"{found.macs:,} multiply-adds for one image")
    print(
        f"{found.activations:,} activations, {format_total_memory(found.activations)} as float32: "
        "input and outputs of convolutions, pools, linear layers"
    )


def _print_cards(network: str) -> None:
    from cnnviz.models.catalogue.cards import cards

    if Path(network).is_file():
        return
    for card in cards(network):
        print()
        for line in card.lines():
            print(_fold_line(line))


def _draw(found: Anatomy, path: Path) -> None:
    from cnnviz.figures.anatomy.network_graph import network_graph

    scene = network_graph(found)
    write_bytes_atomic(path, scene.png() if path.suffix.lower() == ".png" else scene.svg().encode())


def _print_comparison(left: Anatomy, right: Anatomy) -> None:
    """Totals, then the blocks of both networks next to each other in the order of the pass."""
    from cnnviz.studies.anatomy.text import align_columns, format_count, format_memory, format_size, format_total_memory

    totals = [["", left.name, right.name]] + [
        [word, said(left), said(right)]
        for word, said in (
            ("title", lambda a: a.title),
            ("input", lambda a: format_size(a.input_size)),
            ("depth", lambda a: str(a.depth)),
            ("parameters", lambda a: f"{a.parameters:,}"),
            ("MACs", lambda a: f"{a.macs:,}"),
            ("activations", lambda a: f"{a.activations:,}"),
            ("memory", lambda a: format_total_memory(a.activations)),
        )
    ]
    print("\n".join(align_columns(totals, (), (1, 2), WIDTH)))
    halves = [
        [["block", "output", "param.", "MACs", "memory"]]
        + [
            [
                b.block,
                format_size(b.output),
                format_count(b.parameters),
                format_count(b.macs),
                format_memory(b.activations),
            ]
            for b in a.blocks
        ]
        for a in (left, right)
    ]
    columns = [align_columns(half, (2, 3, 4), (0, 1), (WIDTH - 3) // 2) for half in halves]
    room = max(len(line) for line in columns[0])
    print()
    for one, two in zip_longest(*columns, fillvalue=""):
        print(f"{one.ljust(room)} │ {two}".rstrip())
