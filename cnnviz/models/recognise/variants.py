"""Compare a network's variants, activation, kind of pooling, normalisation, by their answers on a labelled set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue.registry import find
from cnnviz.models.chains.chain import Chain, count_weights, is_chain, parse_chain
from cnnviz.models.chains.steps import ACTIVATIONS
from cnnviz.models.evidence import ASSUMED, Evidence, Finding
from cnnviz.models.recognise.answers import Answers, LabelledImages, answer
from cnnviz.models.recognise.assume import assume_preprocessing, list_norms, name_norm
from cnnviz.models.recognise.fill import count_classes, fill
from cnnviz.models.recognise.rebuild.chains import find_chains

if TYPE_CHECKING:
    from torch import Tensor, nn

NETWORK, ACTIVATION, POOLING, NORMALISATION = "network", "activation", "pooling", "normalisation"
_TRIED = ("relu", "tanh", "sigmoid")
_POOLS = {"max": "maximum pooling", "avg": "average pooling"}
_TRIAL = 60  # images on which activations are compared
_WORK = 15e9  # multiply-adds for the comparison of poolings and normalisations
_BETTER = 0.8  # a loss must be less than this part of the next one's to decide
_INSTEAD = 0.7  # and less than this part of the loss of what is usual to take its place
_MILDER = 0.07  # nats by which a kind of pooling must be better on images that only resemble the network's own


@dataclass(frozen=True, slots=True)
class Variant:
    """A network that the tensors may be. `activation`, `pooling`: words of a chain, "" where there is none or where it
    is not known."""

    name: str
    module: nn.Module
    activation: str
    pooling: str


@dataclass(frozen=True, slots=True)
class ChosenVariant:
    """As `decide.Decision`."""

    name: str
    preprocessing: Preprocessing
    evidence: tuple[Evidence, ...]
    findings: tuple[Finding, ...]


Score = tuple[Variant, str, Answers]  # with the name of the normalisation


def compare_variants(
    tensors: Mapping[str, Tensor],
    names: Sequence[str],
    others: Sequence[str],
    told: Preprocessing | None,
    labelled: LabelledImages,
    free: bool = True,
) -> ChosenVariant | None:
    """The variant of the networks `names` that answers best; None if none answers well enough to tell. Arguments as for
    `decide.decide`."""
    entry = find(names[0])
    norms = {name_norm(told): told} if told else list_norms(entry)
    variants = _list_variants(tensors, names, others, labelled)
    if not free:
        variants = variants[:1]
    trial = thin(labelled, _TRIAL)
    scores = _score(variants, norms, trial)
    if not scores:
        return None
    best = min(scores, key=lambda score: score[2].loss)
    classes = count_classes(tensors, names[0]) or entry.classes
    if best[2].accuracy < max(0.4, 3 / classes):
        return None
    usual = variants[0]
    findings: list[Finding] = []
    active, finding = _choose_activation(scores, usual, labelled)
    findings += finding
    alike = [variant for variant in variants if variant.activation == active]
    work = count_work(alike[0]) * len(alike) * len(norms)
    scores = _score(alike, norms, thin(labelled, int(_WORK / work)))
    pooling, finding = _choose_pooling(scores, alike, usual, labelled)
    findings += finding
    left = [variant for variant in alike if variant.pooling == pooling]
    finals = [score for score in scores if score[0] in left]
    chosen = min(finals, key=lambda score: (score[2].loss, left.index(score[0])))[0]
    chosen = next(v for v in left if _equal(v, chosen, labelled))  # the catalogue's before a chain
    assumed = told or assume_preprocessing(entry)[0]
    norm, finding = _choose_norm([s for s in finals if s[0].name == chosen.name], norms, name_norm(assumed), labelled)
    evidence = [
        Evidence(
            "network and normalisation", f"{_title(variant)}, {name}", f"on {labelled.title}", got.loss, _show(got)
        )
        for variant, name, got in scores
    ]
    return ChosenVariant(chosen.name, norm, tuple(evidence), (*findings, *(() if told else finding)))


def _list_variants(
    tensors: Mapping[str, Tensor], names: Sequence[str], others: Sequence[str], labelled: LabelledImages
) -> list[Variant]:
    """The networks themselves, likeliest first, and chains like the first with another activation or pooling, which the
    catalogue has under no name."""
    known = {name: _make(name, tensors) for name in dict.fromkeys((*names, *others)) if not is_chain(name)}
    catalogue = [Variant(name, module, "", "") for name, module in known.items() if module is not None]
    base = _find_chain(tensors, names[0], catalogue, labelled)
    if base is None:
        return [variant for variant in catalogue if variant.name in names]
    made: list[Variant] = []
    for chain in list_alternatives(base):
        if (found := make_variant(chain, tensors)) is None:
            continue
        same = next((v for v in catalogue if _equal(v, found, labelled)), None)
        made.append(Variant(same.name, same.module, found.activation, found.pooling) if same else found)
    return made


def _find_chain(
    tensors: Mapping[str, Tensor], name: str, catalogue: list[Variant], labelled: LabelledImages
) -> Chain | None:
    """The chain that computes the same as the network `name`; None if there is none."""
    if is_chain(name):
        return parse_chain(name)
    own = next((variant for variant in catalogue if variant.name == name), None)
    if own is None:
        return None
    size = find(name).input_size
    for rebuilt in find_chains(tensors):
        if rebuilt.chain.input_size != size:
            continue
        for chain in list_alternatives(rebuilt.chain):
            module = _make(chain.name, tensors)
            if module is not None and _equal(own, Variant("", module, "", ""), labelled):
                return chain
    return None


def list_alternatives(chain: Chain) -> list[Chain]:
    """The chain itself, then with other activations and kinds of pooling."""
    activations = [_activation_of(chain)]
    if activations[0] in _TRIED:
        activations += [kind for kind in _TRIED if kind != activations[0]]
    pools = [_pooling_of(chain)]
    pools += [kind for kind in _POOLS if kind not in pools and pools != [""]]
    found = []
    for active in activations:
        for pool in pools:
            changed = chain.with_activation(active) if active in _TRIED else chain
            found.append(changed.with_pooling(pool) if pool else changed)
    return list(dict.fromkeys(found))


def make_variant(chain: Chain, tensors: Mapping[str, Tensor]) -> Variant | None:
    """A chain with the tensors of a file; None if they do not fit it."""
    module = _make(chain.name, tensors)
    return None if module is None else Variant(chain.name, module, _activation_of(chain), _pooling_of(chain))


def _activation_of(chain: Chain) -> str:
    return next((step.kind for step in chain.steps if step.kind in ACTIVATIONS), "")


def _pooling_of(chain: Chain) -> str:
    return next((step.kind for step in chain.steps if step.kind in _POOLS), "")


def _make(name: str, tensors: Mapping[str, Tensor]) -> nn.Module | None:
    try:
        module, _ = fill(find(name), tensors, count_classes(tensors, name))
    except Exception:  # noqa: BLE001, code of a zoo or a plugin, or tensors that do not fit
        return None
    return module.eval().requires_grad_(False)


def _equal(one: Variant, other: Variant, labelled: LabelledImages) -> bool:
    import torch

    if one is other:
        return True
    images = labelled.images[:4].movedim(-1, 1).float() / 255
    try:
        with torch.inference_mode():
            a, b = (v.module(images) for v in (one, other))
        return a.shape == b.shape and bool(torch.allclose(a, b, rtol=1e-4, atol=1e-4 * float(b.abs().max())))
    except (RuntimeError, AttributeError):
        return False


def count_work(variant: Variant) -> float:
    """About how many multiply-adds an image takes."""
    if not is_chain(variant.name):
        return sum(p.numel() for p in variant.module.parameters()) * 40.0
    with_inputs = parse_chain(variant.name).with_inputs()
    outputs = [math.prod(shape[1:]) for _, shape in with_inputs[1:]] + [1]
    return 1.0 + sum(count_weights(step, shape) * out for (step, shape), out in zip(with_inputs, outputs, strict=True))


def thin(labelled: LabelledImages, most: int, least: int = _TRIAL) -> LabelledImages:
    """At most about `most` of the images, at least `least`, drawn at random, the same at every call."""
    import torch

    count = len(labelled.labels)
    chosen = torch.randperm(count, generator=torch.Generator().manual_seed(0))[: max(least, most)].sort().values
    return LabelledImages(labelled.title, labelled.images[chosen], labelled.labels[chosen], labelled.own)


def _score(variants: list[Variant], norms: Mapping[str, Preprocessing], labelled: LabelledImages) -> list[Score]:
    found = ((v, name, answer(v.module, labelled, norm)) for v in variants for name, norm in norms.items())
    return [(variant, name, got) for variant, name, got in found if got is not None]


def _choose_activation(
    scores: list[Score], usual: Variant, labelled: LabelledImages
) -> tuple[str, tuple[Finding, ...]]:
    losses = {
        kind: _least(scores, lambda v, k=kind: v.activation == k, "loss") for kind in _kinds(scores, "activation")
    }
    if len(losses) < 2:
        return usual.activation, ()
    best = min(losses, key=lambda kind: losses[kind])
    rest = min(loss for kind, loss in losses.items() if kind != best)
    if losses[best] > _BETTER * rest:
        text = f"{ACTIVATIONS[usual.activation]} as the activation is assumed: {labelled.title} do not decide it."
        return usual.activation, (Finding(ACTIVATION, usual.activation, ASSUMED, text),)
    worse = ", ".join(f"{ACTIVATIONS[kind]} {loss:.2f}" for kind, loss in losses.items() if kind != best)
    text = f"Activation: {ACTIVATIONS[best]}, by its cross-entropy {losses[best]:.2f} on {labelled.title}; {worse}."
    return best, (Finding(ACTIVATION, best, f"answers on {labelled.title}", text),)


def _choose_pooling(
    scores: list[Score], variants: list[Variant], usual: Variant, labelled: LabelledImages
) -> tuple[str, tuple[Finding, ...]]:
    field = "loss" if labelled.own else "tempered"
    losses = {kind: _least(scores, lambda v, k=kind: v.pooling == k, field) for kind in _kinds(scores, "pooling")}
    if len(losses) < 2:
        return variants[0].pooling, ()
    best, other = sorted(losses, key=lambda kind: losses[kind])
    gain = losses[other] - losses[best]
    needed = 0.05 * losses[best] if labelled.own else min(_MILDER, losses[best])
    if gain < needed:
        text = f"{_POOLS[usual.pooling].capitalize()} is assumed: {labelled.title} do not decide it."
        return usual.pooling, (Finding(POOLING, usual.pooling, ASSUMED, text),)
    text = (
        f"Pooling: {_POOLS[best]}, by its cross-entropy {losses[best]:.2f} on {labelled.title}; "
        f"{_POOLS[other]} {losses[other]:.2f}."
    )
    return best, (Finding(POOLING, best, f"answers on {labelled.title}", text),)


def _choose_norm(
    scores: list[Score], norms: Mapping[str, Preprocessing], usual: str, labelled: LabelledImages
) -> tuple[Preprocessing, tuple[Finding, ...]]:
    losses = {name: got.loss for _, name, got in scores}
    best = min(losses, key=lambda name: losses[name])
    if best != usual and losses[best] > _INSTEAD * losses.get(usual, 0.0):
        text = f"The file names no normalisation: {usual} is assumed, which {labelled.title} do not contradict."
        return norms[usual], (Finding(NORMALISATION, usual, ASSUMED, text),)
    rest = {name: loss for name, loss in losses.items() if name != best}
    if rest and losses[best] > (_BETTER if labelled.own else _INSTEAD) * min(rest.values()):
        near = min(rest, key=lambda name: rest[name])
        text = f"The file names no normalisation: {best} is assumed; {near} is about as good on {labelled.title}."
        return norms[best], (Finding(NORMALISATION, best, ASSUMED, text),)
    worse = ", ".join(f"{name} {loss:.2f}" for name, loss in rest.items())
    text = f"Normalisation: {best}, by its cross-entropy {losses[best]:.2f} on {labelled.title}; {worse}."
    return norms[best], (Finding(NORMALISATION, best, f"answers on {labelled.title}", text),)


def _kinds(scores: list[Score], field: str) -> list[str]:
    return list(dict.fromkeys(getattr(variant, field) for variant, _, _ in scores))


def _least(scores: list[Score], wanted, field: str) -> float:  # type: ignore[no-untyped-def]
    return min(getattr(got, field) for variant, _, got in scores if wanted(variant))


def _title(variant: Variant) -> str:
    parts = [ACTIVATIONS.get(variant.activation, ""), _POOLS.get(variant.pooling, "")]
    return ", ".join(filter(None, parts)) or variant.name


def _show(got: Answers) -> str:
    return f"{100 * got.accuracy:.1f} %, cross-entropy {got.loss:.2f}"
