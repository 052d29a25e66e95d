"""Passes as CUDA graphs: where none can be captured, the plain pass serves. Replays themselves need a GPU."""

import pytest
import torch

from cnnviz.engine import cuda_graph


def test_what_cannot_be_captured_runs_plainly_also_where_the_capture_is_told_of_twice(monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    def run() -> torch.Tensor:
        return torch.zeros(2, 3)

    monkeypatch.setattr(cuda_graph, "_capture", broken)
    monkeypatch.setattr(torch.cuda, "synchronize", broken)
    assert cuda_graph.capture_graph(run) is run and not cuda_graph._ONE.locked()


@pytest.mark.gpu
def test_a_capture_does_not_mind_what_other_threads_do_on_the_device():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    import threading

    device, done, problems = torch.device("cuda"), threading.Event(), []

    def busy() -> None:
        try:
            while not done.is_set():
                float(torch.ones(1 << 20, device=device).sum())
        except RuntimeError as error:
            problems.append(error)

    numbers, other = torch.arange(6.0, device=device).view(2, 3), threading.Thread(target=busy)
    other.start()
    try:
        for _ in range(5):
            replay = cuda_graph.capture_graph(lambda: numbers * 2)
            assert torch.equal(replay(), numbers * 2) and replay.__name__ == "replay"
    finally:
        done.set()
        other.join()
    assert not problems
