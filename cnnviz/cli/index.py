"""Index a corpus: the k strongest activations of every channel, in one pass.

--data: "samples", a name of `cnnviz list corpora`, a folder of images (nested as it may be) or a zip.
The same command after a kill goes on where it stopped; a changed network or corpus is refused."""

import argparse

from cnnviz.cli.bar import Bar, duration
from cnnviz.cli.common import add_network, open_network


def arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_network(parser)
    parser.add_argument("--data", default="samples", help='the corpus (default: "samples")')
    parser.add_argument("--out", required=True, help="the index, an .npz file")
    parser.add_argument("--layers", nargs="*", help="layers to index (default: all that make or shape features)")
    parser.add_argument("-k", type=int, default=9, help="winners a channel (default: 9)")
    parser.add_argument("--limit", type=int, help="at most so many images")
    parser.add_argument("--batch", type=int, default=32, help="images a forward pass (default: 32)")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")


def run(options: argparse.Namespace) -> None:
    """Index, and say what was found."""
    from cnnviz.data.corpora import corpus
    from cnnviz.probes.topk import IndexProgress, index_patches

    model, bar = open_network(options), Bar()
    images = corpus(options.data, options.limit, lambda done, total: _fetching(bar, done, total))

    def show(state: IndexProgress) -> None:
        bar.update(
            state.done / state.total,
            f"{state.done:,} of {state.total:,} images  {state.images_per_second:.0f} images/s  "
            f"{duration(state.seconds_left)} left",
        )

    index = index_patches(model, images, options.layers, options.k, options.out, options.precision, show, options.batch)
    bar.clear()
    for name, why in index.meta["skipped"][:10]:
        bar.line(f"left out {name}: {why}")
    channels = sum(index.channels(layer) for layer in index.layers)
    print(f"{options.out}: {channels:,} channels of {len(index.layers)} layers over {index.meta['images']:,} images")


def _fetching(bar: Bar, done: int, total: int) -> None:
    bar.update(done / max(total, 1), f"downloading, {done / 1e6:.0f} of {total / 1e6:.0f} MB")
