"""What the form says is known of a file, by what, and what is assumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app.markdown import as_literal, escape_markdown
from app.session.networks import describe_name
from app.weights import presets
from app.weights.pending import Pending, answer
from cnnviz.models.chains.chain import is_chain, parse_chain
from cnnviz.models.chains.edit import find_ending
from cnnviz.models.recognise.rebuild.chains import count_solutions
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.models.chains.chain import Chain
    from cnnviz.models.evidence import Finding

ASSUMED = ":orange-badge[assumed]"
FROM_FILE, CHOSEN = ":green-badge[from the file]", ":blue-badge[your choice]"


def show_findings(pending: Pending) -> None:
    """The candidates, what was decided and by what, what is assumed; the numbers behind it in a table."""
    report = pending.inspection.report
    for finding in report.findings:
        st.markdown(f"{_badge(finding)} {_shorten(finding)}")
    if report.evidence:
        with st.expander(f"Evidence: {plural(len(report.evidence), 'measurement')}"):
            table = {
                "on": [item.question for item in report.evidence],
                "candidate": [describe_name(item.candidate) for item in report.evidence],
                "measured": [item.measure for item in report.evidence],
                "result": [item.text for item in report.evidence],
            }
            st.dataframe(table, hide_index=True, height=min(38 + 35 * len(report.evidence), 230), key="own_evidence")
    elif report.findings:
        st.caption("Nothing could be measured on this file: no kept statistics, and no labelled set fits it.")


def describe_network(pending: Pending) -> str:
    """How it is known which network it is, as a badge."""
    found, name = pending.inspection, answer("net")
    if name == found.named:
        return FROM_FILE
    if name != found.candidates[0]:
        return CHOSEN
    if decided := _find(pending, "network", "layers"):
        return _badge(decided)
    return ":green-badge[by its tensors]" if len(found.candidates) == 1 else ASSUMED


def describe_names(pending: Pending) -> str:
    """Where the class names come from, as a badge."""
    preset = answer("names_preset")
    if preset == presets.TOLD:
        return FROM_FILE
    return ":gray-badge[numbers; the file names none]" if preset == presets.NUMBERED else ASSUMED


def describe_norm(pending: Pending) -> str:
    """Where mean and standard deviation come from, as a badge."""
    found, name = pending.inspection, answer("net")
    chosen = presets.norm_presets(found, name).get(answer("norm_preset"))
    expects = presets.preprocessing_of(found, name)
    if chosen != (expects.mean, expects.std):
        return CHOSEN
    if found.preprocessing is not None:
        return FROM_FILE
    decided = _find(pending, "normalisation") if name == found.candidates[0] else None
    return _badge(decided) if decided else ASSUMED


def describe_setting(pending: Pending, question: str, value: str) -> str:
    """How an activation or a kind of pooling of the builder is known, as a badge."""
    decided = _find(pending, question)
    if decided is not None and decided.answer == value and answer("net") == pending.inspection.candidates[0]:
        return _badge(decided)
    begun = _begun(pending)
    if pending.chain is not None and begun is not None and not _has(begun, value):
        return CHOSEN
    return FROM_FILE if _is_exact(pending) else ASSUMED


def describe_size(pending: Pending) -> str:
    """How the size of the builder's input is known, as a badge."""
    begun = _begun(pending)
    if pending.chain is not None and begun is not None and pending.chain.input_size != begun.input_size:
        return CHOSEN
    return describe_sizes(pending)


def describe_sizes(pending: Pending) -> str:
    """How the size of the input is known, as a badge."""
    return ASSUMED if pending.inspection.preprocessing is None else FROM_FILE


def describe_ending(pending: Pending) -> str:
    """How it is known what closes the builder's chain, as a badge."""
    begun = _begun(pending)
    if pending.chain is not None and begun is not None and find_ending(pending.chain) != find_ending(begun):
        return CHOSEN
    return FROM_FILE if _is_exact(pending) else ASSUMED


def describe_layers(pending: Pending) -> str:
    """How padding, strides and the places of the poolings are known, as a sentence."""
    if _is_exact(pending):
        return "It states their settings and their order."
    count = len(pending.chains.solutions) if pending.chains else 0
    if count < 2:
        return "Padding, strides and the places of the poolings are assumed."
    fitting = plural(count_solutions(count), "choice")
    return f"Assumed: input, padding, strides and where pooling takes place. {fitting} would fit."


def _begun(pending: Pending) -> Chain | None:
    """The chain that the builder began with."""
    name = str(answer("net"))
    return parse_chain(name) if is_chain(name) else None


def _has(chain: Chain, kind: str) -> bool:
    return any(step.kind == kind for step in chain.steps)


def _is_exact(pending: Pending) -> bool:
    solutions = pending.chains.solutions if pending.chains else ()
    return any(found.exact and found.chain.name == answer("net") for found in solutions)


def _find(pending: Pending, *questions: str) -> Finding | None:
    return next((f for f in pending.inspection.report.findings if f.question in questions), None)


def _badge(finding: Finding) -> str:
    return ASSUMED if finding.is_assumed else f":green-badge[by {as_literal(finding.by)}]"


def _shorten(finding: Finding) -> str:
    """The sentence, with a chain's name in words."""
    return escape_markdown(finding.sentence.replace(finding.answer, describe_name(finding.answer)))
