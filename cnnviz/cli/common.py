"""Command-line arguments that several commands share: network, weights, device, plugins; and opening a network."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.cli.bar import ProgressBar
from cnnviz.errors import BadInput
from cnnviz.store import why_unwritable

if TYPE_CHECKING:
    from cnnviz.models.model import LoadedModel

_PLAIN = dict(zip("×─│→…·−–—’‘“”█░≥≤", "x-|>..---''\"\"#.><", strict=True))


def add_network(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """NETWORK, --weights and --device. `required`: whether the command can do without a network."""
    network = "of `cnnviz list`, of another zoo (timm:resnet18), or a weights file"
    parser.add_argument("network", metavar="NETWORK", nargs=None if required else "?", help=network)
    weights = (
        '"bundled", "packaged", "pretrained", "random", "epoch-N" (the bundled ones after N epochs, where '
        '`cnnviz list` says snapshots), "run:NAME@3" (of a recorded training after 3 epochs; also @step-1200, @best, '
        "@last) or a file; default: bundled, else packaged, else pretrained, else random"
    )
    parser.add_argument("--weights", help=weights)
    parser.add_argument("--device", default="auto", help='"auto", "cpu", "cuda", "cuda:1", "mps" (default: auto)')
    add_labelled(parser)


def add_labelled(parser: argparse.ArgumentParser) -> None:
    """--labelled, for commands that open weights files."""
    folder = "class folders, by which a weights file is judged where it leaves open which network it is of"
    parser.add_argument("--labelled", metavar="FOLDER", help=folder)


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """--json, for other programs."""
    parser.add_argument("--json", action="store_true", help=f"{what} as JSON, for other programs")


def print_json(value: Any) -> None:
    """Dataclasses, arrays and plain values as indented JSON, in ASCII: whatever the terminal's encoding is."""
    print(json.dumps(value, indent=1, default=_to_plain))


def _to_plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)


def check_out(out: str | Path) -> None:
    """Raise BadInput, before anything is computed, for a file that could not be written in the end."""
    path = Path(out)
    problem = "It is a folder" if path.is_dir() else why_unwritable(path.parent)
    if problem:
        raise BadInput(
            f"Could not write {path}: {problem}. Nothing was computed. Free space on that disk, or choose another "
            "place."
        )


def write_plainly(error: UnicodeError) -> tuple[str, int]:
    """An error handler of `codecs`: what a terminal's encoding lacks is written with what every one has."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(letter, "?") for letter in error.object[error.start : error.end]), error.end


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a service manager or `kill` sends it: the command ends as by Ctrl+C, and keeps what that keeps."""


@contextmanager
def end_softly(options: argparse.Namespace) -> Iterator[Callable[[], bool]]:
    """Inside, the first Ctrl+C or SIGTERM ends the work at its next report, so that what is done can be saved; before
    the first report, and the second time, it ends at once.

    Yields what a progress callback returns: False once the work shall end."""
    asked = begun = False

    def goes_on() -> bool:
        nonlocal begun
        begun = True
        return not asked

    def ask(number: int, _frame: object) -> None:
        nonlocal asked
        if asked or not begun:
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
        asked, options.terminated = True, number == signal.SIGTERM
        print("\nThis ends as soon as what is done is saved; once more ends it at once.", file=sys.stderr)

    if threading.current_thread() is not threading.main_thread():
        yield goes_on  # signals can only be caught in the main thread
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield goes_on
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def add_plugins(parser: argparse.ArgumentParser) -> None:
    """--plugin FILE, any number of times."""
    plugin = "a Python file with @cnnviz.register(...): its networks join the catalogue (see also CNNVIZ_PLUGINS)"
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE.py", help=plugin)


def load_plugins(options: argparse.Namespace) -> None:
    """Load what add_plugins' argument names, before the catalogue is read; say what CNNVIZ_PLUGINS names in vain.

    Raises BadInput with file, line and reason for a file of --plugin that cannot be used."""
    if not options.plugin and not os.environ.get("CNNVIZ_PLUGINS"):
        return  # spares commands without networks the import
    from cnnviz.models.catalogue.plugins import list_problems, load_file

    for path in options.plugin:
        load_file(path)
    for problem in list_problems():
        print(f"note: {problem}", file=sys.stderr)


def open_network(options: argparse.Namespace) -> LoadedModel:
    """Load what add_network's arguments ask for, with a bar while weights are downloaded."""
    from cnnviz.models.bundled import bundled
    from cnnviz.models.catalogue.registry import find
    from cnnviz.models.load import load
    from cnnviz.models.zoo.packaged import packaged

    if Path(options.network).is_file():
        return _report_warnings(load(None, options.network, options.device, labelled=options.labelled))
    weights = options.weights
    trained = {*bundled(), *packaged()}
    if weights is None and options.network not in trained and find(options.network).pretrained:
        weights = "pretrained"
    bar = ProgressBar()
    model = load(
        options.network,
        weights,
        options.device,
        progress=lambda done, total: _show_download(bar, done, total),
        labelled=options.labelled,
    )
    bar.clear()
    return _report_warnings(model)


def choose_own_gpu(options: argparse.Namespace) -> bool:
    """Give this process of torchrun a GPU of its own, if --device leaves that open and there is one; whether it has."""
    import torch

    if options.device not in ("auto", "cuda") or not torch.cuda.is_available():
        return False
    options.device = f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"
    return True


def _show_download(bar: ProgressBar, done: int, total: int) -> None:
    bar.update(done / max(total, 1), f"downloading weights, {done / 1e6:.0f} of {total / 1e6:.0f} MB")


def _report_warnings(model: LoadedModel) -> LoadedModel:
    bar = ProgressBar()
    for warning in model.report.warnings if model.report else []:
        bar.line(f"note: {warning}")
    return model
