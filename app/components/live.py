"""The live camera's pictures: feature maps, what the network receives, and its answer.

While the video plays, the browser asks app/views/camera/live_route.py for the next picture as soon as it has painted
the last one. Nothing of Streamlit's runs for a frame."""

from typing import Any

import streamlit as st

from app.components.newest import keep_newest, number_data
from app.components.source import read_source

_render = st.components.v2.component(
    "cnnviz_live", css=read_source("live.css"), js=keep_newest(read_source("room.js", "live.js"))
)


def live_pictures(still: dict[str, Any], words: str, live_key: str, idle: str, key: str) -> None:
    """Show `still`, pictures as app.views.camera.worker.pictures gives them, with `words` below, until frames come.

    `live_key`: where app.views.camera.live_route has the frames; "": nowhere, the video does not play. `idle`: what is
    said of the still picture when frames have come and come no more. The element counts the pictures that it has
    painted since the video started in its attribute data-frames."""
    data = {"still": still, "words": words, "idle": idle, "stream": live_key, "playing": bool(live_key)}
    _render(key=key, data=number_data(key, data))
