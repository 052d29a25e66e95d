"""A class at work: thirty sessions on one server with two cores, over websockets on this machine.

Every session looks at something every few seconds: mostly at views that others have seen before (four pages of
ResNet-20, several channels), sometimes at a layer of SqueezeNet that nobody has seen for its image (random weights:
the work is the same). Every half minute all ask for the same view at once, as a class does that follows its lecturer.
Prints medians and 95th percentiles from the request to the end of the script, errors, and the server's memory after
1 minute and at the end. $CNNVIZ_BENCH_MINUTES (default 10): how long. The visitors run on the same two cores."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.browser import process
from benchmarks.sessions import Session

STUDENTS, CORES = 30, 2
ARRIVAL = 15.0  # seconds in which all of them open the app
THINK = (2.5, 7.5)  # seconds between two views of a student
NEW = 0.08  # share of views that nobody has seen
TOGETHER = 30.0  # seconds between two views of the whole class
_MAPS = [f"image={image}&unit={unit}" for image in ("chelsea", "coffee") for unit in range(4)]
SEEN = [
    *(("feature-maps", query) for query in _MAPS),
    ("", "image=coffee"),
    ("", ""),
    *(("filters", f"unit={unit}") for unit in range(4)),
    ("receptive-fields", ""),
    ("playground", ""),
]
_LAYERS = [f"features.{block}.{part}" for block in (3, 4, 5, 7, 8, 9, 10, 12) for part in ("squeeze", "expand3x3")]
_IMAGES = ("chelsea", "coffee", "astronaut", "rocket")
UNSEEN = [
    ("feature-maps", f"net=squeezenet1_0&weights=random&image={image}&layer={layer}&count={count}")
    for count, image, layer in itertools.product((64, 16), _IMAGES, _LAYERS)
]
Times = dict[str, list[float]]


def main() -> None:
    """Print the figures."""
    minutes = float(os.environ.get("CNNVIZ_BENCH_MINUTES", "10"))
    cores = set(sorted(os.sched_getaffinity(0))[:CORES])
    with tempfile.TemporaryDirectory() as cache, process(cache, cores=cores) as (address, _timings, pid):
        asyncio.run(_hold_lesson(address, pid, minutes))


async def _hold_lesson(address: str, pid: int, minutes: float) -> None:
    times: Times = {"first view": [], "seen before": [], "new layer": [], "all at once": []}
    memory: dict[float, float] = {}
    fresh = iter(random.Random(0).sample(UNSEEN, len(UNSEEN)))
    sessions = [Session(address) for _ in range(STUDENTS)]
    async with sessions[0] as first:
        for page, query in [*SEEN, next(fresh)]:
            await first.view(page, query)
        await _wait_until_idle(pid)  # the server's warm-up, and the two networks' index of the samples
    started = time.perf_counter()
    sessions = [Session(address) for _ in range(STUDENTS)]
    together = asyncio.Event()
    watch = asyncio.create_task(_watch(pid, started, memory))
    call = asyncio.create_task(_call_together(together))
    until = started + 60 * minutes
    await asyncio.gather(*(_visit(one, n, until, fresh, together, times) for n, one in enumerate(sessions)))
    memory[minutes] = _read_memory(pid)
    for task in (watch, call):
        task.cancel()
    _report(times, memory, sessions, minutes)


async def _visit(
    session: Session, number: int, until: float, fresh: Iterator[tuple[str, str]], together: asyncio.Event, times: Times
) -> None:
    """One student's lesson."""
    choose = random.Random(number)
    await asyncio.sleep(choose.uniform(0, ARRIVAL))
    async with session:
        times["first view"].append(await session.view("feature-maps"))
        while time.perf_counter() < until:
            try:
                async with asyncio.timeout(choose.uniform(*THINK)):
                    await together.wait()
            except TimeoutError:
                new = next(fresh, None) if choose.random() < NEW else None
                page, query = new or choose.choice(SEEN)
                times["new layer" if new else "seen before"].append(await session.view(page, query))
                continue
            page, query = SEEN[int(time.perf_counter() / TOGETHER) % len(SEEN)]
            times["all at once"].append(await session.view(page, query))


async def _call_together(together: asyncio.Event) -> None:
    """The lecturer's clicks."""
    while True:
        await asyncio.sleep(TOGETHER)
        together.set()
        await asyncio.sleep(0)
        together.clear()


async def _watch(pid: int, started: float, memory: dict[float, float]) -> None:
    """The server's memory after one minute."""
    await asyncio.sleep(max(0.0, started + 60 - time.perf_counter()))
    memory[1] = _read_memory(pid)


async def _wait_until_idle(pid: int) -> None:
    """Until the server has rested for three seconds, or for two minutes."""
    for _ in range(40):
        before = _read_processor_time(pid)
        await asyncio.sleep(3)
        if _read_processor_time(pid) - before < 0.15:
            return


def _read_processor_time(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _read_memory(pid: int) -> float:
    """MiB of memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _report(times: Times, memory: dict[float, float], sessions: list[Session], minutes: float) -> None:
    wanted = {"seen before": "(wanted: 500 ms)", "new layer": "(wanted: 3000 ms)"}
    print(f"{STUDENTS} sessions, {CORES} cores, {minutes:g} minutes, load of the machine {os.getloadavg()[0]:.1f}")
    for kind, seconds in times.items():
        if len(seconds) > 1:
            p95 = 1000 * statistics.quantiles(seconds, n=20, method="inclusive")[-1]
            middle = 1000 * statistics.median(seconds)
            figures = f"{len(seconds):5} views, median {middle:6.0f} ms, p95 {p95:6.0f} ms"
            print(f"{kind:12} {figures} {wanted.get(kind, '')}")
    wrong = [problem for session in sessions for problem in session.wrong]
    print(f"errors {len(wrong)} {sorted(set(wrong))[:3] or ''}")
    if 1 in memory and minutes > 1:
        print(
            f"memory after 1 minute {memory[1]:.0f} MiB, at the end {memory[minutes]:.0f} MiB "
            f"({100 * (memory[minutes] / memory[1] - 1):+.1f} %; wanted: within 10 %)"
        )


if __name__ == "__main__":
    main()
