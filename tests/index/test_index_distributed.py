"""Index runs of several processes: the same outcome for any number, and nothing lost when one dies."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from same_index import assert_same
from slowindex import branching, memory, noise, run

from cnnviz.index.distributed import index_on_ranks
from cnnviz.index.result import PatchIndex

SCRIPT = Path(__file__).resolve().parents[1] / "helpers" / "slowranks.py"
TORCHRUN = ["-m", "torch.distributed.run", "--rdzv-backend", "c10d", "--rdzv-endpoint"]


@pytest.fixture(scope="module")
def alone() -> PatchIndex:
    return run(None, memory(noise(60)))


def started(command: list[str], **more: str) -> subprocess.Popen[str]:
    """A Python process in a session of its own, so that all it started can be ended with it."""
    paths = os.pathsep.join([str(SCRIPT.parents[2]), str(SCRIPT.parent)])
    return subprocess.Popen(
        [sys.executable, *command],
        env=os.environ | {"PYTHONPATH": paths} | more,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def together(out: Path, ranks: int, seconds: float = 0.0) -> subprocess.Popen[str]:
    """`ranks` processes under torchrun."""
    words = [str(SCRIPT), str(out), str(torch.get_num_threads()), str(seconds)]
    return started([*TORCHRUN, "localhost:0", f"--nproc-per-node={ranks}", *words])


def told(process: subprocess.Popen[str]) -> str:
    """What a process and its children said until they ended."""
    try:
        return process.communicate(timeout=120)[0]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not true() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)


def ranks_of(process: subprocess.Popen[str], out: Path) -> dict[int, int]:
    """{rank: process id} of what torchrun started."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            variables = (folder / "environ").read_bytes().decode().split("\0")
        except OSError:
            continue
        if str(out) in words and "torch.distributed.run" not in words:
            found |= {int(v.removeprefix("RANK=")): int(folder.name) for v in variables if v.startswith("RANK=")}
    return found


def test_one_rank_finds_what_one_process_finds(alone, tmp_path, monkeypatch):
    out, seen = tmp_path / "index.npz", []
    where = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    for name, value in where.items():
        monkeypatch.setenv(name, value)
    layers = ["a", "relu", "b", "c"]
    index_on_ranks(branching(), memory(noise(60)), layers, 3, out, batch=4, progress=lambda s: seen.append(s.done))
    assert_same(PatchIndex.load(out), alone)
    assert [path.name for path in tmp_path.iterdir()] == ["index.npz"] and seen[-1] == 60


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the ranks in /proc")
def test_after_the_death_of_a_rank_another_number_of_ranks_goes_on_to_the_identical_index(alone, tmp_path):
    out = tmp_path / "index.npz"
    process = together(out, 3, 0.3)
    until(lambda: len(list(tmp_path.glob("*.rank?of3"))) == 3, process)
    os.kill(ranks_of(process, out)[1], signal.SIGKILL)
    said = told(process)
    assert process.returncode != 0 and "What was finished is kept; the same command goes on." in said
    kept = sum(PatchIndex.load(path).meta["next"] for path in tmp_path.glob("*.rank?of3"))
    assert 12 <= kept < 60 and not out.exists()
    process = together(out, 2)
    again = told(process)
    assert process.returncode == 0 and again.count("no index") == 1 and "done 60 of 60" in again
    assert_same(PatchIndex.load(out), alone)
    first = next(int(line.split()[1]) for line in again.splitlines() if line.startswith("done"))
    assert first > kept  # what the dead had saved was not searched again
    assert [path.name for path in tmp_path.iterdir()] == ["index.npz"]


@pytest.mark.parametrize("dead", [0, 1])
def test_without_torchrun_too_the_survivor_of_two_ends_in_words_and_keeps_its_part(alone, tmp_path, dead):
    out = tmp_path / "index.npz"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    where = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "CNNVIZ_RANK_SILENCE": "2"}
    words = [str(SCRIPT), str(out), str(torch.get_num_threads()), "0.1"]
    pair = [started(words, RANK=str(rank), **where) for rank in range(2)]
    until(lambda: len(list(tmp_path.glob("*.rank?of2"))) == 2, pair[0])
    pair[dead].send_signal(signal.SIGKILL)
    said = [told(process) for process in pair][1 - dead]
    assert pair[1 - dead].returncode == 1 and "What was finished is kept" in said
    assert "Rank 1 has not been heard of for 2 s" in said or "lost its connection" in said
    assert_same(run(out, memory(noise(60))), alone)
