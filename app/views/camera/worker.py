"""What a camera sees, as a network sees it: frames come in at the camera's pace, and the newest one is worked on."""

from __future__ import annotations

import atexit
import json
import logging
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np

from cnnviz.errors import CnnvizError
from cnnviz.figures.base.charts import bars_png, value_text
from cnnviz.figures.base.encode import data_url, enlarge, rgb_png, whole_factor
from cnnviz.figures.base.mosaic import Mosaic, maps_mosaic
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.models.model import LoadedModel

PACE = 0.1  # seconds from one picture to the next: ten a second are enough, and the class shares this machine
REST = 2.0  # seconds without a frame after which the view says so and its thread ends; the next starts another
SEEN = 224  # pixels of what the network receives, in whole multiples
log = logging.getLogger("cnnviz")
_ENDING = threading.Event()
_THREADS: WeakSet[threading.Thread] = WeakSet()


@atexit.register
def _end() -> None:
    """A thread inside torch would abort the interpreter's shutdown."""
    _ENDING.set()
    for thread in list(_THREADS):
        thread.join(10)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to show of a frame. `scale`: as for maps_mosaic; `count`: how many maps, from channel 0 on."""

    model: LoadedModel
    layer: str
    scale: str = "common"
    count: int = 64
    width: int = 590
    height: int = 560


@dataclass(frozen=True, slots=True)
class Drawn:
    """One image's pictures. `seen`: what the network receives, a PNG; `wall`: the maps; `bars`: a PNG of `top`, the
    five most probable classes; `peak`: the highest activation of the layer."""

    seen: bytes
    wall: Mosaic
    bars: bytes
    top: list[tuple[str, float]]
    peak: float


@dataclass(frozen=True, slots=True)
class DrawnFrame:
    """One frame's pictures. `number`: of the frame among those that came in, from 1; `seconds`: this one took; `rate`:
    pictures a second of late."""

    number: int
    drawn: Drawn
    seconds: float
    rate: float


def draw(wish: Wish, image: np.ndarray) -> Drawn:
    """The pictures of an RGB image (H, W, 3) uint8."""
    from cnnviz.probes.frame import analyse_frame

    received = wish.model.receive(image)
    found = analyse_frame(wish.model, image, wish.layer)
    top = [(found.answer.class_names[c], float(found.answer.probabilities[c])) for c in found.answer.top(5)]
    shown = list(range(min(wish.count, len(found.maps))))
    wall = maps_mosaic(found.maps, shown, wish.scale, wish.width, wish.height)
    seen = rgb_png(enlarge(to_rgb(received), whole_factor(received.shape[0], SEEN)))
    return Drawn(seen, wall, bars_png(top, 560), top, float(found.maps.max()))


@dataclass(frozen=True, slots=True)
class News:
    """What a browser is told next. `number`: grows by one with every piece of news; `body`: JSON of "number" and of
    one of these: the pictures with "pace" and "words", a "problem" in words, or "over": no frames come any more."""

    number: int
    body: bytes


def pictures(wish: Wish, drawn: Drawn) -> dict[str, Any]:
    """What the page shows of one image: "wall", "seen" and "bars" with {src, width, height, alt}, the wall's "legend"
    and a "note" on the bars."""
    answer = ", ".join(f"{name} {share:.0%}" for name, share in drawn.top)
    common = wish.scale == "common"
    high = f"{value_text(drawn.peak)}, the layer's maximum" if common else "each map's own maximum"
    return {
        "wall": _picture(drawn.wall.png, f"Feature maps of {wish.layer}, live"),
        "seen": _picture(drawn.seen, "What the network receives"),
        "bars": _picture(drawn.bars, f"Most probable classes: {answer}"),
        "note": "Random weights: which classes come first is chance." if wish.model.untrained else "",
        "legend": f"Dark violet is 0, yellow {high}.",
    }


def _picture(png: bytes, alt: str) -> dict[str, Any]:
    width, height = struct.unpack(">II", png[16:24])
    return {"src": data_url(png), "width": width, "height": height, "alt": alt}


class LiveView:
    """Takes frames from any thread, keeps the newest, and draws it in a thread of its own.

    `shown`: the last picture; `news`: the same, or why there is none, ready to be sent; `problem`: why the last frame
    gave none, "" if it did; `came`: frames that came in. Without a wish nothing is drawn."""

    def __init__(self) -> None:
        self.shown: DrawnFrame | None = None
        self.news: News | None = None
        self.problem, self.came = "", 0
        self._number = 0
        self._wish: Wish | None = None
        self._waiting: Callable[[], np.ndarray] | None = None
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._times: deque[float] = deque(maxlen=20)

    def wish(self, wish: Wish) -> None:
        """What to show from the next frame on."""
        with self._news:
            self._wish = wish

    def pause(self) -> None:
        """Draw nothing more until the next wish, and forget what was drawn: the next video starts without it."""
        with self._news:
            self._wish = self._waiting = self.shown = self.news = None
            self.problem = ""
            self._times.clear()

    def offer(self, frame: Callable[[], np.ndarray]) -> None:
        """A new frame, which takes the place of one that still waits. `frame()` gives the RGB pixels (H, W, 3) uint8;
        it is called for frames that are drawn only, and never in the thread that offers them."""
        with self._news:
            self._waiting = frame
            self.came += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="live view", daemon=True)
                _THREADS.add(self._thread)
                self._thread.start()
            self._news.notify()

    @property
    def working(self) -> bool:
        """Whether frames came in lately."""
        return self._thread is not None

    def _work(self) -> None:
        while True:
            with self._news:
                if _ENDING.is_set() or not self._news.wait_for(lambda: self._waiting is not None, REST):
                    self._thread = None
                    self._times.clear()
                    self._tell({"over": True})
                    return
                frame, wish, number = self._waiting, self._wish, self.came
                self._waiting = None
            started = time.perf_counter()
            if wish is not None and frame is not None:
                self._draw(frame, wish, number, started)
            time.sleep(max(0.0, PACE - (time.perf_counter() - started)))

    def _draw(self, frame: Callable[[], np.ndarray], wish: Wish, number: int, started: float) -> None:
        """Whatever one frame does, the next one is drawn."""
        try:
            drawn = draw(wish, frame())
            sent = pictures(wish, drawn)
        except CnnvizError as error:
            self._fail(str(error))
            return
        except Exception:  # the thread's edge: its end would leave the view standing, with every frame to come
            log.exception("a frame could not be drawn")
            self._fail("This frame could not be drawn; the details are in the server's log. Try another layer.")
            return
        ended = time.perf_counter()
        with self._news:
            if self._wish is None:
                return  # stopped while it was drawn
            self._times.append(ended)
            rate = (len(self._times) - 1) / (ended - self._times[0]) if len(self._times) > 1 else 0.0
            self.shown, self.problem = DrawnFrame(number, drawn, ended - started, rate), ""
            each = f", {1000 * (ended - started):.0f} ms each; frames that come in between are skipped."
            self._tell({**sent, "pace": f"{plural(f'{rate:.1f}', 'frame')}/s", "words": each})

    def _fail(self, words: str) -> None:
        with self._news:
            self.problem = words
            self._tell({"problem": words})

    def _tell(self, what: dict[str, Any]) -> None:
        """Put `what` in the place of the last news, unless the view is paused. The caller holds the lock."""
        if self._wish is not None:
            self._number += 1
            self.news = News(self._number, json.dumps({"number": self._number, **what}).encode())
