"""What curves of recorded trainings say, in sentences with numbers from the data shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.training.record.depth import DepthPair
    from cnnviz.training.record.result import RecordedRun

_KINDS = {"plain": "without shortcuts", "resnet": "with shortcuts"}
_ALIKE = 0.001  # of training accuracy: nearer ones are called equal


def depth_sentences(pairs: Sequence[DepthPair]) -> str:
    """Whether the deeper networks learn their own training images worse, and by how much; "" for no pairs."""
    words = [_depth_sentence(pair) for pair in pairs]
    budgets = {(depth, epochs) for pair in pairs for depth, epochs in zip(pair.layers, pair.epochs, strict=True)}
    if len({epochs for _depth, epochs in budgets}) > 1:
        told = ", ".join(f"{plural(epochs, 'epoch')} for {plural(depth, 'layer')}" for depth, epochs in sorted(budgets))
        words.append(f"The budgets differ: {told}.")
    return " ".join(words)


def _depth_sentence(pair: DepthPair) -> str:
    (shallow, deep), gain = pair.layers, 100 * pair.gain
    ends = f"{plural(deep, 'layer')} end at {100 * pair.train[1]:.1f} % of the training images, {shallow} at "
    ends += f"{100 * pair.train[0]:.1f} %"
    if abs(pair.gain) < _ALIKE:
        verdict = "depth changes nothing"
    elif gain < 0:
        verdict = f"the deeper network is worse by {plural(f'{-gain:.1f}', 'point')} on what it was trained on"
        verdict += ", which is no overfitting: it is harder to optimise"
    else:
        verdict = f"the deeper network is better by {plural(f'{gain:.1f}', 'point')}"
    test = ""
    if all(share == share for share in pair.test):
        test = f" (test: {100 * pair.test[1]:.1f} against {100 * pair.test[0]:.1f} %)"
    return f"**{_KINDS.get(pair.kind, pair.kind).capitalize()}**, {ends}: {verdict}{test}."


def describe_state(run: RecordedRun, now: float, quiet: float) -> str:
    """ "running", "ended", … `now`: seconds since 1970; `quiet`: seconds after which a run that writes nothing is no
    longer called running."""
    if not run.running:
        return "stopped by an error" if run.about.get("failed") else "ended"
    silent = now - run.written
    return "running" if silent < quiet else f"silent for {_span(silent)}, perhaps stopped"


def _span(seconds: float) -> str:
    for size, noun in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return plural(int(seconds // size), noun)
    return plural(int(seconds), "second")


def describe_gaps(run: RecordedRun, first_nan: int | None) -> list[str]:
    """What is missing in a run, in words: no steps, no epochs, a loss that is no number, lines that cannot be read."""
    if run.knows_epochs_alone:
        return []
    found = []
    if not len(run.steps["step"]) and not len(run.epochs["step"]):
        found.append("no step is written yet" if run.running else "it has no steps")
    elif not len(run.epochs["step"]):
        found.append("no epoch has ended yet" if run.running else "no epochs were recorded")
    if first_nan is not None:
        found.append(f"the loss is no number (NaN or infinite) from step {first_nan:,} on or in between")
    if run.broken:
        found.append(f"{plural(run.broken, 'line')} of its files cannot be read, and left out")
    return found + [f"assumed: {words}" for words in run.assumed]
