"""Attempts at learning from few images: from scratch, with augmentation, and from trained weights, head only or all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cnnviz.errors import BadInput, unknown
from cnnviz.models.bundled import assets
from cnnviz.progress import Progress
from cnnviz.store import read_json, write_json
from cnnviz.training.freeze import ALL_BUT_HEAD
from cnnviz.training.loop import TrainingProgress, train
from cnnviz.training.recipe import Recipe
from cnnviz.training.state import Epoch, read_history

BUNDLED = "attempts-photographs.json"
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
        Attempt("augmented", "with augmentation", augmented=True, trained=False),
        Attempt("head", "pretrained, head only", augmented=True, trained=True, freeze=ALL_BUT_HEAD),
        Attempt("all", "pretrained, all layers", augmented=True, trained=True),
    )
}


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How an attempt went. `history`: an `Epoch` for each; `weights`: the file that it ended with."""

    attempt: Attempt
    history: tuple[Epoch, ...]
    weights: Path


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


@dataclass(frozen=True, slots=True)
class AttemptsRecord:
    """Attempts as they went, without their weights. `histories`: {name of ATTEMPTS: its epochs}; `meta`: network, data,
    processor, command."""

    histories: dict[str, tuple[Epoch, ...]]
    meta: dict[str, Any]

    def save(self, path: str | Path) -> None:
        """Write it as JSON. Raises CnnvizError if the file cannot be written."""
        histories = {name: [asdict(epoch) for epoch in history] for name, history in self.histories.items()}
        write_json(path, {"study": "attempts", "histories": histories, "meta": self.meta})

    @classmethod
    def load(cls, path: str | Path) -> AttemptsRecord:
        """Inverse of `save`. Raises BadInput for a file that is missing, damaged or of another kind."""
        plain = read_json(path)
        try:
            found = {
                name: tuple(Epoch(**values) for values in plain["histories"][name])
                for name in ATTEMPTS
                if name in plain["histories"]
            }
            whole = plain["study"] == "attempts" and bool(found) and all(found.values())
        except (KeyError, TypeError):
            whole = False
        if not whole:
            raise BadInput(f"{path} holds no attempts. Compute it again: python -m benchmarks.transfer_learning.")
        return cls(found, dict(plain.get("meta", {})))


def bundled_attempts() -> AttemptsRecord | None:
    """Attempts on photographs that come with cnnviz; None where it was installed without its assets."""
    path = assets() / "studies" / BUNDLED
    return AttemptsRecord.load(path) if path.is_file() else None


def describe_attempts(histories: Mapping[str, Sequence[Epoch]]) -> Iterator[str]:
    """The outcome of each, and which was best, computed from their last epochs; a line each."""
    for name, history in histories.items():
        last = history[-1]
        yield (
            f"{ATTEMPTS[name].title}: {last.train_accuracy:.1%} of the training images, "
            f"{last.test_accuracy:.1%} of the test images"
        )
    if len(histories) > 1:
        best = max(histories, key=lambda name: histories[name][-1].test_accuracy)
        yield f"best on the test images: {ATTEMPTS[best].title}"
