"""Rebuild a network that is in no catalogue from the shapes of its tensors, where they are a chain of layers.

The first linear layer receives channels × rows × columns of the last maps. With the input sizes that people use, no
padding or one that keeps sizes, and a pooling behind some of the convolutions, few networks end at that number; the
natural one stands first. What shapes cannot say is assumed, and said."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import TYPE_CHECKING

from cnnviz.models.chains.chain import Chain
from cnnviz.models.chains.steps import ACTIVATIONS, ChainStep
from cnnviz.models.evidence import ASSUMED, Finding
from cnnviz.models.recognise.rebuild.layers import CONV, NORM, FileLayer, FoundLayers, list_layers, order_chain
from cnnviz.models.recognise.rebuild.modules import fit_input, read_steps
from cnnviz.models.recognise.rebuild.slots import Slots, find_slots
from cnnviz.wording import plural

if TYPE_CHECKING:
    from torch import Tensor

    from cnnviz.models.checkpoint.saved_modules import SavedModule

MOST = 24  # solutions that are returned
_EVERY = 9  # convolutions up to which every choice of poolings is tried
_FLAT, _GLOBAL = "flat", "global"
_SIZES = {  # input channels: {side: surprise}
    1: {28: 0.0, 32: 0.2, 64: 0.8, 48: 0.9, 224: 1.2, 128: 1.2, 96: 1.4, 150: 1.4, 256: 1.4},
    3: {32: 0.0, 64: 0.4, 224: 0.5, 128: 0.7, 150: 0.8, 256: 0.8, 96: 0.9, 48: 1.0, 28: 1.2, 227: 1.2},
}
_RARE = (100, 120, 160, 180, 200, 240, 299, 300, 320, 400, 512, 36, 40, 50, 56, 60, 80, 84, 112, 192, 16, 20, 24)
_RARELY = 2.0


@dataclass(frozen=True, slots=True)
class RebuiltChain:
    """A chain that has the tensors of a file. `surprise`: 0 for the most natural one, more for what is seen less.
    `assumed`: what the tensors do not say. `layers`: names in the file of the layers with tensors, in
    the chain's order. `exact`: the file states the layers, their settings and their order."""

    chain: Chain
    surprise: float
    assumed: tuple[Finding, ...]
    layers: tuple[str, ...]
    exact: bool = False


@dataclass(frozen=True, slots=True)
class ChainPlan:
    """Settings of the convolutions that shapes leave open. `pooled`: convolutions with a pooling behind."""

    paddings: tuple[tuple[int, int], ...]
    strides: tuple[int, ...]
    pooled: frozenset[int]
    pool: tuple[int, int]  # kernel, stride; kernel 0: the convolution's own stride halves the maps
    surprise: float


def find_chains(tensors: Mapping[str, Tensor], modules: Sequence[SavedModule] = ()) -> list[RebuiltChain]:
    """The chains that have the tensors of a file, the natural one first, at most MOST; [] if there is none:
    `describe_layers` says why. Activations are ReLU and poolings maximum unless slopes in the file say otherwise.
    `modules`: of a whole network that was saved; an `nn.Sequential` is rebuilt exactly, its input's size apart."""
    found = describe_layers(tensors)
    if found.reason:
        return []
    if exact := _read_chains(found, tensors, modules):
        return exact
    body = [layer for layer in found.layers if layer.kind == CONV]
    head = [layer for layer in found.layers if layer.is_weighted and layer.kind != CONV]
    slots = find_slots(found.layers)
    solutions: dict[Chain, RebuiltChain] = {}
    for size, plan, end, surprise in sorted(_solve(body, head, slots), key=lambda solution: solution[3]):
        if len(solutions) == MOST:
            break
        steps = _write_steps(found.layers, plan, end, slots)
        chain = Chain((body[0].shape[1], *size), steps)
        if chain not in solutions and not chain.find_problem():
            paths = tuple(layer.path for layer in found.layers)
            solutions[chain] = RebuiltChain(chain, surprise, (), paths)
    ordered = list(solutions.values())
    return [replace(rebuilt, assumed=list_assumptions(rebuilt.chain, len(ordered) - 1, found)) for rebuilt in ordered]


def _read_chains(
    found: FoundLayers, tensors: Mapping[str, Tensor], modules: Sequence[SavedModule]
) -> list[RebuiltChain]:
    steps = read_steps(modules, tensors.keys())
    if steps is None:
        return []
    rare = dict.fromkeys(_RARE, _RARELY)
    sizes = rare | _SIZES.get(found.channels, _SIZES[3])
    chains = fit_input(steps, found.channels, _count_features(found), sorted(sizes, key=lambda side: sizes[side]))
    paths = tuple(layer.path for layer in found.layers)
    said: tuple[Finding, ...] = ()
    if len(chains) > 1:
        size = "×".join(map(str, chains[0].input_size))
        text = f"An input of {size} is assumed: the network takes other sizes, too."
        said = (Finding("layers", chains[0].name, ASSUMED, text),)
    return [RebuiltChain(chain, sizes[chain.input_size[1]], said, paths, exact=True) for chain in chains[:MOST]]


def _count_features(found: FoundLayers) -> int | None:
    return next((layer.shape[1] for layer in found.layers if layer.is_weighted and layer.kind != CONV), None)


def describe_layers(tensors: Mapping[str, Tensor]) -> FoundLayers:
    """The layers that the tensors show, in the order of a chain if they are one, and why they are none."""
    return order_chain(list_layers(tensors))


def _solve(
    body: list[FileLayer], head: list[FileLayer], slots: Slots
) -> Iterator[tuple[tuple[int, int], ChainPlan, str, float]]:
    """(input size, settings, how the maps become a vector, surprise) of every solution."""
    channels, last = body[0].shape[1], body[-1].shape[0]
    wanted = head[0].shape[1] // last if head else 1
    sizes = _SIZES.get(channels, _SIZES[3]) | {side: _RARELY for side in _RARE}
    plans = list(_list_plans(body, slots, bool(head)))
    found = False
    for plan, (side, odd) in product(plans, sizes.items()):
        end = _walk(side, plan, body, 0)
        if end * end == wanted:
            found = True
            yield (side, side), plan, _FLAT, plan.surprise + odd + _rate_end(side, plan, body, end)
        elif wanted == 1 and end > 1 and odd < _RARELY:
            found = True
            yield (side, side), plan, _GLOBAL, plan.surprise + odd + (0.5 if end <= 8 else 0.9)
    if not found:
        yield from _solve_oblong(plans, sizes, body, wanted)


def _rate_end(side: int, plan: ChainPlan, body: list[FileLayer], end: int) -> float:
    """Surprise at the last maps: a last convolution whose kernel is all that is left, as in LeNet's C5, is natural; a
    first convolution alone is padded for digits of 28×28."""
    odd = 0.8 if side != 28 and len(body) > 1 and plan.paddings[0] > plan.paddings[1] else 0.0
    if end == 1 and body[-1].shape[2] > 1:
        odd += 0.6 if len(body) - 1 in plan.pooled else -0.5 if len(plan.pooled) == len(body) - 1 else 0.0
    return odd + (0.3 if end == 1 and side > 64 else 0.0)


def _solve_oblong(
    plans: list[ChainPlan], sizes: Mapping[int, float], body: list[FileLayer], wanted: int
) -> Iterator[tuple[tuple[int, int], ChainPlan, str, float]]:
    """Inputs that are not square, and adaptive poolings: only where nothing else fits."""
    for plan in plans:
        ends = [(side, _walk(side, plan, body, 0), _walk(side, plan, body, 1)) for side in sizes]
        widths: dict[int, list[int]] = {}
        for side, _, columns in ends:
            widths.setdefault(columns, []).append(side)
        for side, rows, _ in ends:
            if rows > 0 and wanted % rows == 0:
                for width in widths.get(wanted // rows, []):
                    if width != side:
                        yield (side, width), plan, _FLAT, plan.surprise + 4.0 + sizes[side] + sizes[width]
    root = math.isqrt(wanted)
    if root * root == wanted and root > 1:
        side = 28 if body[0].shape[1] == 1 else 224 if root > 4 else 64
        for plan in plans:
            if _walk(side, plan, body, 0) >= root:
                yield (side, side), plan, f"adaptive{root}", plan.surprise + 3.0


def _walk(side: int, plan: ChainPlan, body: list[FileLayer], axis: int) -> int:
    """Side of the maps behind the last convolution and its pooling; 0 if a kernel does not fit."""
    for i, layer in enumerate(body):
        kernel = layer.shape[2 + axis]
        if (room := side + 2 * plan.paddings[i][axis] - kernel) < 0:
            return 0
        side = room // plan.strides[i] + 1
        if i in plan.pooled and plan.pool[0]:
            if (room := side - plan.pool[0]) < 0:
                return 0
            side = room // plan.pool[1] + 1
    return side


def _list_plans(body: list[FileLayer], slots: Slots, fixed: bool) -> Iterator[ChainPlan]:
    """`fixed`: a linear layer fixes the size of the last maps; without one any choice fits, and only the usual are
    listed."""
    seen = set()
    poolings = list(_list_poolings(body, slots, fixed))
    for (paddings, strides, odd), (pooled, odder) in product(_list_paddings(body), poolings):
        for pool, oddest in (((2, 2), 0.0), ((3, 2), 1.5), ((0, 2), 1.8), ((3, 3), 2.5)):
            if not pooled and pool != (2, 2):
                continue
            halving = strides
            if not pool[0]:
                halving = tuple(2 if i in pooled else stride for i, stride in enumerate(strides))
                if halving == strides or slots.has_pools:
                    continue
            key = (paddings, halving, pooled if pool[0] else frozenset(), pool)
            if key not in seen:
                seen.add(key)
                yield ChainPlan(paddings, halving, pooled, pool, odd + odder + oddest)


def _list_paddings(body: list[FileLayer]) -> Iterator[tuple[tuple[tuple[int, int], ...], tuple[int, ...], float]]:
    """(padding of each convolution, stride of each, surprise)."""
    kernels = [(layer.shape[2], layer.shape[3]) for layer in body]
    ones = (1,) * len(body)
    none = tuple((0, 0) for _ in kernels)
    same = tuple(((rows - 1) // 2, (columns - 1) // 2) for rows, columns in kernels)
    small = all(max(kernel) <= 3 for kernel in kernels)
    halved = tuple(2 if kernel == (4, 4) else 1 for kernel in kernels)
    options = [(none, ones, 0.3 if small else 0.0), (same, ones, 0.0 if small else 0.4)]
    options.append(((same[0], *none[1:]), ones, 0.3 if kernels[0] == (5, 5) else 1.2))
    options += [(tuple((p, p) for _ in kernels), ones, 1.5 + 0.3 * p) for p in (1, 2)]
    if max(halved) > 1:
        paddings = tuple((1, 1) if kernel == (4, 4) else pad for kernel, pad in zip(kernels, same, strict=True))
        options.append((paddings, halved, 0.0))
    if kernels[0][0] >= 7:
        first, stride = ((2, 2), 4) if kernels[0][0] >= 11 else ((3, 3), 2)
        options.append(((first, *same[1:]), (stride, *ones[1:]), 0.1))
    if any(kernel == (1, 1) for kernel in kernels[1:]):  # padding of the larger kernels alone
        options.append((tuple((0, 0) if k == (1, 1) else (1, 1) for k in kernels), ones, 0.6))
    yield from options


def _list_poolings(body: list[FileLayer], slots: Slots, fixed: bool) -> Iterator[tuple[frozenset[int], float]]:
    """(convolutions with a pooling behind, surprise)."""
    count = len(body)
    every = frozenset(range(count))
    pairs = frozenset(range(1, count, 2))
    wider = frozenset(i for i in range(count) if i + 1 == count or body[i + 1].shape[0] > body[i].shape[0])
    bounds = frozenset(i for i in range(count) if i + 1 == count or body[i].container != body[i + 1].container)
    usual = {every: 0.0, every - {count - 1}: 0.4, pairs: 0.3 if count % 2 == 0 else 1.2, frozenset[int](): 1.0}
    usual[wider] = min(usual.get(wider, 9), 0.5)
    usual[wider - {count - 1}] = min(usual.get(wider - {count - 1}, 9), 0.9)
    if 1 < len(bounds) < count:
        usual = {pooled: odd + 0.8 for pooled, odd in usual.items()} | {bounds: 0.0}
    known = frozenset(i for i in range(count) if slots.pools[i])
    forbidden = frozenset(i for i in range(count) if slots.pools[i] is False)
    if slots.has_pools:
        agreeing = {known | {i for i in pooled if slots.pools[i] is None}: odd for pooled, odd in _descending(usual)}
        usual = {pooled: odd + 1.0 for pooled, odd in usual.items()} | agreeing
    choices: Iterable[frozenset[int]] = usual
    if count <= _EVERY and fixed:
        choices = (frozenset(chosen) for size in range(count + 1) for chosen in combinations(range(count), size))
    for pooled in choices:
        if pooled & forbidden:
            continue
        gaps = 0.5 * len(every - pooled) if pooled not in usual else 0.0
        odd = usual.get(pooled, 2.0 + gaps)
        yield pooled, odd + 1.0 * len(known - pooled)


def _descending(usual: Mapping[frozenset[int], float]) -> list[tuple[frozenset[int], float]]:
    """The likeliest last, so that it is the one that stays of several with one key."""
    return sorted(usual.items(), key=lambda item: -item[1])


def _write_steps(layers: tuple[FileLayer, ...], plan: ChainPlan, end: str, slots: Slots) -> tuple[ChainStep, ...]:
    steps: list[ChainStep] = []
    weighted = [layer for layer in layers if layer.is_weighted]
    width = next(layer.shape[1] for layer in weighted)
    place, conv = -1, -1
    for i, layer in enumerate(layers):
        if layer.is_weighted:
            place += 1
            if layer.kind == CONV:
                conv += 1
                steps.append(_write_conv(layer, width, plan, conv))
            else:
                if weighted[place - 1].kind == CONV and not any(step.kind == "flatten" for step in steps):
                    steps += _write_end(end)
                steps.append(ChainStep("linear", layer.shape[0], bias="bias" in layer.keys))
            width = layer.shape[0]
        elif layer.kind == NORM:
            if width != layer.shape[0] and not any(step.kind == "flatten" for step in steps):
                steps += _write_end(end)  # it normalises the vector
            steps.append(ChainStep("bn", affine="weight" in layer.keys))
        else:
            steps.append(ChainStep("prelu", 1 if layer.shape[0] == 1 and width > 1 else 0))
        after = layers[i + 1] if i + 1 < len(layers) else None
        last = place == len(weighted) - 1
        if slots.active.get(layer.path, False) and not last:
            steps.append(ChainStep("relu"))
        closes = after is None or after.is_weighted or _turns_flat(after, width)
        if closes and conv in plan.pooled and plan.pool[0] and weighted[place].kind == CONV:
            kernel, stride = plan.pool
            steps.append(ChainStep("max", kernel=(kernel, kernel), stride=(stride, stride)))
    if weighted[-1].kind == CONV:
        steps += _write_end(end)
    return tuple(steps)


def _turns_flat(layer: FileLayer, width: int) -> bool:
    return layer.kind == NORM and layer.shape[0] != width


def _write_conv(layer: FileLayer, width: int, plan: ChainPlan, place: int) -> ChainStep:
    stride = plan.strides[place]
    return ChainStep(
        "conv",
        layer.shape[0],
        (layer.shape[2], layer.shape[3]),
        (stride, stride),
        plan.paddings[place],
        groups=width // layer.shape[1],
        bias="bias" in layer.keys,
    )


def _write_end(end: str) -> list[ChainStep]:
    """How the maps become a vector."""
    pool = []
    if end == _GLOBAL:
        pool = [ChainStep("adaptiveavg")]
    elif end != _FLAT:
        side = int(end.removeprefix("adaptive"))
        pool = [ChainStep("adaptiveavg", kernel=(side, side))]
    return [*pool, ChainStep("flatten")]


def count_solutions(found: int) -> str:
    """How many chains fit, in words: no more than MOST are looked for."""
    return str(found) if found < MOST else f"{found} or more"


def list_assumptions(chain: Chain, others: int, found: FoundLayers) -> tuple[Finding, ...]:
    """What the tensors of `found` leave open about their `chain`, beside which `others` fit."""
    said = []
    size = "×".join(map(str, chain.input_size))
    if others:
        text = (
            f"An input of {size}, and where maps are padded and pooled, is assumed: the most natural of "
            f"{plural(count_solutions(others + 1), 'choice')} that fit the tensors."
        )
        said.append(Finding("layers", chain.name, ASSUMED, text))
    active = next((step.kind for step in chain.steps if step.kind in ACTIVATIONS), "")
    if active and active != "prelu":
        text = f"{ACTIVATIONS[active]} as the activation is assumed: the tensors do not say it."
        said.append(Finding("activation", active, ASSUMED, text))
    if any(step.kind == "max" for step in chain.steps):
        text = "Maximum pooling is assumed: the tensors do not say it."
        said.append(Finding("pooling", "max", ASSUMED, text))
    if any(layer.kind == NORM and "running_var" not in layer.keys for layer in found.layers):
        text = "Batch normalisation that lost its statistics is assumed; it may be group or instance normalisation."
        said.append(Finding("norm", "bn", ASSUMED, text))
    return tuple(said)
