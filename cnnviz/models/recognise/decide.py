"""Decide between the readings of a weights file by the file itself: kept statistics, and answers on a labelled set.

Names and shapes say which networks a file may be. Networks with the same tensors, the scale of the input, activation
and kind of pooling are told by what the file does: see `statistics` and `answers`. What nothing decides is assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.data.preprocessing import CIFAR_MEAN, Preprocessing
from cnnviz.errors import CnnvizError
from cnnviz.models.catalogue.architecture import Architecture
from cnnviz.models.catalogue.registry import find
from cnnviz.models.chains.chain import is_chain, parse_chain
from cnnviz.models.evidence import ASSUMED, Evidence, Finding
from cnnviz.models.recognise import statistics
from cnnviz.models.recognise.answers import find_labelled
from cnnviz.models.recognise.assume import STANDARDISED, assume_preprocessing, list_norms, name_norm
from cnnviz.models.recognise.fill import count_classes, fill
from cnnviz.models.recognise.rebuild.chains import describe_layers, list_assumptions
from cnnviz.models.recognise.variants import compare_variants

if TYPE_CHECKING:
    from torch import Tensor, nn

NETWORK, NORMALISATION = "network", "normalisation"
_MOST = 8  # networks with the same tensors that are compared
_NEAR, _APART = 1.0, 1.0  # a right network lies nearer than this, a wrong one farther off by this
_SCALES_APART = 0.5  # by which other scales of the input lie farther off at the first batch norm
_LARGE = 30_000_000  # parameters from which networks are not run on trial
_CLEAR = 6.0  # by which the squared misses of two normalisations must differ
_PLAUSIBLE = 12.0  # the squared miss up to which a normalisation explains the kept statistics


@dataclass(frozen=True, slots=True)
class Decision:
    """`name`: the network. `preprocessing`: what it is given; `evidence` and `findings`: how that is known."""

    name: str
    preprocessing: Preprocessing
    evidence: tuple[Evidence, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def assumed(self) -> list[str]:
        """The sentences on what nothing decided."""
        return [finding.sentence for finding in self.findings if finding.is_assumed]


def decide(
    tensors: Mapping[str, Tensor],
    names: Sequence[str],
    others: Sequence[str] = (),
    told: Preprocessing | None = None,
    labelled: str | Path | None = None,
    free: bool = True,
) -> Decision:
    """Which of the networks `names`, likeliest first, the tensors are, and how images are normalised for it.

    `others`: networks that fit less surely; they name what a variant is. `told`: the preprocessing that the file
    itself states, which is believed. `labelled`: a folder of class folders with images of the network's classes.
    `free`: False if the network is settled, and only its preprocessing is asked for.
    Nothing is downloaded. Raises BadInput if the folder has other classes."""
    entry = find(names[0])
    assumed, unsure = assume_preprocessing(entry)
    layers = _assume_layers(tensors, names[0], others) if free else ()
    fallback = Decision(names[0], told or assumed, (), (*_admit_twins(names), *layers, *(() if told else unsure)))
    modules = _make(tensors, names[:_MOST])
    first = modules.get(names[0])
    if first is None or sum(p.numel() for p in first.parameters()) > _LARGE:
        return fallback
    try:
        if statistics.has_statistics(first):
            return _decide_by_statistics(modules, fallback, told)
        classes = count_classes(tensors, names[0]) or entry.classes
        found = find_labelled(entry.input_size, classes, labelled)
    except CnnvizError:
        if labelled is not None:
            raise
        return fallback  # no sample photographs on this machine
    if found is None:
        return fallback
    result = compare_variants(tensors, names, others, told, found, free)
    if result is None:
        return fallback
    kept = [finding for finding in layers if finding.question not in ("activation", "pooling")]
    return Decision(result.name, result.preprocessing, result.evidence, (*kept, *result.findings))


def _assume_layers(tensors: Mapping[str, Tensor], name: str, others: Sequence[str]) -> tuple[Finding, ...]:
    if not is_chain(name):
        return ()
    return list_assumptions(parse_chain(name), sum(map(is_chain, others)), describe_layers(tensors))


def _admit_twins(names: Sequence[str]) -> tuple[Finding, ...]:
    if len(names) < 2:
        return ()
    text = f"Taken for {names[0]}; {', '.join(names[1:])} has the same tensors: name it to choose it."
    return (Finding(NETWORK, names[0], ASSUMED, text),)


def _make(tensors: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, nn.Module]:
    modules = {}
    for name in names:
        try:
            module, _ = fill(find(name), tensors, count_classes(tensors, name))
        except Exception:  # noqa: BLE001, S112, code of a zoo or a plugin, or tensors that do not fit
            continue
        modules[name] = module.eval().requires_grad_(False)
    return modules


def _decide_by_statistics(modules: dict[str, nn.Module], fallback: Decision, told: Preprocessing | None) -> Decision:
    name = fallback.name
    entry, evidence = find(name), []
    findings = [finding for finding in fallback.findings if finding.question != NORMALISATION]
    norm, known = told or fallback.preprocessing, tuple(f for f in fallback.findings if f.question == NORMALISATION)
    if told is None:
        measured, norm, known = _decide_norm(modules[name], entry, fallback)
        evidence += measured
    if len(modules) > 1:
        distances = {other: _find_distance(module, find(other), norm) for other, module in modules.items()}
        evidence += [
            Evidence(NETWORK, other, "distance between measured and kept variances", far, f"{far:.2f}")
            for other, far in distances.items()
            if np.isfinite(far)
        ]
        if chosen := _choose_network(distances):
            name, *equal = chosen
            twins = [finding for finding in findings if finding.question != NETWORK]
            findings = [_tell_network(name, equal, distances), *twins]
    return Decision(name, norm, tuple(evidence), (*findings, *known))


def _find_distance(module: nn.Module, entry: Architecture, norm: Preprocessing) -> float:
    channels, height, width = entry.input_size
    if norm.channels != channels:
        return np.nan
    count = 16 if max(height, width) <= 96 else 4
    images = norm.normalise(statistics.load_images(channels, (height, width), count))
    return statistics.find_distance(statistics.measure(module, images))


def _choose_network(distances: Mapping[str, float]) -> list[str]:
    """The networks that the statistics fit, all alike, if the others fit clearly worse; [] if nothing is decided."""
    finite = {name: far for name, far in distances.items() if np.isfinite(far)}
    if not finite:
        return []
    best = min(finite.values())
    near = [name for name, far in finite.items() if far - best < 1e-6]
    rest = [far for name, far in finite.items() if name not in near]
    clear = best < _NEAR and rest and min(rest) > best + _APART
    return near if clear else []


def _tell_network(name: str, equal: list[str], distances: Mapping[str, float]) -> Finding:
    rest = {other: far for other, far in distances.items() if other != name and other not in equal}
    worse = ", ".join(f"{other} {far:.1f}" for other, far in rest.items())
    text = (
        f"It is {name}: the variances that its batch norms kept lie {distances[name]:.2f} (mean of |log|) from those "
        f"measured on sample photographs; other networks with the same tensors: {worse}."
    )
    if equal:
        text += f" {', '.join(equal)} computes the same."
    return Finding(NETWORK, name, "kept statistics", text)


def _decide_norm(
    module: nn.Module, entry: Architecture, fallback: Decision
) -> tuple[list[Evidence], Preprocessing, tuple[Finding, ...]]:
    """(evidence, normalisation, findings) from the first batch norm."""
    unsure = tuple(finding for finding in fallback.findings if finding.question == NORMALISATION)
    channels, height, width = entry.input_size
    images = statistics.load_images(channels, (height, width), 64 if max(height, width) <= 64 else 8)
    norms = list_norms(entry)
    firsts = {name: statistics.measure(module, norm.normalise(images), first=True) for name, norm in norms.items()}
    far = {name: statistics.find_distance(found) for name, found in firsts.items()}
    far = {name: value for name, value in far.items() if np.isfinite(value)}
    if not far:
        return [], fallback.preprocessing, unsure
    measure = "distance at the first batch norm"
    evidence = [Evidence(NORMALISATION, name, measure, value, f"{value:.2f}") for name, value in far.items()]
    best = min(far, key=lambda name: far[name])
    usual = name_norm(fallback.preprocessing)
    alike = set(STANDARDISED) | ({usual} if usual not in STANDARDISED and _is_standardised(norms[usual]) else set())
    kin = alike if best in alike else {best}
    rivals = [value for name, value in far.items() if name not in kin]
    clear = far[best] < _NEAR and rivals and min(rivals) > far[best] + _SCALES_APART
    if not clear or not _find_distance(module, entry, norms[best]) < _NEAR:
        return evidence, fallback.preprocessing, unsure
    if best not in alike:
        text = (
            f"Normalisation: {best}. At the first batch norm the kept variances lie {far[best]:.2f} from those "
            f"measured so, and {far.get(usual, min(rivals)):.2f} under {usual}."
        )
        return evidence, norms[best], (Finding(NORMALISATION, best, "kept statistics", text),)
    if channels == 3 and max(height, width) == 32 and (sure := _tell_standardised(module, firsts, norms, evidence)):
        return evidence, norms[sure.answer], (sure,)
    if usual in alike:
        return evidence, fallback.preprocessing, unsure
    text = f"The scale is that of {best}, by the kept statistics; that it is exactly this one is assumed."
    return evidence, norms[best], (Finding(NORMALISATION, best, ASSUMED, text),)


def _is_standardised(norm: Preprocessing) -> bool:
    return all(0.15 < value < 0.35 for value in norm.std) and min(norm.mean) > 0.05


def _tell_standardised(
    module: nn.Module,
    firsts: Mapping[str, list[statistics.KeptStatistics]],
    norms: Mapping[str, Preprocessing],
    evidence: list[Evidence],
) -> Finding | None:
    """Which of the normalisations of like scale, if the kept means and variances of the first batch norm tell: those
    of CIFAR-10's images are known. None if they do not."""
    mean = statistics.estimate_mean(module, firsts[STANDARDISED[0]][0])
    if mean is None:
        return None
    misses = {}
    for name in STANDARDISED:
        off_mean = statistics.miss_mean(mean, CIFAR_MEAN, norms[name])
        off_scale = statistics.miss_scale(firsts[name][0])
        misses[name] = off_mean**2 + off_scale**2
        text = f"{off_mean:.1f} and {off_scale:.1f} spreads"
        measure = "kept mean and variance of the first batch norm miss those of CIFAR-10's images by"
        evidence.append(Evidence(NORMALISATION, name, measure, misses[name], text))
    best, second, *_ = sorted(misses, key=lambda name: misses[name])
    if misses[best] > _PLAUSIBLE or misses[second] < misses[best] + _CLEAR:
        return None
    shown = " ".join(f"{value:+.2f}" for value in mean)
    text = (
        f"Normalisation: {best}. For images like CIFAR-10's it explains the mean input that the first batch norm kept, "
        f"{shown} (red, green, blue); {second} does not."
    )
    return Finding(NORMALISATION, best, "kept statistics", text)
