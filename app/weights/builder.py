"""The builder: a chain drawn as the page Anatomy draws it, each open setting to choose, checked as it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.downloads import save
from app.components.drawing import drawing
from app.markdown import escape_markdown
from app.views.anatomy import results
from app.weights import findings
from app.weights.pending import Pending, answer
from cnnviz.models.chains import edit
from cnnviz.models.chains.steps import ACTIVATIONS, ChainStep, parse_step

if TYPE_CHECKING:
    from cnnviz.data.preprocessing import Preprocessing
    from cnnviz.models.chains.chain import Chain
    from cnnviz.models.chains.edit import ChainPart

_POOLS = ("", "max2", "avg2", "max3s2", "avg3s2", "max3s2p1", "max3", "avg3", "max2s1", "max4", "avg4")
_POOL_TITLES = {"max": "Maximum pooling", "avg": "Average pooling"}
_WIDE, _NARROW, _HIGH = 1060, 330, 200  # pixels of the drawing
_NAME = 240  # pixels of a layer, and its output
_ROWS = 240  # pixels of the layers; more are scrolled


def show_picture(pending: Pending) -> str:
    """Draw the chain, or say why it can't be used and what would fit; returns that, "" if it can."""
    from cnnviz.figures.anatomy.network_graph import network_graph

    chain = pending.chain
    assert chain is not None
    if problem := edit.find_misfit(chain, pending.features):
        st.error(escape_markdown(problem), icon=":material/error:")
        return problem
    found = results.anatomy(chain.name)
    scenes, narrow = [network_graph(found, _WIDE, _HIGH)], [network_graph(found, _NARROW, _HIGH)]
    drawing(scenes, [f"Graph of {chain.label}"], "own_graph", narrow=narrow)
    return ""


def ask_layers(pending: Pending) -> None:
    """The settings of the chain: of all layers, and of each with the shape of its output."""
    chain = pending.chain
    assert chain is not None
    _describe_file(pending)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        _ask_input(pending, chain)
        _ask_everywhere(pending, chain)
        _ask_end(pending, chain)
    parts = edit.list_parts(chain)
    with st.container(height=_ROWS if len(parts) > 4 else "content", border=True, gap="xsmall"):
        for number, part in enumerate(parts):
            _draw_part(pending, number, part)


def show_source(pending: Pending, expects: Preprocessing | None, names: tuple[str, ...]) -> None:
    """The chain as Python: a class for a plugin, to copy or to save."""
    from cnnviz.models.chains.network import write_source

    chain = pending.chain
    assert chain is not None
    source = write_source(chain, "my_chain", expects, names or None)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        save("my_chain.py", source, "my_chain.py", "text/x-python", key="own_source")
        st.caption("A plugin: name the file in the environment variable CNNVIZ_PLUGINS; it loads the same weights.")
    st.code(source, language="python", height=260)


def _describe_file(pending: Pending) -> None:
    chain, begun = pending.chain, answer("net")
    said = pending.chains.sentence if pending.chains else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        text = f"The file holds {said}: a chain. {findings.describe_layers(pending)}"
        st.caption(escape_markdown(text))
        if chain is not None and chain.name != begun:
            st.button("Undo the changes", key="own_undo", on_click=pending.begin, args=(begun,), type="tertiary")


def _ask_input(pending: Pending, chain: Chain) -> None:
    badge = findings.describe_size(pending)
    for label, side, place in (
        (f"Input height {badge}", chain.input_size[1], 0),
        (f"Input width {badge}", chain.input_size[2], 1),
    ):
        key = _key(pending, f"input{place}", side)

        def change(key: str = key, place: int = place) -> None:
            sides = list(pending.chain.input_size[1:]) if pending.chain else [1, 1]
            sides[place] = st.session_state[key]
            _take(pending, lambda c: edit.change_input(c, sides[0], sides[1]))
            answer("resize", max(sides))

        st.number_input(label, 1, 2048, step=1, key=key, on_change=change, width=170)


def _ask_everywhere(pending: Pending, chain: Chain) -> None:
    """Activation and kind of pooling of all layers at once."""
    parts = edit.list_parts(chain)
    active = [part.activation for part in parts if part.activation]
    if active and not all(kind == "prelu" for kind in active):
        mixed = "" if len(set(active)) == 1 else "mixed"
        options = [*([mixed] if mixed else []), *(kind for kind in ACTIVATIONS if kind != "prelu")]
        label = f"All activations {findings.describe_setting(pending, 'activation', active[0])}"
        _pick(pending, label, "active", mixed or active[0], options, _with_activation, ACTIVATIONS, 190)
    pools = [part.pooling.kind for part in parts if part.pooling is not None]
    if pools:
        mixed = "" if len(set(pools)) == 1 else "mixed"
        options = [*([mixed] if mixed else []), *edit.WINDOWS]
        label = f"All poolings {findings.describe_setting(pending, 'pooling', pools[0])}"
        _pick(pending, label, "pools", mixed or pools[0], options, _with_pooling, _POOL_TITLES, 190)


def _with_activation(chain: Chain, kind: str) -> Chain:
    return chain if kind == "mixed" else chain.with_activation(kind)


def _with_pooling(chain: Chain, kind: str) -> Chain:
    return chain if kind == "mixed" else chain.with_pooling(kind)


def _ask_end(pending: Pending, chain: Chain) -> None:
    side = edit.find_flattening(chain)
    sides = sorted({0, 1, 2, 3, 4, 5, 6, 7, side})
    titles = {n: f"averaged to {n}×{n}" if n else "as they are" for n in sides} | {1: "mean of each map"}
    _pick(pending, "Last maps", "flat", side, sides, edit.change_flattening, titles, 165)
    endings = {kind: edit.name_ending(kind) for kind in edit.ENDINGS}
    label = f"Ends in {findings.describe_ending(pending)}"
    _pick(pending, label, "end", edit.find_ending(chain), list(endings), edit.change_ending, endings, 150)


def _draw_part(pending: Pending, number: int, part: ChainPart) -> None:
    """One layer with its settings and the shape of its output."""
    step, name = part.step, part.layer
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        shown = ":red[does not fit]" if part.output is None else f"→ {'×'.join(map(str, part.output))}"
        if step.kind == "conv":
            st.markdown(f"**{name}** {step.width} of {step.kernel[0]}×{step.kernel[1]} {shown}", width=_NAME)
            _ask_window(pending, number, part)
        else:  # its activation stands below those of the convolutions
            st.markdown(f"**{name}** {shown}", width=_NAME + 130 + 110 + 2 * 16)
        if not part.last:
            fixed = part.activation == "prelu"
            options = ["prelu"] if fixed else ["", *(kind for kind in ACTIVATIONS if kind != "prelu")]
            change = _bind(edit.change_activation, number)
            titles = {"": "no activation", **ACTIVATIONS}
            _pick(
                pending,
                f"{name}: activation",
                f"act{number}",
                part.activation,
                options,
                change,
                titles,
                130,
                in_row=True,
            )
        if step.kind == "conv":
            word = part.pooling.word if part.pooling else ""
            options = list(dict.fromkeys((*_POOLS, word)))
            titles = {option: _title_pooling(option) for option in options}
            change = _bind(_change_pooling, number)
            _pick(pending, f"{name}: pooling", f"pool{number}", word, options, change, titles, 150, in_row=True)


def _ask_window(pending: Pending, number: int, part: ChainPart) -> None:
    step, name = part.step, part.layer
    same = ((step.kernel[0] - 1) // 2, (step.kernel[1] - 1) // 2)
    paddings = sorted({(p, p) for p in range(min(max(step.kernel), 8))} | {same, step.padding})
    titles = {pair: f"padding {_show(pair)}" if any(pair) else "no padding" for pair in paddings}

    def pad(chain: Chain, pair: tuple[int, int]) -> Chain:
        return edit.change_convolution(chain, number, padding=pair)

    def stride(chain: Chain, pair: tuple[int, int]) -> Chain:
        return edit.change_convolution(chain, number, stride=pair)

    _pick(pending, f"{name}: padding", f"pad{number}", step.padding, paddings, pad, titles, 130, in_row=True)
    strides = sorted({(s, s) for s in range(1, 5)} | {step.stride})
    titles = {pair: f"stride {_show(pair)}" for pair in strides}
    _pick(pending, f"{name}: stride", f"stride{number}", step.stride, strides, stride, titles, 110, in_row=True)


def _pick(
    pending: Pending,
    label: str,
    field: str,
    value: Any,
    options: list[Any],
    change: Callable[[Chain, Any], Chain],
    titles: dict[Any, str],
    width: int,
    in_row: bool = False,
) -> None:
    """A picker of one setting, which changes the chain when it is used. `in_row`: the options say what it is."""
    key = _key(pending, field, value)

    def take() -> None:
        chosen = st.session_state[key]
        _take(pending, lambda chain: change(chain, chosen))

    st.selectbox(
        label,
        options,
        key=key,
        on_change=take,
        format_func=lambda option: titles.get(option, str(option)),
        label_visibility="collapsed" if in_row else "visible",
        width=width,
    )


def _key(pending: Pending, field: str, value: Any) -> str:
    """The key of a setting's widget, which holds the chain's present value before it is drawn."""
    key = f"own_build{pending.draft}_{field}"
    if st.session_state.get(key) != value:
        st.session_state[key] = value
    return key


def _take(pending: Pending, change: Callable[[Chain], Chain]) -> None:
    if pending.chain is not None:
        pending.chain, pending.error = change(pending.chain), ""


def _bind(change: Callable[[Chain, int, Any], Chain], number: int) -> Callable[[Chain, Any], Chain]:
    return lambda chain, value: change(chain, number, value)


def _change_pooling(chain: Chain, number: int, word: str) -> Chain:
    return edit.change_pooling(chain, number, parse_step(word) if word else None)


def _title_pooling(word: str) -> str:
    if not word:
        return "no pooling"
    step: ChainStep = parse_step(word)
    kind = {"max": "max", "avg": "average"}[step.kind]
    text = f"{kind} {_show(step.kernel)}"
    text += f", stride {_show(step.stride)}" if step.stride != step.kernel else ""
    text += f", padding {_show(step.padding)}" if any(step.padding) else ""
    return text + (", rounded up" if step.ceil else "")


def _show(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}×{pair[1]}"
