"""What the server needs to run a page's script anew when nothing has changed, without a browser: of every page, in
Streamlit's own test harness, the median of eight runs after three.

    python -m benchmarks.page_runs [page …]

To compare two states of cnnviz, run it in both checkouts, one after the other and back: machines are noisy."""

from __future__ import annotations

import logging
import os
import statistics
import sys
import tempfile
import time

from app.shell.pages import list_pages
from cnnviz.paths import project

BEFORE, RUNS = 3, 8


def main() -> None:
    os.environ.setdefault("CNNVIZ_PREFERRED_STEPS", "12")  # made beside the page; what is measured is the page
    logging.disable(logging.WARNING)
    chosen = sys.argv[1:]
    with tempfile.TemporaryDirectory() as cache:
        os.environ["CNNVIZ_CACHE"] = cache
        for page in list_pages():
            if not chosen or page.address in chosen:
                times = time_page(page.file)
                print(f"{page.title:28} {statistics.median(times):6.0f} ms (least {min(times):.0f})", flush=True)


def time_page(file: str) -> list[float]:
    """Milliseconds of each run of a file below pages/."""
    from streamlit.testing.v1 import AppTest

    at = AppTest.from_file(str(project() / "app" / "Home.py"), default_timeout=300)
    at.query_params["weights"] = "file-gone"  # a Home that computes nothing
    at.run()
    at.query_params.clear()
    at.switch_page(f"../pages/{file}")
    times = []
    for _ in range(BEFORE + RUNS):
        started = time.perf_counter()
        at.run()
        times.append(1e3 * (time.perf_counter() - started))
        if at.exception:
            raise SystemExit(f"{file}: {at.exception[0].value}")
    return times[BEFORE:]


if __name__ == "__main__":
    main()
