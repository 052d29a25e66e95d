"""The form about a weights file that was dropped: which network, which classes, which preprocessing."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.markdown import escape_markdown
from app.pickers.controls import choose_device
from app.session import uploads
from app.url import address
from app.weights import owners, presets
from app.weights.owners import OwnWeights
from cnnviz.errors import BadInput, CnnvizError
from cnnviz.figures.base.charts import count_text

if TYPE_CHECKING:
    from cnnviz.models.recognise.inspect import Inspection

log = logging.getLogger("cnnviz")
PENDING, PROBLEM = "own_pending", "own_problem"  # in the session: the file that is asked about; what was refused
_DONE = "own_done"  # the file that has just been taken into use
_FIELDS = ("net", "names_preset", "names", "norm_preset", "height", "width", "resize", "mean", "std")


@dataclass(slots=True)
class Pending:
    """A file that was dropped and is not in use yet. `error`: what was wrong with the last presets."""

    name: str
    file_name: str
    size: int
    found: Inspection | None = None
    error: str = ""

    @property
    def inspection(self) -> Inspection:
        """What the file is, which is known before the form is drawn."""
        assert self.found is not None
        return self.found


def discard() -> None:
    """Forget the file that is asked about, and what was refused before."""
    st.session_state.pop(PROBLEM, None)
    pending = st.session_state.pop(PENDING, None)
    if pending is not None:
        owners.let_go(pending.name)


def ask() -> None:
    """Show why the file that was dropped was refused, or the form about it.

    Both stand in a window above the page: the place where it was dropped may be out of sight by then."""
    pending: Pending | None = st.session_state.get(PENDING)
    if pending is not None and pending.found is None:
        with st.spinner(f"Reading {pending.file_name} …"):
            _inspect(pending)
    if pending is not None and PENDING in st.session_state:
        # no click beside the window closes it: what was typed would be lost
        st.dialog(f"Use {pending.file_name}?", width="large", dismissible=False)(_form)(pending)
    elif PROBLEM in st.session_state:
        st.dialog("This file is not used", width="medium", on_dismiss=discard)(_refusal)()
    if done := st.session_state.pop(_DONE, None):
        st.toast(f"{done} is in use on every page.", icon=":material/check:")


def _refusal() -> None:
    """Say why a file was refused."""
    problem = st.session_state.get(PROBLEM)
    if problem is None:
        address.rerun()  # closed
    st.error(f"{escape_markdown(problem)} The network is unchanged.", icon=":material/error:")
    st.button("Close", key="own_close", on_click=discard)


def _inspect(pending: Pending) -> None:
    """Find out what the file is, and fill the form; a file that is refused is not kept."""
    from cnnviz.models.recognise.inspect import inspect

    try:
        pending.found = found = inspect(uploads.stored_weights(pending.name))
    except CnnvizError as error:
        discard()
        st.session_state[PROBLEM] = str(error).replace(pending.name.removeprefix("file-"), pending.file_name)
        return
    except Exception as error:  # whatever a file makes the reader do, the page must stand
        log.exception("reading %s failed", pending.file_name)
        discard()
        st.session_state[PROBLEM] = f"{pending.file_name} could not be read ({type(error).__name__}): see the log."
        return
    _answer("net", found.candidates[0])
    _answer("names_preset", next(iter(presets.name_presets(found))))
    _fill_names()
    _fill_preprocessing()


def _asked() -> Pending:
    """The file that the form is about."""
    return st.session_state[PENDING]


def _answer(field: str, value: Any = None) -> Any:
    """Read the answer to a question of the form, or set it."""
    if value is not None:
        st.session_state[f"own_{field}"] = value
    return st.session_state.get(f"own_{field}")


def _fill_names() -> None:
    found = _asked().inspection
    _answer("names", "\n".join(presets.name_presets(found)[_answer("names_preset")]))


def _fill_preprocessing() -> None:
    """What the file tells, or what suits the chosen network."""
    expects = presets.preprocessing_of(_asked().inspection, _answer("net"))
    _answer("height", expects.size[0])
    _answer("width", expects.size[1])
    _answer("resize", expects.resize or max(expects.size))
    _answer("norm_preset", presets.preset_of(_asked().inspection, _answer("net")))
    _fill_norm()


def _fill_norm() -> None:
    mean, std = presets.norm_presets(_asked().inspection, _answer("net"))[_answer("norm_preset")]
    _answer("mean", ", ".join(f"{value:g}" for value in mean))
    _answer("std", ", ".join(f"{value:g}" for value in std))


def _form(pending: Pending) -> None:
    """Draw the form; good answers are taken, and the page is drawn anew with the network."""
    if PENDING not in st.session_state:
        address.rerun()  # discarded: the window closes
    found = pending.inspection
    first, second, third = st.columns(3, gap="medium")
    with first:
        _ask_network(found)
    with second:
        offered = list(presets.name_presets(found))
        label = f"Names of its {found.classes} classes"
        _widget(st.selectbox, label, "names_preset", options=offered, on_change=_fill_names)
    with third:
        offered = list(presets.norm_presets(found, _answer("net")))
        _widget(st.selectbox, "Normalisation", "norm_preset", options=offered, on_change=_fill_norm)
    with st.form("own_form", border=False):
        first, second, third = st.columns(3, gap="medium")
        with first:
            _show_report(pending)
        with second:
            _widget(st.text_area, "One a line, or separated by commas", "names", height=140)
        with third:
            _ask_preprocessing()
        error = st.empty()
        with st.container(horizontal=True):
            taken = st.form_submit_button("Use these weights", type="primary", key="own_use")
            st.form_submit_button("Discard the file", key="own_discard", on_click=discard)
    if taken:
        with error, st.spinner("Loading …"):
            pending.error = _take_into_use(pending)
        if not pending.error:
            address.rerun()
    if pending.error:
        error.error(escape_markdown(pending.error), icon=":material/error:")


def _widget(widget: Any, label: str, field: str, **options: Any) -> Any:
    return widget(label, key=f"own_{field}", persist_state="session", **options)


def _ask_network(found: Inspection) -> None:
    options = [*found.candidates, *found.others]
    explained = "Networks with the same tensors cannot be told apart by their weights: choose the one it was."
    _widget(st.selectbox, "Recognised as", "net", options=options, on_change=_fill_preprocessing, help=explained)


def _ask_preprocessing() -> None:
    columns = st.columns(3)
    for column, (label, field) in zip(
        columns, (("Height", "height"), ("Width", "width"), ("Resize to", "resize")), strict=True
    ):
        with column:
            _widget(st.number_input, label, field, min_value=1, max_value=2048, step=1)
    left, right = st.columns(2)
    with left:
        _widget(st.text_input, "Mean", "mean")
    with right:
        _widget(st.text_input, "Standard deviation", "std")


def _show_report(pending: Pending) -> None:
    found, report = pending.inspection, pending.inspection.report
    twins = len(found.candidates)
    if twins > 1:
        st.markdown(f"**{twins} networks have exactly these tensors**; the likeliest stands first.")
    st.markdown(escape_markdown(report.summary()))
    st.caption(
        f"{len(report.renamed)} renamed · {len(report.missing)} missing · {len(report.unexpected)} unexpected · "
        f"{found.tensors} tensors in the file, {count_text(pending.size)}B"
    )
    if lines := report.lines():
        with st.expander("Tensor by tensor"), st.container(height=180, border=False):
            st.text("\n".join(lines))
    for warning in found.warnings:
        st.warning(escape_markdown(warning), icon=":material/warning:")


def _take_into_use(pending: Pending) -> str:
    """Try the answers on the network, keep them and choose it; returns what is wrong with them, "" if nothing."""
    try:
        own = _answers(pending)
        _try(own)
        own = owners.keep(own)
    except CnnvizError as error:
        return str(error).replace(pending.name.removeprefix("file-"), pending.file_name)
    except Exception as error:  # torch has many; each means that these answers do not work
        log.info("trying %s failed", pending.file_name, exc_info=True)
        reason, size = (str(error).splitlines() or [""])[0][:160], f"{_answer('height')}×{_answer('width')}"
        return f"The network could not run on {size} pixels ({reason}). Give another size."
    for field in _FIELDS:
        st.session_state.pop(f"own_{field}", None)
    del st.session_state[PENDING]
    st.session_state["net"], st.session_state["weights"] = own.architecture, own.name
    st.session_state["untrained"] = False
    st.session_state[_DONE] = pending.file_name
    return ""


def _answers(pending: Pending) -> OwnWeights:
    """What the form says. Raises BadInput for the first answer that cannot be used."""
    from cnnviz.data.preprocessing import Preprocessing

    names = presets.parse_names(_answer("names") or "", pending.inspection.classes)
    channels = presets.channels_of(_answer("net"))
    mean, std = (presets.parse_numbers(label, _answer(label) or "", channels) for label in ("mean", "std"))
    if min(std) <= 0:
        raise BadInput(f"Standard deviations must be above 0, got {min(std):g}.")
    expects = Preprocessing((_answer("height"), _answer("width")), _answer("resize"), mean, std)
    minute = owners.current_minute()
    return OwnWeights(pending.name, pending.file_name, _answer("net"), names, expects, pending.size, minute)


def _try(own: OwnWeights) -> None:
    """Load the network and let it answer to a black image, before these answers are on the disk."""
    from cnnviz.models.load import load

    path, device = uploads.stored_weights(own.name), choose_device()
    model = load(own.architecture, path, device, class_names=own.classes, preprocessing=own.preprocessing)
    model.predict(np.zeros((8, 8, 3), np.uint8))
