"""Threads that compute with one core each: parts of the work side by side, in place of every operation on all cores.

An operation of a narrow network on a part that fits the cache takes a fraction of a millisecond. Shared by several
cores, it ends when the slowest is done, and the next one waits for that; threads with work of their own wait once."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import nn

Item = TypeVar("Item")
Found = TypeVar("Found")


class CoreWorkers:
    """As many threads as the calling thread has cores for an operation, each of which computes with one.

    They have the priority of the thread that makes them, and end when nobody holds them any more."""

    def __init__(self) -> None:
        self.count, self._own, self._numbers = torch.get_num_threads(), threading.local(), iter(range(1 << 30))
        ready = threading.Barrier(self.count + 1)
        self._pool = ThreadPoolExecutor(self.count, "one core", _begin, (self._own, self._numbers, ready))
        for _ in range(self.count):
            self._pool.submit(int)  # a thread each: none of them is free before all are there
        ready.wait()
        torch.set_num_threads(self.count)  # what a thread says of itself holds for all that come later, too

    def map(self, work: Callable[[int, Item], Found], items: Iterable[Item]) -> list[Found]:
        """`work(worker, item)` for each of them, in their order; `worker`: the number of the thread, from 0. Raises
        what the first that failed has raised, once all others are done or were not begun."""
        given = [self._pool.submit(self._call, work, item) for item in items]
        try:
            return [one.result() for one in given]
        finally:
            for one in given:
                one.cancel()
            for one in given:
                if not one.cancelled():
                    one.exception()

    def _call(self, work: Callable[[int, Item], Found], item: Item) -> Found:
        return work(self._own.number, item)


def _begin(own: threading.local, numbers: Iterator[int], ready: threading.Barrier) -> None:
    own.number = next(numbers)
    torch.set_num_threads(1)
    torch.get_num_threads()  # else the first operation takes the number of the process
    ready.wait()


def copy_sharing_tensors(module: nn.Module) -> nn.Module:
    """A copy for another thread: its parameters and buffers are those of `module`, what its code keeps is its own."""
    tensors = [*module.parameters(), *module.buffers()]
    return copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})
