"""Bring weights and data before class, so that everything works offline.

CNNVIZ_WEIGHTS_MIRROR and CNNVIZ_DATA_MIRROR name a classroom server or folder to take the files from."""

import argparse

from cnnviz.cli.bar import Bar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="architectures with pretrained weights")
    parser.add_argument("--data", nargs="*", default=[], help="cifar10, mnist, imagenette")


def run(options: argparse.Namespace) -> None:
    """Download what is missing."""
    from cnnviz.data.fetching import prefetch
    from cnnviz.models.pretrained import cache_path, entry, fetch
    from cnnviz.models.registry import find

    for name in options.networks:
        bar = Bar()
        url = entry(find(name)).url
        fetch(url, lambda done, total, bar=bar, name=name: bar.update(done / max(total, 1), name))
        bar.clear()
        print(f"{name}: {cache_path(url)}")
    for name in options.data:
        bar = Bar()
        folder = prefetch(name, lambda done, total, bar=bar, name=name: bar.update(done / max(total, 1), name))
        bar.clear()
        print(f"{name}: {folder}")
