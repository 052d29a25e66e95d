"""The form about a weights file that was dropped: which network, which classes, which preprocessing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.downloads import save
from app.markdown import as_literal, escape_markdown
from app.pickers.controls import choose_device
from app.session import uploads
from app.url import address
from app.weights import accuracy, builder, findings, owners, presets
from app.weights.owners import OwnWeights
from app.weights.pending import PENDING, PROBLEM, SKELETON, Pending, answer, ask, asked
from cnnviz.errors import BadInput, CnnvizError
from cnnviz.figures.base.charts import count_text
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.data.preprocessing import Preprocessing

log = logging.getLogger("cnnviz")
_DONE = "own_done"  # the file that has just been taken into use
_FIELDS = ("net", "names_preset", "names", "norm_preset", "height", "width", "resize", "mean", "std")
_TABS = ("Layers", "How accurate it is", "Class names and pixels", "How this is known", "Copy as Python")


def discard() -> None:
    """Forget the file that is asked about, and what was refused before."""
    for key in (PROBLEM, SKELETON):
        st.session_state.pop(key, None)
    pending = st.session_state.pop(PENDING, None)
    if pending is not None:
        owners.let_go(pending.name)


def show() -> None:
    """Show why the file that was dropped was refused, or the form about it.

    Both stand in a window above the page: the place where it was dropped may be out of sight by then."""
    pending: Pending | None = st.session_state.get(PENDING)
    if pending is not None and pending.found is None:
        with st.spinner(f"Reading {as_literal(pending.file_name)} …"):
            _inspect(pending)
    if pending is not None and PENDING in st.session_state:
        # no click beside the window closes it: what was typed would be lost
        st.dialog(f"Use {as_literal(pending.file_name)}?", width="large", dismissible=False)(_form)(pending)
    elif PROBLEM in st.session_state:
        st.dialog("This file is not used", width="medium", on_dismiss=discard)(_refusal)()
    if done := st.session_state.pop(_DONE, None):
        st.toast(f"{as_literal(done)} is in use on every page.", icon=":material/check:")


def _refusal() -> None:
    """Say why a file was refused; of a network that is no chain also how to go on."""
    problem = st.session_state.get(PROBLEM)
    if problem is None:
        address.rerun()  # closed
    st.error(f"{escape_markdown(problem)} The network is unchanged.", icon=":material/error:")
    if source := st.session_state.get(SKELETON):
        st.markdown(
            "**How to go on.** Below is a Python class with the layers that the file holds. Write its forward pass, "
            "save it as `my_net.py`, start cnnviz with `CNNVIZ_PLUGINS=my_net.py`, and drop the weights again. "
            "`docs/own-network.md` explains the rest."
        )
        save("my_net.py", source, "my_net.py", "text/x-python", key="own_skeleton_file")
        st.code(source, language="python", height=260)
    st.button("Close", key="own_close", on_click=discard)


def _inspect(pending: Pending) -> None:
    """Find out what the file is, and fill the form; a file that is refused is not kept."""
    from cnnviz.models.recognise.inspect import inspect
    from cnnviz.models.recognise.rebuild.chain_file import read_chain_file

    skeleton = ""
    try:
        path = uploads.stored_weights(pending.name)
        with uploads.called(path.name, pending.file_name):
            pending.chains = read_chain_file(path)
            skeleton = "" if pending.chains.solutions else pending.chains.skeleton
            pending.found = found = inspect(path)
    except CnnvizError as error:
        _refuse(str(error), skeleton)
        return
    except Exception as error:  # whatever a file makes the reader do, the page must stand
        log.exception("reading %s failed", pending.file_name)
        _refuse(f"{pending.file_name} could not be read ({type(error).__name__}): see the log.")
        return
    answer("net", found.candidates[0])
    _begin()


def _refuse(problem: str, skeleton: str = "") -> None:
    discard()
    st.session_state[PROBLEM] = problem
    if skeleton:
        st.session_state[SKELETON] = skeleton


def _begin() -> None:
    """Fill the form for the network that is chosen; names that were typed stay."""
    pending = asked()
    before = answer("names_preset")
    typed = bool(pending.filled_for) and answer("names") != _join_names(pending.filled_for, before)
    pending.begin(answer("net"))
    pending.filled_for = answer("net")
    offered = presets.name_presets(pending.inspection, answer("net"))
    if not typed or before not in offered:
        answer("names_preset", next(iter(offered)))
    if not typed:
        _fill_names()
    _fill_preprocessing()


def _join_names(network: str, preset: str) -> str:
    return "\n".join(presets.name_presets(asked().inspection, network).get(preset, ()))


def _fill_names() -> None:
    answer("names", _join_names(answer("net"), answer("names_preset")))


def _fill_preprocessing() -> None:
    """What the file tells, or what suits the chosen network."""
    expects = presets.preprocessing_of(asked().inspection, answer("net"))
    answer("height", expects.size[0])
    answer("width", expects.size[1])
    answer("resize", expects.resize or max(expects.size))
    answer("norm_preset", presets.preset_of(asked().inspection, answer("net")))
    _fill_norm()


def _fill_norm() -> None:
    mean, std = presets.norm_presets(asked().inspection, answer("net"))[answer("norm_preset")]
    answer("mean", ", ".join(f"{value:g}" for value in mean))
    answer("std", ", ".join(f"{value:g}" for value in std))


def _form(pending: Pending) -> None:
    """Draw the form; good answers are taken, and the page is drawn anew with the network."""
    if PENDING not in st.session_state:
        address.rerun()  # discarded: the window closes
    _ask_choices(pending)
    for warning in pending.warnings:
        st.warning(escape_markdown(warning), icon=":material/warning:")
    misfit = ""
    if pending.chain is None:
        with st.container(border=True, gap="small"):
            _explain(pending)
        _ask_details(pending)
    else:
        misfit = builder.show_picture(pending)
        layers, answers, details, known, source = st.tabs(_TABS)
        with layers:
            builder.ask_layers(pending)
        with details:
            _ask_details(pending)
        with known:
            _explain(pending)
        if not misfit:
            _show_chain(pending, answers, source)
    error = st.empty()
    with st.container(horizontal=True):
        label = "Use this network" if pending.chain else "Use these weights"
        taken = st.button(label, type="primary", key="own_use", disabled=bool(misfit))
        st.button("Discard the file", key="own_discard", on_click=discard)
    if taken:
        with error, st.spinner("Loading …"):
            pending.error = _take_into_use(pending)
        if not pending.error:
            address.rerun()
    if pending.error:
        error.error(escape_markdown(pending.error), icon=":material/error:")


def _ask_choices(pending: Pending) -> None:
    """Network, class names, normalisation: what was found, and how each is known."""
    found, titles = pending.inspection, pending.title_options()
    first, second, third = st.columns(3, gap="medium")
    with first, st.container(gap=None):
        explained = "Networks with the same tensors cannot be told apart by their weights: choose the one it was."
        options = dict(options=list(titles), format_func=titles.__getitem__, help=explained)
        ask(st.selectbox, "Recognised as", "net", on_change=_begin, **options)
        st.markdown(findings.describe_network(pending))
    with second, st.container(gap=None):
        offered = list(presets.name_presets(found, answer("net")))
        label = f"Names of its {plural(found.classes, 'class')}"
        ask(st.selectbox, label, "names_preset", options=offered, on_change=_fill_names)
        st.markdown(findings.describe_names(pending))
    with third, st.container(gap=None):
        offered = list(presets.norm_presets(found, answer("net")))
        ask(st.selectbox, "Normalisation", "norm_preset", options=offered, on_change=_fill_norm)
        st.markdown(findings.describe_norm(pending))


def _explain(pending: Pending) -> None:
    """What is known of the file and by what, beside how its tensors were matched."""
    first, second = st.columns([2, 1], gap="medium")
    with first:
        findings.show_findings(pending)
    with second:
        _show_report(pending)


def _ask_details(pending: Pending) -> None:
    first, second = st.columns(2, gap="medium")
    with first:
        ask(st.text_area, "Class names, one a line, or separated by commas", "names", height=110)
    with second:
        _ask_preprocessing(pending)


def _show_chain(pending: Pending, answers: Any, source: Any) -> None:
    """What a chain answers to a labelled set, and its Python source; neither while an answer can't be used."""
    try:
        expects = _read_preprocessing(pending)
    except CnnvizError as error:
        for place in (answers, source):
            place.caption(f"This needs a normalisation that can be used: {escape_markdown(str(error))}")
        return
    try:
        names = presets.parse_names(answer("names") or "", pending.inspection.classes)
    except CnnvizError:
        names = ()
    with answers:
        accuracy.show_accuracy(pending, expects)
    with source:
        builder.show_source(pending, expects, names)


def _ask_preprocessing(pending: Pending) -> None:
    fields = [("Height", "height"), ("Width", "width"), ("Resize to", "resize")]
    if pending.chain is not None:  # the builder asks for the size of the input
        fields = fields[2:]
    texts = (("Mean", "mean"), ("Standard deviation", "std"))
    for column, (label, field) in zip(st.columns(len(fields)), fields, strict=True):
        with column:
            ask(st.number_input, label, field, min_value=1, max_value=2048, step=1)
    for column, (label, field) in zip(st.columns(2), texts, strict=True):
        with column:
            ask(st.text_input, label, field)
    if pending.chain is None:
        st.markdown(f"Sizes {findings.describe_sizes(pending)}")


def _show_report(pending: Pending) -> None:
    found, report = pending.inspection, pending.inspection.report
    twins = len(found.candidates)
    if twins > 1:
        st.markdown(f"**{plural(twins, 'network')} with exactly these tensors**; the likeliest stands first.")
    st.markdown(escape_markdown(report.summary()))
    st.caption(
        f"{len(report.renamed)} renamed · {len(report.missing)} missing · {len(report.unexpected)} unexpected · "
        f"{plural(found.tensors, 'tensor')} in the file, {count_text(pending.size)}B"
    )
    said = {finding.sentence for finding in report.findings}  # shown beside, as are the measurements
    said |= {f"measured: {measured.sentence}" for measured in report.evidence}
    if lines := [line for line in report.lines() if line not in said]:
        with st.container(height=140, border=False):
            st.text("\n".join(lines))


def _take_into_use(pending: Pending) -> str:
    """Try the answers on the network, keep them and choose it; returns what is wrong with them, "" if nothing."""
    try:
        own = _answers(pending)
        with uploads.called(pending.name.removeprefix("file-"), pending.file_name):
            _try(own)
        own = owners.keep(own)
    except CnnvizError as error:
        return str(error)
    except Exception as error:  # torch has many; each means that these answers do not work
        log.info("trying %s failed", pending.file_name, exc_info=True)
        reason, size = (str(error).splitlines() or [""])[0][:160], _show_size(pending)
        return f"The network could not run on {plural(size, 'pixel')} ({reason}). Give another size."
    for field in _FIELDS:
        st.session_state.pop(f"own_{field}", None)
    del st.session_state[PENDING]
    st.session_state["net"], st.session_state["weights"] = own.architecture, own.name
    st.session_state["untrained"] = False
    st.session_state[_DONE] = pending.file_name
    return ""


def _answers(pending: Pending) -> OwnWeights:
    """What the form says. Raises BadInput for the first answer that cannot be used."""
    names = presets.parse_names(answer("names") or "", pending.inspection.classes)
    expects, minute = _read_preprocessing(pending), owners.current_minute()
    name = pending.chain.name if pending.chain else answer("net")
    return OwnWeights(pending.name, pending.file_name, name, names, expects, pending.size, minute)


def _read_preprocessing(pending: Pending) -> Preprocessing:
    """Size, mean and standard deviation. Raises BadInput for the first that cannot be used."""
    from cnnviz.data.preprocessing import Preprocessing

    chain = pending.chain
    channels = chain.input_size[0] if chain else presets.channels_of(answer("net"))
    mean, std = (presets.parse_numbers(label, answer(label) or "", channels) for label in ("mean", "std"))
    if min(std) <= 0:
        raise BadInput(f"Standard deviations must be above 0, got {min(std):g}.")
    size = chain.input_size[1:] if chain else (answer("height"), answer("width"))
    return Preprocessing(size, answer("resize"), mean, std)


def _show_size(pending: Pending) -> str:
    height, width = pending.chain.input_size[1:] if pending.chain else (answer("height"), answer("width"))
    return f"{height}×{width}"


def _try(own: OwnWeights) -> None:
    """Load the network and let it answer to a black image, before these answers are on the disk."""
    from cnnviz.models.load import load

    path, device = uploads.stored_weights(own.name), choose_device()
    model = load(own.architecture, path, device, class_names=own.classes, preprocessing=own.preprocessing)
    model.predict(np.zeros((8, 8, 3), np.uint8))
