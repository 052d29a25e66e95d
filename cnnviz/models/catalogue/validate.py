"""Validate a user's network before it enters the catalogue: its values, and its answer to one image."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from cnnviz.data.class_names import KNOWN, order_names
from cnnviz.errors import BadInput, CnnvizError
from cnnviz.models.catalogue.meta_build import build_anywhere
from cnnviz.models.output import describe_output, find_scores, walk_tensors
from cnnviz.models.prepare import prepare
from cnnviz.wording import plural

if TYPE_CHECKING:
    from torch import nn

    from cnnviz.models.catalogue.architecture import Architecture

_NAME = re.compile(r"[A-Za-z]\w*")
_COUNTS = (  # what people call the number of classes, likeliest first
    "num_classes n_classes nclasses num_class n_class nb_classes number_of_classes class_num class_count classes "
    "num_labels n_labels labels num_outputs n_outputs out_features output_features output_dim output_size out_dim "
    "out_channels n_out num_out outputs out k n"
).split()


def check_values(
    name: str, input_size: Sequence[int], classes: int, labels: Sequence[str] | Mapping[Any, Any] | str | None
) -> None:
    """Raise BadInput, saying what was given and what is expected, if a value makes no sense."""
    if callable(name):
        shown = getattr(name, "__name__", type(name).__name__)
        raise BadInput(f"register needs a name first: write @cnnviz.register('my_net') above {shown}.")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(f"A network's name is letters, digits and underscores, e.g. 'my_net'; got {name!r}.")
    whole = isinstance(input_size, Sequence) and all(isinstance(n, int) and n > 0 for n in input_size)
    if not whole or len(input_size) != 3:
        raise BadInput(f"{name}: input_size must be (channels, height, width), e.g. (3, 32, 32); got {input_size!r}.")
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 1:
        raise BadInput(f"{name}: classes must be a whole number from 1, got {classes!r}.")
    if isinstance(labels, str):
        if labels not in (known := ["imagenet", *KNOWN]):
            raise BadInput(f"{name}: labels must be class names or one of {', '.join(known)}; got {labels!r}.")
    elif labels is not None:
        named = order_names(labels)
        if named is None:
            expected = "a list of class names, {index: name} or {name: index}"
            raise BadInput(f"{name}: labels must be {expected}; got {labels!r:.80}.")
        check_count(name, named, classes)


def check_count(name: str, labels: Sequence[str], classes: int) -> None:
    """Raise BadInput unless there are as many labels as classes."""
    if len(labels) != classes:
        raise BadInput(f"{name}: for {plural(classes, 'class')} there must be as many labels, got {len(labels)}.")


class GuardedBuilder:
    """A user's class or function as the catalogue calls it, `(num_classes, **options) -> nn.Module`.

    Its errors become BadInput that names the network; what cannot be built without memory is built on the CPU, lazy
    layers get their sizes, and of a network that is returned again at every call each gets a copy. The number of
    classes goes to the argument that is called so, or like it, else to the first that has no default; a class or
    function without either is called without, and `fixed` says so.

    Raises BadInput, with what to write, for what cannot be called so."""

    def __init__(self, builder: Callable[..., nn.Module], name: str, input_size: tuple[int, int, int]) -> None:
        from torch import nn

        self.builder, self.name, self.input_size = builder, name, input_size
        if isinstance(builder, nn.Module):
            raise BadInput(
                f"{name}: register takes a class or a function, got a network that is built already. Write\n"
                f"    cnnviz.register({name!r}, …)(lambda: net)"
            )
        try:
            self.__signature__ = signature(builder)  # which `inspect` reads
        except (TypeError, ValueError):
            raise BadInput(
                f"{name} must be a class or a function (num_classes) -> nn.Module, got {builder!r}."
            ) from None
        self.argument = self._find_argument()
        self.fixed = self.argument is None
        self._seen: WeakSet[nn.Module] = WeakSet()

    def _find_argument(self) -> Parameter | None:
        every = list(self.__signature__.parameters.values())
        taking = [p for p in every if p.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)]
        needed = [p for p in taking if p.default is Parameter.empty]
        named = [p for word in _COUNTS for p in taking if p.name.lower().strip("_") == word]
        counts = [p for p in named if p.default is Parameter.empty or isinstance(p.default, int)]
        chosen = next(iter(counts or needed), None)
        missing = [p.name for p in needed if p is not chosen]
        if missing:
            self._refuse_missing(missing, chosen)
        return chosen

    def _refuse_missing(self, missing: list[str], chosen: Parameter | None) -> None:
        called = getattr(self.builder, "__name__", type(self.builder).__name__)
        given = ([f"{chosen.name}=num_classes"] if chosen is not None else []) + [f"{name}=…" for name in missing]
        raise BadInput(
            f"{self.name}: {called} needs {', '.join(missing)} beside the number of classes, which nobody gives it. "
            f"Register a function in its place:\n    def {self.name}(num_classes):\n        return "
            f"{called}({', '.join(given)})"
        )

    def __call__(self, num_classes: int, **options: Any) -> nn.Module:
        try:
            return build_anywhere(lambda: self._build(num_classes, options))
        except CnnvizError:
            raise
        except Exception as error:
            raise BadInput(_describe_failure(self.name, num_classes, error)) from error

    def _build(self, count: int, options: dict[str, Any]) -> nn.Module:
        if self.argument is None:
            found = self.builder(**options)
        elif self.argument.kind is Parameter.POSITIONAL_ONLY:
            found = self.builder(count, **options)
        else:
            found = self.builder(**{self.argument.name: count}, **options)
        module = _require_module(found, self.name)
        if module in self._seen:  # the user's own, who goes on using it
            module, self.fixed = copy.deepcopy(module), True
        else:
            self._seen.add(module)
        return prepare(module, self.input_size, self.name)


def try_out(entry: Architecture, said: bool = True) -> Architecture:
    """`entry`, if the network answers (1, n) to one image, for n classes and for one more; with the number that it
    answers, if it is called without one. Unless `said`, nobody has said how many classes there are.

    Raises BadInput for another answer."""
    count = _run_once(entry, entry.classes)
    builder = entry.builder
    if isinstance(count, int) and isinstance(builder, GuardedBuilder) and builder.argument is None:
        if said and count != entry.classes:
            raise BadInput(
                f"{entry.name} always has {plural(count, 'output')}, and was registered with "
                f"{plural(entry.classes, 'class')} or labels. "
                f"Write classes={count}, or let its __init__ take num_classes"
            )
        named = isinstance(entry.labels, str) or count == entry.classes
        labels = entry.labels if named else tuple(f"class {i}" for i in range(count))
        return replace(entry, classes=count, labels=labels, resizable=False)
    _check_answer(entry, entry.classes, count)
    other = _run_once(entry, entry.classes + 1)
    if other == entry.classes and isinstance(builder, GuardedBuilder) and builder.fixed:
        return replace(entry, resizable=False)
    _check_answer(entry, entry.classes + 1, other)
    return entry


def _check_answer(entry: Architecture, count: int, answer: int | str) -> None:
    if answer == count:
        return
    if answer == entry.classes:
        raise BadInput(
            f"{entry.name} has {plural(entry.classes, 'output')} also when num_classes is {count}. Give its last layer "
            "num_classes outputs"
        )
    answer = f"(1, {answer})" if isinstance(answer, int) else answer
    raise BadInput(
        f"{entry.name} answers one image {entry.input_size} with {answer}; expected scores of shape "
        f"(1, {count}), one a class"
    )


def _run_once(entry: Architecture, count: int) -> int | str:
    """The number of scores for one black image, or what came in their place: without memory if the network can, else
    for real."""
    import torch

    for device in ("meta", "cpu"):
        try:
            with torch.random.fork_rng(devices=[]), torch.device(device), torch.no_grad():
                output = _answer(entry.builder(count), torch.zeros(1, *entry.input_size))
        except CnnvizError:
            raise
        except Exception as error:
            if device == "cpu":
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                raise BadInput(f"{entry.name} does not run on one image {entry.input_size}: {reason}") from error
            continue
        try:
            return _count_scores(output)
        except BadInput:
            return describe_output(output)
    raise AssertionError("the loop returns or raises")


def _answer(module: nn.Module, image: Any) -> Any:
    """What the network returns in eval mode; its modes are as they were afterwards, since it may be someone's own."""
    mode = [child for child in module.modules() if child.training]
    try:
        return module.eval()(image)
    finally:
        for child in mode:
            child.training = True


def _count_scores(output: Any) -> int | str:
    scores = find_scores(output, 1)
    whole = [tuple(t.shape) for t in walk_tensors(output) if t.ndim > 2 and t.numel() == scores.numel()]
    spread = [shape for shape in whole if shape[1] != scores.shape[1]]  # maps, of which each place is an answer
    return str(spread[0]) if spread else scores.shape[1] if len(scores) == 1 else str(tuple(scores.shape))


def _require_module(found: Any, name: str) -> nn.Module:
    from torch import nn

    if not isinstance(found, nn.Module):
        raise BadInput(f"The builder of {name} returned a {type(found).__name__}; it must return an nn.Module.")
    return found


def _describe_failure(name: str, num_classes: int, error: Exception) -> str:
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"The builder of {name} failed for num_classes={num_classes}: {reason}"
