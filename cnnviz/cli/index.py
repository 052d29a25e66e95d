"""Index a corpus: the k strongest activations of every channel, in one pass.

--data: "samples", a name of `cnnviz list corpora`, a folder of images (nested as it may be),
a zip, or WebDataset shards: a .tar, a folder of them, or "train-{0000..0012}.tar" in quotes.
The same command after a kill goes on where it stopped; a changed network or corpus is refused.
While one process runs, OUT is a partial index: `cnnviz show OUT`.

Before or after the ReLU: values are the named layer's own output, so a convolution's are those before its ReLU.
For those after it name the ReLU's own module (--layers features.3 in VGG-16), or what ends with it, a residual
block or a pool (--layers layer2.0); "layer2.0.relu:1" is the first call of a module that is used twice. The
default takes convolutions, pools, linear layers and blocks, each as it puts them out.
Of equal values the lowest position on the map wins (row by row), then the earlier image. One winner an image; with
--group one a group of images that show the same thing: "name" (frames of a video, shots of a burst, crops: what
stands before the last number of the file's name), "folder", or a regular expression whose parentheses hold the
group's name. Of "samples", one a source photograph.

Many processes or GPUs: torchrun --nproc-per-node=4 -m cnnviz index NETWORK --data … --out …
Each process takes a GPU; on CPUs set OMP_NUM_THREADS to the cores of each, torchrun's own choice is 1. A
process that is not heard of for $CNNVIZ_RANK_SILENCE seconds (default 900) ends the run, which can go on.
Jobs that do not know each other: --part 1/8 … --part 8/8 with the same --batch and a file each, then --merge."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cnnviz.cli.bar import ProgressBar
from cnnviz.cli.common import add_network, check_out, choose_own_gpu, end_softly, open_network
from cnnviz.device import describe_precision
from cnnviz.errors import BadInput, Cancelled
from cnnviz.progress import duration
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.index.result import PatchIndex
    from cnnviz.index.search.run import IndexProgress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_network(parser, required=False)
    parser.add_argument("--data", default="samples", help='the corpus (default: "samples")')
    parser.add_argument("--out", required=True, help="the index, an .npz file")
    parser.add_argument(
        "--layers",
        nargs="*",
        help="modules, by name: a convolution (before ReLU), its ReLU (after), a block, a pool; default: see above",
    )
    parser.add_argument("-k", type=int, default=9, help="winners a channel (default: 9)")
    parser.add_argument("--limit", type=int, help="at most so many images")
    parser.add_argument("--group", help="one winner a group of images: name, folder, image or a regular expression")
    parser.add_argument("--batch", type=int, help="images a forward pass (default: the size measured to be fastest)")
    parser.add_argument("--workers", type=int, help="processes that decode (default: none on a CPU, spare cores else)")
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="auto: exact, by way of bfloat16 where that is faster (default); bfloat16: approximate, computed in "
        "float32 where the processor is slow in it",
    )
    embed = "keep crops of the winners, at most SIDE pixels (default: 64), to show the index without its corpus"
    parser.add_argument("--embed", type=int, nargs="?", const=64, metavar="SIDE", help=embed)
    parser.add_argument(
        "--part", type=_parse_part, metavar="I/N", help="only part I (1 to N) of N, to be merged; with --batch"
    )
    parser.add_argument("--merge", nargs="+", metavar="FILE", help="no network: join indexes of parts into --out")
    parser.set_defaults(wrong_usage=parser.error)


def run(options: argparse.Namespace) -> None:
    """Index or merge, and say what was found."""
    if options.network is None and not options.merge:
        options.wrong_usage("the following arguments are required: NETWORK (or --merge)")
    if options.part and options.batch is None:
        options.wrong_usage("--part needs --batch: all parts must have the same")
    check_out(options.out)
    if options.merge:
        _merge(options)
    else:
        _index(options)


def _parse_part(text: str) -> tuple[int, int]:
    one, slash, of = text.partition("/")
    if not slash or not one.isdecimal() or not of.isdecimal() or not 1 <= int(one) <= int(of):
        raise argparse.ArgumentTypeError(f"expected I/N with I from 1 to N, e.g. 2/8, got {text!r}")
    return int(one) - 1, int(of)


def _merge(options: argparse.Namespace) -> None:
    from cnnviz.index.merge import merge
    from cnnviz.index.result import PatchIndex

    if options.network is not None:
        raise BadInput(f"--merge joins files and needs no network, got {options.network!r}.")
    index = merge([PatchIndex.load(path) for path in options.merge])
    index.save(options.out)
    _print_summary(options.out, index, "")


def _index(options: argparse.Namespace) -> None:
    from cnnviz.data.open import corpus
    from cnnviz.distributed import RankZeroError, is_launched
    from cnnviz.heap import keep_freed_memory

    keep_freed_memory()  # every feature map is freed again: an eighth faster on CPUs
    ranks = is_launched()
    if ranks:
        _share_machine(options)
    model, bar = open_network(options), ProgressBar()
    images = corpus(options.data, options.limit, lambda done, total: _show_fetching(bar, done, total), options.group)
    _report_listing(bar, images)
    wanted = (model, images, options.layers, options.k, options.out, options.precision)
    more = {"batch": options.batch, "workers": options.workers, "embed": options.embed}
    shown = _IndexReporter(bar)
    if ranks:
        from cnnviz.index.distributed import index_on_ranks

        if options.part:
            raise BadInput("torchrun shares the corpus out by itself: leave --part away.")
        try:
            index = index_on_ranks(*wanted, shown, **more)
        except RankZeroError:  # rank 0 says why
            raise SystemExit(1) from None
    else:
        from cnnviz.index.search.build import index_patches

        with end_softly(options) as shown.goes_on:
            index = index_patches(*wanted, shown, part=options.part, **more)
    bar.clear()
    if index is not None:
        _report(bar, options, index, shown.speed())
    if not shown.goes_on():
        raise Cancelled("Interrupted. What was finished is kept; the same command goes on.")


def _report_listing(bar: ProgressBar, images: Corpus) -> None:
    """What could not be listed: folders, damaged shards. Of several ranks the first says it."""
    if os.environ.get("RANK", "0") == "0":
        for name, why in images.skipped[:10]:
            bar.line(f"not listed: {name}: {why}")


def _share_machine(options: argparse.Namespace) -> None:
    """Each process of torchrun gets a GPU of its own, and its share of the cores for decoding."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if choose_own_gpu(options) and options.workers is None:
        options.workers = max(1, min(16, (os.cpu_count() or 2) // here - 1))


def _report(bar: ProgressBar, options: argparse.Namespace, index: PatchIndex, speed: str) -> None:
    for why in [*index.meta.get("left_out", {}).values()][:10]:
        bar.line(f"left out: {why}")
    for name, why in index.meta["skipped"][:10]:
        bar.line(f"left out {name}: {why}")
    if len(index.meta["skipped"]) > 10:
        bar.line(f"and {plural(len(index.meta['skipped']) - 10, 'more image')} that could not be read")
    _print_summary(options.out, index, speed)
    if index.complete and options.embed:
        print(f"crops of the winners are inside, the file has {Path(options.out).stat().st_size / 1e6:.1f} MB")


def _print_summary(out: str, index: PatchIndex, speed: str) -> None:
    channels = sum(index.channels(layer) for layer in index.layers)
    seen, total = index.meta["next"], index.meta["images"]
    over = (
        plural(total, "image")
        if index.complete
        else f"{seen:,} of {plural(total, 'image')}, the others are still to be done"
    )
    used = f"; {describe_precision(index.meta)}" if "precision_asked" in index.meta else ""
    print(f"{out}: {plural(channels, 'channel')} of {plural(len(index.layers), 'layer')} over {over}{speed}{used}")


class _IndexReporter:
    """The bar, and what the run came to."""

    def __init__(self, bar: ProgressBar) -> None:
        self.bar, self.rate, self.problem = bar, 0.0, ""
        self.goes_on: Callable[[], bool] = lambda: True

    def __call__(self, state: IndexProgress) -> bool:
        if state.problem and state.problem != self.problem:
            self.bar.line(f"note: {state.problem} The run goes on and tries again.")
        self.problem, self.rate = state.problem, state.images_per_second
        self.bar.update(
            state.done / state.total,
            f"{state.done:,} of {plural(state.total, 'image')}  {plural(f'{state.images_per_second:.0f}', 'image')}/s  "
            f"{duration(state.seconds_left)} left",
        )
        return self.goes_on()

    def speed(self) -> str:
        """ ", 92 images/s", "" if nothing was left to do."""
        return f", {plural(f'{self.rate:.0f}', 'image')}/s" if self.rate else ""


def _show_fetching(bar: ProgressBar, done: int, total: int) -> None:
    text = f"downloading, {done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else f"{plural(done, 'image')} found"
    bar.update(done / max(total, 1) if total else 0.0, text)
