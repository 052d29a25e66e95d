"""Notes below pictures: what is not known of the network that they show."""

from collections.abc import Sequence

import streamlit as st

from app.markdown import as_literal
from cnnviz.figures.attribution.words import unjudged_sentence


def note_unjudged(functions: Sequence[str] | None) -> None:
    """One line below back-projections where functions are no known rectifier; nothing where all are known, or where
    that is still being found out (None)."""
    if functions:
        st.caption(as_literal(unjudged_sentence(functions)))
