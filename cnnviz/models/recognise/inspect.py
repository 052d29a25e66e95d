"""Inspect a weights file before it is loaded: which networks it fits, classes, preprocessing, what does not match."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadCheckpoint, BadInput, CnnvizError
from cnnviz.models.catalogue.architecture import Architecture
from cnnviz.models.catalogue.registry import architectures, build, find, is_known
from cnnviz.models.checkpoint import metadata
from cnnviz.models.checkpoint.match import LoadReport, compare, first_five, refuse_problems
from cnnviz.models.checkpoint.read import Checkpoint, read_weights
from cnnviz.models.recognise import recognise
from cnnviz.models.recognise.shapes import published_shapes, sized_shapes
from cnnviz.models.variants.description import describe_assumption
from cnnviz.models.zoo import download as pretrained

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the app and the command line show of a file before a network is chosen.

    `sha256`: of the file, hex. `tensors`: their number, counters too. `candidates`: architectures that the
    tensors fit equally well, likeliest first; the one that metadata name stands first if it fits.
    `others`: those that fit less surely (same shapes under other names, or in another order). `named`: the
    architecture that metadata name, known or not. `classes`: by the head. `class_names`, `preprocessing`:
    from the metadata, the side file or, for published files, from their publisher; None = unknown.
    `report`: how the tensors match the first candidate. `warnings`: sentences for the user."""

    sha256: str
    tensors: int
    candidates: tuple[str, ...]
    others: tuple[str, ...]
    named: str | None
    classes: int
    class_names: tuple[str, ...] | None
    preprocessing: Preprocessing | None
    report: LoadReport
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """The architectures that a file fits, as in `Inspection`, with the number of classes of the first."""

    candidates: tuple[str, ...]
    others: tuple[str, ...]
    named: str | None
    classes: int
    warnings: tuple[str, ...]


def inspect(path: str | Path) -> Inspection:
    """Read a weights file and say what it is; nothing in it is run.

    Raises BadCheckpoint, with reason and remedy, for files that are unsafe, damaged or fit no network."""
    path = Path(path)
    checkpoint = read_weights(path)
    identity = identify(checkpoint, path.name)
    entry, notes = find(identity.candidates[0]), [*checkpoint.warnings, *identity.warnings]
    report = compare(checkpoint.tensors, sized_shapes(entry.name, identity.classes))
    refuse_problems(report, entry.name)
    names = find_class_names(checkpoint, entry, identity.classes, notes)
    return Inspection(
        sha256=checkpoint.sha256,
        tensors=len(checkpoint.tensors),
        candidates=identity.candidates,
        others=identity.others,
        named=identity.named,
        classes=identity.classes,
        class_names=tuple(names) if names else None,
        preprocessing=find_preprocessing(checkpoint, entry, notes),
        report=report,
        warnings=tuple(notes),
    )


def identify(checkpoint: Checkpoint, file: str) -> Identity:
    """Which architectures the tensors of `file` fit. Metadata are believed as far as the tensors fit them.

    Raises BadCheckpoint if none does, with the closest one and what differs."""
    name = metadata.find_architecture(checkpoint.metadata)
    found = recognise.find_candidates(checkpoint.tensors)
    said = recognise.fit(checkpoint.tensors, name) if _is_usable(name) else None
    if not found and not said:
        raise BadCheckpoint(_describe_misfit(checkpoint, name, file))
    first = said or found[0]
    equal = [c.name for c in found if c.level == first.level and c.name != first.name]
    rest = [c.name for c in found if c.level != first.level and c.name != first.name]
    warnings = ("" if said or name is None else _describe_disbelief(name), describe_assumption(first.name))
    return Identity((first.name, *equal), tuple(rest), name, first.classes, tuple(filter(None, warnings)))


def _is_usable(name: str | None) -> TypeGuard[str]:
    """True if metadata name a network that is known and can be built; else the tensors alone decide."""
    if not name or not is_known(name):
        return False
    try:
        return bool(published_shapes(name))
    except Exception:  # code of a zoo or a plugin
        return False


def skeleton(entry: Architecture, classes: int | None) -> nn.Module:
    """The network as a file may fill it: without memory for its tensors, where none is a constant."""
    import torch

    with torch.device("meta"):
        module = build(entry.name, classes)
    constants = {key for key, _ in module.named_buffers()} - module.state_dict().keys()
    real = constants or any(map(_is_constant, module.modules()))
    return build(entry.name, classes) if real else module  # no file holds constants: make them for real


def _is_constant(module: nn.Module) -> bool:
    """True if a layer keeps a tensor that is neither parameter nor buffer, bare or in a list, tuple or dict."""
    from torch import Tensor

    kept: list[object] = [v for key, v in vars(module).items() if key not in ("_parameters", "_buffers", "_modules")]
    for value in tuple(kept):
        if isinstance(value, list | tuple | dict):
            kept += value.values() if isinstance(value, dict) else value
    return any(isinstance(value, Tensor) and value.is_meta for value in kept)


def find_class_names(checkpoint: Checkpoint, entry: Architecture, count: int, notes: list[str]) -> list[str] | None:
    """The class names from the file's metadata, else from its publisher; None if there are none.

    A sentence enters `notes` if there are names, but not `count`."""
    try:
        names = metadata.find_class_names(checkpoint.metadata)
    except BadInput as error:
        notes.append(f"The file's class names could not be used: {error}")
        return None
    if names is not None and len(names) == count:
        return names
    if names is not None:
        notes.append(f"The file names {len(names)} classes and its head has {count}: the names were ignored.")
    elif is_published(checkpoint, entry):
        return list(pretrained.find_weights(entry).meta.get("categories", ())) or None
    return None


def find_preprocessing(checkpoint: Checkpoint, entry: Architecture, notes: list[str]) -> Preprocessing | None:
    """The preprocessing from the file's metadata, else from its publisher; None if there is none.

    A sentence enters `notes` if the metadata hold one that cannot be used."""
    try:
        found = metadata.find_preprocessing(checkpoint.metadata, entry.preprocessing)
    except BadInput as error:
        notes.append(f"The file's preprocessing could not be used: {error}")
        return None
    if found is None and is_published(checkpoint, entry):
        return pretrained.find_weights(entry).preprocessing
    return found


def is_published(checkpoint: Checkpoint, entry: Architecture) -> bool:
    """True if the file is the public one of this architecture, where its address contains the sha256."""
    if entry.pretrained is None:
        return False
    try:
        return pretrained.is_own_file(pretrained.find_weights(entry), checkpoint.sha256)
    except CnnvizError:  # of a zoo whose package is not installed
        return False


def _describe_disbelief(name: str) -> str:
    shown = repr(name[:60])
    if is_known(name):
        return f"The file says that it is {shown}, and its tensors do not fit that; the tensors were believed."
    near = ", ".join(get_close_matches(name, architectures(), n=3, cutoff=0.5))
    return f"The file says that it is {shown}, which no network is called" + (f" (closest: {near})." if near else ".")


def _describe_misfit(checkpoint: Checkpoint, name: str | None, file: str) -> str:
    near, common, total = recognise.find_closest(checkpoint.tensors)
    if _is_usable(name):
        near, common, total = recognise.count_shared(checkpoint.tensors, name)
    text = (
        f"No known architecture fits {file} ({len(checkpoint.tensors)} tensors). Closest: {near}, "
        f"with {common} of {total} shapes in common. "
    )
    if 2 * common < total:
        return text + "`cnnviz list architectures` lists all; a network of your own can be registered."
    classes = recognise.count_classes(checkpoint.tensors, near)
    differs = compare(checkpoint.tensors, sized_shapes(near, classes)).problems()
    return text + f"What differs: {first_five(differs)}. Save the weights of the published network, or register yours."
