"""Weights of recorded trainings: which runs there are, of which networks, and what pickers offer of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from app.session.cache import picture_cache
from cnnviz.errors import BadInput, CnnvizError

if TYPE_CHECKING:
    from cnnviz.models.runs.moment import RunMoment

SECONDS = 2  # after which it is looked up anew which runs there are
MOST = 8  # runs whose weights a picker offers beside those that are asked for


def recorded_runs(*asked: str) -> dict[str, Path]:
    """{name: its folder} of the recorded trainings, the newest first. `asked`: runs that may have begun just now, after
    the last look; of those that come with cnnviz none is among them."""
    from cnnviz.models.bundled import BUNDLED

    found = _look()
    if any(name not in found and not name.startswith(BUNDLED) for name in asked):
        _look.clear()
        found = _look()
    return found


@st.cache_data(ttl=SECONDS, show_spinner=False)
def _look() -> dict[str, Path]:
    from cnnviz.models.runs.folder import name_runs

    return name_runs()


def run_options(network: str, asked: Sequence[str]) -> dict[str, str]:
    """{what `load` takes: how pickers call it} of the recorded trainings of a network: of each the last moment, and of
    those of which one is `asked` for all that is kept. Words of runs that are gone, or name no moment, are among them:
    loading says why."""
    words = [word for word in dict.fromkeys(asked) if word.startswith("run:")]
    moments = {word: _parse(word) for word in words}
    wanted, found = {moment.run for moment in moments.values() if moment}, dict[str, str]()
    for run, folder in recorded_runs(*wanted).items():
        if (len(found) < MOST or run in wanted) and network_of(run, run in wanted)[0] == network:
            found |= _list_moments(run, folder, run in wanted)
    for word, moment in moments.items():
        if moment is None:
            found[word] = word[:40]
        elif network_of(moment.run)[0] in (network, ""):  # else it is another network's
            found.setdefault(word, f"{moment.run} · {moment.words}")
    return found


def _parse(word: str) -> RunMoment | None:
    from cnnviz.models.runs.moment import parse_moment

    try:
        return parse_moment(word)
    except BadInput:
        return None


def _list_moments(run: str, folder: Path, every: bool) -> dict[str, str]:
    from cnnviz.models.runs.moment import describe_moment, list_moments, name_moment

    kept = list_moments(folder)
    if not kept:
        return {}
    found = {f"run:{run}@last": f"{run} · last"}
    if every:
        found[f"run:{run}@best"] = f"{run} · best epoch"
        found |= {name_moment(run, at, epoch): f"{run} · {describe_moment(at, epoch)}" for at, epoch in kept.items()}
    return found


def network_of(run: str, recognise: bool = True) -> tuple[str, str]:
    """(network, "") of a recorded training: of its own words, else recognised by its weights; ("", why) where cnnviz
    knows none of that kind, or there is no such run. `recognise`: also where that takes seconds."""
    from cnnviz.models.runs.moment import BUNDLED

    if run.startswith(BUNDLED):
        return run.removeprefix(BUNDLED), ""
    folder = recorded_runs(run).get(run)
    about = _read_about(folder) if folder else None
    if about is None:
        return "", f"There is no run named {run} (any more)."
    told, tensors = about
    if told:
        return _check(told)
    name = "network of a run", run, tensors  # another network under the same name has other tensors
    known: tuple[str, str] | None = picture_cache().find(name)
    if known is not None or not recognise:
        return known or ("", "")
    return picture_cache().get(name, lambda: _recognise(run))


def network_of_weights(weights: str) -> str:
    """The network of weights "run:mine@3"; "" of other weights, and where it is not known."""
    moment = _parse(weights)
    return network_of(moment.run)[0] if moment is not None else ""


def _read_about(folder: Path) -> tuple[str, str] | None:
    """(the network that run.json names or "", its tensors as text), read anew when it is written anew."""
    from cnnviz.models.runs.files import RUN, read_about

    try:
        stamp = (folder / RUN).stat().st_mtime_ns
    except OSError:
        return None

    def read() -> tuple[str, str] | None:
        about = read_about(folder)
        name = about.get("architecture") if about else None
        return None if about is None else (name if isinstance(name, str) else "", str(about.get("tensors")))

    return picture_cache().get(("about a run", str(folder), stamp), read)


def _check(name: str) -> tuple[str, str]:
    from cnnviz.models.catalogue.registry import find

    try:
        find(name)
    except CnnvizError as error:
        return "", str(error)
    return name, ""


def _recognise(run: str) -> tuple[str, str]:
    from cnnviz.models.load import load

    try:
        return load(None, f"run:{run}@last", "cpu").name, ""
    except CnnvizError as error:
        return "", str(error)


def find_version(weights: str) -> str | None:
    """What names the file of weights "run:mine@3" in caches, so that a run that is trained anew is another network;
    None of other weights. Raises CnnvizError as loading does."""
    from cnnviz.models.runs.moment import find_snapshot, knows_epochs_alone, parse_moment

    moment = parse_moment(weights)
    if moment is None or knows_epochs_alone(moment.run):
        return None
    path = find_snapshot(moment).path
    try:
        told = path.stat()
    except OSError:  # gone this moment, which loading says
        return path.stem
    return f"{path.stem}-{told.st_mtime_ns:x}-{told.st_size:x}"
