"""Recognise the architecture of a weights file by keys and shapes, and its number of classes by the classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnnviz.models.catalogue.registry import find
from cnnviz.models.checkpoint.match import Shapes, for_training_only, role, same_sequence, shapes
from cnnviz.models.checkpoint.prefixes import align_names, strip_shared
from cnnviz.models.recognise.shapes import find_by_count, find_nearest, outline, published_shapes, rank
from cnnviz.models.variants.heads import list_variants

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
        """What agreed, as a phrase: "names and shapes", …"""
        return _HOW[self.level]


def recognise(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of the architectures that `tensors` fit, best first; [] if none does.

    Equal names and shapes beat equal shapes in order beat equal shapes; the number of classes is free.
    Networks with the same tensors come in the order of `shapes.COUNTS`: a residual one before its
    plain and stochastic twins, torchvision's before the same network with other strides."""
    return [candidate.name for candidate in find_candidates(tensors)]


def find_candidates(tensors: Mapping[str, Tensor]) -> list[Candidate]:
    """As `recognise`, with the number of classes and what agreed. Auxiliary heads in the file are left out
    where the network has none. Only networks with as many tensors as the file are built. Where none has the file's
    tensors in order, published networks with another head or other input channels are tried (`variants.heads`)."""
    found: list[Candidate] = []
    for file in _list_readings(tensors):
        fits = (_fit(file, name) for name in find_by_count(len(file)))
        found += [fit for fit in fits if fit and fit.name not in {other.name for other in found}]
    if not any(candidate.level < SET for candidate in found):
        for file in _list_readings(tensors):
            found += filter(None, (_fit(file, name) for name in list_variants(file)))
    return sorted(found, key=lambda c: (c.level, rank(c.name)))


def fit(tensors: Mapping[str, Tensor], name: str) -> Candidate | None:
    """How `tensors` fit the architecture `name`, any number of classes; None if they do not."""
    count = len(published_shapes(name))
    fits = [_fit(file, name) for file in _list_readings(tensors) if len(file) == count]
    return next(filter(None, fits), None)


def find_closest(tensors: Mapping[str, Tensor]) -> tuple[str, int, int]:
    """(architecture, tensors of the file whose shapes it has, its number of tensors) of the architecture
    that shares most shapes with the file, among those of about as many tensors: for error messages."""
    found = [count_shared(tensors, name) for name in find_nearest(len(_list_readings(tensors)[-1]))]
    return max(found, key=lambda near: near[1] / (len(tensors) + near[2]))


def count_shared(tensors: Mapping[str, Tensor], name: str) -> tuple[str, int, int]:
    """(name, number of the file's tensors whose shapes the architecture has, its number of tensors)."""
    file, ours = Counter(_list_readings(tensors)[-1].values()), Counter(published_shapes(name).values())
    return name, (file & ours).total(), ours.total()


def count_classes(tensors: Mapping[str, Tensor], name: str) -> int | None:
    """The number of classes of a file for the architecture `name`, by its head.

    If the file does not fit as a whole: of the tensor that carries the head's name, or of the last
    matrix; None if there is neither."""
    if candidate := fit(tensors, name):
        return candidate.classes
    file = align_names(_list_readings(tensors)[-1], published_shapes(name))
    for key in outline(name).head:
        if key in file and file[key] and file[key][0]:
            return file[key][0]
    matrices = [shape for shape in file.values() if len(shape) == 2 and shape[0]]
    return matrices[-1][0] if matrices else None


def _fit(file: Shapes, name: str) -> Candidate | None:
    """The published number of classes is tried first: it saves the second build that finds the head."""
    published = published_shapes(name)
    file = align_names(file, published)
    if published == file:
        return Candidate(name, find(name).classes, NAMES)
    if same_sequence(file, published):
        return Candidate(name, find(name).classes, SEQUENCE)
    ours = outline(name)
    if file.keys() == published.keys():
        classes = _agree([file[key] for key in ours.head])
        if classes and ours.sized(classes) == file:
            return Candidate(name, classes, NAMES)
    values = list(file.values())
    at_head = [values[i] for i, key in enumerate(published) if key in ours.head]
    classes = _agree(at_head)
    if classes and same_sequence(file, ours.sized(classes)):
        return Candidate(name, classes, SEQUENCE)
    body = Counter(shape for key, shape in published.items() if key not in ours.head)
    rest = list((Counter(values) - body).elements())
    classes = _agree(rest)
    if classes and Counter(ours.sized(classes).values()) == Counter(values):
        return Candidate(name, classes, SET)
    return None


def _agree(head: list[tuple[int, ...]]) -> int | None:
    """The first dimension that all shapes share; None if they differ or there is none."""
    firsts = {shape[0] if shape else 0 for shape in head}
    return firsts.pop() or None if len(firsts) == 1 else None


def _list_readings(tensors: Mapping[str, Tensor]) -> list[Shapes]:
    """The file as it is and, if that is another thing, without what only training needs; each also with the running
    statistics that a file of parameters alone lacks, last, if it may lack any."""
    whole = strip_shared(shapes(tensors))
    main = {key: shape for key, shape in whole.items() if not for_training_only(key)}
    readings = [whole] if len(main) == len(whole) else [whole, main]
    completed = [_complete_statistics(reading) for reading in readings]
    return readings + [reading for reading in completed if reading]


def _complete_statistics(file: Shapes) -> Shapes:
    """The file with a mean and a variance behind every norm; {} if it has such statistics or no norm."""
    if any(role(key) in ("running_mean", "running_var") for key in file):
        return {}
    completed: Shapes = {}
    for key, shape in file.items():
        completed[key] = shape
        layer = key.rpartition(".")[0]
        if role(key) == "bias" and len(file.get(f"{layer}.weight", ())) == 1:
            completed |= {f"{layer}.running_mean": shape, f"{layer}.running_var": shape}
    return completed if len(completed) > len(file) else {}
