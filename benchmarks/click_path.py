"""How many files a click passes through: calls from one project file into another, traced in the running app.

The app runs in Streamlit's own test harness on the bundled network and photographs, until the index is complete. Then
each click is traced in the thread that runs the page's script: on a unit that nobody has looked at yet, whose
pictures are computed within the click, on one that was looked at before, and where nothing changes. A file is visited
when one of its functions is called; a crossing is a call whose caller stands in another of the project's files, with
Streamlit, NumPy and the like between them passed over. PYTHONPATH chooses the checkout that is measured;
`CLICK_PATH_DETAILS=40` lists the files and so many of the most frequent crossings."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import cnnviz

ROOT = Path(cnnviz.__file__).resolve().parents[1]
PROJECT = tuple(str(ROOT / part) + os.sep for part in ("app", "pages", "cnnviz"))
SCRIPT_THREAD = "ScriptRunner.scriptThread"
JOBS = ("app.jobs.background", "app.jobs")  # where the registry of running jobs is, the present place first
LIMITS = {"click": (25, 250), "rerun": (20, 120)}  # wanted: files, crossings


@dataclass(slots=True)
class Trace:
    """The calls of one click. `files`: calls into each file; `crossings`: {(from, to): calls from file to file}."""

    files: Counter[str] = field(default_factory=Counter)
    crossings: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, frame: FrameType, event: str, _argument: Any) -> None:
        """A profile function for `sys.setprofile`."""
        if event != "call" or not (file := frame.f_code.co_filename).startswith(PROJECT):
            return
        self.files[file] += 1
        caller = _find_project_frame(frame.f_back)
        if caller is not None and caller.f_code.co_filename != file:
            self.crossings[caller.f_code.co_filename, file] += 1


def _find_project_frame(frame: FrameType | None) -> FrameType | None:
    """The nearest frame, from this one outwards, that belongs to the project."""
    while frame is not None and not frame.f_code.co_filename.startswith(PROJECT):
        frame = frame.f_back
    return frame


def trace_click(click: Callable[[], Any]) -> Trace:
    """What the page's script calls during `click()`."""
    found = Trace()

    def begin(frame: FrameType, event: str, argument: Any) -> None:
        own = threading.current_thread().name == SCRIPT_THREAD
        sys.setprofile(found.note if own else None)
        if own:
            found.note(frame, event, argument)

    threading.setprofile(begin)
    try:
        click()
    finally:
        threading.setprofile(None)
    return found


def main() -> None:
    """Print files and crossings of clicks and cached reruns beside what is wanted."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["CNNVIZ_CACHE"] = cache
        print(f"measured: {ROOT}")
        app = _open_app()
        for page, title in (("feature_maps", "feature maps: another channel"), ("top9", "top-9: another unit")):
            _visit(app, page)
            _report(f"{title}, its first time", trace_click(lambda: _choose_unit(app, 5)), "click")
            _report(f"{title}, seen before", trace_click(lambda: _choose_unit(app, 3)), "click")
            _report(f"{title.partition(':')[0]}: cached rerun", trace_click(app.run), "rerun")
        assert not app.exception, app.exception


def _open_app() -> Any:
    """A visitor's tab: Streamlit's harness knows the pages after a first run, of a Home that computes nothing."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(ROOT / "app" / "Home.py"), default_timeout=300)
    app.query_params["weights"] = "file-gone"
    app.run()
    app.query_params.clear()
    return app


def _visit(app: Any, page: str) -> None:
    """Open a page, wait for its index, and choose another unit once, so that only the click's own work is left."""
    app.switch_page(f"../pages/{page}.py").run()
    _wait_for_jobs()
    app.run()
    _choose_unit(app, 3)
    app.run()


def _choose_unit(app: Any, unit: int) -> None:
    app.number_input(key="unit").set_value(unit).run()


def _wait_for_jobs() -> None:
    for name in JOBS:
        try:
            running, _lock = importlib.import_module(name)._registry()
        except (ImportError, AttributeError):
            continue
        for job in list(running.values()):
            job._thread.join(300)
        return


def _report(title: str, found: Trace, kind: str) -> None:
    files, crossings = LIMITS[kind]
    print(
        f"{title:46} {len(found.files):4} files (wanted: {files}) {found.crossings.total():5} crossings "
        f"(wanted: {crossings})"
    )
    if os.environ.get("CLICK_PATH_DETAILS"):
        for (caller, callee), count in found.crossings.most_common(int(os.environ["CLICK_PATH_DETAILS"])):
            print(f"  {count:4}  {_name(caller)} → {_name(callee)}")
        print("  " + "\n  ".join(sorted(map(_name, found.files))))


def _name(file: str) -> str:
    return str(Path(file).relative_to(ROOT))
