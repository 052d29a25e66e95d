"""How well a chain answers a labelled set, beside the same chain with other activations and kinds of pooling."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import streamlit as st

from app import access
from app.markdown import as_literal, escape_markdown
from app.session import uploads
from app.weights.pending import Pending
from cnnviz.errors import CnnvizError
from cnnviz.models.chains.steps import ACTIVATIONS
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.data.preprocessing import Preprocessing
    from cnnviz.models.recognise.alternatives import ChainTrial

log = logging.getLogger("cnnviz")
_FOLDER = "a folder of class folders"
_POOLS = {"max": "maximum", "avg": "average"}


def show_accuracy(pending: Pending, expects: Preprocessing) -> None:
    """Ask for a labelled set and, at a click, say how many of its images each reading answers rightly."""
    from cnnviz.models.recognise.answers import list_labelled

    chain = pending.chain
    assert chain is not None
    offered = list_labelled(chain.input_size, chain.classes)
    offered += [_FOLDER] if access.is_on_this_computer() else []
    if not offered:
        st.caption(
            f"No labelled set at hand has images of {plural(chain.classes, 'class')} for this input: nothing "
            "tells more."
        )
        return
    folder = ""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        which = st.selectbox("Labelled set", offered, key="own_labelled", persist_state="session", width=230)
        if which == _FOLDER:
            label = f"Folder with {chain.classes} class folders"
            folder = st.text_input(label, key="own_folder", persist_state="session", width=330)
        asked = st.button("How accurate is it?", key="own_measure", disabled=which == _FOLDER and not folder)
    key = f"{chain.name}|{which}|{folder}|{expects}"
    if asked:
        with st.spinner("Measuring …"):
            _measure(pending, key, which, folder, expects)
    if key in pending.trials:
        _show(pending, pending.trials[key], which)


def _measure(pending: Pending, key: str, which: str, folder: str, expects: Preprocessing) -> None:
    """Keep the trials, or the sentence that says why there are none."""
    from cnnviz.models.recognise.alternatives import compare_alternatives
    from cnnviz.models.recognise.answers import find_labelled, open_labelled

    chain = pending.chain
    assert chain is not None
    try:
        if which == _FOLDER:
            labelled = find_labelled(chain.input_size, chain.classes, folder)
        else:
            labelled = open_labelled(which, chain.input_size, chain.classes)
        assert labelled is not None
        path = uploads.stored_weights(pending.name)
        pending.trials[key] = compare_alternatives(path, chain, {"chosen": expects}, labelled)
    except CnnvizError as error:
        pending.trials[key] = str(error)
    except Exception as error:  # whatever a folder holds, the form must stand
        log.exception("measuring %s failed", pending.file_name)
        pending.trials[key] = f"This set could not be read ({type(error).__name__}). Choose another one."


def _show(pending: Pending, trials: list[ChainTrial] | str, which: str) -> None:
    trials = trials or "The network could not run on these images."
    if isinstance(trials, str):
        st.error(escape_markdown(trials), icon=":material/error:")
        return
    own, best = trials[0], max(trials, key=lambda trial: (trial.accuracy, -trial.loss))
    title = as_literal(which)
    text = f"**{own.accuracy:.1%}** of {plural(own.images, 'image')} ({title}) answered correctly with these settings."
    better = best.accuracy > own.accuracy
    if better:
        text += f" Best: {_name(best)}, **{best.accuracy:.1%}**."
    elif len(trials) > 1:
        text += " No other activation or kind of pooling is better."
    st.markdown(text)
    if better:
        st.button("Use the best settings", key="own_best", on_click=_take_best, args=(pending, best))
    if len(trials) > 1:
        ordered = sorted(trials, key=lambda trial: (-trial.accuracy, trial.loss))
        table = {
            "activation": [ACTIVATIONS.get(trial.activation, "none") for trial in ordered],
            "pooling": [_POOLS.get(trial.pooling, "none") for trial in ordered],
            "accuracy, %": [round(100 * trial.accuracy, 1) for trial in ordered],
            "cross-entropy": [round(trial.loss, 2) for trial in ordered],
            "now": ["✓" if trial is own else "" for trial in ordered],
        }
        st.dataframe(table, hide_index=True, key="own_trials", width="content")
    if own.accuracy < 2 / max(2, pending.inspection.classes):
        st.caption("Close to chance: normalisation, input size or the order of the classes may be another.")


def _name(trial: ChainTrial) -> str:
    parts = [ACTIVATIONS.get(trial.activation, ""), f"{_POOLS[trial.pooling]} pooling" if trial.pooling else ""]
    return ", ".join(filter(None, parts))


def _take_best(pending: Pending, best: ChainTrial) -> None:
    pending.chain = best.chain
