"""CUDA graph of the pass over all images: one launch a point in place of hundreds of small ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor

WARM = 3  # runs before the capture, in which libraries choose their algorithms
CLOSE = 1e-3  # largest relative difference of a loss between the replay and the plain run
_ONE = threading.Lock()  # captures of one process share its allocator


def capture_graph(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """`run`, which reads and writes tensors on a CUDA device that stay where they are, as a captured graph.

    `run` itself where it cannot be captured, or where the replay gives something else. Other threads may use the
    device meanwhile."""
    try:
        with _ONE:
            return _capture(run)
    except RuntimeError:  # the capture met what a graph cannot hold, or the memory did not suffice
        with suppress(RuntimeError):  # what the capture left behind may be told here once more
            torch.cuda.synchronize()
        return run


def _capture(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(WARM):
            want = run()
    torch.cuda.current_stream().wait_stream(beside)
    want = want.clone()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # "global" fails for what other threads do
        output = run()

    def replay() -> Tensor:
        graph.replay()
        return output

    have = replay()
    scale = want[0].abs().clamp(min=1.0)
    agree = ((have[0] - want[0]).abs() <= CLOSE * scale) | (have[0] == want[0])
    return replay if bool(agree.all()) else run
