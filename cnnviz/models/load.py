"""`load`: a network by name or from a weights file, in eval mode on a device, as a LoadedModel."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.data import class_names as labels
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.device import choose, out_of_memory, release
from cnnviz.errors import BadCheckpoint, BadInput
from cnnviz.models.bundled import SHIPPED, bundled, epoch_of, snapshots
from cnnviz.models.catalogue.architecture import Architecture, published
from cnnviz.models.catalogue.registry import build, find, is_known
from cnnviz.models.checkpoint.metadata import check_channels, find_architecture
from cnnviz.models.checkpoint.read import SUFFIXES, Checkpoint, read_weights
from cnnviz.models.model import LoadedModel
from cnnviz.models.recognise.decide import Decision, decide
from cnnviz.models.recognise.fill import count_classes, fill
from cnnviz.models.recognise.inspect import (
    decide_between,
    find_class_names,
    find_preprocessing,
    identify,
    is_published,
)
from cnnviz.models.runs.moment import RunMoment, find_bundled, find_snapshot, knows_epochs_alone, parse_moment
from cnnviz.models.variants.description import find_base
from cnnviz.models.zoo import download as pretrained
from cnnviz.models.zoo.packaged import PACKAGES, find_packaged
from cnnviz.store import is_there
from cnnviz.wording import plural

if TYPE_CHECKING:
    import torch

WORDS = ("random", "pretrained", "bundled", "packaged")
_SEED = 0


def load(
    name: str | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
    *,
    class_names: Sequence[str] | Mapping[Any, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    labelled: str | Path | None = None,
) -> LoadedModel:
    """A network in eval mode on `device` ("auto", "cpu", "cuda", "cuda:1", "mps").

    `name`: of the catalogue; None has it recognised from the file's metadata, keys and shapes. `weights`: "random"
    (the same at every call), "pretrained" (torchvision's own file, downloaded once with `progress(bytes done,
    bytes in all)`), "packaged" (a Python package of its own, where it is installed, see `models.zoo.packaged`),
    "bundled", "epoch-5" (the bundled weights as they were after 5 epochs of their training, float16, where such
    snapshots come with cnnviz), "run:mine@3" (of a recorded training after 3 epochs, see `models.runs`; also
    "@step-1200", "@best", "@last"; the nearest that is kept, which `.report` says), or the path of a file, or of a
    folder as HuggingFace's libraries save it; None takes the bundled file of a network that has one, which must be
    there, else the packaged one, which must be installed, and random weights for networks with neither. The number of
    classes is that of the file's head. `class_names` (a list, {index: name} or {name: index}) and `preprocessing` go
    before everything else; without them those of the file's metadata or of a side file `<file>.json` are taken, then
    torchvision's if the file is torchvision's own. Where the file does not say, what it does decides: the statistics
    that it kept, beside those of sample photographs, and its answers on a labelled set at hand, `labelled` (a folder of
    class folders) or the digits that cnnviz draws.
    `.report` says what was matched, measured and decided, `.notes["assumed"]` what nothing decided. A network of no
    catalogue is rebuilt where its tensors are a chain of layers; its name, "chain:…", describes it. Of networks that
    nothing tells apart the likeliest is taken: give `name` to choose another.
    If the device has too little memory the model comes to the CPU and `.notes["device"]` says so.

    Raises UnknownName, BadInput (no such device, nothing to load, class names or channels that do not
    fit), BadCheckpoint (unsafe, damaged or fitting no network), Offline (a download that could not be made).

    Example:
        >>> import cnnviz
        >>> model = cnnviz.load("lenet5", device="cpu")
        >>> model.origin, model.input_size, model.class_names[:3]
        ('bundled', (1, 28, 28), ['0', '1', '2'])
    """
    target = choose(device)
    overrides = _Overrides(class_names, preprocessing, labelled)
    return _place(overrides.apply_to(_load_parts(name, weights, progress, overrides)), target)


@dataclass(frozen=True, slots=True)
class _Overrides:
    """What the caller of `load` chose: it goes before what the file says and what would be assumed."""

    class_names: Sequence[str] | Mapping[Any, Any] | None = None
    preprocessing: Preprocessing | None = None
    labelled: str | Path | None = None

    def apply_to(self, parts: dict[str, Any]) -> dict[str, Any]:
        """`parts` of a model with what was chosen. Raises BadInput if it does not fit them."""
        names, count = self.class_names, len(parts["class_names"])
        if names is not None:
            if (ordered := labels.order_names(names)) is None or len(ordered) != count:
                raise BadInput(
                    f"class_names needs {plural(count, 'name')}, one a class of {parts['name']}, got "
                    f"{names!r:.80}. Give a list, "
                    "{index: name} or {name: index}."
                )
            parts = {**parts, "class_names": ordered}
        if self.preprocessing is not None:
            check_channels(self.preprocessing, parts["preprocessing"])
            parts = {**parts, "preprocessing": self.preprocessing}
        return parts


def _load_parts(
    name: str | None, weights: str | Path | None, progress: Callable[[int, int], None] | None, overrides: _Overrides
) -> dict[str, Any]:
    if weights is None:
        _refuse_a_path(name)
        weights = _usual_weights(name)
    if (moment := parse_moment(weights)) is not None:
        return _load_run(name, moment, overrides)
    epoch = epoch_of(weights)
    if weights in WORDS or epoch is not None:
        if name is None:
            raise BadInput(f"weights={weights!r} needs a name, e.g. cnnviz.load('squeezenet1_0', weights={weights!r}).")
        if epoch is not None:
            return _load_snapshot(name, epoch, overrides)
        if weights == "random":
            return _build_random(name, overrides)
        if weights == "pretrained":
            return _load_pretrained(find(name), progress)
        if weights == "packaged":
            return _load_packaged(find(name))
        return _load_file(name, _find_bundled(name), "bundled", overrides)
    path = Path(weights).expanduser()
    if not is_there(path) and path.suffix not in SUFFIXES:
        raise BadCheckpoint(
            f"There is no file {str(path)[:200]}. weights may be a path or one of: {', '.join(WORDS)}, epoch-N, "
            "run:NAME@N."
        )
    return _load_file(name, path, path.name, overrides)


def _usual_weights(name: str | None) -> str:
    """What `weights=None` means: random weights for those networks alone that cnnviz brings no others for. Where a file
    that belongs to it is missing, loading says so: random weights in its place would pass for trained ones."""
    return "bundled" if name in SHIPPED or name in bundled() else "packaged" if name in PACKAGES else "random"


def _refuse_a_path(name: str | None) -> None:
    if name is None:
        raise BadInput("load needs a name or a weights file: cnnviz.load('lenet5') or cnnviz.load(weights=PATH).")
    if Path(name).suffix in SUFFIXES:
        raise BadInput(f"{name!r} looks like a weights file: cnnviz.load(weights={str(name)!r}).")


def _build_random(name: str, overrides: _Overrides) -> dict[str, Any]:
    import torch

    found = find(name)
    classes = found.classes if overrides.class_names is None else len(overrides.class_names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        module = build(name, classes)
    names = labels.class_names(found.labels, classes)
    return dict(module=module, name=name, preprocessing=found.preprocessing, class_names=names, origin="random")


def _load_pretrained(found: Architecture, progress: Callable[[int, int], None] | None) -> dict[str, Any]:
    weights = pretrained.find_weights(found)
    checkpoint = pretrained.fetch(weights.url, progress)
    names = list(weights.meta["categories"])
    module, report = fill(found, checkpoint.tensors, len(names))
    if found.name in pretrained.SCALED_INPUT:
        rescale_input(module)
    report = replace(report, warnings=[*report.warnings, *checkpoint.warnings])
    shown = {key: weights.meta[key] for key in ("recipe", "_metrics") if key in weights.meta}
    notes = {"accuracy": shown.get("_metrics", {}), "recipe": shown.get("recipe", ""), "source": weights.url}
    parts = dict(module=module, name=found.name, origin="pretrained", report=report, notes=notes)
    return parts | dict(preprocessing=weights.preprocessing, class_names=names)


def _load_packaged(found: Architecture) -> dict[str, Any]:
    checkpoint, package = read_weights(find_packaged(found.name)), PACKAGES[found.name]
    if checkpoint.sha256 != package.sha256:
        raise BadCheckpoint(
            f"The weights of {found.name} in the package {package.distribution} are damaged or of another version. "
            f"Install them again: pip install --force-reinstall {package.distribution}"
        )
    module, report = fill(found, checkpoint.tensors, found.classes)
    report = replace(report, warnings=[])  # the very file, whose answers are tested
    notes = {"accuracy": package.accuracy, "source": package.address}
    parts = dict(module=module, name=found.name, origin="packaged", report=report, notes=notes)
    return parts | dict(preprocessing=found.preprocessing, class_names=labels.class_names(found.labels, found.classes))


def _find_bundled(name: str) -> Path:
    find(name)
    files = bundled()
    if name in SHIPPED and name not in files:
        elsewhere = "CNNVIZ_ASSETS names a folder without them: unset it, or" if os.environ.get("CNNVIZ_ASSETS") else ""
        raise BadInput(
            f"The trained weights of {name}, which come with cnnviz, are missing here. {elsewhere or 'To repair it,'} "
            "install cnnviz again (pip install --force-reinstall --no-deps cnnviz) or, in a copy of the project, fetch "
            "its folder assets/ anew. weights='random' gives random weights."
        )
    if name not in files:
        raise BadInput(
            f"No weights are bundled for {name}. Bundled: {', '.join(files) or 'none'}. "
            "Use 'random', 'pretrained' or a path."
        )
    return files[name]


def _load_snapshot(name: str, epoch: int, overrides: _Overrides) -> dict[str, Any]:
    """A snapshot's tensors; classes, preprocessing and recipe are those of the bundled weights it led to."""
    find(name)
    files = snapshots(name)
    if epoch not in files:
        there = f"after {plural(', '.join(map(str, files)), 'epoch')}" if files else "none"
        raise BadInput(
            f"No weights of {name} after {plural(epoch, 'epoch')} are bundled. Bundled snapshots: {there}. Use "
            "'bundled', "
            "'random' or a path."
        )
    last, checkpoint = read_weights(_find_bundled(name)).metadata, read_weights(files[epoch])
    inherited = {key: last[key] for key in ("classes", "preprocessing", "recipe", "data") if key in last}
    return _load_checkpoint(
        name, replace(checkpoint, metadata=inherited | checkpoint.metadata), files[epoch], f"epoch-{epoch}", overrides
    )


def _load_run(name: str | None, moment: RunMoment, overrides: _Overrides) -> dict[str, Any]:
    """The weights that a recorded training keeps of a moment, or nearest to it. The snapshot says of which network they
    are, or is recognised as any other file."""
    if knows_epochs_alone(moment.run):
        trained, weights, remark = find_bundled(moment)
        return _add_remark(_load_parts(name or trained, weights, None, overrides), remark)
    found = find_snapshot(moment)
    parts = _load_checkpoint(name, read_weights(found.path), found.path, found.weights, overrides)
    return _add_remark(parts, found.remark)


def _add_remark(parts: dict[str, Any], remark: str) -> dict[str, Any]:
    """`parts` of a model that is not exactly what was asked for, which is said."""
    if not remark:
        return parts
    report = replace(parts["report"], warnings=[remark, *parts["report"].warnings])
    return {**parts, "report": report, "notes": {**parts["notes"], "moment": remark}}


def _load_file(name: str | None, path: Path, origin: str, overrides: _Overrides) -> dict[str, Any]:
    return _load_checkpoint(name, read_weights(path), path, origin, overrides)


def _load_checkpoint(
    name: str | None, checkpoint: Checkpoint, path: Path, origin: str, overrides: _Overrides
) -> dict[str, Any]:
    assumed: list[str] = []
    decision = _decide(name, checkpoint, path, overrides, assumed)
    found = find(decision.name)
    classes = count_classes(checkpoint.tensors, found.name)
    module, report = fill(found, checkpoint.tensors, classes)
    if is_published(checkpoint, found) and found.name in pretrained.SCALED_INPUT:
        rescale_input(module)
    count, names = classes or found.classes, None
    if overrides.class_names is None:
        names = find_class_names(checkpoint, found, count, assumed)
    notes = {**checkpoint.metadata, "sha256": checkpoint.sha256, "assumed": assumed}
    warnings = [*report.warnings, *checkpoint.warnings, *_tell_other(name, checkpoint), *assumed]
    report = replace(report, warnings=warnings, evidence=decision.evidence, findings=decision.findings)
    parts = dict(module=module, name=found.name, origin=origin, report=report, notes=notes)
    return parts | dict(
        preprocessing=decision.preprocessing, class_names=names or labels.class_names(found.labels, count)
    )


def _tell_other(name: str | None, checkpoint: Checkpoint) -> list[str]:
    """That the file calls itself another network of the catalogue than the caller does, whose word counts."""
    told = find_architecture(checkpoint.metadata)
    if name is None or told in (None, name) or not is_known(str(told)):
        return []
    return [f"The file says that it holds weights of {told}; as asked for, they were put into {name}."]


def _decide(
    name: str | None, checkpoint: Checkpoint, path: Path, overrides: _Overrides, assumed: list[str]
) -> Decision:
    """The network and its preprocessing: what the caller says, else what the file says, does, or leaves to assume."""
    identity = None if name else identify(checkpoint, path.name)
    assumed += identity.warnings if identity else ()
    first = find(identity.candidates[0] if identity else str(name))
    told = overrides.preprocessing
    if told is None or told.channels != first.preprocessing.channels:  # refused when it is applied
        told = find_preprocessing(checkpoint, first, assumed)
    if identity is not None:
        decision = decide_between(checkpoint, identity, told, overrides.labelled)
    elif told is not None:
        decision = Decision(first.name, told)
    else:
        decision = decide(checkpoint.tensors, [first.name], labelled=overrides.labelled, free=False)
    if overrides.preprocessing is None and told is not None:
        decision = replace(decision, preprocessing=told)
    assumed += decision.assumed
    return decision


def rescale_input(module: Any) -> None:
    """Have torchvision's GoogLeNet or Inception rescale its input, as weights ported from TensorFlow expect."""
    module.transform_input = True


def _place(parts: dict[str, Any], device: torch.device) -> LoadedModel:
    """The model on its device, or on the CPU with a note if the device has no room."""
    import torch

    parts["notes"] = dict(parts.get("notes") or {})
    parts["known"] = find_base(parts["name"]) in published() or parts["name"].startswith("chain:")
    try:
        return LoadedModel(**parts, device=device)
    except RuntimeError as error:
        if device.type == "cpu" or not out_of_memory(error):
            raise
    # outside the except block: the traceback would keep what was copied so far
    parts["module"].to("cpu")
    release(device)
    parts["notes"]["device"] = f"{device} has too little free memory for {parts['name']}: it runs on the CPU."
    return LoadedModel(**parts, device=torch.device("cpu"))
