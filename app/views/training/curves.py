"""Curves of several runs on one axis, followed while they are written, with the moment that is looked at marked."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.motion.follow import follow
from app.components.motion.player import Reel
from app.components.plots import plot
from app.markdown import escape_markdown
from app.pickers import bar
from app.url import address
from app.url.address import bind_choice
from app.views.training import filters, recording, runs
from app.views.training import moment as moments
from app.views.training.moment import Moment
from cnnviz.errors import CnnvizError
from cnnviz.figures.training.curves import choose_unit, curves_figure
from cnnviz.figures.training.words import depth_sentences, describe_gaps
from cnnviz.training.record.curves import collect_curves, count_epochs, find_first_nan, place_steps
from cnnviz.training.record.depth import compare_depths
from cnnviz.wording import plural

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.training.record.curves import RunCurve
    from cnnviz.training.record.result import RecordedRun

HEIGHT = 560
PLOT = "training_curves"  # key of the component
_CLICKED = "training_clicked"  # in the session: a curve was clicked, and the moment is another one
AXES = {"Epochs": "epochs", "Steps": "steps", "Time": "time"}


def view(row: Any) -> None:
    """Controls, the figure that follows the runs, and what it says."""
    names = runs.pick(row)
    runs.offer_degradation(row)
    moment = moments.draw_panel(names)
    with row:
        axis = _pick_axis(names)
        log = bind_choice("Loss", "lines", ["Linear", "Log"]) == "Log"
    if moment is not None:
        moments.offer_play(moment, row, ("curves", axis, log), partial(_make_reel, moment))
        with bar.panel():
            moments.tell_moment(moment)
            moments.offer_network(moment)
            filters.draw_small(moment)
    follow(partial(_draw, names, axis, log, moment), "follow_curves")
    st.write(
        "Thick: measured on images that the network was not trained on; dotted: mean of each epoch on its training "
        "images; pale: single steps, smoothed. **Notice** where the two part: from there on the network learns its "
        "training images by heart. The vertical line is the moment that is looked at; it stands at the best epoch "
        "first, where early stopping would have stopped, and moves with the slider, Space, or a click on a curve."
    )
    recording.tell()
    with st.expander("Formula and source"):
        st.write(
            "Early stopping keeps the weights of the epoch with the lowest loss on held-out images (Prechelt 1998). "
            "Degradation: He et al. 2016 (arXiv:1512.03385), Figure 1 and section 4.2. A smoothed value is the mean "
            "over a sixtieth of the steps around it."
        )


def _pick_axis(names: list[str]) -> str:
    """The axis; it opens on the first along which something is known."""
    found, _problems = runs.read_all(names)
    usual = next((word for word, axis in AXES.items() if any(collect_curves(run, axis) for run in found)), "Epochs")
    return AXES[address.bind(st.segmented_control, "Axis", "axis", usual, options=list(AXES), required=True)]


def _draw(names: list[str], axis: str, log: bool, moment: Moment | None) -> float | None:
    """The figure as the runs are now; returns when to look again."""
    if st.session_state.pop(_CLICKED, False):
        address.rerun()  # a click on what is followed draws that alone anew
    found, problems = runs.read_all(names)
    for problem in problems:
        st.info(escape_markdown(problem), icon=":material/search_off:")
    if told := _tell_states(found, axis):
        st.caption(told)
    curves = [curve for run in found for curve in collect_curves(run, axis)]
    if not curves:
        st.info(_tell_nothing(found, axis))
    else:
        figure, unit = make_figure(found, curves, axis, log, moment), choose_unit(curves, axis)[0]
        alt = f"Loss and accuracy of {', '.join(runs.label(run.name) for run in found)}"
        plot(figure, alt, PLOT, "training", on_point=partial(_clicked, moment, axis, unit))
    if sentences := depth_sentences(compare_depths(found)):
        st.write(sentences)
    if moment is not None and not address.read(moments.KEY) and _has_more(moment, found):
        address.rerun()  # the slider, at its default, follows
    return runs.next_look(found)


def make_figure(
    found: list[RecordedRun], curves: list[RunCurve], axis: str, log: bool, moment: Moment | None
) -> Figure:
    """The curves of these runs, the moment marked, with a frame for every other one."""
    labels = {run.name: runs.label(run.name) for run in found}
    mark, places = None, {}
    if moment is not None and any(curve.run == moment.run.name for curve in curves):
        steps = moments.list_steps(moment.run)
        at = dict(zip(steps, locate(moment.run, steps, axis).tolist(), strict=True))
        places = {str(step): place for step, place in at.items() if np.isfinite(place)}
        if np.isfinite(at.get(moment.step, float("nan"))):
            mark = at[moment.step], f"best: {moment.words}" if moment.is_best else moment.words
    return curves_figure(curves, labels, axis, log, mark, places, HEIGHT)


def locate(run: RecordedRun, steps: list[int], axis: str) -> np.ndarray:
    """(n,) where moments of a run lie on an axis; NaN where that is not known."""
    if axis == "steps":
        return np.array(steps, float) if not run.knows_epochs_alone else np.full(len(steps), np.nan)
    if axis == "epochs":
        return count_epochs(run, np.array(steps, float))
    known = [(table["step"], place_steps(run, table, axis)) for table in (run.steps, run.epochs)]
    at, times = (np.concatenate([np.zeros(1), *part]) for part in zip(*known, strict=True))
    order = np.argsort(at, kind="stable")
    kept = order[np.isfinite(times[order])]
    return np.interp(steps, at[kept], times[kept])


def _make_reel(moment: Moment) -> Reel:
    steps = moments.list_steps(moment.run)
    return Reel([{PLOT: {"frame": str(step)}} | _small(moment.run, step) for step in steps])


def _small(run: RecordedRun, step: int) -> dict[str, Any]:
    if not run.filters:
        return {}
    try:
        return {filters.SMALL: filters.small_frame(run, step)}
    except CnnvizError:
        return {}


def _clicked(moment: Moment | None, axis: str, unit: float, point: list[Any]) -> None:
    """Move the moment to where a curve was clicked."""
    if moment is None or not isinstance(point[0], int | float):
        return
    steps = moments.list_steps(moment.run)
    places = locate(moment.run, steps, axis)
    if np.isfinite(places).any():
        st.session_state[_CLICKED] = True
        address.choose(moments.KEY, steps[int(np.nanargmin(np.abs(places - float(point[0]) * unit)))])


def _has_more(moment: Moment, found: list[RecordedRun]) -> bool:
    """Whether the run keeps other moments than the slider has."""
    now = next((run for run in found if run.name == moment.run.name), moment.run)
    return moments.list_steps(now) != moments.list_steps(moment.run)


def _tell_states(found: list[RecordedRun], axis: str) -> str:
    """What runs that are not simply ended do, and what is missing in any."""
    words = []
    for run in found:
        state = runs.state_of(run)
        told = ([state] if state not in ("", "ended") else []) + describe_gaps(run, find_first_nan(run))
        if _has_begun(run) and not collect_curves(run, axis):
            told.append(f"nothing is known of it along {axis}")
        if told:
            words.append(f"**{escape_markdown(runs.label(run.name))}**: {'; '.join(told)}.")
    return "  \n".join(words)


def _tell_nothing(found: list[RecordedRun], axis: str) -> str:
    if not found:
        return "Choose a run under “Runs”."
    if any(map(_has_begun, found)):
        known = [words for words, name in AXES.items() if any(collect_curves(run, name) for run in found)]
        other = f" Choose {' or '.join(known)}." if known else ""
        return f"Along {axis} nothing is known of {plural(len(found), 'run')}.{other}"
    return "Nothing to draw yet: the first step has not been written."


def _has_begun(run: RecordedRun) -> bool:
    return bool(len(run.steps["step"]) or len(run.epochs["step"]))
