"""The exceptions of cnnviz: their texts say what was given, what was expected and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import NoReturn


class CnnvizError(Exception):
    """Base of every error that cnnviz raises on purpose; its text is meant for the user."""


class UnknownName(CnnvizError, KeyError):
    """A name that no catalogue holds: architecture, layer, corpus, …"""

    def __str__(self) -> str:  # KeyError would print the text in quotes
        return str(self.args[0]) if self.args else ""


class BadInput(CnnvizError, ValueError):
    """A value, image or file that cannot be used as given."""


class BadCheckpoint(BadInput):
    """A weights file that is unsafe, damaged or fits no network."""


class BadImage(BadInput):
    """An image file that is unsafe, damaged or not an image."""


class Offline(CnnvizError):
    """Something had to be downloaded and could not be."""


class Cancelled(CnnvizError):
    """The user stopped a long computation; what was finished is kept."""


class DeviceLost(CnnvizError):
    """The accelerator is full or gone, or the computer's own memory is full."""


class TrainingDiverged(CnnvizError):
    """The loss became NaN or infinite."""


def unknown(kind: str, name: str, known: Iterable[str]) -> NoReturn:
    """Raise UnknownName for `name`, naming the closest entries of the catalogue `known`."""
    name = name if len(name) <= 80 else f"{name[:80]}…"  # a link can hold anything
    near = get_close_matches(name, list(known), n=3, cutoff=0.5)
    hint = f" Closest: {', '.join(near)}." if near else ""
    listing = {
        "architecture": " List them: `cnnviz list architectures`.",
        "timm network": " List them: `cnnviz list timm`.",
        "pytorchcv network": " List them: `cnnviz list pytorchcv`.",
        "torchvision network": " List them: `cnnviz list torchvision`.",
        "zoo": " Zoos: timm, pytorchcv, torchvision, e.g. timm:resnet18.",
        "layer": " List them: `model.layers()`.",
        "corpus": " List them: `cnnviz list corpora`.",
    }
    raise UnknownName(f"No {kind} named {name!r}.{hint}{listing.get(kind, '')}")
