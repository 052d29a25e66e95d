"""Landscapes beyond planes and lines: interpolation, trajectory of a training, sharpness, direction files."""

from __future__ import annotations

import argparse
import glob
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.cli.bar import ProgressBar
from cnnviz.errors import BadInput
from cnnviz.progress import duration
from cnnviz.store import write_bytes_atomic, write_json
from cnnviz.wording import plural

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from cnnviz.landscape.geometry.sharpness import Sharpness
    from cnnviz.landscape.plane.surface import SurfaceProgress
    from cnnviz.landscape.results import Line, Trajectory
    from cnnviz.models.model import LoadedModel
    from cnnviz.progress import Progress

WHOLE = "A line, a path and the sharpness are written when they are whole: the same command begins them anew."
POINTS = "The finished points of the plane are kept; the same command goes on."
BUNDLED = "bundled"  # the run of the bundled weights
MARGIN = 0.15  # of a path's extent, that its plane shows beyond it


def add_studies(parser: argparse.ArgumentParser) -> None:
    """The arguments that `is_study`, `run` and `read_own_directions` read."""
    group = parser.add_argument_group("instead of a random plane (one of them)")
    group.add_argument(
        "--interpolate",
        metavar="OTHER",
        help='the line to other weights of this network: a file, "bundled", "epoch-N", "random"',
    )
    path = (
        'the path of a run of `cnnviz train`, or "bundled" (./bundled is a folder), in its principal plane; .npz, .csv'
    )
    group.add_argument("--trajectory", metavar="FOLDER", help=path)
    group.add_argument(
        "--plane", metavar="FILE.npz", help="with --trajectory: also the surface that the path lies on, --steps a side"
    )
    group.add_argument(
        "--sharpness", action="store_true", help="ε-sharpness, its filter-normalised form, Hessian eigenvalues; .json"
    )
    group.add_argument(
        "--directions", metavar="FILE.h5", help="the plane of a direction file of tomgoldstein/loss-landscape (h5py)"
    )


def is_study(options: argparse.Namespace) -> bool:
    """Whether `run` has something to do. Raises BadInput for two studies at once, or --plane alone."""
    chosen = [n for n in ("interpolate", "trajectory", "sharpness", "directions") if getattr(options, n)]
    if len(chosen) > 1:
        raise BadInput(f"Give one of --{' and --'.join(chosen)} at a time.")
    if options.plane and not options.trajectory:
        raise BadInput("--plane is the surface of a path: give --trajectory FOLDER too.")
    if chosen and (options.seeds > 1 or (options.line and not options.directions)):
        raise BadInput(f"--{chosen[0]} takes no random directions: leave --seeds and --line away.")
    return bool(chosen) and chosen != ["directions"]


def read_own_directions(options: argparse.Namespace, model: LoadedModel) -> list[dict[str, Tensor]] | None:
    """The directions of --directions, one or two; None without it."""
    if not options.directions:
        return None
    from cnnviz.landscape.plane.hdf5 import read_directions

    found = read_directions(options.directions, model)
    if len(found) == 1 and not options.line:
        raise BadInput(f"{Path(options.directions).name} holds one direction, a plane needs two: add --line.")
    return found


def use_weights_of_run(options: argparse.Namespace) -> None:
    """A path leads to the weights that its run ended with: without --weights they are those that `cnnviz train` wrote
    into the folder of --trajectory, if it names one file of this network."""
    if not options.trajectory or options.weights is not None or Path(options.network).is_file():
        return
    if options.trajectory == BUNDLED:
        _bundled_snapshots(options.network)  # or the reason why there are none
        options.weights = BUNDLED
        return
    folder = Path(options.trajectory)
    found = list(folder.glob(f"{glob.escape(options.network.replace(':', '_'))}-*.safetensors"))
    if len(found) == 1:
        options.weights = str(found[0])
        ProgressBar().line(f"note: the weights of the run, {found[0]}")


def run(options: argparse.Namespace, model: LoadedModel, images: np.ndarray, labels: np.ndarray) -> None:
    """Do the study that was asked for, write --out if there is one, and say what was found."""
    if options.interpolate:
        _interpolate(options, model, images, labels)
    elif options.trajectory:
        _trajectory(options, model, images, labels)
    else:
        _sharpness(options, model, images, labels)


def _interpolate(options: argparse.Namespace, model: LoadedModel, images: np.ndarray, labels: np.ndarray) -> None:
    from cnnviz.landscape.geometry.interpolation import barrier, interpolate

    check_suffix(options.out, (".npz", ".csv"))
    other = _load_other(options.interpolate, model)
    bar = ProgressBar()
    line = interpolate(
        model,
        other,
        images,
        labels,
        precision=options.precision,
        statistics=options.statistics,
        progress=_report_to(bar),
    )
    bar.clear()
    _write(options.out, line)
    ends = ", ".join(f"{v:.4f} ({a:.1%})" for v, a in (_read_value(line, t) for t in (0, 1)))
    print(f"loss (accuracy) of the two networks: {ends}")
    print(f"barrier: {barrier(line):.4f} nats, {barrier(line, of='error'):.2%} of the answers")


def _load_other(weights: str, model: LoadedModel) -> LoadedModel:
    """The same architecture with other weights; where their file does not say how it wants its images, as `model`."""
    from cnnviz.models.load import load

    device = str(model.device)
    other = load(model.name, weights, device)
    if other.notes.get("assumed"):
        other = load(model.name, weights, device, preprocessing=model.preprocessing)
    return other


def _trajectory(options: argparse.Namespace, model: LoadedModel, images: np.ndarray, labels: np.ndarray) -> None:
    from cnnviz.landscape.geometry.trajectory import read_snapshots, trajectory

    check_suffix(options.out, (".npz", ".csv"))
    check_suffix(options.plane, (".npz",))
    chosen = {"precision": options.precision, "statistics": options.statistics}
    bar = ProgressBar()
    snapshots = read_snapshots(options.trajectory) if options.trajectory != BUNDLED else _bundled_snapshots(model.name)
    path, directions, explained = trajectory(model, snapshots, images, labels, progress=_report_to(bar), **chosen)
    bar.clear()
    _write(options.out, path)
    print("epoch  direction 1  direction 2  outside      loss  accuracy")
    rows = zip(path.epochs, path.positions, path.residual, path.loss, path.accuracy, strict=True)
    for epoch, (x, y), residual, loss, accuracy in rows:
        print(f"{epoch:5}  {x:11.3f}  {y:11.3f}  {residual:7.1%}  {loss:8.4f}  {accuracy:8.2%}")
    print(f"variance along the two directions: {explained[0]:.1%}, {explained[1]:.1%}")
    if options.plane:
        _plane(options, model, images, labels, path, directions)


def _bundled_snapshots(name: str) -> list[tuple[int, Path]]:
    from cnnviz.models.bundled import bundled, snapshots

    if found := snapshots(name):
        return list(found.items())
    others = [other for other in bundled() if snapshots(other)]
    raise BadInput(
        f"No snapshots of {name} come with cnnviz; there are some of: {', '.join(others) or 'none'}. Give "
        "the folder of a run of `cnnviz train`."
    )


def _plane(
    options: argparse.Namespace,
    model: LoadedModel,
    images: np.ndarray,
    labels: np.ndarray,
    path: Trajectory,
    directions: list[dict[str, Tensor]],
) -> None:
    from cnnviz.landscape.plane.surface import loss_surface

    options.kept = POINTS
    low, high = min(0.0, float(path.positions.min())), max(0.0, float(path.positions.max()))
    beyond = MARGIN * (high - low)
    bar, span = ProgressBar(), (low - beyond, high + beyond)
    chosen = {"precision": options.precision, "statistics": options.statistics}

    def show(state: SurfaceProgress) -> None:
        left = duration(state.seconds_left)
        bar.update(state.done / state.total, f"{state.done:,} of {plural(state.total, 'point')}  {left} left")

    where = {"out": options.plane, "directions": directions}
    loss_surface(model, images, labels, options.steps, span, progress=show, **where, **chosen)
    bar.clear()
    print(f"{options.plane}: the plane that the path lies on, in distances of weight space")


def _sharpness(options: argparse.Namespace, model: LoadedModel, images: np.ndarray, labels: np.ndarray) -> None:
    from cnnviz.landscape.geometry.sharpness import CAVEAT, sharpness

    check_suffix(options.out, (".json",))
    bar = ProgressBar()
    found = sharpness(model, images, labels, seed=options.seed, progress=_report_to(bar))
    bar.clear()
    if options.out:
        about = {"architecture": model.name, "weights": model.fingerprint}
        write_json(options.out, about | found.as_dict())
    for line in _describe_sharpness(found):
        print(line)
    print(CAVEAT)


def _describe_sharpness(found: Sharpness) -> list[str]:
    of = found.spectrum
    top = ", ".join(f"{v:.4g} ± {e:.2g}" for v, e in zip(of.largest, of.largest_error, strict=True))
    return [
        f"loss over {plural(of.images, 'image')}: {found.loss:.4f} nats",
        f"ε-sharpness, ε = {found.epsilon:g}: {found.keskar:.4g} %",
        f"highest loss within {found.radius:.2%} of every filter's norm: {found.filter_loss:.4f} nats",
        f"largest eigenvalues of the Hessian: {top}",
        f"smallest: {of.smallest:.4g} ± {of.smallest_error:.2g}; |smallest / largest|: {of.ratio:.3f}",
        f"trace: {of.trace:.4g} ± {of.trace_error:.2g} over {plural(of.parameters, 'parameter')}",
    ]


def _report_to(bar: ProgressBar) -> Callable[[Progress], None]:
    def show(state: Progress) -> None:
        text = f"{state.what}, {state.done} of {state.total}  {duration(state.seconds_left)} left"
        bar.update(state.done / max(state.total, 1), text)

    return show


def _read_value(line: Line, step: float) -> tuple[float, float]:
    index = int(abs(line.steps - step).argmin())
    return float(line.loss[index]), float(line.accuracy[index])


def check_suffix(out: str | None, known: tuple[str, ...]) -> None:
    """Before anything is computed."""
    if out and Path(out).suffix.lower() not in known:
        raise BadInput(f"This is written as {' or '.join(known)}; {out} has another suffix.")


def _write(out: str | None, result: Any) -> None:
    if out and Path(out).suffix.lower() == ".csv":
        write_bytes_atomic(out, result.csv().encode())
    elif out:
        result.save(out)
