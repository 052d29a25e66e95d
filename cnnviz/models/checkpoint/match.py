"""Match the tensors of a weights file to those of a network: by name, else by order and shape.

Names are believed first. What carries other names is matched only where no other reading is possible:
the same tensors in the same order, or a shape that the whole network has once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.prefixes import TRAINING, align_names, is_bookkeeping
from cnnviz.wording import plural

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cnnviz.models.evidence import Evidence, Finding

Shapes = dict[str, tuple[int, ...]]
AUXILIARY = re.compile(r"^(aux\d*|AuxLogits|aux_head|aux_classifier|aux_logits)\.")  # training-only heads
_ROLES = {
    **dict.fromkeys(("weight", "kernel", "gamma", "scale"), "weight"),
    **dict.fromkeys(("bias", "beta"), "bias"),
    **dict.fromkeys(("running_mean", "moving_mean"), "running_mean"),
    **dict.fromkeys(("running_var", "moving_variance", "moving_var"), "running_var"),
}  # last part of a key → what the tensor is in its layer
_NAME_IT = "Name the architecture they were made for, or load without a name to have it recognised."
_ORDER = ("weight", "bias", "running_mean", "running_var")
Token = tuple[str | None, tuple[int, ...]]  # (role, shape)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """How a file's tensors were matched to a network's.

    `matched`: tensors taken, of `expected` in the network, counters aside. `renamed`: (key in the file,
    key in the network). `missing`: the network's keys that nothing fits; `unexpected`: the file's keys
    that nothing takes. `wrong_shape`: (key, shape in the file, shape expected). `evidence`: what was measured
    on the file to tell which network it is; `findings`: what was decided by it and what is assumed."""

    matched: int
    expected: int
    renamed: list[tuple[str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    wrong_shape: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    evidence: tuple[Evidence, ...] = ()
    findings: tuple[Finding, ...] = ()

    def summary(self) -> str:
        """One sentence, e.g. "97 of 97 tensors matched, 2 of them under other names."."""
        text = f"{self.matched} of {plural(self.expected, 'tensor')} matched"
        if self.renamed:
            text += f", {len(self.renamed)} of them under other names"
        for count, word in ((len(self.unexpected), "unused"), (len(self.problems()), "problems")):
            text += f"; {count} {word}" if count else ""
        return text + "."

    def lines(self) -> list[str]:
        """The detail, a line a fact: renamed, unused, missing, wrong shapes, warnings."""
        return [
            *(f"{theirs} → {ours}" for theirs, ours in self.renamed),
            *(f"unused: {key}" for key in self.unexpected),
            *self.problems(),
            *(f"note: {text}" for text in self.warnings),
            *(finding.sentence for finding in self.findings if finding.sentence not in self.warnings),
            *(f"measured: {measured.sentence}" for measured in self.evidence),
        ]

    def problems(self) -> list[str]:
        """What forbids to use the weights, a line each; empty if they fit. A missing buffer does not."""
        wrong = [f"{key}: shape {given} in the file, {wanted} expected" for key, given, wanted in self.wrong_shape]
        absent = [f"{key}: not in the file" for key in self.missing if not _is_statistic(key)]
        extra = [f"{key}: the network has no place for it" for key in self.unexpected if not for_training_only(key)]
        return wrong + absent + extra


def shapes(tensors: Mapping[str, Tensor]) -> Shapes:
    """{key: shape} without counters, tensors of one layer side by side: weight, bias, mean, variance."""
    kept = {key: tuple(tensor.shape) for key, tensor in tensors.items() if not is_bookkeeping(key)}
    layers: dict[str, list[str]] = {}
    for key in kept:
        layers.setdefault(key.rpartition(".")[0] if role(key) else key, []).append(key)
    rank: dict[str | None, int] = {name: i for i, name in enumerate(_ORDER)}
    return {key: kept[key] for keys in layers.values() for key in sorted(keys, key=lambda k: rank.get(role(k), 9))}


def for_training_only(key: str) -> bool:
    """True for auxiliary heads, and for losses, metrics and copies that were saved beside the network."""
    return bool(AUXILIARY.match(key) or TRAINING.match(key))


def role(key: str) -> str | None:
    """What a tensor is in its layer, by the last part of its key; None if that says nothing."""
    return _ROLES.get(key.rpartition(".")[2])


def same_sequence(theirs: Shapes, ours: Shapes) -> bool:
    """True if both hold the same shapes in the same order and no names contradict (weight, bias, …)."""
    return len(theirs) == len(ours) and all(map(_are_alike, _tokens(theirs), _tokens(ours)))


def match(tensors: Mapping[str, Tensor], module: nn.Module) -> LoadReport:
    """As `compare`, to the state_dict of `module`, which may be on the meta device."""
    return compare(tensors, shapes(module.state_dict()))


def compare(tensors: Mapping[str, Tensor], ours: Shapes) -> LoadReport:
    """Match a file's tensors to those of a network, {key: shape} as `shapes` gives them.

    0. First parts that all names share do not count (`prefixes.aligned`). 1. Same name and shape. 2. If
    names are missing and the whole file is the network's sequence of shapes: place by place, unless names
    say that the order is another. 3. What is left on both sides: by order if that agrees with the names,
    else single tensors whose shape the network has once."""
    theirs = align_names(shapes(tensors), ours)
    pairs = {key: key for key, shape in ours.items() if theirs.get(key) == shape}  # ours → theirs
    warnings: list[str] = []
    if len(pairs) < len(ours):
        asked = {key: shape for key, shape in theirs.items() if key in ours or not for_training_only(key)}
        if same_sequence(asked, ours) and _places_decide(pairs, asked, ours):
            pairs = dict(zip(ours, asked, strict=True))
        else:
            pairs |= _pair_leftovers(pairs, asked, ours)
    renamed = [(their, our) for our, their in pairs.items() if their != our]
    missing = [key for key in ours if key not in pairs]
    taken, absent = set(pairs.values()), set(missing)
    unexpected = [key for key in theirs if key not in taken]
    wrong = [(key, theirs[key], ours[key]) for key in unexpected if key in absent]
    settled = {key for key, _, _ in wrong}
    if len(renamed) > 4:
        warnings.append(f"{plural(len(renamed), 'tensor')} were matched by order and shape: check a few predictions.")
    if lost := [key for key in missing if _is_statistic(key)]:
        warnings.append(f"{len(lost)} running means and variances are missing: predictions will be off.")
    if extra := [key for key in unexpected if TRAINING.match(key)]:
        warnings.append(f"Not of the network, and left out: {first_five(extra)}.")
    return LoadReport(
        len(pairs),
        len(ours),
        renamed,
        [key for key in missing if key not in settled],
        [key for key in unexpected if key not in settled],
        wrong,
        warnings,
    )


def refuse_problems(report: LoadReport, name: str = "the network") -> None:
    """Raise BadCheckpoint, naming the first five problems, if the weights do not fit."""
    if problems := report.problems():
        raise BadCheckpoint(f"The weights do not fit {name}: {first_five(problems)}. {_NAME_IT}")


def first_five(problems: list[str]) -> str:
    """The first five in one line, with the number of the others."""
    return "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")


def apply(tensors: Mapping[str, Tensor], module: nn.Module, report: LoadReport, name: str = "the network") -> None:
    """Copy a file's tensors into `module` as `report` of `match` says; a module on the meta device comes
    to the CPU. Raises BadCheckpoint, naming the first five problems, if they do not fit."""
    import torch

    refuse_problems(report, name)
    ours = shapes(module.state_dict())
    tensors = _rename_to_ours(tensors, ours)
    if any(tensor.is_meta for tensor in module.state_dict().values()):
        module.to_empty(device="cpu")
        for child in module.modules():
            if isinstance(child, torch.nn.modules.batchnorm._NormBase):
                child.reset_running_stats()
    sources = {our: their for their, our in report.renamed}
    taken = {key: tensors[sources.get(key, key)] for key in _list_fillable(module, report, sources, tensors)}
    if lost := [key for key in ours if key not in taken and key not in report.missing]:
        raise BadCheckpoint(f"The weights do not fit {name}: {first_five(lost)} found no place. {_NAME_IT}")
    module.load_state_dict(taken, strict=False)


def _rename_to_ours(tensors: Mapping[str, Tensor], ours: Shapes) -> dict[str, Tensor]:
    """The tensors as `compare` names them; counters go with their layers."""
    names = align_names({key: key for key in shapes(tensors)}, ours)
    layers = {theirs.rpartition(".")[0]: our.rpartition(".")[0] for our, theirs in names.items()}
    counters = {
        f"{layers[layer]}.{kind}": tensors[key]
        for key in filter(is_bookkeeping, tensors)
        for layer, _, kind in [key.rpartition(".")]
        if layer in layers
    }
    return counters | {our: tensors[theirs] for our, theirs in names.items()}


def _list_fillable(
    module: nn.Module, report: LoadReport, sources: dict[str, str], tensors: Mapping[str, Tensor]
) -> Iterable[str]:
    for key, tensor in module.state_dict().items():
        known = key in sources or (key in tensors and key not in report.missing)
        if known and tensors[sources.get(key, key)].shape == tensor.shape:
            yield key


def _tokens(found: Shapes) -> list[Token]:
    return [(role(key), shape) for key, shape in found.items()]


def _are_alike(theirs: Token, ours: Token) -> bool:
    return theirs[1] == ours[1] and (theirs[0] is None or theirs[0] == ours[0])


def _places_decide(pairs: dict[str, str], theirs: Shapes, ours: Shapes) -> bool:
    """True if no equal name stands at another place, or if only the numbering is shifted.

    Equal names at other places are a file in another order, whose names are right; unless they move to
    places that had no such name, and all names there differ in their numbers alone (1, 2, 3 for 0, 1, 2)."""
    keys_theirs, keys_ours = list(theirs), list(ours)
    place_theirs = {key: i for i, key in enumerate(keys_theirs)}
    place_ours = {key: i for i, key in enumerate(keys_ours)}
    moved = [key for key in pairs if place_theirs[key] != place_ours[key]]
    left, taken = {place_ours[key] for key in moved}, {place_theirs[key] for key in moved}
    alike = all(_strip_numbers(keys_theirs[i]) == _strip_numbers(keys_ours[i]) for i in left | taken)
    return not moved or (left != taken and alike)


def _strip_numbers(key: str) -> str:
    return re.sub(r"[0-9]+", "#", key)


def _pair_leftovers(pairs: dict[str, str], theirs: Shapes, ours: Shapes) -> dict[str, str]:
    """Pairs (ours → theirs) among the keys that share no name."""
    used = set(pairs.values())
    left_theirs = {key: shape for key, shape in theirs.items() if key not in used}
    left_ours = {key: shape for key, shape in ours.items() if key not in pairs}
    if same_sequence(left_theirs, left_ours):
        found = dict(zip(left_ours, left_theirs, strict=True))
        if _is_same_order(pairs | found, theirs, ours):
            return found
    count_theirs, count_ours = Counter(_tokens(left_theirs)), Counter(_tokens(ours))
    single = {token: key for key, token in zip(left_theirs, _tokens(left_theirs), strict=True)}
    return {
        key: single[token]
        for key, token in zip(left_ours, _tokens(left_ours), strict=True)
        if count_ours[token] == 1 and count_theirs[token] == 1
    }


def _is_same_order(pairs: dict[str, str], theirs: Shapes, ours: Shapes) -> bool:
    place = {key: i for i, key in enumerate(theirs)}
    places = [place[pairs[key]] for key in ours if key in pairs]
    return places == sorted(places)


def _is_statistic(key: str) -> bool:
    return role(key) in ("running_mean", "running_var")
