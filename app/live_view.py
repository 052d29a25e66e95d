"""What a camera sees, as a network sees it: frames come in at the camera's pace, and the newest one is worked on."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakSet

import numpy as np

from cnnviz.errors import CnnvizError
from cnnviz.figures.charts import bars_png
from cnnviz.figures.encode import enlarge, rgb_png, whole_factor
from cnnviz.figures.mosaic import Mosaic, maps_mosaic
from cnnviz.figures.overlay import as_rgb

if TYPE_CHECKING:
    from cnnviz.models.loaded import LoadedModel

PACE = 0.1  # seconds from one picture to the next: ten a second are enough, and the class shares this machine
REST = 5.0  # seconds without a frame after which the thread ends; the next frame starts another
SEEN = 224  # pixels of what the network receives, in whole multiples
log = logging.getLogger("cnnviz")
_ENDING, _THREADS = threading.Event(), WeakSet()


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
class Shown:
    """One frame's pictures. `number`: of the frame among those that came in, from 1; `seconds`: this one took; `rate`:
    pictures a second of late."""

    number: int
    drawn: Drawn
    seconds: float
    rate: float


def draw(wish: Wish, image: np.ndarray) -> Drawn:
    """The pictures of an RGB image (H, W, 3) uint8."""
    from cnnviz.probes.live import look

    received = wish.model.receive(image)
    found = look(wish.model, image, wish.layer)
    top = [(found.answer.class_names[c], float(found.answer.probabilities[c])) for c in found.answer.top(5)]
    shown = list(range(min(wish.count, len(found.maps))))
    wall = maps_mosaic(found.maps, shown, wish.scale, wish.width, wish.height)
    seen = rgb_png(enlarge(as_rgb(received), whole_factor(received.shape[0], SEEN)))
    return Drawn(seen, wall, bars_png(top, 560), top, float(found.maps.max()))


class LiveView:
    """Takes frames from any thread, keeps the newest, and draws it in a thread of its own.

    `shown`: the last picture; `problem`: why the last frame gave none, "" if it did; `came`: frames that came in.
    Without a wish nothing is drawn."""

    def __init__(self) -> None:
        self.shown: Shown | None = None
        self.problem, self.came = "", 0
        self._wish: Wish | None = None
        self._waiting: Callable[[], np.ndarray] | None = None
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._times: deque[float] = deque(maxlen=20)

    def wish(self, wish: Wish) -> None:
        """What to show from the next frame on."""
        with self._news:
            self._wish = wish

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
                    return
                frame, wish, number = self._waiting, self._wish, self.came
                self._waiting = None
            started = time.perf_counter()
            if wish is not None:
                self._draw(frame, wish, number, started)
            time.sleep(max(0.0, PACE - (time.perf_counter() - started)))

    def _draw(self, frame: Callable[[], np.ndarray], wish: Wish, number: int, started: float) -> None:
        """Whatever one frame does, the next one is drawn."""
        try:
            drawn = draw(wish, frame())
        except CnnvizError as error:
            self.problem = str(error)
            return
        except (RuntimeError, ValueError, MemoryError):
            log.exception("a frame could not be drawn")
            self.problem = "This frame could not be drawn; the details are in the server's log. Try another layer."
            return
        ended = time.perf_counter()
        self._times.append(ended)
        rate = (len(self._times) - 1) / (ended - self._times[0]) if len(self._times) > 1 else 0.0
        self.shown, self.problem = Shown(number, drawn, ended - started, rate), ""
