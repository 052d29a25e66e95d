"""From a name, or a file, to a network that is ready to be looked at."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.device import choose
from cnnviz.errors import BadCheckpoint, BadInput
from cnnviz.models import pretrained, recognise
from cnnviz.models.bundled import bundled
from cnnviz.models.checkpoints import SUFFIXES, Checkpoint, read_weights
from cnnviz.models.labels import class_names
from cnnviz.models.loaded import LoadedModel
from cnnviz.models.matching import apply, match
from cnnviz.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from cnnviz.models.registry import Architecture, architectures, build, find

if TYPE_CHECKING:
    import torch
    from torch import nn

WORDS = ("random", "pretrained", "bundled")
_SEED = 0


def load(
    name: str | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> LoadedModel:
    """A network in eval mode on `device` ("auto", "cpu", "cuda", "cuda:1", "mps").

    `name`: of the catalogue; None has it recognised from the file's metadata, keys and shapes.
    `weights`: "random" (the same at every call), "pretrained" (torchvision's own file, downloaded once
    with `progress(bytes done, bytes in all)`), "bundled", or the path of a file; None takes the bundled
    file where there is one for `name`, else random weights. The number of classes is that of the file's
    head. Class names and preprocessing: the file's metadata first, then torchvision's if the file is
    torchvision's own, then the architecture's. `.report` says what was matched, `.notes["assumed"]` what
    the file left open: a CIFAR ResNet of unknown origin is given ImageNet's mean and std, as the public
    training scripts for it do; tensors that fit a residual and a plain network go to the residual one.
    If the device has too little memory the model comes to the CPU and `.notes["device"]` says so.

    Raises UnknownName, BadInput (no such device, nothing to load), BadCheckpoint (unsafe, damaged or
    fitting no network), Offline (a download that could not be made)."""
    target = choose(device)
    if weights is None:
        _refuse_a_path(name)
        weights = "bundled" if name in bundled() else "random"
    if name is None and weights in WORDS:
        raise BadInput(f"weights={weights!r} needs a name, e.g. cnnviz.load('squeezenet1_0', weights={weights!r}).")
    if weights == "random":
        return _place(_random(name), target)
    if weights == "pretrained":
        return _place(_pretrained(find(name), progress), target)
    if weights == "bundled":
        return _place(_from_file(name, _bundled_path(name), "bundled"), target)
    path = Path(weights).expanduser()
    if not path.exists() and path.suffix not in SUFFIXES:
        raise BadCheckpoint(f"There is no file {path}. weights may be a path or one of: {', '.join(WORDS)}.")
    return _place(_from_file(name, path, path.name), target)


def _refuse_a_path(name: str | None) -> None:
    if name is None:
        raise BadInput("load needs a name or a weights file: cnnviz.load('lenet5') or cnnviz.load(weights=PATH).")
    if Path(name).suffix in SUFFIXES:
        raise BadInput(f"{name!r} looks like a weights file: cnnviz.load(weights={str(name)!r}).")


def _random(name: str) -> dict[str, Any]:
    import torch

    found = find(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        module = build(name)
    names = class_names(found.labels, found.classes)
    return dict(module=module, name=name, preprocessing=found.preprocessing, class_names=names, origin="random")


def _pretrained(found: Architecture, progress: Callable[[int, int], None] | None) -> dict[str, Any]:
    weights = pretrained.entry(found)
    checkpoint = pretrained.fetch(weights.url, progress)
    names = list(weights.meta["categories"])
    module, report = _filled(found, checkpoint, len(names))
    if found.name in pretrained.SCALED_INPUT:
        module.transform_input = True
    report = replace(report, warnings=[*report.warnings, *checkpoint.warnings])
    shown = {key: weights.meta[key] for key in ("recipe", "_metrics") if key in weights.meta}
    notes = {"accuracy": shown.get("_metrics", {}), "recipe": shown.get("recipe", ""), "source": weights.url}
    return dict(
        module=module, name=found.name, preprocessing=pretrained.preprocessing(weights), class_names=names,
        origin="pretrained", report=report, notes=notes,
    )  # fmt: skip


def _bundled_path(name: str) -> Path:
    find(name)
    files = bundled()
    if name not in files:
        raise BadInput(
            f"No weights are bundled for {name}. Bundled: {', '.join(files) or 'none'}. "
            "Use 'random', 'pretrained' or a path."
        )
    return files[name]


def _from_file(name: str | None, path: Path, origin: str) -> dict[str, Any]:
    checkpoint = read_weights(path)
    assumed: list[str] = []
    found = find(name) if name else _recognised(checkpoint, path, assumed)
    classes = recognise.head_classes(checkpoint.tensors, found.name)
    module, report = _filled(found, checkpoint, classes)
    own = found.pretrained is not None and pretrained.is_own_file(pretrained.entry(found), checkpoint.sha256)
    if own and found.name in pretrained.SCALED_INPUT:
        module.transform_input = True
    chosen = _preprocessing(found, checkpoint, own, assumed)
    names = _class_names(found, checkpoint, classes or found.classes, assumed)
    notes = {**checkpoint.metadata, "sha256": checkpoint.sha256, "assumed": assumed}
    report = replace(report, warnings=[*report.warnings, *checkpoint.warnings, *assumed])
    return dict(
        module=module, name=found.name, preprocessing=chosen, class_names=names, origin=origin, report=report,
        notes=notes,
    )  # fmt: skip


def _recognised(checkpoint: Checkpoint, path: Path, assumed: list[str]) -> Architecture:
    """The architecture that metadata name, if the tensors fit it; else the best fit of the tensors."""
    for key in ("architecture", "arch", "model_name"):
        told = checkpoint.metadata.get(key)
        if isinstance(told, str) and told in architectures() and recognise.fit(checkpoint.tensors, told):
            return find(told)
    candidates = recognise.candidates(checkpoint.tensors)
    if not candidates:
        near, common, total = recognise.closest(checkpoint.tensors)
        raise BadCheckpoint(
            f"No known architecture fits {path.name} ({len(checkpoint.tensors)} tensors). Closest: {near}, "
            f"with {common} of {total} shapes in common. Name one, cnnviz.load('{near}', weights=…), to see "
            "what differs; `cnnviz list architectures` lists all."
        )
    best = candidates[0]
    equal = [candidate.name for candidate in candidates[1:] if candidate.level == best.level]
    if equal:
        assumed.append(f"Taken for {best.name}; {', '.join(equal)} has the same tensors: name it to choose it.")
    return find(best.name)


def _filled(found: Architecture, checkpoint: Checkpoint, classes: int | None) -> tuple[nn.Module, Any]:
    import torch

    with torch.device("meta"):
        module = build(found.name, classes)
    if {key for key, _ in module.named_buffers()} - module.state_dict().keys():
        module = build(found.name, classes)  # constants that no file holds: make them for real
    report = match(checkpoint.tensors, module)
    apply(checkpoint.tensors, module, report, found.name)
    return module, report


def _preprocessing(found: Architecture, checkpoint: Checkpoint, own: bool, assumed: list[str]) -> Preprocessing:
    default, told = found.preprocessing, checkpoint.metadata.get("preprocessing")
    if isinstance(told, dict):
        try:
            return Preprocessing.from_dict({**default.as_dict(), **told})
        except BadInput as error:
            assumed.append(f"The file's preprocessing could not be used: {error}")
    if own:
        return pretrained.preprocessing(pretrained.entry(found))
    if found.family == "CIFAR ResNet":
        assumed.append("The file names no normalisation: ImageNet's mean and standard deviation were assumed.")
        return replace(default, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    assumed.append(f"The file names no preprocessing: that of {found.title} was assumed.")
    if found.name in pretrained.SCALED_INPUT:
        assumed.append(
            "If it stems from torchvision's pretrained weights, mean and std are 0.5: say so in a side file."
        )
    return default


def _class_names(found: Architecture, checkpoint: Checkpoint, count: int, assumed: list[str]) -> list[str]:
    told = checkpoint.metadata.get("classes")
    if isinstance(told, list | tuple) and len(told) == count:
        return [str(name) for name in told]
    if told is not None:
        assumed.append(f"The file's class names do not fit its {count} classes and were ignored.")
    return class_names(found.labels, count)


def _place(parts: dict[str, Any], device: torch.device) -> LoadedModel:
    """The model on its device, or on the CPU with a note if the device has no room."""
    import torch

    parts["notes"] = dict(parts.get("notes") or {})
    try:
        return LoadedModel(**parts, device=device)
    except RuntimeError as error:
        if device.type == "cpu" or not _out_of_memory(error):
            raise
    # outside the except block: the traceback would keep what was copied so far
    parts["module"].to("cpu")
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    parts["notes"]["device"] = f"{device} has too little free memory for {parts['name']}: it runs on the CPU."
    return LoadedModel(**parts, device=torch.device("cpu"))


def _out_of_memory(error: RuntimeError) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)
