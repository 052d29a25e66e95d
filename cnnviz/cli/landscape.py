"""The loss around a network's weights, on a plane or a line of random directions.

Directions are normalised filter by filter as in Li et al. 2018 (arXiv:1712.09913). --data: "mnist" or "cifar10"
(downloaded once), a folder with MNIST's IDX files, or class folders, as for `cnnviz train`; the images are
spread evenly over the split, and their classes are matched with the network's by name. --out: an .npz file with
loss, accuracy, their standard errors and provenance; with the suffix .csv a table, and the .npz beside it.
The finished points of a plane are kept as they come: the same command after a kill goes on where it stopped. A line,
an interpolation, a path and the sharpness are written when they are whole.

Many processes or GPUs: torchrun --nproc-per-node=4 -m cnnviz landscape NETWORK --data … --out …
Each process takes a GPU; on CPUs set OMP_NUM_THREADS to the cores of each."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.cli import landscape_studies
from cnnviz.cli.bar import ProgressBar
from cnnviz.cli.common import add_network, check_out, choose_own_gpu, open_network
from cnnviz.device import describe_precision
from cnnviz.errors import BadInput
from cnnviz.progress import duration
from cnnviz.wording import plural

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from cnnviz.landscape.results import Line, Surface
    from cnnviz.models.model import LoadedModel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_network(parser)
    parser.add_argument("--data", required=True, help="labelled images")
    parser.add_argument("--split", choices=("train", "test"), default="train", help="default: train")
    parser.add_argument("--images", type=int, default=1000, help="how many images (default: 1000; 0: all)")
    parser.add_argument("--steps", type=int, default=51, help="points along each direction (default: 51)")
    span = "from -S to S, or two numbers: from the first to the second, in filter norms (default: 1)"
    parser.add_argument("--span", type=float, nargs="+", default=[1.0], metavar="S", help=span)
    parser.add_argument("--seed", type=int, default=0, help="of the directions (default: 0)")
    seeds = "K planes with directions of their own, from --seed on, to see what chance does: NAME-seed0.npz, …"
    parser.add_argument("--seeds", type=int, default=1, metavar="K", help=seeds)
    parser.add_argument("--line", action="store_true", help="along the first direction alone")
    statistics = (
        "of batch normalisation: the network's own at every point, or recomputed over the images at each "
        "(default: frozen, as in the paper)"
    )
    parser.add_argument("--statistics", choices=("frozen", "recalibrated"), default="frozen", help=statistics)
    precision = (
        "auto: bfloat16 where it is fast and a few points, measured both ways, agree (default); bfloat16 is computed "
        "in float32 where the processor is slow in it"
    )
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto", help=precision)
    parser.add_argument("--batch", type=int, help="images a forward pass (default: the size measured to be fastest)")
    parser.add_argument("--out", required=True, help="the result: .npz, or .csv; of --sharpness .json")
    landscape_studies.add_studies(parser)


def run(options: argparse.Namespace) -> None:
    """Compute one or several surfaces, or lines, and say what was found."""
    from cnnviz.distributed import RankZeroError, is_launched
    from cnnviz.heap import keep_freed_memory

    keep_freed_memory()
    if options.seeds < 1:
        raise BadInput(f"--seeds must be at least 1, got {options.seeds}.")
    study = landscape_studies.is_study(options)
    if not study:
        landscape_studies.check_suffix(options.out, (".npz", ".csv"))
    check_out(options.out)
    options.kept = landscape_studies.WHOLE if study or options.line else landscape_studies.POINTS
    if is_launched() and (options.line or study):
        raise BadInput("A surface alone is shared by processes: start this without torchrun.")
    if is_launched():
        choose_own_gpu(options)
    landscape_studies.use_weights_of_run(options)
    model = open_network(options)
    own = landscape_studies.read_own_directions(options, model)
    images = read_images(options, model)
    if study:
        landscape_studies.run(options, model, *images)
        return
    for seed in range(options.seed, options.seed + options.seeds):
        out = Path(options.out)
        if options.seeds > 1:
            out = out.with_name(f"{out.stem}-seed{seed}{out.suffix}")
        try:
            _compute_one(options, model, images, seed, out, own)
        except RankZeroError:  # rank 0 says why
            raise SystemExit(1) from None


def read_images(options: argparse.Namespace, model: LoadedModel) -> tuple[np.ndarray, np.ndarray]:
    """(images uint8 (N, H, W, C), labels (N,)) of --data, --split and --images, evenly spread over the split.

    The labels are outputs of the network. Raises BadInput if there are none, or classes that it does not have."""
    import numpy as np

    from cnnviz.data.labelled import load_labelled
    from cnnviz.landscape.evaluate.label_map import map_classes

    if options.images < 0:
        raise BadInput(f"--images must be 0 (all) or more, got {options.images}.")
    data = load_labelled(options.data, options.split, model.preprocessing, lazy=True)
    count = min(options.images or len(data), len(data))
    rows = np.arange(count) * len(data) // count  # class folders are sorted by class
    otherwise = (
        "Name the class folders as the network names its classes, give the data that it was trained on, or say the "
        'classes of weights of your own in a side file, mine.pth.json: {"classes": ["cat", "dog"]}.'
    )
    numbers = map_classes(data.class_names, model.class_names, str(options.data), otherwise)
    outputs = np.array([numbers[name] for name in data.class_names], np.int64)
    return data.batch(rows), outputs[data.labels[rows]]


def _compute_one(
    options: argparse.Namespace,
    model: LoadedModel,
    images: tuple[Any, Any],
    seed: int,
    out: Path,
    own: list[dict[str, Tensor]] | None,
) -> None:
    from cnnviz.distributed import is_launched
    from cnnviz.landscape.plane.distributed import surface_on_ranks
    from cnnviz.landscape.plane.line import loss_line
    from cnnviz.landscape.plane.surface import loss_surface

    bar, kept = ProgressBar(), out.with_suffix(".npz")
    settings: dict[str, Any] = {
        "steps": options.steps,
        "span": _parse_span(options.span),
        "seed": seed,
        "precision": options.precision,
        "statistics": options.statistics,
        "batch": options.batch,
        "progress": lambda state: _show_progress(bar, state, f"seed {seed}  " if options.seeds > 1 else ""),
    }
    result: Surface | Line | None
    if options.line:
        result = line = loss_line(model, *images, direction=own[0] if own else None, **settings)
        line.save(kept)
    elif is_launched():
        result = surface_on_ranks(model, *images, out=kept, directions=own, **settings)
    else:
        result = loss_surface(model, *images, out=kept, directions=own, **settings)
    bar.clear()
    if result is not None:
        write_table(result, out)
        print(f"{out}: {describe(result)}")


def write_table(result: Surface | Line, out: Path) -> None:
    """The result as CSV if `out` has that suffix. Raises CnnvizError if it cannot be written."""
    from cnnviz.store import write_bytes_atomic

    if out.suffix.lower() == ".csv":
        write_bytes_atomic(out, result.csv().encode())


def describe(result: Surface | Line) -> str:
    """Points, images, the lowest and highest loss, and how it was computed, in a line."""
    meta, loss = result.meta, result.loss
    overflowed = int((loss == float("inf")).sum())
    beyond = f", {plural(overflowed, 'point')} overflowed" if overflowed else ""
    angle = f", cosine of the directions {meta['cosine']:+.4f}" if "cosine" in meta else ""
    return (
        f"{plural(loss.size, 'point')} over {plural(meta['images'], 'image')}, loss {loss.min():.4g} to "
        f"{loss[loss < float('inf')].max(initial=loss.min()):.4g}{beyond}; {describe_precision(meta)}, "
        f"{meta['statistics']} statistics{angle}"
    )


def _show_progress(bar: ProgressBar, state: Any, which: str) -> None:
    left = f"  {duration(state.seconds_left)} left" if state.done else ""
    bar.update(state.done / state.total, f"{which}{state.done:,} of {plural(state.total, 'point')}{left}")


def _parse_span(given: list[float]) -> float | tuple[float, float]:
    if len(given) > 2:
        raise BadInput(f"--span takes one number or two, got {len(given)}.")
    return given[0] if len(given) == 1 else (given[0], given[1])
