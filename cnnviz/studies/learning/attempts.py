"""Attempts at learning from few images: from scratch, with augmentation, and from trained weights, head only or all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cnnviz.errors import unknown
from cnnviz.progress import Progress
from cnnviz.training.freeze import ALL_BUT_HEAD
from cnnviz.training.loop import TrainingProgress, train
from cnnviz.training.recipe import Recipe
from cnnviz.training.state import Epoch, read_history

GENTLER = 0.1  # the learning rate with trained weights, of that from scratch


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way of training. `augmented`: images are cropped at random and mirrored; `trained`: begins with trained
    weights; `freeze`: as for `train`."""

    name: str
    title: str
    augmented: bool
    trained: bool
    freeze: str = ""


ATTEMPTS = {
    attempt.name: attempt
    for attempt in (
        Attempt("scratch", "from scratch", augmented=False, trained=False),
        Attempt("augmented", "from scratch, with augmentation", augmented=True, trained=False),
        Attempt("head", "from trained weights, head only", augmented=True, trained=True, freeze=ALL_BUT_HEAD),
        Attempt("all", "from trained weights, all layers", augmented=True, trained=True),
    )
}


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How an attempt went. `history`: an `Epoch` for each; `weights`: the file that it ended with."""

    attempt: Attempt
    history: tuple[Epoch, ...]
    weights: Path

    @property
    def last(self) -> Epoch:
        """After the last epoch."""
        return self.history[-1]


@dataclass(frozen=True, slots=True)
class AttemptProgress(Progress):
    """`name`: of the attempt under way; `under_way`: its epochs; `finished`: the attempts that are done."""

    name: str = ""
    under_way: tuple[Epoch, ...] = ()
    finished: tuple[AttemptResult, ...] = field(default_factory=tuple)


def suit_recipe(attempt: Attempt, recipe: Recipe) -> Recipe:
    """`recipe` as an attempt takes it: with a tenth of the learning rate where it begins with trained weights, and
    without its augmentation where it has none."""
    if attempt.trained:
        recipe = replace(recipe, lr=recipe.lr * GENTLER)
    return recipe if attempt.augmented else replace(recipe, crop=0, shift=0, flip=False)


def run_attempts(
    architecture: str,
    data: str | Path,
    out: str | Path,
    recipe: Recipe,
    start: str | Path = "packaged",
    names: Sequence[str] = tuple(ATTEMPTS),
    per_class: int = 0,
    device: str = "auto",
    progress: Callable[[AttemptProgress], bool | None] | None = None,
) -> list[AttemptResult]:
    """Train `architecture` on `data` once for each attempt, in a folder of `out` each, and return how they went.

    Arguments as for `train`; `recipe`: see `suit_recipe`. The same call goes on where it was stopped. Raises as `train`
    does, UnknownName for an attempt that is not there."""
    results: list[AttemptResult] = []
    for name in names:
        if name not in ATTEMPTS:
            unknown("attempt", name, ATTEMPTS)
    for name in names:
        attempt, folder = ATTEMPTS[name], Path(out) / name

        def tell(state: TrainingProgress, attempt: Attempt = attempt) -> bool | None:
            return progress(_report(state, attempt, results, len(names))) if progress else None

        weights = train(
            architecture,
            data,
            folder,
            suit_recipe(attempt, recipe),
            device,
            tell,
            start=start if attempt.trained else None,
            freeze=attempt.freeze,
            per_class=per_class,
        )
        results.append(AttemptResult(attempt, tuple(read_history(folder)), weights))
    return results


def _report(state: TrainingProgress, attempt: Attempt, results: Sequence[AttemptResult], count: int) -> AttemptProgress:
    return AttemptProgress(
        done=len(results),
        total=count,
        what="attempts",
        part=state.share,
        note=f"{attempt.title}, epoch {min(state.done + 1, state.total)} of {state.total}",
        name=attempt.name,
        under_way=tuple(state.finished),
        finished=tuple(results),
    )


def describe_attempts(results: Sequence[AttemptResult]) -> Iterator[str]:
    """The outcome of each, and which was best, computed from the results; a line each."""
    for result in results:
        last = result.last
        yield (
            f"{result.attempt.title}: {last.train_accuracy:.1%} of the training images, "
            f"{last.test_accuracy:.1%} of the test images"
        )
    if len(results) > 1:
        best = max(results, key=lambda result: result.last.test_accuracy)
        yield f"best on the test images: {best.attempt.title}"
