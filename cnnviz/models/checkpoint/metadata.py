"""Metadata of a weights file or its side file: the network's name, its class names, its preprocessing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from cnnviz.data.class_names import order_names
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput
from cnnviz.models.checkpoint.unwrap import CLASS_KEYS, NESTED
from cnnviz.wording import plural

_NAME_KEYS = ("architecture", "arch", "model_name")
_VAGUE = ("labels", "names", "categories", "label_map")  # keys that may hold other things, too
_LONGEST_SIDE = 4096  # pixels; an untrusted file must not make every image fill the memory


def find_architecture(metadata: Mapping[str, Any]) -> str | None:
    """The name that the metadata give the network, known or not; None if they give none."""
    for level in _walk_levels(metadata):
        for key in _NAME_KEYS if level is metadata else (*_NAME_KEYS, "model"):  # --model of many scripts
            if isinstance(level.get(key), str):
                return level[key]
    return None


def find_class_names(metadata: Mapping[str, Any]) -> list[str] | None:
    """The class names in order of the outputs, from a list, from {index: name} or from ImageFolder's {name: index},
    under any of CLASS_KEYS at any level of the settings; None if there are none.

    Raises BadInput if there is something of the kind from which no order can be read, such as a set."""
    unclear = ""
    for level in _walk_all(metadata):
        for key in CLASS_KEYS:
            value = level.get(key)
            if not isinstance(value, Mapping | list | tuple) or not value:
                continue
            names = order_names(value)
            if names is not None and (key not in _VAGUE or _are_names(names)):
                return names
            if names is None and key not in _VAGUE:
                unclear = unclear or f"{key} holds {value!r:.60}"
    if unclear:
        raise BadInput(f"{unclear}; expected a list of names, {{index: name}} or {{name: index}}.")
    return None


def _are_names(names: list[str]) -> bool:
    """Whether these are names, each of its own, and not the labels of images or numbers."""
    return len(set(names)) == len(names) and not any(name.lstrip("+-").replace(".", "", 1).isdigit() for name in names)


def _walk_all(level: Mapping[str, Any], depth: int = 4) -> Iterator[Mapping[str, Any]]:
    yield level
    if depth:
        for value in level.values():
            if isinstance(value, Mapping):
                yield from _walk_all(value, depth - 1)


def find_preprocessing(metadata: Mapping[str, Any], default: Preprocessing) -> Preprocessing | None:
    """The preprocessing in the metadata, fields they leave out taken from `default`; None if there is none.

    Raises BadInput if a field makes no sense, if the input would be larger than 4096 pixels, or
    if there are fewer or more channels than in `default`."""
    for level in _walk_levels(metadata):
        if isinstance(level.get("preprocessing"), dict):
            found = Preprocessing.from_dict({**default.as_dict(), **level["preprocessing"]})
            check_channels(found, default)
            _check_pixels(found)
            return found
    return None


def check_channels(given: Preprocessing, default: Preprocessing) -> None:
    """Raise BadInput unless mean and std have one value a channel of the network's input."""
    if given.channels != default.channels:
        raise BadInput(
            f"The network takes {plural(default.channels, 'channel')}, and mean and std are given for "
            f"{given.channels}. "
            f"Give {plural(default.channels, 'value')} each."
        )


def _check_pixels(found: Preprocessing) -> None:
    sides = [*found.size, found.resize or found.size[0]]
    if not all(1 <= side <= _LONGEST_SIDE for side in sides) or not all(map(math.isfinite, found.mean + found.std)):
        raise BadInput(
            f"size and resize must lie between 1 and {_LONGEST_SIDE} pixels, and mean and std be numbers, got {found}."
        )


def _walk_levels(metadata: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield metadata
    yield from (metadata[key] for key in NESTED if isinstance(metadata.get(key), Mapping))
