"""Inspect a weights file before it is loaded: which networks it fits, classes, preprocessing, what does not match."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TypeGuard

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadCheckpoint, BadInput, CnnvizError
from cnnviz.models.catalogue.architecture import Architecture
from cnnviz.models.catalogue.registry import architectures, find, is_known
from cnnviz.models.chains.chain import is_chain
from cnnviz.models.checkpoint import metadata
from cnnviz.models.checkpoint.match import LoadReport, compare, first_five, refuse_problems
from cnnviz.models.checkpoint.read import Checkpoint, read_weights
from cnnviz.models.recognise import recognise
from cnnviz.models.recognise.decide import Decision, decide
from cnnviz.models.recognise.fill import compare_to, computes, fits
from cnnviz.models.recognise.rebuild.chains import RebuiltChain, describe_layers, find_chains
from cnnviz.models.recognise.shapes import published_shapes, sized_shapes
from cnnviz.models.variants.description import describe_assumption
from cnnviz.models.zoo import download as pretrained
from cnnviz.wording import plural


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the app and the command line show of a file before a network is chosen.

    `sha256`: of the file, hex. `tensors`: their number, counters too. `candidates`: architectures that the
    tensors fit equally well, likeliest first; the one that metadata name stands first if it fits.
    `others`: those that fit less surely (same shapes under other names, or in another order). `named`: the
    architecture that metadata name, known or not. `classes`: by the head. `class_names`, `preprocessing`:
    from the metadata, the side file or, for published files, from their publisher; None = unknown. `normalised`: the
    preprocessing that is used without further word, known, decided by evidence or assumed.
    `report`: how the tensors match the first candidate, with what was measured and decided. `warnings`: sentences for
    the user, what is assumed among them."""

    sha256: str
    tensors: int
    candidates: tuple[str, ...]
    others: tuple[str, ...]
    named: str | None
    classes: int
    class_names: tuple[str, ...] | None
    preprocessing: Preprocessing | None
    normalised: Preprocessing
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
    settled: bool = False  # by the file's own words: the network that metadata name, the layers of a saved network


def inspect(path: str | Path, labelled: str | Path | None = None) -> Inspection:
    """Read a weights file and say what it is; nothing in it is run.

    `labelled`: a folder of class folders with images of the network's classes, in the order of its outputs by name:
    how well they are answered tells activation, pooling and normalisation. Raises BadCheckpoint, with reason and
    remedy, for files that are unsafe, damaged or fit no network; BadInput if `labelled` has other classes."""
    path = Path(path)
    checkpoint = read_weights(path)
    identity = identify(checkpoint, path.name)
    notes: list[str] = [*checkpoint.warnings, *identity.warnings]
    told = find_preprocessing(checkpoint, find(identity.candidates[0]), notes)
    decision = decide_between(checkpoint, identity, told, labelled)
    entry = find(decision.name)
    report = compare_to(entry, checkpoint.tensors, identity.classes)
    refuse_problems(report, entry.name)
    names = find_class_names(checkpoint, entry, identity.classes, notes)
    first = (entry.name, *(name for name in identity.candidates if name != entry.name))
    return Inspection(
        sha256=checkpoint.sha256,
        tensors=len(checkpoint.tensors),
        candidates=first,
        others=tuple(name for name in identity.others if name != entry.name),
        named=identity.named,
        classes=identity.classes,
        class_names=tuple(names) if names else None,
        preprocessing=told,
        normalised=decision.preprocessing,
        report=replace(report, evidence=decision.evidence, findings=decision.findings),
        warnings=tuple(notes),
    )


def decide_between(
    checkpoint: Checkpoint, identity: Identity, told: Preprocessing | None, labelled: str | Path | None = None
) -> Decision:
    """Which candidate the file is, by what it does. The network that metadata name is believed."""
    if identity.settled or identity.named == identity.candidates[0]:
        return decide(checkpoint.tensors, identity.candidates[:1], (), told, labelled, free=False)
    return decide(checkpoint.tensors, identity.candidates, identity.others, told, labelled)


def identify(checkpoint: Checkpoint, file: str) -> Identity:
    """Which architectures the tensors of `file` fit. Metadata are believed as far as the tensors fit them.

    Where none does, the chains that have these tensors. Raises BadCheckpoint if there is none either, with what the
    tensors are, why they are no chain, and the closest network if one is close."""
    name = metadata.find_architecture(checkpoint.metadata)
    found = recognise.find_candidates(checkpoint.tensors)
    if name and is_chain(name) and fits(checkpoint.tensors, name):
        return Identity((name,), (), name, find(name).classes, ())
    said = recognise.fit(checkpoint.tensors, name) if _is_usable(name) else None
    if not found and not said:
        return _rebuild(checkpoint, name, file)
    rebuilt = find_chains(checkpoint.tensors, checkpoint.modules) if checkpoint.modules else []
    exact = next((chain for chain in rebuilt if chain.exact), None)
    if exact and not said and not any(computes(c.name, exact.chain.name, checkpoint.tensors) for c in found[:1]):
        return _settle(exact, name)
    first = said or found[0]
    equal = [c.name for c in found if c.level == first.level and c.name != first.name]
    rest = [c.name for c in found if c.level != first.level and c.name != first.name]
    warnings = ("" if said or name is None else _describe_disbelief(name), describe_assumption(first.name))
    return Identity((first.name, *equal), tuple(rest), name, first.classes, tuple(filter(None, warnings)))


def _rebuild(checkpoint: Checkpoint, name: str | None, file: str) -> Identity:
    rebuilt = find_chains(checkpoint.tensors, checkpoint.modules)
    chains = [found.chain.name for found in rebuilt]
    if not chains or _is_usable(name):
        raise BadCheckpoint(_describe_misfit(checkpoint, name, file))
    if rebuilt[0].exact:
        return _settle(rebuilt[0], name)
    warnings = () if name is None else (_describe_disbelief(name),)
    return Identity((chains[0],), tuple(chains[1:]), name, find(chains[0]).classes, warnings)


def _settle(exact: RebuiltChain, name: str | None) -> Identity:
    """A saved network whose layers the file states."""
    said = tuple(finding.sentence for finding in exact.assumed)
    told = () if name is None else (_describe_disbelief(name),)
    return Identity((exact.chain.name,), (), name, exact.chain.classes, told + said, settled=True)


def _is_usable(name: str | None) -> TypeGuard[str]:
    """True if metadata name a network that is known and can be built; else the tensors alone decide."""
    if not name or not is_known(name):
        return False
    try:
        return bool(published_shapes(name))
    except Exception:  # code of a zoo or a plugin
        return False


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
        notes.append(f"The file names {plural(len(names), 'class')} and its head has {count}: the names were ignored.")
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
    found = describe_layers(checkpoint.tensors)
    near, common, total = recognise.find_closest(checkpoint.tensors)
    if _is_usable(name):
        near, common, total = recognise.count_shared(checkpoint.tensors, name)
    text = f"No known architecture fits {file} ({plural(len(checkpoint.tensors), 'tensor')}): {found.sentence}. "
    if 2 * common < max(total, len(checkpoint.tensors)):
        if not found.convolutions:
            return text + "cnnviz looks at convolutional networks."
        return text + "`cnnviz list architectures` lists all; a network of your own can be registered."
    classes = recognise.count_classes(checkpoint.tensors, near)
    differs = compare(checkpoint.tensors, sized_shapes(near, classes)).problems()
    closest = f"Closest: {near}, with {common} of {total} shapes in common. What differs: {first_five(differs)}. "
    return text + closest + "Save the weights of the published network, or register yours."
