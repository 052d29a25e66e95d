"""Weights of one's own on Home: the place to drop a file, and the shelf of those that are in use."""

import streamlit as st

from app import access, limits
from app.markdown import as_code, as_literal
from app.session import tabs, uploads
from app.session.networks import describe_name
from app.url import address
from app.weights import form, owners
from app.weights.form import discard
from app.weights.owners import OwnWeights
from app.weights.pending import PENDING, PROBLEM, Pending
from cnnviz.errors import CnnvizError
from cnnviz.figures.base.charts import count_text
from cnnviz.wording import plural

_SEEN = 4  # rows of the shelf that need no scrolling


def draw_shelf() -> None:
    """Draw where a file is dropped, and the files there are: name, network, size, date; used or removed by a click."""
    left, right = st.columns([1, 2.15], gap="medium")
    with left:
        st.subheader("Your own weights")
        st.file_uploader(
            "Weights: PyTorch, safetensors, ONNX, .npz, or a zip or tar that holds them",
            max_upload_size=limits.weights_mb(),
            key="own_weights_file",
            on_change=_take,
            label_visibility="collapsed",
        )
        st.caption(
            "PyTorch (a state_dict, or torch.save(model)), safetensors, ONNX, .npz, a zipped HuggingFace folder; up to "
            f"{limits.weights_mb()} MB. Nothing in it is run; it stays on this machine."
        )
        form.show()
    with right:
        kept = owners.list_own()
        st.subheader(f"Saved weights ({len(kept)})" if kept else "Saved weights")
        if not kept:
            st.caption("None yet. Drop a file: its network is recognised, and every page can use it.")
        chosen = address.read("weights")
        with st.container(height=44 * _SEEN if len(kept) > _SEEN else "content", border=False, gap="small"):
            for own in kept:
                _row(own, own.name == chosen)


def _row(own: OwnWeights, chosen: bool) -> None:
    """One file; what there is no room for beside the others goes to a second line."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{as_literal(own.file_name)}**", width=165)
        st.markdown(as_code(describe_name(own.architecture)), width=155)
        st.caption(f"{count_text(own.size)}B · {as_literal(own.stored)}", width=160)
        if chosen:
            st.markdown(":green[in use]", width=46)
        else:
            st.button("Use", key=f"use_{own.name}", on_click=_use, args=(own,))
        st.button(
            "Remove",
            key=f"remove_{own.name}",
            help="Delete this file and its answers from this machine",
            on_click=_remove,
            args=(own.name,),
            type="tertiary",
            icon=":material/delete:",
        )


def _use(own: OwnWeights) -> None:
    st.session_state["net"], st.session_state["weights"] = own.architecture, own.name


def _remove(name: str) -> None:
    """Delete the file; a view that shows it goes back to the network's own weights."""
    own = owners.find(name)
    owners.forget(name)
    if own is not None and address.read("weights") == name:
        address.choose("net", own.architecture)
        st.session_state["weights"] = None


def _take() -> None:
    """Keep the dropped file and open the form; the file that was asked about before is dropped with its form."""
    file = st.session_state.get("own_weights_file")
    discard()
    if file is None:
        return
    called = owners.clean_file_name(file.name)
    alone = access.is_on_this_computer()  # everybody's files are listed then
    if access.is_shared() and not alone and len(owners.list_own()) >= limits.OWN_FILES:
        st.session_state[PROBLEM] = (
            f"{called} is not kept: you have {plural(limits.OWN_FILES, 'file')} here already, which is what "
            "one person may keep "
            "on a shared server. Remove one first."
        )
        return
    if not file.size:
        st.session_state[PROBLEM] = f"{called} is empty (0 bytes). Export or download it again."
        return
    try:
        tabs.check_room(file, limits.weights_mb())
        name = uploads.store_weights(file.getbuffer())
    except CnnvizError as error:
        st.session_state[PROBLEM] = str(error)
        return
    except OSError as error:
        st.session_state[PROBLEM] = f"{called} could not be kept: {error}"
        return
    owners.ask_about(name)
    st.session_state[PENDING] = Pending(name, called, file.size)
