"""Validate a user's network before it enters the catalogue: its values, and its answer to one image."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

from cnnviz.data.class_names import KNOWN
from cnnviz.errors import BadInput, CnnvizError
from cnnviz.models.catalogue.meta_build import build_anywhere

if TYPE_CHECKING:
    from torch import nn

    from cnnviz.models.catalogue.architecture import Architecture

_NAME = re.compile(r"[A-Za-z]\w*")


def check_values(name: str, input_size: Sequence[int], classes: int, labels: Sequence[str] | str | None) -> None:
    """Raise BadInput, saying what was given and what is expected, if a value makes no sense."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(f"A network's name is letters, digits and underscores, e.g. 'my_net'; got {name!r}.")
    if len(input_size) != 3 or not all(isinstance(n, int) and n > 0 for n in input_size):
        raise BadInput(f"{name}: input_size must be (channels, height, width), e.g. (3, 32, 32); got {input_size!r}.")
    if not isinstance(classes, int) or classes < 1:
        raise BadInput(f"{name}: classes must be a whole number from 1, got {classes!r}.")
    if isinstance(labels, str):
        if labels not in (known := ["imagenet", *KNOWN]):
            raise BadInput(f"{name}: labels must be class names or one of {', '.join(known)}; got {labels!r}.")
    elif labels is not None and len(labels) != classes:
        raise BadInput(f"{name}: {classes} classes need as many labels, got {len(labels)}.")


def guard(builder: Callable[..., nn.Module], name: str) -> Callable[..., nn.Module]:
    """`builder` with its errors turned into BadInput that names the network. What cannot be built without memory is
    built on the CPU."""

    def build(num_classes: int, **options: Any) -> nn.Module:
        try:
            return build_anywhere(lambda: _require_module(builder(num_classes, **options), name))
        except CnnvizError:
            raise
        except Exception as error:
            raise BadInput(_describe_failure(name, num_classes, error)) from error

    try:
        build.__signature__ = signature(builder)  # type: ignore[attr-defined]  # which `inspect` reads
    except (TypeError, ValueError):
        raise BadInput(f"{name} must be a class or a function (num_classes) -> nn.Module, got {builder!r}.") from None
    return build


def try_out(entry: Architecture) -> None:
    """Raise BadInput unless the network answers (1, n) to one image, for n classes and for one more."""
    for count in (entry.classes, entry.classes + 1):
        shape = _run_once(entry, count)
        if shape == (1, entry.classes) and count != entry.classes:
            raise BadInput(
                f"{entry.name} has {entry.classes} outputs also when num_classes is {count}. Give its last layer "
                "num_classes outputs"
            )
        if shape != (1, count):
            raise BadInput(
                f"{entry.name} answers one image {entry.input_size} with {shape}; expected scores of shape "
                f"(1, {count}), one a class"
            )


def _run_once(entry: Architecture, count: int) -> tuple[int, ...] | str:
    """Shape of the output for one black image: without memory if the network can, else for real."""
    import torch

    for device in ("meta", "cpu"):
        try:
            with torch.random.fork_rng(devices=[]), torch.device(device), torch.no_grad():
                output = entry.builder(count).eval()(torch.zeros(1, *entry.input_size))
        except CnnvizError:
            raise
        except Exception as error:
            if device == "cpu":
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                raise BadInput(f"{entry.name} does not run on one image {entry.input_size}: {reason}") from error
            continue
        output = output[0] if isinstance(output, tuple | list) and output else output
        return tuple(output.shape) if isinstance(output, torch.Tensor) else f"a {type(output).__name__}"
    raise AssertionError("the loop returns or raises")


def _require_module(found: Any, name: str) -> nn.Module:
    from torch import nn

    if not isinstance(found, nn.Module):
        raise BadInput(f"The builder of {name} returned a {type(found).__name__}; it must return an nn.Module.")
    return found


def _describe_failure(name: str, num_classes: int, error: Exception) -> str:
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"The builder of {name} failed for num_classes={num_classes}: {reason}"
