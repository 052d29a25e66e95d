"""The lecturer's token, handed over by the browser: from the "#" part of the first link, which no server is sent
and which is removed from the address at once, or from the memory of the tab after a reload. A wrong one is forgotten,
so that reloading the page does not try it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.components.source import read_source

_render = st.components.v2.component("cnnviz_token", js=read_source("token.js"))
_render_forgetting = st.components.v2.component("cnnviz_token_forgotten", js=read_source("forget_token.js"))


def ask_token(on_answer: Callable[[str], Any]) -> None:
    """Ask the browser for the token; `on_answer(token)` runs before the page is drawn again, "" for none."""

    def answered() -> None:
        answer = st.session_state.get("token_answer", {}).get("answer")
        if isinstance(answer, dict):
            on_answer(str(answer.get("token", ""))[:200])

    _render(key="token_answer", data={}, on_answer_change=answered)


def forget_token() -> None:
    """Have the browser remember no token."""
    _render_forgetting(key="token_forgotten", data={})
