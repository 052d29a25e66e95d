"""Compute the surfaces that come with cnnviz: `python -m benchmarks.bundle_landscapes DATA [--only KIND] [NAME …]`.

DATA: CIFAR-10, as for `cnnviz train`. For every CIFAR network whose weights are bundled: the planes of the direction
seeds, and, where bundled snapshots of its training are there (or in FOLDER/NAME, with --runs FOLDER), the surface after
each of these epochs in one pair of directions, the path of the weights and the plane that it lies on. --only "seeds" or
"training" leaves the other away. What is there already is passed over, and a surface that was interrupted goes on.

--published FOLDER computes the two networks of figure 1 of Li et al. 2018 instead, whose weights do not come with
cnnviz: their authors' files, renamed as in PUBLISHED. The surfaces say whose weights they are."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import cnnviz
from cnnviz.cli.bar import ProgressBar
from cnnviz.data.labelled import load_labelled
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.landscape.bundled import folder
from cnnviz.landscape.geometry.pca import Direction
from cnnviz.landscape.geometry.trajectory import read_snapshots, trajectory
from cnnviz.landscape.plane.directions import plane_directions
from cnnviz.landscape.plane.grid import Span
from cnnviz.landscape.plane.surface import SurfaceProgress, loss_surface
from cnnviz.landscape.results import Surface, Trajectory
from cnnviz.models.bundled import bundled, snapshot_folder
from cnnviz.models.fingerprint import hash_tensors
from cnnviz.models.model import LoadedModel
from cnnviz.progress import duration

NETWORKS = ("resnet20_cifar", "plain20_cifar", "resnet56_cifar", "plain56_cifar")
IMAGES, STEPS, SEEDS, COARSE = 2000, 51, (0, 1, 2), 25
PUBLISHED = {"resnet56_cifar_b": "li2018-resnet56.t7", "resnet56_noshort": "li2018-resnet56-noshort.t7"}
PUBLISHED_SEEDS = (0, 1)
PREPARED = Preprocessing(  # as their authors prepared images
    (32, 32), mean=(125.3 / 255, 123.0 / 255, 113.9 / 255), std=(63.0 / 255, 62.1 / 255, 66.7 / 255)
)
TITLES = {"resnet56_cifar_b": "ResNet-56 of Li et al.", "resnet56_noshort": "ResNet-56 of Li et al., no shortcuts"}
TRAINED = "weights of Li et al. 2018 (arXiv:1712.09913, figure 1), trained for 300 epochs, MIT licence"
MARGIN = 0.15  # of a path's extent, that its plane shows beyond it
SOURCE = "CIFAR-10 train"


def main() -> None:
    """Compute what is missing, network by network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--runs", type=Path, help="folder with the runs of `cnnviz train`")
    parser.add_argument("--only", choices=("seeds", "training"))
    parser.add_argument("--images", type=int, default=IMAGES, help="%(default)s, evenly spread over the training split")
    parser.add_argument("--published", type=Path, help="folder with the authors' files")
    parser.add_argument("networks", nargs="*", metavar="NAME")
    options = parser.parse_intermixed_args()  # names after --runs too
    if options.published:
        compute_published(options.data, options.published, options.images, options.networks or list(PUBLISHED))
        return
    names = options.networks or [name for name in NETWORKS if name in bundled()]
    opened = {
        name: (model := cnnviz.load(name, "bundled"), sample_evenly(options.data, model, options.images))
        for name in names
    }
    for seed in SEEDS if options.only != "training" else ():
        for name, (model, images) in opened.items():
            compute_surface(f"{name}-seed{seed}", model, images, seed=seed)
    for name, (model, images) in opened.items() if options.only != "seeds" else ():
        run = options.runs / name if options.runs else snapshot_folder(name)
        if run.is_dir():
            compute_epochs(name, model, images, run)
            compute_path(name, model, images, run)


def compute_published(data: str, files: Path, count: int, names: Sequence[str]) -> None:
    """The planes of two direction seeds around the authors' weights, one seed of every network first."""
    opened = {name: cnnviz.load(name, files / PUBLISHED[name], preprocessing=PREPARED) for name in names}
    for seed in PUBLISHED_SEEDS:
        for name, model in opened.items():
            said = {"title": TITLES[name], "trained": TRAINED, "tensors": hash_tensors(model.module)}
            compute_surface(f"{name}-seed{seed}", model, sample_evenly(data, model, count), seed=seed, said=said)


def sample_evenly(data: str, model: LoadedModel, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` images and labels, evenly spread over the training split."""
    found = load_labelled(data, "train", model.preprocessing, lazy=True)
    rows = np.arange(count) * len(found) // count
    return found.batch(rows), found.labels[rows]


def compute_surface(
    stem: str,
    model: LoadedModel,
    images: tuple[np.ndarray, np.ndarray],
    steps: int = STEPS,
    span: Span = 1.0,
    seed: int | None = None,
    directions: Sequence[Direction] | None = None,
    said: Mapping[str, str] | None = None,
) -> None:
    """One surface, unless it is there. `said`: what it says beside the usual of its weights."""
    out, bar = folder() / f"{stem}.npz", ProgressBar()
    if out.is_file():
        return
    out.parent.mkdir(parents=True, exist_ok=True)

    def show(state: SurfaceProgress) -> None:
        left = duration(state.seconds_left)
        bar.update(state.done / state.total, f"{stem}  {state.done:,} of {state.total:,} points  {left} left")

    working = out.with_name(f"{stem}.working.npz")  # its name is of no bundled form: the app passes it over
    found = loss_surface(model, *images, steps, span, seed or 0, progress=show, out=working, directions=directions)
    bar.clear()
    replace(found, meta={**found.meta, "source": SOURCE, "seed": seed, **(said or {})}).save(out)
    working.unlink()
    print(f"{out.name}: {found.meta['precision']}, loss {found.loss.min():.4f} to {found.loss.max():.4g}", flush=True)


def compute_epochs(name: str, model: LoadedModel, images: tuple[np.ndarray, np.ndarray], run: Path) -> None:
    """The surface after every kept epoch, in the directions of seed 0 and the lengths of the last weights."""
    directions = plane_directions(model, 0)
    for epoch, file in read_snapshots(run):
        then = cnnviz.load(name, file, preprocessing=model.preprocessing)
        compute_surface(f"{name}-epoch{epoch:03}", then, images, COARSE, directions=directions, seed=0)


def compute_path(name: str, model: LoadedModel, images: tuple[np.ndarray, np.ndarray], run: Path) -> None:
    """The path of the weights in its principal plane, and the loss on that plane."""
    out = folder() / f"{name}-trajectory.npz"
    found, directions, explained = trajectory(model, read_snapshots(run), *images)
    if not out.is_file():
        meta = {**found.meta, "source": SOURCE}
        Trajectory(found.epochs, found.positions, found.residual, found.loss, found.accuracy, meta).save(out)
        print(f"{out.name}: variance along the directions {explained[0]:.1%}, {explained[1]:.1%}", flush=True)
    low, high = min(0.0, float(found.positions.min())), max(0.0, float(found.positions.max()))
    beyond = MARGIN * (high - low)
    compute_surface(f"{name}-plane", model, images, span=(low - beyond, high + beyond), directions=directions)


def load_surfaces(name: str) -> list[Surface]:
    """The surfaces of a network that lie in the folder, one a direction seed."""
    return [Surface.load(path) for path in sorted(folder().glob(f"{name}-seed*.npz"))]


if __name__ == "__main__":
    main()
