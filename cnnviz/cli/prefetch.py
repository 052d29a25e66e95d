"""Bring weights and data before class, so that everything works offline.

NETWORK is an architecture with public weights, also of another zoo: timm:resnet18, pytorchcv:nin_cifar10,
torchvision:convnext_tiny. What cannot be brought is named, the rest is brought all the same.
CNNVIZ_WEIGHTS_MIRROR and CNNVIZ_DATA_MIRROR name a classroom server or folder to take the files from."""

import argparse
import sys
from collections.abc import Callable
from functools import partial

from cnnviz.cli.bar import ProgressBar
from cnnviz.errors import CnnvizError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="networks whose public weights are wanted")
    parser.add_argument("--lecture", action="store_true", help="what Home offers to download for a lecture")
    parser.add_argument("--data", nargs="*", default=[], metavar="SET", help="cifar10, mnist, imagenette, flowers")


def run(options: argparse.Namespace) -> None:
    """Download what is missing. Raises CnnvizError at the end, with the list, if something failed."""
    from cnnviz.models.catalogue.downloads import LECTURE_DATA, LECTURE_WEIGHTS

    networks, sets = [*options.networks], [*options.data]
    if options.lecture:
        networks, sets = [*LECTURE_WEIGHTS, *networks], [*LECTURE_DATA, *sets]
    wanted = [(name, _bring_weights) for name in networks] + [(name, _bring_data) for name in sets]
    if not wanted:
        raise CnnvizError("Name networks or data to bring, e.g. cnnviz prefetch squeezenet1_0 --data imagenette.")
    options.kept, failed = "Files that came whole are kept.", list[str]()
    for name, fetch in wanted:
        bar = ProgressBar()
        try:
            said = fetch(name, partial(_show_progress, bar, name))
        except CnnvizError as error:
            bar.clear()
            print(f"{name}: {error}", file=sys.stderr)
            failed.append(name)
        else:
            bar.clear()
            print(f"{name}: {said}", flush=True)
    if failed:
        raise CnnvizError(f"{len(failed)} of {len(wanted)} could not be brought: {', '.join(failed)}.")


def _show_progress(bar: ProgressBar, name: str, done: int, total: int) -> None:
    of = f" of {total / 1e6:,.1f}" if total else ""
    bar.update(done / total if total else 0.0, f"{name}  {done / 1e6:,.1f}{of} MB")


def _bring_weights(name: str, progress: Callable[[int, int], None]) -> str:
    from cnnviz.models.catalogue.downloads import weights_download

    fetched = weights_download(name).fetch(progress)
    size = f"{fetched.path.stat().st_size / 1e6:,.1f} MB"
    return f"{'brought' if fetched.fresh else 'already here'}, {size}, {fetched.checksum}: {fetched.path}"


def _bring_data(name: str, progress: Callable[[int, int], None]) -> str:
    from cnnviz.models.catalogue.downloads import data_download

    wanted = data_download(name)
    before = wanted.is_here()
    folder = wanted.fetch(progress)
    return f"already here: {folder}" if before else f"brought, md5 of every archive as published: {folder}"
