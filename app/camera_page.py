"""The live camera: continuous video where streamlit-webrtc is installed, snapshots everywhere.

The video goes from the browser to the computer that runs cnnviz and no further: no server elsewhere is asked for a
way, so that both have to be in one network."""

from __future__ import annotations

import struct
from importlib.util import find_spec

import numpy as np
import streamlit as st

from app import controls, jobs, session, snapshots
from app.components.picture import picture
from app.live_view import Drawn, LiveView, Shown, Wish, draw
from cnnviz.figures.charts import value_text

EVERY = 0.15  # seconds between two looks of the browser at what is new
MODES = ["Video", "Snapshot"]
SCALES = {"Common": "common", "Each map": "each"}
ASKED = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}, "frameRate": {"ideal": 15, "max": 15}}}
INSTALL = (
    "Continuous video needs one more package. Where cnnviz runs: `pip install 'cnnviz[camera]'` or "
    "`pip install streamlit-webrtc`, then start cnnviz again. Snapshots work without it."
)


def has_video() -> bool:
    """Whether the package for continuous video is installed."""
    return find_spec("streamlit_webrtc") is not None


def view(wish: Wish, image: str, mode: str) -> None:
    """The camera on the left, what the network makes of it on the right."""
    left, right = st.columns([1, 4.2] if mode == "Video" and has_video() else [1, 2.4], gap="medium")
    with left:
        playing = _video() if mode == "Video" else False
        if mode == "Snapshot":
            snapshots.camera("page_camera")
    with right:
        if playing:
            live = _live()
            live.wish(wish)
            st.fragment(_newest, run_every=EVERY)(wish)
        else:
            _still(wish, image, mode)


def _live() -> LiveView:
    return st.session_state.setdefault("live_view", LiveView())


def _video() -> bool:
    """The video's start, stop and preview; True while it runs."""
    if not has_video():
        st.info(INSTALL, icon=":material/download:")
        return False
    try:
        jobs.gate("Live video")
    except jobs.NotAllowed as error:
        st.info(str(error), icon=":material/school:")
        return False
    snapshots.say_if_unreachable()
    from streamlit_webrtc import WebRtcMode, create_video_sink_track, webrtc_streamer

    live = _live()
    sink = create_video_sink_track(lambda frame: live.offer(lambda: frame.to_ndarray(format="rgb24")), key="camera")
    stream = webrtc_streamer(
        "camera_stream", mode=WebRtcMode.SENDONLY, sink_video_track=sink, rtc_configuration={"iceServers": []},
        media_stream_constraints={**ASKED, "audio": False}, media_toggle_controls=False,
    )  # fmt: skip
    st.caption("START asks the browser for the camera. The video stays between this browser and the computer that runs "
               "cnnviz; nothing of it is kept.")  # fmt: skip
    return stream.state.playing


def _newest(wish: Wish) -> None:
    """The newest picture; asked for several times a second."""
    live = _live()
    if live.problem:
        st.warning(live.problem, icon=":material/error:")
    shown = live.shown
    if shown is None:
        st.caption("Waiting for the first frame …")
        return
    _show(wish, shown.drawn, _pace(shown))


def _pace(shown: Shown) -> str:
    each = f"{1000 * shown.seconds:.0f} ms each"
    return f"**{shown.rate:.1f} frames/s**, {each}; frames that come in between are skipped."


def _still(wish: Wish, image: str, mode: str) -> None:
    """The chosen image until the camera runs."""
    recipe = ("camera", wish.model.fingerprint, image, wish.layer, wish.scale, wish.count)
    drawn = session.drawn(recipe, lambda: draw(wish, np.asarray(session.photo(image).convert("RGB"))))
    words = "This is the chosen image. Start the video to see what your camera sees."
    if mode == "Snapshot":
        words = "This is the chosen image. A photograph takes its place, on every page."
    _show(wish, drawn, words)


def _show(wish: Wish, drawn: Drawn, words: str) -> None:
    main, side = st.columns([2.3, 1], gap="medium")
    with main:
        picture(drawn.wall.png, drawn.wall.size, f"Feature maps of {wish.layer}, live", "camera_wall")
        common = wish.scale == "common"
        high = f"{value_text(drawn.peak)}, the layer's maximum" if common else "each map's own maximum"
        st.caption(f"Dark violet is 0, yellow {high}.")
    with side:
        picture(drawn.seen, _size(drawn.seen), "What the network receives", "camera_seen")
        answer = ", ".join(f"{name} {share:.0%}" for name, share in drawn.top)
        picture(drawn.bars, _size(drawn.bars), f"Most probable classes: {answer}", "camera_bars", fill=True)
        st.caption(words)


def _size(png: bytes) -> tuple[int, int]:
    """(width, height) of a PNG. Pictures go inside the page: a file would be gone before the browser asks for it."""
    return struct.unpack(">II", png[16:24])


def choices(channels: int) -> tuple[str, str, int]:
    """(mode, scale, number of maps), in the row above the picture."""
    most = [n for n in (16, 36, 64) if n < channels] + [min(channels, 100)]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        mode = controls.bound_choice("Camera", "camera", MODES if has_video() else MODES[::-1])
        scale = SCALES[controls.bound_choice("Scale", "scale", list(SCALES))]
        first = most[-1] if channels < 64 else 64
        count = controls.bound(st.selectbox, "Maps", "live_maps", first, options=most, width=110)
    return mode, scale, int(count)
