"""Train a network; the result opens in the app and with cnnviz.load.

--data: "digits" (scikit-learn's, no download), "mnist", "cifar10", "imagenette" or "flowers" (downloaded once), a
folder with MNIST's IDX files, or a folder or zip of class folders, e.g. data/train/cat/1.jpg and data/test/cat/2.jpg
(without train/ and test/, a tenth is held out).
--from: begin with trained weights: "packaged", "bundled", "pretrained" (torchvision's, downloaded once) or a file; the
head starts anew where the classes are others. --freeze: leave a layer and all before it as they are, or "all-but-head".
--out: a folder that gets a checkpoint an epoch, history.json, and at the end ARCHITECTURE-DATA.safetensors
with its recipe, and what `cnnviz.record` keeps of a training: steps, layers, filters, and in float16 the weights of
up to --snapshots moments. The same command after a kill goes on exactly where the run stopped."""

import argparse
from dataclasses import fields
from functools import partial
from pathlib import Path

from cnnviz.cli.bar import ProgressBar
from cnnviz.cli.common import check_out, end_softly
from cnnviz.progress import duration
from cnnviz.wording import plural

_HELP = {
    "epochs": "passes over the data",
    "batch": "images a step",
    "lr": "peak learning rate",
    "momentum": "Nesterov momentum",
    "weight_decay": "L2 penalty",
    "schedule": "cosine, step or constant",
    "warmup": "epochs of linear rise",
    "label_smoothing": "share of the target spread over all classes",
    "crop": "random crop after so much padding, pixels",
    "shift": "random shift, pixels",
    "side": "random crops of so many pixels, but for the last tenth of the epochs: less time; 0 for whole images",
    "seed": "of everything random",
    "precision": "auto, float32 or bfloat16",
    "initialisation": "default, he, xavier, zero or 'normal 0.01'",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    from cnnviz.training.recipe import Recipe

    parser.add_argument("architecture", metavar="ARCHITECTURE", help="a name of `cnnviz list`")
    parser.add_argument("--data", required=True, help="what to train on")
    parser.add_argument("--out", required=True, help="folder of the run")
    parser.add_argument("--from", dest="start", metavar="WEIGHTS", help="pretrained, packaged, bundled or a file")
    parser.add_argument("--freeze", default="", metavar="LAYER", help='last layer to stay as it is, or "all-but-head"')
    parser.add_argument(
        "--images-per-class", type=int, default=0, metavar="N", help="train on the first N of each class only"
    )
    parser.add_argument("--device", default="auto", help='"auto", "cpu", "cuda", "mps"')
    parser.add_argument("--snapshots", type=int, default=24, metavar="N", help="moments whose weights are kept (24)")
    parser.add_argument("--compile", action="store_true", help="use torch.compile: slow to start, then faster")
    recipe = parser.add_argument_group("recipe (defaults suit the architecture's input)")
    kinds = {f.name: type(getattr(Recipe(), f.name)) for f in fields(Recipe)}
    for name, text in _HELP.items():
        recipe.add_argument(f"--{name.replace('_', '-')}", type=kinds[name], help=text)
    recipe.add_argument("--flip", action=argparse.BooleanOptionalAction, help="mirror half of the images")
    recipe.add_argument(
        "--folded-norm",
        action=argparse.BooleanOptionalAction,
        help="batch norm behind the convolutions during the training, taken in by the weights that are kept",
    )
    recipe.add_argument("--milestones", type=float, nargs="*", help="shares of the run at which step divides by 10")


def run(options: argparse.Namespace) -> None:
    """Train, and say where the result is."""
    from cnnviz.device import choose, describe_precision, precision_meta, usable_precision
    from cnnviz.heap import keep_freed_memory
    from cnnviz.models.catalogue.registry import find
    from cnnviz.training.loop import TrainingProgress, train
    from cnnviz.training.recipe import default_recipe

    check_out(Path(options.out) / "history.json")
    changes = {k: getattr(options, k) for k in (*_HELP, "flip", "folded_norm") if getattr(options, k) is not None}
    if options.milestones:
        changes["milestones"] = tuple(options.milestones)
    gently = options.start is not None
    recipe = default_recipe(find(options.architecture).input_size[0], gently, **changes)
    bar, reported = ProgressBar(), -1
    _download(options, bar)

    def show(state: TrainingProgress) -> bool:
        nonlocal reported
        if reported < 0:
            reported = len(state.finished)
            if reported:
                bar.line(f"continuing after epoch {reported} of {recipe.epochs}")
        for epoch in state.finished[reported:]:
            bar.line(
                f"epoch {epoch.epoch:3}: loss {epoch.train_loss:.4f}, accuracy {epoch.train_accuracy:.2%}; "
                f"test loss {epoch.test_loss:.4f}, accuracy {epoch.test_accuracy:.2%}"
            )
        reported = len(state.finished)
        bar.update(
            state.part,
            f"epoch {state.done + 1}/{state.total}  loss {state.loss:.4f}  accuracy {state.accuracy:.2%}  "
            f"{plural(f'{state.images_per_second:,.0f}', 'image')}/s  {duration(state.seconds_left)} left",
        )
        return goes_on()

    where = str(choose(options.device))
    if (used := usable_precision(recipe.precision, where)) != recipe.precision:
        bar.line(f"precision: {describe_precision(precision_meta(recipe.precision, used))}")
    keep_freed_memory()  # up to a third faster on CPUs
    with end_softly(options) as goes_on:
        path = train(
            options.architecture,
            options.data,
            options.out,
            recipe,
            options.device,
            show,
            options.snapshots,
            options.compile,
            options.start,
            options.freeze,
            options.images_per_class,
            bar.line,
        )
    bar.clear()
    print(path)


def _download(options: argparse.Namespace, bar: ProgressBar) -> None:
    """Fetch what is missing, with progress: the data set, the published weights."""
    from cnnviz.data.public.public_sets import TRAINING_SETS
    from cnnviz.models.catalogue.downloads import data_download, weights_download

    wanted = [data_download(options.data)] if options.data in TRAINING_SETS else []
    wanted += [weights_download(options.architecture)] if options.start == "pretrained" else []
    for one in (one for one in wanted if not one.is_here()):
        words = f"downloading {one.what}"
        one.fetch(partial(_show_bytes, bar, words))


def _show_bytes(bar: ProgressBar, words: str, done: int, total: int) -> None:
    bar.update(done / max(total, 1), words)
