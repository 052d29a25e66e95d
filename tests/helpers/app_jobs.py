"""Waiting for the jobs of the app, and work for them to do."""

import time

from streamlit.testing.v1 import AppTest

from app.jobs import background
from app.jobs.background import Job


def until_cancelled(report) -> None:
    """Work that reports until it is told to stop."""
    done = 0
    while report(done):
        done += 1
        time.sleep(0.001)


def ended(job: Job) -> bool:
    job._thread.join(30)
    return not job.running


def when_built(at: AppTest) -> AppTest:
    """The page once no job is running any more."""
    started, _lock = background._registry()
    for job in list(started.values()):
        job._thread.join(90)
    return at.run()
