"""Choosing the batch size of forward passes on this device by timing a few."""

from __future__ import annotations

import time
from contextlib import nullcontext
from math import prod
from weakref import WeakKeyDictionary

import torch
from torch import nn

from cnnviz.device import out_of_memory
from cnnviz.models.model import LoadedModel

SMALL = 8  # for short runs, where measuring would not pay
PIXELS = 32 * 224 * 224  # of the largest batch that is tried on a CPU
ROUNDS, PATIENCE = 4, 2.0  # rounds of measuring at most, and seconds after which none is begun
VISIT = 5e-5  # seconds that a pass takes longer for each layer that is looked at, on a CPU, whatever its size
NEARLY = 1.05  # on a CPU the smallest size that is nearly as fast as the best: so much differs from time to time
_KNOWN: WeakKeyDictionary[nn.Module, dict[tuple, dict[int, float]]] = WeakKeyDictionary()


def choose_batch_size(model: LoadedModel, bfloat16: bool = False, layers: int = 0) -> int:
    """The batch size, a power of two, at which forward passes that look at so many layers are expected to be fastest.

    Four sizes are compared in turn, each at its best round, since others may be using the machine. On a CPU
    small batches, whose feature maps stay in the cache, can be up to twice as fast as large ones, and the smallest
    that is NEARLY the best is taken.
    Remembered for each model, device and precision; the model's lock is held for one pass at a time."""
    key = (str(model.device), model.input_size, bfloat16)
    known = _KNOWN.setdefault(model.module, {})
    if key not in known:
        known[key] = _measure(model, bfloat16)
    seconds = known[key]

    def expected(size: int) -> float:
        return seconds[size] + VISIT * layers / size

    fastest = min(map(expected, seconds), default=0.0) * (NEARLY if model.device.type == "cpu" else 1)
    return min((size for size in seconds if expected(size) <= fastest), default=SMALL)


def list_sizes(model: LoadedModel) -> list[int]:
    """The four sizes that are compared, smallest first; an accelerator is given eight times more."""
    largest = min(256, 1 << ((PIXELS // prod(model.input_size[1:])).bit_length() - 1))
    largest = max(8, largest) * (1 if model.device.type == "cpu" else 8)
    return [largest >> i for i in (3, 2, 1, 0)]


def _measure(model: LoadedModel, bfloat16: bool) -> dict[int, float]:
    """{batch size: seconds an image}; {} where there is no room for any."""
    tried, seconds = list_sizes(model), dict[int, float]()
    started = time.monotonic()
    for size in tried * ROUNDS:
        if seconds and time.monotonic() - started > PATIENCE:
            break
        if (found := _time_pass(model, size, bfloat16)) is None:
            tried = [smaller for smaller in tried if smaller < size]
        elif size in tried:
            seconds[size] = min(found / size, seconds.get(size, found))
    return seconds


def _time_pass(model: LoadedModel, size: int, bfloat16: bool) -> float | None:
    """Of one pass; None if the device has no room for it."""
    device = model.device
    autocast = torch.autocast(device.type, torch.bfloat16) if bfloat16 else nullcontext()
    try:
        with model.lock, torch.inference_mode(), autocast:
            batch = model.lay_out(torch.zeros((size, *model.input_size), device=device))
            started = time.perf_counter()
            model.module(batch)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            return time.perf_counter() - started
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return None
