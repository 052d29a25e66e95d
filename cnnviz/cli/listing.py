"""List what cnnviz knows: architectures, corpora or devices.

`cnnviz list` shows the architectures with their parameters, default input and weights."""

import argparse

KINDS = ("architectures", "corpora", "devices")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("what", nargs="?", choices=KINDS, default="architectures")
    parser.add_argument("--names", action="store_true", help="names only, one a line")


def run(options: argparse.Namespace) -> None:
    """Print the list."""
    if options.what == "devices":
        from cnnviz.device import available, describe

        for device in available():
            print(device if options.names else f"{device:8} {describe(device).name}")
    elif options.what == "corpora":
        from cnnviz.data.corpora import DOWNLOADED, NAMES

        for name in NAMES:
            note = "downloaded once" if name in DOWNLOADED else "offline"
            print(name if options.names else f"{name:16} {note}")
        if not options.names:
            print("… or a folder of images, a zip, an image")
    else:
        _architectures(options.names)


def _architectures(names_only: bool) -> None:
    from cnnviz.models.bundled import bundled
    from cnnviz.models.registry import architectures, find

    shipped = bundled()
    for name in architectures():
        if names_only:
            print(name)
            continue
        entry = find(name)
        size = "×".join(str(n) for n in entry.input_size)
        weights = ["bundled"] * (name in shipped) + ["pretrained"] * (entry.pretrained is not None)
        print(f"{name:20} {size:>10}  {entry.classes:>5} classes  {', '.join(weights) or 'random':20} {entry.source}")
