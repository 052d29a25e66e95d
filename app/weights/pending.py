"""The weights file that a session is asked about, and the answers given so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.session.networks import describe_name

if TYPE_CHECKING:
    from cnnviz.models.chains.chain import Chain
    from cnnviz.models.recognise.inspect import Inspection
    from cnnviz.models.recognise.rebuild.chain_file import ChainFile

PENDING, PROBLEM = "own_pending", "own_problem"  # in the session: the file that is asked about; what was refused
SKELETON = "own_skeleton"  # in the session: (source of a plugin, file name) for the file that was refused


@dataclass(slots=True)
class Pending:
    """A file that was dropped and is not in use yet. `error`: what was wrong with the last presets. `chain`: what the
    builder has made so far, fitting or not; `draft`: a number that grows when it begins anew.
    `filled_for`: the network that the form was filled for. `trials`: what was measured on labelled sets."""

    name: str
    file_name: str
    size: int
    found: Inspection | None = None
    error: str = ""
    chains: ChainFile | None = None
    chain: Chain | None = None
    draft: int = 0
    filled_for: str = ""
    trials: dict[str, Any] = field(default_factory=dict)

    @property
    def inspection(self) -> Inspection:
        """What the file is, which is known before the form is drawn."""
        assert self.found is not None
        return self.found

    @property
    def warnings(self) -> list[str]:
        """What the form warns of, without what stands among the findings already."""
        said = {finding.sentence for finding in self.inspection.report.findings}
        return [warning for warning in self.inspection.warnings if warning not in said]

    @property
    def features(self) -> tuple[int, ...]:
        """Inputs of the file's linear layers."""
        return self.chains.features if self.chains else ()

    @property
    def options(self) -> list[str]:
        """Networks to choose from: candidates, then those that fit less surely, then chains with the same tensors."""
        chains = [found.chain.name for found in self.chains.solutions] if self.chains else []
        return list(dict.fromkeys((*self.inspection.candidates, *self.inspection.others, *chains)))

    def begin(self, name: str) -> None:
        """Choose the network `name`; of a chain the builder begins with it."""
        from cnnviz.models.chains.chain import is_chain, parse_chain

        self.chain = parse_chain(name) if is_chain(name) else None
        self.draft += 1

    def title_options(self) -> dict[str, str]:
        """{network: how the picker calls it}: chains by their layers, numbered where two read alike."""
        titles: dict[str, str] = {}
        for name in self.options:
            title, number = describe_name(name, outline=True), 2
            while title in titles.values():
                title, number = f"{describe_name(name, outline=True)} ({number})", number + 1
            titles[name] = title
        return titles


def asked() -> Pending:
    """The file that the form is about."""
    return st.session_state[PENDING]


def answer(field: str, value: Any = None) -> Any:
    """Read the answer to a question of the form, or set it."""
    if value is not None:
        st.session_state[f"own_{field}"] = value
    return st.session_state.get(f"own_{field}")


def ask(widget: Any, label: str, field: str, **options: Any) -> Any:
    """Draw the widget of a question."""
    return widget(label, key=f"own_{field}", persist_state="session", **options)
