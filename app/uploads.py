"""Weights of one's own, dropped on Home: recognised, reported, then a choice like any other."""

import streamlit as st

from app import stores
from cnnviz.errors import CnnvizError


def own_weights() -> None:
    """An uploader in the sidebar; a file that fits appears among the weights and is chosen."""
    with st.sidebar.expander("Use your own weights", icon=":material/upload_file:"):
        st.file_uploader(
            "A state_dict: .pt, .pth, .th, .ckpt or .safetensors", key="own_weights_file", on_change=_take,
            max_upload_size=1024,
        )  # fmt: skip
    with st.sidebar:  # outside the expander, which may close when the sidebar changes
        if problem := st.session_state.pop("own_weights_problem", None):
            st.error(problem, icon=":material/error:")
        if report := st.session_state.pop("own_weights_report", None):
            st.success(report)


def _take() -> None:
    file = st.session_state.get("own_weights_file")
    if file is None:
        return
    from cnnviz.models.load import load

    stored = ""
    try:
        stored = stores.store_weights(file.getvalue())
        model = load(None, stores.stored_weights(stored))
    except (CnnvizError, OSError) as error:
        words = str(error).replace(stored.removeprefix("file-") or "\0", file.name[:40])
        st.session_state["own_weights_problem"] = f"{words} The network is unchanged."
        stores.forget_weights(stored)
        return
    own = st.session_state.setdefault("own_weights", {}).setdefault(model.name, [])
    if stored not in own:
        own.append(stored)
    st.session_state.setdefault("own_names", {})[stored] = f"yours: {file.name[:40]}"
    summary = model.report.summary() if model.report else ""
    st.session_state["own_weights_report"] = f"Recognised as {model.name}. {summary}"
    st.session_state["net"], st.session_state["weights"] = model.name, stored
