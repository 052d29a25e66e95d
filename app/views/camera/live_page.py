"""The live camera: continuous video where streamlit-webrtc is installed, snapshots everywhere.

The page decides what is shown; while the video plays, the pictures take a way of their own, over
app/views/camera/live_route.py. The video goes from the browser to the computer that runs cnnviz and no further: no
server elsewhere is asked for a way, so that both have to be in one network."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import streamlit as st

from app import access
from app.components.live import live_pictures
from app.markdown import escape_markdown
from app.pickers import bar, controls, webcam
from app.session import shared
from app.session.cache import picture_cache
from app.views.camera import live_route
from app.views.camera.worker import LiveView, Wish, draw, pictures

MODES = ["Video", "Snapshot"]
SCALES = {"Common": "common", "Each map": "each"}
# More pixels than networks look at, or many more frames than are drawn, cost time on both sides for nothing.
ASKED = {"video": {"width": {"ideal": 400}, "height": {"ideal": 300}, "frameRate": {"ideal": 15, "max": 15}}}
IDLE = "This is the chosen image. No frames come from the camera at present."
INSTALL = (
    "Continuous video needs one more package. Where cnnviz runs: `pip install 'cnnviz[camera]'` or "
    "`pip install streamlit-webrtc`, then start cnnviz again. Snapshots work without it."
)


def has_video() -> bool:
    """Whether the package for continuous video is installed."""
    return find_spec("streamlit_webrtc") is not None


@dataclass(frozen=True, slots=True)
class Visit:
    """A session's live view, and the key under which its browser gets the pictures."""

    live: LiveView
    key: str


def _leave(visit: Visit) -> None:
    live_route.forget(visit.key)
    visit.live.pause()


@st.cache_resource(scope="session", on_release=_leave, show_spinner=False)
def _visit() -> Visit:
    live = LiveView()
    return Visit(live, live_route.register(live))


def view(wish: Wish, image: str, mode: str) -> None:
    """The camera on the left, what the network makes of it on the right."""
    left, right = st.container(key="cnnviz_reversed").columns(
        [1, 4.2] if mode == "Video" and has_video() else [1, 3.6], gap="medium"
    )
    with left:
        playing = _video() if mode == "Video" else False
        if mode == "Snapshot":
            webcam.draw_camera("page_camera")
    visit = _visit()
    if playing:
        visit.live.wish(wish)
    else:
        visit.live.pause()
    with right:
        _show(wish, image, mode, visit.key if playing else "")


def _video() -> bool:
    """The video's start, stop and preview; True while it runs."""
    if not has_video():
        st.info(INSTALL, icon=":material/download:")
        return False
    try:
        access.check_may_start("Live video")
    except access.NotAllowed as error:
        st.info(escape_markdown(str(error)), icon=":material/school:")
        return False
    webcam.warn_if_unreachable()
    from streamlit_webrtc import WebRtcMode, create_video_sink_track, webrtc_streamer

    live = _visit().live
    sink = create_video_sink_track(lambda frame: live.offer(lambda: frame.to_ndarray(format="rgb24")), key="camera")
    stream = webrtc_streamer(
        "camera_stream",
        mode=WebRtcMode.SENDONLY,
        sink_video_track=sink,
        rtc_configuration={"iceServers": []},
        media_stream_constraints={**ASKED, "audio": False},
        media_toggle_controls=False,
    )
    st.caption(
        "START asks the browser for the camera. The video stays between this browser and the computer that runs "
        "cnnviz; nothing of it is kept."
    )
    return stream.state.playing


def _show(wish: Wish, image: str, mode: str, key: str) -> None:
    """The chosen image, until frames come under `key`."""
    recipe = ("camera", wish.model.fingerprint, image, wish.layer, wish.scale, wish.count)
    drawn = picture_cache().get(recipe, lambda: draw(wish, np.asarray(shared.photo(image).convert("RGB"))))
    words = "This is the chosen image. Start the video to see what your camera sees."
    if mode == "Snapshot":
        words = "This is the chosen image. A photograph takes its place, on every page."
    elif key:
        words = "Waiting for the first frame …"
    live_pictures(pictures(wish, drawn), words, key, IDLE, "camera_live")


def choices(channels: int) -> tuple[str, str, int]:
    """(mode, scale, number of maps), in the row above the picture."""
    most = [n for n in (16, 36, 64) if n < channels] + [min(channels, 100)]
    with bar.row():
        mode = controls.bind_choice("Camera", "camera", MODES if has_video() else MODES[::-1])
        scale = SCALES[controls.bind_choice("Scale", "scale", list(SCALES))]
        first = most[-1] if channels < 64 else 64
        count = controls.bind(st.selectbox, "Maps", "live_maps", first, options=most, width=110)
    return mode, scale, int(count)
