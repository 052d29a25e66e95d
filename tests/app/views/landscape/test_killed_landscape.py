"""A landscape that the app computes: the server is killed on the way, and the next one goes on where it stood."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from app_pages import errors

from app.jobs import background
from cnnviz.landscape.plane.checkpoint import read_cells
from cnnviz.landscape.results import Surface

ROOT = Path(__file__).resolve().parents[4]
STEPS = 13
KILLED = """
import os, signal
from app.session import networks, shared
from app.views.landscape import jobs
from app.views.landscape.jobs import SurfaceSetting

network = networks.load(networks.Choice("lenet5", "bundled"))
images = shared.corpus("digits")
setting = SurfaceSetting(100, 13, 1.0, 0, "frozen", "auto", False)

def report(progress, partial=None):
    if progress.what == "points" and not progress.note and progress.done >= 20:
        os.kill(os.getpid(), signal.SIGKILL)
    return True

jobs._work(network, images, setting, jobs.path_of(network, images, setting), report)
"""


def test_a_landscape_whose_server_was_killed_goes_on_in_the_next(opened, cache):
    done = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=ROOT, env=os.environ | {"CNNVIZ_CACHE": str(cache)}, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    (file,) = (cache / "landscapes").glob("*.cells")
    kept = read_cells(file, STEPS)
    assert 20 <= len(kept) < STEPS**2 and not list((cache / "landscapes").glob("*.npz"))
    at = opened("landscape", net="lenet5", view="Compute", corpus="digits", images="100", steps=str(STEPS))
    for button in at.button:
        if button.label == "Continue":  # with bundled surfaces the page begins nothing by itself
            at = button.click().run()
    running, _lock = background._registry()
    end = time.monotonic() + 60
    while any(job.running for job in running.values()) and time.monotonic() < end:
        time.sleep(0.05)
    assert errors(at.run()) == [] and [job.problem for job in running.values()] == [""]
    (surface,) = (Surface.load(path) for path in (cache / "landscapes").glob("*.npz"))
    assert surface.complete and not file.exists()
    assert all(surface.loss[place] == measured.loss for place, measured in kept.items())
