"""The moment of a run: a slider over what is kept, which plays; the pages that show the network as it was then, and its
weights as the network of all pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from app.components.motion.player import Motion, offer_motion
from app.markdown import as_literal, escape_markdown
from app.pickers import bar
from app.session import run_weights
from app.url import address
from app.views.training import runs
from cnnviz.errors import CnnvizError
from cnnviz.models.runs.moment import describe_moment
from cnnviz.training.record.result import RecordedRun
from cnnviz.wording import plural

PACE = 400  # milliseconds a moment
KEY = "moment"  # in the address
_PAGES = {"feature_maps": "Feature maps", "top9": "Top-9 patches", "first_layer_filters": "Filters"}
_NOT_CARRIED = ("untrained", "view", "runs", "run", "moment", "axis", "lines", "measure", "layer", "unit")


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of a run that is looked at. `step`; `words`: "epoch 3"; `best`: the step at the end of the best epoch,
    None where there is none."""

    run: RecordedRun
    step: int
    words: str
    best: int | None

    @property
    def is_best(self) -> bool:
        return self.best is not None and self.step == self.best


def list_steps(run: RecordedRun) -> list[int]:
    """The moments that a slider stops at: those whose weights or filters are kept, and the end of the best epoch."""
    best = find_best(run)
    return sorted({*run.snapshots, *run.filters, *([] if best is None else [best])})


def find_best(run: RecordedRun) -> int | None:
    """The step at the end of the best epoch."""
    ends = {epoch: step for step, epoch in run.epoch_at.items()}
    return ends.get(run.best_epoch) if run.best_epoch is not None else None


def describe(run: RecordedRun, step: int) -> str:
    """ "epoch 3", "before training", "step 120"."""
    return describe_moment(step, run.epoch_at.get(step))


def pick_moment(run: RecordedRun, place: Any) -> Moment | None:
    """The slider; it opens at the best epoch, where early stopping would have stopped, else at the last moment. None
    where nothing is kept."""
    steps, best = list_steps(run), find_best(run)
    if not steps:
        address.forget(KEY)
        return None
    usual = best if best is not None else steps[-1]
    with place:
        if len(steps) > 1:
            step = address.bind(
                st.select_slider,
                "Moment",
                KEY,
                usual,
                options=steps,
                format_func=lambda step: describe(run, step),
            )
        else:
            step = steps[0]
    return Moment(run, step, describe(run, step), best)


def choose_nearest(run: RecordedRun, step: float) -> None:
    """In a callback: the kept moment nearest to a step."""
    if steps := list_steps(run):
        address.choose(KEY, min(steps, key=lambda one: abs(one - step)))


def offer_play(moment: Moment, place: Any, recipe: tuple, reel: Any) -> None:
    """Space plays the moments. `reel()`: their frames."""
    steps = list_steps(moment.run)
    if len(steps) < 2:
        return
    motion = Motion(
        "the training", [describe(moment.run, one) for one in steps], steps.index(moment.step), PACE, first=0
    )
    names = (moment.run.name, tuple(steps), *recipe)
    with place:
        offer_motion(motion, "motion", lambda at: address.choose(KEY, steps[at]), names, reel)


def nearest_filters(run: RecordedRun, step: int) -> int | None:
    """The moment nearest to a step whose first-layer filters are kept."""
    return min(run.filters, key=lambda kept: (abs(kept - step), kept), default=None)


def tell_moment(moment: Moment) -> None:
    """What was measured then, and how it stands to the best epoch."""
    run, words = moment.run, [f"**{moment.words.capitalize()}**"]
    if (row := _find_row(run, moment.step)) is not None:
        words += [f"{as_literal(name)} {as_literal(text)}" for name, text in _measured(run, row).items()]
    st.markdown("  \n".join(words))
    if moment.best is None:
        st.caption("No test loss was recorded: no epoch is the best.")
    elif moment.is_best:
        st.caption(f"The best of {plural(len(run.epochs['step']), 'epoch')}: early stopping would keep these weights.")
    else:
        st.button(
            f"Back to the best, epoch {run.best_epoch}",
            key="to_best",
            on_click=address.choose,
            args=(KEY, moment.best),
            type="tertiary",
        )


def _find_row(run: RecordedRun, step: int) -> int | None:
    found = np.flatnonzero(run.epochs["step"] == step)
    return int(found[0]) if len(found) else None


def _measured(run: RecordedRun, row: int) -> dict[str, str]:
    found = {}
    for part in ("train", "test"):
        loss, right = (
            run.epochs.get(f"{part}_{what}", [float("nan")] * (row + 1))[row] for what in ("loss", "accuracy")
        )
        known = [f"{loss:.3g} nats"] if np.isfinite(loss) else []
        known += [f"{100 * right:.1f}\u00a0%"] if np.isfinite(right) else []
        if known:
            found[{"train": "training", "test": "test"}[part]] = ", ".join(known)
    return found


def offer_network(moment: Moment, layer: str = "") -> None:
    """Links to the pages that show the network with the weights of this moment, at `layer` where there is one, and the
    button that makes them those of all pages."""
    run = moment.run
    if not run.snapshots:
        st.caption("No weights are kept of this run (yet).")
        return
    kept = run.nearest_snapshot(moment.step)
    name, problem = run_weights.network_of(run.name)
    if not name:
        st.caption(
            "Other pages cannot show this network: "
            f"{escape_markdown(problem)} Register it as a plugin, and give `about={{'architecture': NAME}}`."
        )
        return
    weights = run.name_weights(kept)
    then = {**address.link(_NOT_CARRIED), "net": name, "weights": weights} | ({"layer": layer} if layer else {})
    words = describe(run, kept)
    nearest = "" if kept == moment.step else ", the nearest that is kept"
    st.caption(f"The network {words if not kept else f'after {words}'}{nearest}:")
    for page, label in _PAGES.items():
        st.page_link(f"../pages/{page}.py", label=label, query_params=then)
    chosen = (address.keep("net"), address.keep("weights")) == (name, weights)
    st.button(
        "These weights are chosen" if chosen else "Use these weights",
        key="use_weights",
        on_click=_use,
        args=(name, weights),
        disabled=chosen,
        help="Make them the network that every page shows.",
    )


def _use(name: str, weights: str) -> None:
    address.choose("net", name)
    address.choose("weights", weights)
    address.reset("untrained")


def draw_panel(names: list[str]) -> Moment | None:
    """Everything about the moment, beside the picture; None where no run can be looked into."""
    with bar.panel():
        name = runs.pick_one(st.container(), names)
        try:
            run = runs.read(name)
        except CnnvizError:
            return None  # said where the curves are
        return pick_moment(run, st.container())
