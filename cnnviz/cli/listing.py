"""List what cnnviz knows: architectures, weights, corpora, devices, or the networks of another zoo.

`cnnviz list` shows the architectures by family, `cnnviz list weights` what trained weights there are and
which are here, `cnnviz list weights NETWORK` all that is known of them. `cnnviz list timm resnet` shows
timm's networks with "resnet" in their name; so do pytorchcv and torchvision."""

import argparse
from itertools import groupby
from typing import Any

from cnnviz.cli.bar import ProgressBar
from cnnviz.cli.common import add_json, print_json
from cnnviz.errors import BadInput

ZOOS = ("timm", "pytorchcv", "torchvision")
KINDS = ("architectures", "weights", "corpora", "devices", *ZOOS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    kinds = f"{', '.join(KINDS)} (default: architectures)"
    parser.add_argument("what", nargs="?", choices=KINDS, default="architectures", metavar="WHAT", help=kinds)
    parser.add_argument("which", nargs="*", metavar="NAME", help="networks for `weights`, a part of a name for a zoo")
    parser.add_argument("--names", action="store_true", help="names only, one a line")
    add_json(parser, "all that is known")


def run(options: argparse.Namespace) -> None:
    """Print the list."""
    if options.which and options.what not in ("weights", *ZOOS):
        raise BadInput(f"`cnnviz list {options.what}` takes no names; got {' '.join(options.which)}.")
    if options.json:
        print_json(_collect(options.what, options.which))
    elif options.what == "devices":
        _list_devices(options.names)
    elif options.what == "corpora":
        _list_corpora(options.names)
    elif options.what == "weights":
        _list_weights(options.which, options.names)
    elif options.what in ZOOS:
        _list_zoo(options.what, options.which)
    else:
        _list_architectures(options.names)


def _collect(what: str, names: list[str]) -> list[Any]:
    """What the list is made of, for other programs."""
    if what == "devices":
        from cnnviz.device import available, describe

        return [{"name": device, "title": describe(device).name} for device in available()]
    if what == "corpora":
        from cnnviz.data.open import NAMES
        from cnnviz.data.public.public_files import DOWNLOADED

        return [{"name": name, "downloaded": name in DOWNLOADED} for name in NAMES]
    if what == "weights":
        from cnnviz.models.catalogue.cards import all_cards, cards

        return [card for name in names for card in cards(name)] if names else list(all_cards())
    if what in ZOOS:
        from cnnviz.models.zoo.zoos import names as names_of

        return [f"{what}:{name}" for name in names_of(what) if all(part in name for part in names)]
    from cnnviz.models.catalogue.summary import summaries

    return list(summaries().values())


def _list_devices(names_only: bool) -> None:
    from cnnviz.device import available, describe

    for device in available():
        print(device if names_only else f"{device:8} {describe(device).name}")


def _list_corpora(names_only: bool) -> None:
    from cnnviz.data.open import NAMES
    from cnnviz.data.public.public_files import DOWNLOADED

    for name in NAMES:
        note = "downloaded once" if name in DOWNLOADED else "offline"
        print(name if names_only else f"{name:16} {note}")
    if not names_only:
        print("… or a folder of images, a zip, an image, WebDataset shards: train-{0000..0012}.tar")


def _list_zoo(zoo: str, parts: list[str]) -> None:
    from cnnviz.models.zoo.zoos import names

    for name in names(zoo):
        if all(part in name for part in parts):
            print(f"{zoo}:{name}")


def _list_weights(networks: list[str], names_only: bool) -> None:
    from cnnviz.models.catalogue.cards import all_cards, cards

    found = [card for name in networks for card in cards(name)] if networks else all_cards()
    if names_only:
        print("\n".join(dict.fromkeys(card.name for card in found)))
    elif networks:
        print("\n\n".join("\n".join(card.lines()) for card in found) or "There are no trained weights for these.")
    else:
        rows = [("network", "weights", "size", "here", "accuracy")]
        rows += [(c.name, c.weights, c.size_text(), "yes" if c.here else "no", c.accuracy_text()) for c in found]
        for name, weights, size, here, accuracy in rows:
            print(f"{name:20} {weights:10} {size:>10}  {here:4}  {accuracy}")
        print("\nMore: `cnnviz list weights NETWORK`. Bring them: `cnnviz prefetch NETWORK`.")


def _list_architectures(names_only: bool) -> None:
    from cnnviz.models.bundled import bundled, snapshots
    from cnnviz.models.catalogue.parameter_counts import count_parameters, format_count
    from cnnviz.models.catalogue.registry import architectures, find
    from cnnviz.models.zoo.packaged import PACKAGES

    names = architectures()
    if names_only:
        print("\n".join(names))
        return
    bar = ProgressBar()
    counts = count_parameters(names, lambda done, total: bar.update(done / total, "counting parameters"))
    bar.clear()
    entries = [find(name) for name in names]
    first: dict[str, int] = {}
    for e in entries:
        first[e.family] = min(first.get(e.family, 9999), e.year or 9999)
    entries.sort(key=lambda e: (first[e.family], e.family, e.year or 9999, counts[e.name] or 0, e.name))
    shipped = bundled()
    for family, members in groupby(entries, key=lambda e: e.family):
        print(f"\n{family}")
        for e in members:
            size = "×".join(str(n) for n in e.input_size)
            weights = ["bundled"] * (e.name in shipped) + ["packaged"] * (e.name in PACKAGES)
            weights += ["pretrained"] * (e.pretrained is not None)
            weights += ["snapshots"] * bool(snapshots(e.name))
            print(f"  {e.name:29} {format_count(counts[e.name]):>7}  {size:>9}  {e.year or '':4}  {', '.join(weights)}")
    print(f"\n{len(entries)} architectures: name, parameters, input, year, trained weights.")
    print("More by prefix: timm:NAME, pytorchcv:NAME, torchvision:NAME (`cnnviz list timm`, …).")
