"""Command line `cnnviz`: the parser of all commands, exit codes, and messages for a full disk or memory."""

from __future__ import annotations

import argparse
import codecs
import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from cnnviz.cli import app, classroom, index, landscape, listing, prefetch, show, train
from cnnviz.cli.common import Terminated, add_plugins, load_plugins, write_plainly
from cnnviz.cli.doctor import doctor
from cnnviz.device import out_of_memory
from cnnviz.errors import Cancelled, CnnvizError

_COMMANDS = {
    "app": app,
    "list": listing,
    "show": show,
    "train": train,
    "index": index,
    "landscape": landscape,
    "class": classroom,
    "prefetch": prefetch,
    "doctor": doctor,
}
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)}  # disks and quotas
_EPILOG = """examples:
  cnnviz app
  cnnviz train lenet5 --data mnist --out runs/lenet5
  cnnviz index squeezenet1_0 --data photographs/ --out squeezenet.npz
  cnnviz index runs/lenet5/lenet5-mnist.safetensors --data mnist-test --out lenet5.npz
  cnnviz landscape resnet20_cifar --data cifar10 --steps 25 --out resnet20.npz
  cnnviz prefetch squeezenet1_0 timm:resnet18 pytorchcv:nin_cifar10 --data imagenette
  cnnviz show my_net --plugin my_net.py
  cnnviz class --tour lecture

The app: cnnviz app, or streamlit run app/Home.py in a copy of the project
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line, for --help and tests."""
    raw, about = argparse.RawDescriptionHelpFormatter, "The microscope for convolutional networks."
    top = argparse.ArgumentParser(prog="cnnviz", description=about, epilog=_EPILOG, formatter_class=raw)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in _COMMANDS.items():
        doc = (module.__doc__ or "").strip()
        sub = commands.add_parser(name, help=doc.splitlines()[0], description=doc, formatter_class=raw)
        module.add_arguments(sub)
        add_plugins(sub)
        sub.set_defaults(run=module.run)
    return top


def _terminate(*_: object) -> NoReturn:
    raise Terminated


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. 0: done; 1: an error that was explained; 2: wrong usage; 130: interrupted; 143: terminated. What
    is kept of what was begun is what the command says in `options.kept`."""
    options = build_parser().parse_args(arguments)
    codecs.register_error("cnnviz", write_plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="cnnviz")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    try:
        load_plugins(options)
        options.run(options)
        sys.stdout.flush()
    except Cancelled as error:
        print(f"\n{error}", file=sys.stderr)
        return 143 if getattr(options, "terminated", False) else 130
    except KeyboardInterrupt as error:
        ended = isinstance(error, Terminated)
        print(f"\n{'Terminated' if ended else 'Interrupted'}. {getattr(options, 'kept', '')}".rstrip(), file=sys.stderr)
        return 143 if ended else 130
    except CnnvizError as error:
        print(f"cnnviz: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 0
    except (OSError, RuntimeError, MemoryError) as error:
        if not (words := _explain_machine_error(error)):
            raise
        print(f"cnnviz: {words}", file=sys.stderr)
        return 1
    return 0


def _explain_machine_error(error: Exception) -> str:
    """What to say where the disk or the memory is full; "" for other errors, which are ours."""
    if isinstance(error, OSError) and error.errno in _FULL:
        if error.filename is None:  # standard output: what is left in it must not be tried again at the end
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        where = error.filename or "The output"
        return f"{where} could not be written: {error.strerror}. Free space on that disk, or choose another place."
    if out_of_memory(error):
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        return (
            f"There is not enough memory for this ({reason}). Close other programs, or choose a smaller network, fewer "
            "images, a smaller --batch or another --device."
        )
    return ""
