"""`cnnviz show NETWORK --maximize`: the image that a channel or a class prefers, or a sheet of all of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.cli.bar import ProgressBar
from cnnviz.cli.common import check_out, open_network, print_json
from cnnviz.errors import BadInput
from cnnviz.wording import plural

if TYPE_CHECKING:
    from PIL import Image

    from cnnviz.models.model import LoadedModel
    from cnnviz.progress import Progress
    from cnnviz.synthesis.result import PreferredInput
    from cnnviz.synthesis.settings import SynthesisSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define how images are made; --layer, --unit, --out, --weights and --device are those of an index."""
    group = parser.add_argument_group("preferred inputs of a network")
    what = (
        "make the image that activates --unit of --layer most, or without --unit a sheet of all channels; without "
        "--layer the same for the classes; --out writes it"
    )
    group.add_argument("--maximize", action="store_true", help=what)
    group.add_argument("--steps", type=int, default=256, help="of the ascent (default: 256)")
    group.add_argument("--seed", type=int, default=0, help="of the noise that it starts from (default: 0)")
    group.add_argument(
        "--parameterisation",
        choices=("fourier", "maco"),
        default="fourier",
        help='"fourier", or "maco", with the amplitudes of photographs (default: "fourier")',
    )
    group.add_argument("--resume", metavar="FILE.npz", type=Path, help="where a sheet's images are kept to go on from")


def run(options: argparse.Namespace) -> None:
    """Make the image or the sheet, print a line and write what was asked for."""
    from cnnviz.synthesis.settings import SynthesisSettings

    if options.out and options.out.suffix.lower() not in (".png", ".pdf"):
        raise BadInput(f"--out writes .png or .pdf, got {options.out}.")
    if options.unit is None and not (options.out or options.resume or options.json):
        raise BadInput("A sheet of all channels needs a file, --out FILE.pdf. Of one channel, name it with --unit.")
    for file in filter(None, (options.out, options.resume)):
        check_out(file)
    model = open_network(options)
    settings = SynthesisSettings(steps=options.steps, seed=options.seed, parameterisation=options.parameterisation)
    if options.unit is None:
        _make_sheet(options, model, settings)
    else:
        _make_one(options, model, settings)


def _make_one(options: argparse.Namespace, model: LoadedModel, settings: SynthesisSettings) -> None:
    from cnnviz.figures.synthesis.sheet import PrintedImage, image_pages
    from cnnviz.synthesis.maximize import maximize_activations

    bar = ProgressBar()
    found = maximize_activations(model, options.layer, [options.unit], settings, progress=lambda p: _tell(bar, p))[0]
    bar.clear()
    if options.json:
        told: dict[str, Any] = {"network": model.name, "layer": found.layer, "unit": found.unit}
        told |= {
            "mixture": dict(found.mixture),
            "activation": found.activation,
            "box": found.box,
            "assumed": found.assumed,
        }
        print_json(told | {"settings": found.settings.as_dict()})
    else:
        _print_one(model, found)
    if options.out:
        caption = f"activation {found.activation:.4g}"
        _write(
            options, image_pages([PrintedImage(found.patch, caption)], f"{model.name} · {found.name}", _note(options))
        )


def _print_one(model: LoadedModel, found: PreferredInput) -> None:
    top, left, bottom, right = found.box
    print(f"{model.name} · {found.name}")
    print(f"activation  {found.activation:.6g} after {plural(len(found.history), 'step')}")
    print(f"made        pixels ({top}, {left}, {bottom}, {right}); all others are gray")
    for note in found.assumed:
        print(f"note: {note}")


def _make_sheet(options: argparse.Namespace, model: LoadedModel, settings: SynthesisSettings) -> None:
    from cnnviz.figures.synthesis.sheet import PrintedImage, image_pages
    from cnnviz.synthesis.wall import maximize_layer

    bar = ProgressBar()
    wall = maximize_layer(model, options.layer, None, settings, out=options.resume, progress=lambda p: _tell(bar, p))
    bar.clear()
    if options.json:
        values = dict(zip(wall.channels, wall.activations, strict=True))
        print_json(
            {"network": model.name, "layer": options.layer, "activations": values, "settings": settings.as_dict()}
        )
    else:
        print(repr(wall))
    if not options.out:
        return
    names = model.class_names if options.layer is None else []
    captions = [f"{number} {names[number] if number < len(names) else ''}".strip() for number in wall.channels]
    images = [
        PrintedImage(patch, f"{caption} · {value:.3g}")
        for patch, caption, value in zip(wall.patches, captions, wall.activations, strict=True)
    ]
    _write(options, image_pages(images, f"{model.name} · {options.layer or 'classes'}", _note(options)))


def _note(options: argparse.Namespace) -> str:
    steps = plural(options.steps, "step")
    return (
        f"preferred inputs, below each the activation it reaches; {options.parameterisation}, {steps}, "
        f"seed {options.seed}; made with cnnviz"
    )


def _write(options: argparse.Namespace, pages: list[Image.Image]) -> None:
    from cnnviz.figures.patches.sheet import pdf_bytes, png_bytes
    from cnnviz.store import write_bytes_atomic

    write_bytes_atomic(options.out, pdf_bytes(pages) if options.out.suffix.lower() == ".pdf" else png_bytes(pages))
    print(f"\nwritten: {options.out}", file=sys.stderr if options.json else sys.stdout)


def _tell(bar: ProgressBar, progress: Progress) -> None:
    bar.update(progress.share, progress.describe())
