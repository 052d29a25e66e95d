"""Interactive Plotly figures: scenes whose cameras move together, points that can be clicked, a slider over
frames. Plotly's own script comes out of the installed package, see `app.plotly_script`."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.newest import keep_newest, number_data
from app.components.source import read_source
from app.plotly_script import ADDRESS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Plotly would make links of some. Its versions spell the signs of a tag in JSON as they are or as their numbers.
_FOREIGN_TAG = re.compile(r"(?:<|\\u003[cC])(?!(?:\\?/|\\u002[fF])?(?:b|br|i|sub|sup|span|extra)\b)")
_LINK_CAMERAS = read_source("cameras.js")


_render = st.components.v2.component(
    "cnnviz_plot",
    css=read_source("plots.css"),
    js=f'const PLOTLY_ADDRESS = "{ADDRESS}"\n'
    + keep_newest(_LINK_CAMERAS + read_source("room.js", "load_plotly.js", "plots.js")),
    isolate_styles=False,
)


def plot(figure: "Figure", alt: str, key: str, name: str, **answers: Callable[[Any], None]) -> None:
    """Show a figure as wide as the column, with buttons that save it as `name`.png and .svg.

    Where it has several scenes, their cameras move together; where it says in `meta` how many "panels" stand beside
    each other, they stand below each other in a narrow window. `answers`: on_point([x, y, axis or scene]) for a
    click, on_camera([x, y, z]) after a turn, on_frame(label) after the slider has rested; each runs before the
    page is drawn again."""
    live = [kind.removeprefix("on_") for kind in answers]

    def answer(kind: str) -> Callable[[], None]:
        def run() -> None:
            value = st.session_state.get(key, {}).get(kind)
            if value is not None and f"on_{kind}" in answers:
                answers[f"on_{kind}"](value)

        return run

    data = {**plot_data(figure), "height": figure.layout.height, "alt": alt, "name": name}
    data["panels"] = (figure.layout.meta or {}).get("panels", 1)
    data["dark"] = st.context.theme.type == "dark"
    _render(
        key=key,
        data=number_data(key, {**data, "live": live}),
        on_point_change=answer("point"),
        on_camera_change=answer("camera"),
        on_frame_change=answer("frame"),
    )


def plot_data(figure: "Figure") -> dict[str, Any]:
    """What the browser draws of a figure, see `plot`: also a frame of a motion. There, {"camera": [x, y, z]} turns the
    scenes of the figure that is shown, and {"frame": label} puts its slider there."""
    drawn = _FOREIGN_TAG.sub("&lt;", figure.to_json())
    return {"figure": drawn, "stamp": str(hash(drawn))}


def as_page(figure: "Figure") -> str:
    """The figure as one HTML file that needs no network, its cameras linked as here."""
    after = _LINK_CAMERAS + 'linkCameras(document.getElementById("{plot_id}"), null)'
    return figure.to_html(include_plotlyjs=True, auto_play=False, post_script=after, config={"displaylogo": False})
