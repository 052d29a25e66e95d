"""Surfaces by several processes: the outcome of one, and nothing lost when one dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from planenets import IMAGES, LABELS, residual

from cnnviz.landscape.plane.checkpoint import find_files, read_cells
from cnnviz.landscape.plane.surface import loss_surface
from cnnviz.landscape.results import Surface

ROOT, SCRIPT = Path(__file__).resolve().parents[3], Path(__file__).resolve().parents[2] / "helpers" / "planenets.py"
TORCHRUN = ["-m", "torch.distributed.run", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
STEPS = 7


def together(out: Path, ranks: int, seconds: float) -> subprocess.Popen[str]:
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "probes", SCRIPT.parent)))
    words = [str(SCRIPT), str(out), str(torch.get_num_threads()), str(seconds), str(STEPS)]
    return subprocess.Popen(
        [sys.executable, *TORCHRUN, f"--nproc-per-node={ranks}", *words],
        env=os.environ | {"PYTHONPATH": paths},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def alone() -> Surface:
    return loss_surface(residual(), IMAGES, LABELS, STEPS, precision="float32", batch=8)


def assert_same(one: Surface, other: Surface) -> None:
    for name in ("alphas", "betas", "loss", "accuracy", "loss_error", "accuracy_error"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.meta == other.meta


def test_two_ranks_find_what_one_process_finds(alone, tmp_path):
    out = tmp_path / "s.npz"
    process = together(out, 2, 0.0)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    assert said.count("no surface") == 1 and f"done {STEPS**2} of {STEPS**2}" in said
    assert_same(Surface.load(out), alone)
    assert [path.name for path in tmp_path.iterdir()] == ["s.npz"]


def test_what_ranks_have_found_before_a_kill_one_process_takes_over(alone, tmp_path):
    out = tmp_path / "s.npz"
    process = together(out, 2, 0.2)
    try:
        for line in process.stdout:
            if line.startswith("done ") and int(line.split()[1]) >= 4:
                break
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    files = find_files(out)
    kept = {cell for path in files for cell in read_cells(path, STEPS)}
    assert 4 <= len(kept) < STEPS**2 and len(files) == 2
    seen = []
    settings = {"precision": "float32", "batch": 8, "progress": lambda state: seen.append(state.done)}
    assert_same(loss_surface(residual(), IMAGES, LABELS, STEPS, out=out, **settings), alone)
    assert seen[0] == len(kept)
    assert [path.name for path in tmp_path.iterdir()] == ["s.npz"]
