"""Loading images in batches for a pass over a corpus, decoded by threads between passes or by worker processes."""

from __future__ import annotations

import ast
import os
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadImage, CnnvizError
from cnnviz.models.model import LoadedModel

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus

CHUNK = 256  # images decoded together before the network gets its cores back, which takes both a few milliseconds
CHUNK_BYTES = 64 << 20  # of their pixels at most, or one batch
PATIENCE = 0.5  # seconds that it waits for them; where files come slowly, the first need not wait for the others
Span = tuple[int, int]  # positions low … high - 1 of a corpus


@dataclass(frozen=True, slots=True)
class Batch:
    """Decoded images of one span. `pixels`: uint8 (B, H, W, C), None if none could be read. `positions`:
    where they are in the corpus. `faults`: (position, reason) of the others. `end`: the span's end."""

    pixels: Tensor | None
    positions: list[int]
    faults: list[tuple[int, str]]
    end: int


def feed(model: LoadedModel, corpus: Corpus, spans: list[Span], workers: int | None = None) -> Iterator[Batch]:
    """One Batch a span, in order.

    `workers`: processes that decode ahead; None takes none on a CPU, where they would compete with the
    network for the same cores (a chunk is decoded on all of them, then the network has them all), and as
    many as there are spare cores beside an accelerator; there, too, none from a script that does not guard its
    main part, with a warning, since every process would run the script again."""
    if workers is None:
        workers = 0 if model.device.type == "cpu" else _count_spare_workers()
    return _feed_ahead(model, corpus, spans, workers) if workers else _feed_in_turn(model, corpus, spans)


def _count_spare_workers() -> int:
    if may_start_processes():
        return max(1, min(16, (os.cpu_count() or 2) - 1))
    script = sys.modules["__main__"].__file__
    slower = f"Images are decoded in this process alone, which is slower: put what {script} does below "
    warnings.warn(slower + '`if __name__ == "__main__":`, or worker processes would run it again.', stacklevel=3)
    return 0


def may_start_processes() -> bool:
    """Whether a new process, which imports the main module, would not start its work once more: there is no file (a
    notebook, the prompt), it is a package run by `python -m`, or it has an `if __name__ == …` at its outer level."""
    main = sys.modules["__main__"]
    path, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    if path is None or (spec is not None and spec.name.split(".")[-1] == "__main__"):
        return True
    try:
        body = ast.parse(Path(path).read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return False
    tests = [ast.walk(node.test) for node in body if isinstance(node, ast.If)]
    return any(isinstance(part, ast.Name) and part.id == "__name__" for test in tests for part in test)


def _feed_in_turn(model: LoadedModel, corpus: Corpus, spans: list[Span]) -> Iterator[Batch]:
    """Chunks grow from one batch to CHUNK images or CHUNK_BYTES, so that the first results come early."""
    preprocessing, at, many, threads = model.preprocessing, 0, 1, os.cpu_count() or 2
    most = min(CHUNK, CHUNK_BYTES // prod(model.input_size))
    over = False
    with ThreadPoolExecutor(threads) as pool:

        def submit(low: int, high: int, parts: int) -> list[Future[Batch]]:
            step = -(-(high - low) // parts)
            return [pool.submit(read, start, min(start + step, high)) for start in range(low, high, step)]

        def read(low: int, high: int) -> Batch:
            return _make_batch((low, high), [_read(corpus, preprocessing, i) for i in range(low, high) if not over])

        try:
            while at < len(spans):
                chunk = spans[at : at + many]
                even = len(chunk) >= 2 * threads and len(chunk) % threads == 0
                parts = 1 if even else threads  # else all threads work on each batch, so that none waits at the end
                futures = [submit(*span, parts) for span in chunk]
                wait([future for waiting in futures for future in waiting], PATIENCE)
                for waiting in futures:
                    yield _join([future.result() for future in waiting])
                at += many
                size = max(span[1] - span[0] for span in chunk)
                many = min(2 * many, max(1, most // size))
        finally:  # who cancels does not wait for images that nobody will look at
            over = True
            pool.shutdown(wait=False, cancel_futures=True)


def _feed_ahead(model: LoadedModel, corpus: Corpus, spans: list[Span], workers: int) -> Iterator[Batch]:
    decoder, many = _Decoder(corpus, model.preprocessing, spans), min(workers, len(spans) or 1)
    loader = DataLoader(decoder, None, num_workers=many, prefetch_factor=2, multiprocessing_context="spawn")
    try:
        yield from loader
    except RuntimeError as error:
        if "worker" not in str(error):
            raise
        raise CnnvizError(
            f"A process that decodes images ended: {error}. It may have run out of memory: use fewer workers, or 0. "
            'In a script, everything that runs must stand below `if __name__ == "__main__":`, or workers=0. '
            "What was finished is kept; the same run goes on."
        ) from error


class _Decoder(Dataset):
    """Spans of a corpus as decoded batches, for worker processes."""

    def __init__(self, corpus: Corpus, preprocessing: Preprocessing, spans: list[Span]) -> None:
        self.corpus, self.preprocessing, self.spans = corpus, preprocessing, spans

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, index: int) -> Batch:
        span = self.spans[index]
        return _make_batch(span, [_read(self.corpus, self.preprocessing, i) for i in range(*span)])


def _read(corpus: Corpus, preprocessing: Preprocessing, position: int) -> np.ndarray | str:
    """What the network sees of an image, or why it cannot be read."""
    try:
        return preprocessing.received_from(corpus, position)
    except BadImage as error:
        return str(error)


def _make_batch(span: Span, read: list[Any]) -> Batch:
    good = [(span[0] + i, found) for i, found in enumerate(read) if not isinstance(found, str)]
    faults = [(span[0] + i, found) for i, found in enumerate(read) if isinstance(found, str)]
    pixels = torch.from_numpy(np.stack([found for _, found in good])) if good else None
    return Batch(pixels, [position for position, _ in good], faults, span[1])


def _join(parts: list[Batch]) -> Batch:
    """Batches that follow upon each other as one."""
    if len(parts) == 1:
        return parts[0]
    pixels = [part.pixels for part in parts if part.pixels is not None]
    positions, faults = ([one for part in parts for one in getattr(part, name)] for name in ("positions", "faults"))
    return Batch(torch.cat(pixels) if pixels else None, positions, faults, parts[-1].end)
