"""Which architecture a file's tensors belong to, by keys and shapes; its number of classes, by the head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from cnnviz.models.matching import AUXILIARY, Shapes, same_sequence, shapes
from cnnviz.models.registry import architectures, build, find

if TYPE_CHECKING:
    from torch import Tensor

NAMES, SEQUENCE, SET = 0, 1, 2  # what agrees: keys and shapes, shapes in order, shapes in any order
_HOW = {NAMES: "names and shapes", SEQUENCE: "shapes in order", SET: "shapes in another order"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An architecture that a file fits. `level`: NAMES is the surest, then SEQUENCE, then SET."""

    name: str
    classes: int
    level: int

    @property
    def how(self) -> str:
        """What agreed, in words."""
        return _HOW[self.level]


@dataclass(frozen=True, slots=True)
class _Outline:
    """Shapes of an architecture; `head`: the keys whose first dimension is the number of classes."""

    shapes: Shapes
    head: frozenset[str]

    def sized(self, classes: int) -> Shapes:
        return {key: (classes, *shape[1:]) if key in self.head else shape for key, shape in self.shapes.items()}


def recognise(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of the architectures that `tensors` fit, best first; [] if none does.

    Equal names and shapes beat equal shapes in order beat equal shapes; the number of classes is free.
    Plain networks have the tensors of their residual twins: the residual one comes first."""
    return [candidate.name for candidate in candidates(tensors)]


def candidates(tensors: Mapping[str, Tensor]) -> list[Candidate]:
    """As `recognise`, with the number of classes and what agreed. Auxiliary heads in the file are left
    out. torchvision's networks take seconds to build: they are asked, until one fits by name, only if
    none of cnnviz's own fits in order."""
    file = _without_auxiliary(shapes(tensors))
    names = architectures()
    own = [name for name in names if find(name).pretrained is None]
    found = _fitting(file, own)
    if not any(candidate.level <= SEQUENCE for candidate in found):
        for name in names:
            found += _fitting(file, [name]) if name not in own else []
            if found and found[-1].level == NAMES:
                break
    return sorted(found, key=lambda c: (c.level, c.name.startswith("plain"), c.name))


def fit(tensors: Mapping[str, Tensor], name: str) -> Candidate | None:
    """How `tensors` fit the architecture `name`, any number of classes; None if they do not."""
    return next(iter(_fitting(_without_auxiliary(shapes(tensors)), [name])), None)


def closest(tensors: Mapping[str, Tensor]) -> tuple[str, int, int]:
    """(architecture, tensors of the file whose shapes it has, its number of tensors) of the architecture
    that shares most shapes with the file: for error messages."""
    file = Counter(_without_auxiliary(shapes(tensors)).values())

    def shared(name: str) -> tuple[float, int, int]:
        ours = Counter(_shapes(name).values())
        common, all_ours = (file & ours).total(), ours.total()
        return 2 * common / max(file.total() + all_ours, 1), common, all_ours

    best = max(architectures(), key=lambda name: shared(name)[0])
    return best, *shared(best)[1:]


def head_classes(tensors: Mapping[str, Tensor], name: str) -> int | None:
    """The number of classes of a file for the architecture `name`, by its head.

    If the file does not fit as a whole: of the tensor that carries the head's name, or of the last
    matrix; None if there is neither."""
    if candidate := fit(tensors, name):
        return candidate.classes
    file = _without_auxiliary(shapes(tensors))
    for key in outline(name).head:
        if key in file and file[key]:
            return file[key][0]
    matrices = [shape for shape in file.values() if len(shape) == 2]
    return matrices[-1][0] if matrices else None


@cache
def outline(name: str) -> _Outline:
    """Shapes and head of an architecture, from two builds without memory."""
    ours, other = _shapes(name), _shapes(name, find(name).classes + 1)
    return _Outline(ours, frozenset(key for key in ours if ours[key] != other[key]))


@cache
def _shapes(name: str, classes: int | None = None) -> Shapes:
    import torch

    with torch.device("meta"):
        return shapes(build(name, classes).state_dict())


def _fitting(file: Shapes, names: list[str]) -> list[Candidate]:
    found = []
    for name in names:
        if len(_shapes(name)) == len(file):  # the cheap question first
            found += [candidate for candidate in [_fit(file, name, outline(name))] if candidate]
    return found


def _fit(file: Shapes, name: str, ours: _Outline) -> Candidate | None:
    if file.keys() == ours.shapes.keys():
        classes = _agreed([file[key] for key in ours.head])
        if classes and ours.sized(classes) == file:
            return Candidate(name, classes, NAMES)
    values = list(file.values())
    at_head = [values[i] for i, key in enumerate(ours.shapes) if key in ours.head]
    classes = _agreed(at_head)
    if classes and same_sequence(file, ours.sized(classes)):
        return Candidate(name, classes, SEQUENCE)
    body = Counter(shape for key, shape in ours.shapes.items() if key not in ours.head)
    rest = list((Counter(values) - body).elements())
    classes = _agreed(rest)
    if classes and Counter(ours.sized(classes).values()) == Counter(values):
        return Candidate(name, classes, SET)
    return None


def _agreed(head: list[tuple[int, ...]]) -> int | None:
    """The first dimension that all shapes share; None if they differ or there is none."""
    firsts = {shape[0] if shape else 0 for shape in head}
    return firsts.pop() or None if len(firsts) == 1 else None


def _without_auxiliary(found: Shapes) -> Shapes:
    return {key: shape for key, shape in found.items() if not AUXILIARY.match(key)}
