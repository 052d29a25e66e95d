"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cnnviz.cli.bar import Bar

if TYPE_CHECKING:
    from cnnviz.models.loaded import LoadedModel


def add_network(parser: argparse.ArgumentParser) -> None:
    """NETWORK, --weights and --device."""
    parser.add_argument("network", metavar="NETWORK", help="an architecture of `cnnviz list`, or a weights file")
    parser.add_argument(
        "--weights", help='"bundled", "pretrained", "random" or a file; default: bundled, else pretrained, else random'
    )
    parser.add_argument("--device", default="auto", help='"auto", "cpu", "cuda", "cuda:1", "mps" (default: auto)')


def open_network(options: argparse.Namespace) -> LoadedModel:
    """Load what add_network's arguments ask for, with a bar while weights are downloaded."""
    from cnnviz.models.bundled import bundled
    from cnnviz.models.load import load
    from cnnviz.models.registry import find

    if Path(options.network).is_file():
        return _reported(load(None, options.network, options.device))
    weights = options.weights
    if weights is None and options.network not in bundled() and find(options.network).pretrained:
        weights = "pretrained"
    bar = Bar()
    model = load(options.network, weights, options.device, progress=lambda done, total: _downloading(bar, done, total))
    bar.clear()
    return _reported(model)


def _downloading(bar: Bar, done: int, total: int) -> None:
    bar.update(done / max(total, 1), f"downloading weights, {done / 1e6:.0f} of {total / 1e6:.0f} MB")


def _reported(model: LoadedModel) -> LoadedModel:
    bar = Bar()
    for warning in model.report.warnings if model.report else []:
        bar.line(f"note: {warning}")
    return model
