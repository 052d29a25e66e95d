"""The weights of a recorded training at a moment, by a word: "run:mine@3", "run:mine@step-1200", "run:mine@best"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnviz.errors import BadInput, UnknownName
from cnnviz.models.bundled import BUNDLED, bundled, read_training, recorded_folder, snapshots
from cnnviz.models.runs import files
from cnnviz.models.runs.folder import find_run

PREFIX, BEST, LAST = "run:", "best", "last"
MEASURES = (("test_loss", 1), ("test_accuracy", -1))  # by which the best epoch is chosen, and the sign of a better one
_WHEN = re.compile(r"(?P<epoch>[0-9]{1,9})|step-(?P<step>[0-9]{1,15})|best|last")


@dataclass(frozen=True, slots=True)
class RunMoment:
    """A run and a moment of it, as somebody asked for them. `when`: "3" (after so many epochs), "step-1200", "best",
    "last"."""

    run: str
    when: str

    @property
    def words(self) -> str:
        """ "epoch 3", "step 1200", "the best epoch", "the last moment"."""
        if self.when in (BEST, LAST):
            return {BEST: "the best epoch", LAST: "the last moment"}[self.when]
        return self.when.replace("-", " ") if self.when.startswith("step") else f"epoch {self.when}"


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """Weights that a run keeps. `epoch`: None where they are not those of the end of an epoch. `remark`: a sentence
    where they are not exactly those that were asked for, else ""."""

    run: str
    path: Path
    step: int
    epoch: int | None
    remark: str = ""

    @property
    def weights(self) -> str:
        """The word for them: "run:mine@3", or with the step where it is the end of no epoch."""
        return name_moment(self.run, self.step, self.epoch)


def name_moment(run: str, step: int, epoch: int | None) -> str:
    """The word by which `load` finds these weights."""
    return f"{PREFIX}{run}@{f'step-{step}' if epoch is None else epoch}"


def describe_moment(step: int, epoch: int | None) -> str:
    """ "before training", "epoch 3", "step 1,200"."""
    if not step:
        return "before training"
    return f"step {step:,}" if epoch is None else f"epoch {epoch}"


def parse_moment(weights: object) -> RunMoment | None:
    """What a word "run:NAME@3" asks for; None for anything else. Without a moment it is the last. Raises BadInput for a
    moment that is none."""
    if not isinstance(weights, str) or not weights.startswith(PREFIX):
        return None
    name, at, when = weights.removeprefix(PREFIX).rpartition("@")
    if not at:
        name, when = when, LAST
    match = _WHEN.fullmatch(when)
    if match is None or not name:
        raise BadInput(
            f"{weights[:80]!r} names no moment of a run. Expected run:NAME@3 (after so many epochs), "
            "run:NAME@step-1200, run:NAME@best or run:NAME@last."
        )
    return RunMoment(name, str(int(when)) if match["epoch"] else when)


def find_snapshot(moment: RunMoment) -> RunSnapshot:
    """The weights that are kept of a moment, the nearest where it was not kept itself. Raises UnknownName where the run
    is not there, keeps no weights, or has no such moment."""
    folder = find_run(moment.run)
    kept = files.list_arrays(folder, files.SNAPSHOTS)
    if not kept:
        raise UnknownName(f"The run {moment.run} keeps no weights (yet): there is no file in {files.SNAPSHOTS}/.")
    epochs = find_epochs(folder)
    wanted = _find_step(moment, folder, epochs, list(kept))
    step = min(kept, key=lambda one: (abs(one - wanted), one))
    epoch = {at: number for number, at in epochs.items()}.get(step)
    exact = step == wanted and (not moment.when.isdigit() or int(moment.when) == epoch)
    remark = "" if exact else _describe_nearest(moment, _place(step, epoch))
    return RunSnapshot(moment.run, kept[step], step, epoch, remark)


def knows_epochs_alone(run: str) -> bool:
    """Whether a run comes with cnnviz, and what was measured after each epoch is all that is known of it."""
    return run.startswith(BUNDLED) and recorded_folder(run.removeprefix(BUNDLED)) is None


def find_bundled(moment: RunMoment) -> tuple[str, str, str]:
    """(network, weights, remark) of a moment of a training that comes with cnnviz and of which epochs alone are known,
    "bundled:NAME": the weights as `load` takes them, "epoch-5" or "bundled". Raises UnknownName for another training
    and for a step."""
    name = moment.run.removeprefix(BUNDLED)
    last = max((line["epoch"] for line in list_history(name)), default=0)
    if name not in bundled() or not last:
        there = ", ".join(BUNDLED + one for one in bundled() if list_history(one))
        raise UnknownName(f"No training named {moment.run[:80]!r} comes with cnnviz. Those that do: {there or 'none'}.")
    if moment.when.startswith("step-"):
        raise UnknownName(f"Of {moment.run} no steps are known. Name an epoch, 0 to {last}: run:{moment.run}@{last}.")
    best = choose_best(list_history(name))
    wanted = {LAST: last, BEST: best if best is not None else last}.get(moment.when)
    wanted = int(moment.when) if wanted is None else wanted
    kept = {**{epoch: f"epoch-{epoch}" for epoch in snapshots(name)}, last: "bundled"}
    epoch = min(kept, key=lambda one: (abs(one - wanted), one))
    return name, kept[epoch], "" if epoch == wanted else _describe_nearest(moment, describe_moment(epoch, epoch))


def list_history(name: str) -> list[dict[str, Any]]:
    """What was measured after each epoch of the bundled training of `name`, a line each; [] where nothing is told."""
    lines = read_training(name).get("history")
    known = lines if isinstance(lines, list) else []
    return [line for line in known if isinstance(line, dict) and _is_epoch(line.get("epoch"))]


def _describe_nearest(moment: RunMoment, place: str) -> str:
    return f"Of {moment.words} the run {moment.run} keeps no weights: these are the nearest, {place}."


def _place(step: int, epoch: int | None) -> str:
    words = describe_moment(step, epoch)
    return words if epoch is None or not step else f"{words} (step {step:,})"


def list_moments(folder: Path) -> dict[int, int | None]:
    """{step: the epoch that ended there, or None} of the weights that a run keeps, in their order."""
    epochs = {step: epoch for epoch, step in find_epochs(folder).items()}
    return {step: epochs.get(step) for step in files.list_arrays(folder, files.SNAPSHOTS)}


def find_epochs(folder: Path) -> dict[int, int]:
    """{epoch: the step at its end} of a run, 0 for the start; of what was measured then and, where a line of that is
    missing, of the weights that are kept."""
    lines = files.read_lines(folder / files.EPOCHS)
    found = {0: 0} | {line["epoch"]: line["step"] for line in lines if _is_epoch(line.get("epoch"))}
    if 1 < len(found) == max(found) + 1:
        return found
    kept = {epoch: int(path.stem.removeprefix("step-")) for epoch, path in files.list_epochs(folder).items()}
    return kept | found


def _is_epoch(value: Any) -> bool:
    return type(value) is int and value > 0


def _find_step(moment: RunMoment, folder: Path, epochs: dict[int, int], kept: list[int]) -> int:
    """The step that is meant."""
    if moment.when == LAST:
        return kept[-1]
    if moment.when == BEST:
        return epochs[_find_best(moment.run, folder)]
    if moment.when.startswith("step-"):
        return int(moment.when.removeprefix("step-"))
    epoch, last = int(moment.when), max(epochs)
    if epoch in epochs:
        return epochs[epoch]
    if not last:
        raise UnknownName(
            f"The run {moment.run} has ended no epoch yet. Name a step: it keeps weights of the steps "
            f"{', '.join(map(str, kept))}, e.g. run:{moment.run}@step-{kept[-1]}."
        )
    return kept[-1] if epoch > last else epochs[min(epochs, key=lambda one: (abs(one - epoch), one))]


def _find_best(run: str, folder: Path) -> int:
    lines = [one for one in files.read_lines(folder / files.EPOCHS) if _is_epoch(one.get("epoch"))]
    best = choose_best(lines)
    if best is None:
        raise UnknownName(
            f"The run {run} measured nothing by which an epoch is the best: neither test_loss nor test_accuracy of an "
            f"epoch. Name the epoch: run:{run}@3."
        )
    return best


def choose_best(epochs: list[dict[str, Any]]) -> int | None:
    """Where early stopping would have stopped: the first epoch of the lowest "test_loss", or where there is none of the
    highest "test_accuracy"; None where neither was measured. `epochs`: a line each, with its "epoch"."""
    for name, sign in MEASURES:
        known = [(sign * float(line[name]), line["epoch"]) for line in epochs if _is_known(line.get(name))]
        if known:
            return int(min(known)[1])
    return None


def _is_known(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < float("inf")
