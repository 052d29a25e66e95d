"""Change one setting of a chain: padding, stride, activation or pooling of a layer, input size, ending."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cnnviz.models.chains.chain import Chain, StepOutput
from cnnviz.models.chains.steps import ACTIVATIONS, ENDS, NORMS, ChainStep
from cnnviz.wording import plural

WINDOWS = ("max", "avg")  # poolings of windows
ENDINGS = ("", "softmax", "logsoftmax", "sigmoid")
_LARGEST = 320  # pixels a side up to which fitting inputs are sought


@dataclass(frozen=True, slots=True)
class ChainPart:
    """A convolution or linear layer with the steps behind it, up to the next one.

    `layer`: its name in the network. `step`: itself. `activation`: a key of ACTIVATIONS or ""; `pooling`: a pooling of
    windows or None. `last`: it gives the scores, and what follows is the chain's ending. `start`, `stop`: its steps in
    the chain. `output`: of its last step that maps to maps or a vector of its own; None where a step does not fit."""

    layer: str
    step: ChainStep
    activation: str
    pooling: ChainStep | None
    last: bool
    start: int
    stop: int
    output: tuple[int, ...] | None


def list_parts(chain: Chain) -> tuple[ChainPart, ...]:
    """The chain's convolutions and linear layers, input side first, each with what follows it."""
    starts = [i for i, step in enumerate(chain.steps) if step.is_weighted]
    stops = [*starts[1:], len(chain.steps)]
    outputs, names = chain.check(), chain.layer_names
    parts = []
    for start, stop in zip(starts, stops, strict=True):
        last = start == starts[-1]
        tail = chain.steps[start + 1 : stop]
        active = "" if last else next((step.kind for step in tail if step.kind in ACTIVATIONS), "")
        pooling = next((step for step in tail if step.kind in WINDOWS), None)
        seen = [o for o in outputs[start:stop] if o.step.kind != "flatten" and not o.step.kind.startswith("adaptive")]
        shape = seen[-1].shape if len(outputs) >= stop and seen else None
        parts.append(ChainPart(names[start], chain.steps[start], active, pooling, last, start, stop, shape))
    return tuple(parts)


def change_convolution(chain: Chain, number: int, **settings: tuple[int, int]) -> Chain:
    """With other `padding` or `stride` (rows, columns) of the convolution of part `number`."""
    part = list_parts(chain)[number]
    return _put(chain, part.start, part.start + 1, replace(part.step, **settings))  # type: ignore[arg-type]


def change_activation(chain: Chain, number: int, kind: str) -> Chain:
    """With the activation `kind`, or none for "", behind part `number`: where one was, else behind its norm."""
    part = list_parts(chain)[number]
    new = [ChainStep(kind)] if kind else []
    return _change(chain, part, lambda step: step.kind in ACTIVATIONS, new, lambda step: step.kind in NORMS)


def change_pooling(chain: Chain, number: int, pooling: ChainStep | None) -> Chain:
    """With this pooling of windows, or none, behind part `number`: where one was, else behind its activation."""
    part = list_parts(chain)[number]
    new = [] if pooling is None else [pooling]
    return _change(
        chain,
        part,
        lambda step: step.kind in WINDOWS,
        new,
        lambda step: step.kind in NORMS or step.kind in ACTIVATIONS,
    )


def change_input(chain: Chain, height: int, width: int) -> Chain:
    """For images of another size; the file fixes the number of channels."""
    return replace(chain, input_size=(chain.input_size[0], height, width))


def find_ending(chain: Chain) -> str:
    """What closes the chain: one of ENDINGS, "" for nothing."""
    last = chain.steps[-1].kind if chain.steps else ""
    return last if last in ENDINGS else ""


def change_ending(chain: Chain, kind: str) -> Chain:
    """With another of ENDINGS."""
    steps = chain.steps[:-1] if find_ending(chain) else chain.steps
    return replace(chain, steps=(*steps, ChainStep(kind)) if kind else steps)


def find_flattening(chain: Chain) -> int:
    """Side of the maps to which an adaptive average pooling in front of the vector brings them; 0 without one."""
    return next((step.kernel[0] for step in chain.steps if step.kind == "adaptiveavg"), 0)


def change_flattening(chain: Chain, side: int) -> Chain:
    """With an adaptive average pooling to `side` × `side` in front of the vector; 0: none."""
    steps = [step for step in chain.steps if step.kind != "adaptiveavg"]
    place = next((i for i, step in enumerate(steps) if step.kind == "flatten"), len(steps))
    new = [ChainStep("adaptiveavg", kernel=(side, side))] if side else []
    return replace(chain, steps=(*steps[:place], *new, *steps[place:]))


def find_misfit(chain: Chain, features: Sequence[int]) -> str:
    """Why the chain can't hold the weights of a file, in a sentence that says what would fit; "" if it can.

    `features`: inputs of the file's linear layers, in the chain's order."""
    problem = _describe_misfit(chain, features)
    if not problem:
        return ""
    sides = find_sides(chain, features)
    if not sides:
        return f"{problem} No square input up to {_LARGEST} pixels fits these settings: change padding or pooling."
    shown = f"{sides[0]}×{sides[0]}" if len(sides) == 1 else f"{sides[0]}×{sides[0]} to {sides[-1]}×{sides[-1]}"
    return f"{problem} With these settings an input of {shown} fits."


def find_sides(chain: Chain, features: Sequence[int]) -> list[int]:
    """Sides of square inputs that fit the chain and the file, in pixels, up to 320; the first run of them."""
    found: list[int] = []
    for side in range(1, _LARGEST + 1):
        if not _describe_misfit(change_input(chain, side, side), features):
            found.append(side)
        elif found:
            break
    return found


def _describe_misfit(chain: Chain, features: Sequence[int]) -> str:
    outputs = chain.check()
    shapes = [chain.input_size, *(output.shape for output in outputs)]
    wanted = iter(features)
    for output, shape in zip(outputs, shapes, strict=False):
        if output.step.kind == "linear" and shape is not None and len(shape) == 1:
            expected = next(wanted, None)
            if expected is not None and shape[0] != expected:
                return _compare(output, shape[0], expected, _find_maps(outputs))
        if output.problem:
            return f"{output.layer} does not fit: {output.problem}"
    return chain.find_problem()


def _find_maps(outputs: Sequence[StepOutput]) -> tuple[int, ...]:
    """The last maps, (C, H, W)."""
    return next((o.shape for o in reversed(outputs) if o.shape is not None and len(o.shape) == 3), (1, 1, 1))


def _compare(output: StepOutput, given: int, expected: int, maps: tuple[int, ...]) -> str:
    channels, rows, columns = maps
    text = f"{output.layer} would receive {plural(channels, 'map')} of {rows}×{columns}, {plural(given, 'number')}, "
    text += f"and the file's has {plural(expected, 'input')}"
    places, rest = divmod(expected, channels)
    if rest:
        return f"{text}, which no number of places of {plural(channels, 'map')} gives."
    side = round(places**0.5)
    return text + (f": maps of {side}×{side}." if side * side == places else f": maps of {plural(places, 'place')}.")


def _change(
    chain: Chain,
    part: ChainPart,
    matches: Callable[[ChainStep], bool],
    new: list[ChainStep],
    before: Callable[[ChainStep], bool],
) -> Chain:
    """With `new` in the place of the part's first step that matches, the others removed; without one it stands behind
    the steps for which `before` holds."""
    tail = list(chain.steps[part.start + 1 : part.stop])
    place = next((i for i, step in enumerate(tail) if matches(step)), None)
    if place is None:
        place = 0
        while place < len(tail) and before(tail[place]):
            place += 1
    kept = [*(s for s in tail[:place] if not matches(s)), *new, *(s for s in tail[place:] if not matches(s))]
    return _put(chain, part.start + 1, part.stop, *kept)


def _put(chain: Chain, start: int, stop: int, *steps: ChainStep) -> Chain:
    return replace(chain, steps=(*chain.steps[:start], *steps, *chain.steps[stop:]))


def is_fixed(chain: Chain, number: int) -> bool:
    """True where the file itself says the activation behind a part: its slopes are in it."""
    return list_parts(chain)[number].activation == "prelu"


def name_ending(kind: str) -> str:
    """How an ending is called in a picker."""
    return {"": "scores", "softmax": "softmax", "logsoftmax": "log-softmax"}.get(kind, ENDS.get(kind, kind))
