"""Pooling by hand: a row and its shift, a map in four ways, and a part that moves within its window."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app.components.downloads import offer_downloads
from app.components.drawing import drawing, drawing_data
from app.components.motion.player import Motion, Reel, offer_motion
from app.markdown import escape_markdown
from app.pickers import bar, controls
from app.url import address
from app.views.playground.input import numbers_box, row_of, table, whole, written
from cnnviz.errors import BadInput
from cnnviz.figures.base.scene import Scene
from cnnviz.figures.playground import pooling as playground_pooling
from cnnviz.studies.pooling import pooling as pools

NARROW = 690  # pixels; the page of a window of 1024
POOLINGS = {
    "Maximum": "max",
    "Average": "average",
    "L2: root of the sum of squares": "l2",
    "Root mean square": "rms",
    "Stochastic": "stochastic",
}
FARTHEST, SHIFT_PACE = 3, 900  # places a row is shifted either way; milliseconds of a shift
SHIFT, FOUR_WAYS, PART = "A row and its shift", "A map in four ways", "A part in its window"
PLACE, PART_START = (1, 1), "1,1"
PART_SIDE, PART_VALUE, PART_PACE = 6, 9, 500  # units of the map; the part's activation; milliseconds of a place
MAP = ((1, 3, 2, 1), (2, 9, 1, 1), (1, 3, 2, 3), (5, 6, 1, 2))


def view(row: Any) -> None:
    """A detector row and its shift; one map pooled in four ways; or a part that moves within its window."""
    with row:
        kind = controls.bind_choice("Pool", "pool", [SHIFT, FOUR_WAYS, PART])
    if kind == SHIFT:
        _shift(row)
    elif kind == PART:
        _move_part(row)
    else:
        _four_ways(row)


def _shift(row: Any) -> None:
    with row:
        move = int(
            controls.bind(st.slider, "Shift to the right", "move", 1, min_value=-FARTHEST, max_value=FARTHEST, step=1)
        )
    with bar.panel():
        detector = numbers_box("Detector row", "detector", written(pools.DETECTOR))
        entering = numbers_box("Values that enter, nearest first", "entering", written(pools.ENTERING))
        kind = POOLINGS[controls.bind(st.selectbox, "Pooled by", "poolby", "Maximum", options=list(POOLINGS))]
        left, right = st.columns(2)
        with left:
            width = whole("Width", "poolwidth", 3, 1, 9)
        with right:
            stride = whole("Stride", "rowstride", 1, 1, 4)
        draw = whole("Stochastic draw", "draw", 1, 1, 999) if kind == "stochastic" else 1
    values, enters = row_of(detector, "detector row", 12), row_of(entering, "row that enters", 12)

    def draw_at(move: int) -> tuple[list[Scene], list[str], list[Scene]]:
        found = pools.pool_rows(values, enters, move, kind, width, stride, draw)
        wide, narrow = (playground_pooling.rows_scene(found, width, stride, wide) for wide in (1070, NARROW))
        return [wide], ["Pooled and detector row"], [narrow]

    scenes, alts, narrow = draw_at(move)
    drawing(scenes, alts, "playground_rows", narrow=narrow)
    moves = range(-FARTHEST, FARTHEST + 1)
    motion = Motion("the shift", [f"shift {at:+d}" for at in moves], moves.index(move), SHIFT_PACE, stale=("move",))
    with row:
        offer_motion(
            motion,
            "motion",
            lambda place: address.choose("move", moves[place]),
            (values.tolist(), enters.tolist(), kind, width, stride, draw),
            lambda: Reel([{"playground_rows": drawing_data(*draw_at(at))} for at in moves]),
        )
    st.write(
        "Every pooled unit stands for its neighbours below with one number. **Notice** that after a shift by one every "
        "detector has changed, but only some of the maxima: max pooling is *nearly* invariant to small shifts. "
        "Averages and L2 change in more places, and a stochastic unit as its probabilities shift."
    )
    offer_downloads("pooling-shift", scenes[0])
    with st.expander("What is drawn, and source"):
        st.write(
            "Windows are centred on their unit and cut off at the ends, as in the book's figure. Changed values are "
            "orange. Stochastic pooling draws a value with probability a / Σa, by the same random number before and "
            "after the shift. Sources: Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.8; Zeiler and "
            "Fergus, ICLR 2013, arXiv:1301.3557."
        )


def _four_ways(row: Any) -> None:
    with bar.panel():
        text = numbers_box("Map", "map", written(MAP), 4)
        left, right = st.columns(2)
        with left:
            size = whole("Window", "window", 2, 1, 8)
        with right:
            stride = whole("Stride", "poolstride", 2, 1, 4)
    with row:
        draw = whole("Stochastic draw", "draw", 1, 1, 999)
    grid = table(text, "map", 12)
    pooled = [
        ("Maximum", pools.pool(grid, "max", size, stride)),
        ("Average", pools.pool(grid, "average", size, stride)),
        ("L2: root of the sum of squares", pools.pool(grid, "l2", size, stride)),
    ]
    refused = ""
    try:
        pooled.append((f"Stochastic, draw {draw}", pools.pool(grid, "stochastic", size, stride, draw)))
    except BadInput as error:
        refused = str(error)
    scenes = [playground_pooling.pools_scene(grid, pooled, size, stride, wide) for wide in (1070, NARROW)]
    drawing(scenes[:1], ["A map and its poolings"], "playground_pools", narrow=scenes[1:])
    if refused:
        st.info(escape_markdown(refused))
    st.write(
        "One map, pooled in four ways. **Notice** that the maximum keeps the strongest unit, the average dilutes it "
        "among its neighbours, and stochastic pooling draws one value, strong ones more often."
    )
    offer_downloads("poolings", scenes[0])
    with st.expander("Formula and source"):
        st.latex(
            r"\max_i a_i\qquad \tfrac1n\sum_i a_i\qquad \sqrt{\textstyle\sum_i a_i^2}\qquad "
            r"a_l,\ l\sim p_i=\tfrac{a_i}{\sum_k a_k}"
        )
        st.write("Source of stochastic pooling: Zeiler and Fergus, ICLR 2013, arXiv:1301.3557.")


def _move_part(row: Any) -> None:
    """One strong activation among weak ones, wherever it is put, and the maximum of each window."""
    with row:
        size = int(controls.bind(st.selectbox, "Window", "partwindow", 3, options=[1, 2, 3], width=90))
        address.prepare("part", PART_START, lambda text: text if _read_place(text) else None)
        place = _read_place(str(st.session_state["part"])) or (1, 1)
        address.record("part", st.session_state["part"], PART_START)
        if st.button("Back to the start", disabled=st.session_state["part"] == PART_START):
            address.choose("part", None)
            st.rerun()
    pooled_before = pools.pool(_put_part(*PLACE), "max", size)

    def draw(at: tuple[int, int]) -> tuple[list[Scene], list[str], list[Scene]]:
        grid = _put_part(*at)
        pooled = pools.pool(grid, "max", size)
        wide, narrow = (
            playground_pooling.part_scene(grid, pooled, pooled_before, size, wide) for wide in (1070, NARROW)
        )
        return [wide], ["A part, its window, and the maxima"], [narrow]

    scenes, alts, narrow = draw(place)
    drawing(
        scenes, alts, "playground_part", lambda item: address.choose("part", item.removeprefix("part:")), narrow=narrow
    )
    walk = [(place[0], col) for col in range(PART_SIDE)]
    motion = Motion("the part", [f"column {col}" for _, col in walk], place[1], PART_PACE, first=0)
    with row:
        offer_motion(
            motion,
            "motion",
            lambda col: address.choose("part", f"{place[0]},{col}"),
            (place[0], size),
            lambda: Reel([{"playground_part": drawing_data(*draw(at))} for at in walk]),
        )
    st.write(
        "A part was detected with 9; click where else it should be. **Notice** that the maxima do not change while it "
        "moves within its window, and do when it crosses a border: what matters is that the part is there, roughly "
        "where, and not at which pixel."
    )
    offer_downloads("part-in-window", scenes[0])
    with st.expander("What is drawn, and source"):
        st.write(
            "Windows do not overlap; each has one colour on both sides, and the part is yellow. Orange: another "
            f"maximum than with the part at row {PLACE[0]}, column {PLACE[1]}. The weak activations are fixed numbers "
            "from 0 to 3. Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, section 9.3."
        )


def _put_part(row: int, col: int) -> np.ndarray:
    rows, cols = np.indices((PART_SIDE, PART_SIDE))
    weak = ((3 * rows + 5 * cols + rows * cols) % 4).astype(float)
    weak[row, col] = PART_VALUE
    return weak


def _read_place(text: str) -> tuple[int, int] | None:
    parts = text.split(",")
    inside = len(parts) == 2 and all(part.isdigit() and int(part) < PART_SIDE for part in parts)
    return (int(parts[0]), int(parts[1])) if inside else None
