"""Runs on several processes under torchrun: gather, barrier, progress, and detection of lost ranks."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from cnnviz.errors import BadInput, Cancelled, CnnvizError

SILENCE = 900.0  # seconds without a sign of life after which a rank counts as lost
_HERE = "here"  # on the board: this rank has come to the end
KEPT = "What was finished is kept; the same command goes on."


class RankZeroError(CnnvizError):
    """An error raised at every rank because rank 0 raised it; rank 0 reports it."""


def is_first_process() -> bool:
    """Whether this process is the one of a group that writes: alone, or of rank 0."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank() == 0
    return os.environ.get("RANK", "0") == "0"


def is_launched() -> bool:
    """True in a process that torchrun (or a cluster's launcher that sets the same variables) started with others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and {"RANK", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()


class Group:
    """The ranks of one run. What they exchange is small and lies in main memory, so gloo serves GPUs as well.

    Beside the process group there is a board, a key-value store, on which each rank notes how far it is: so
    whoever waits sees that the others live, however long they take."""

    def __init__(self, board: dist.Store, rank: int, ranks: int) -> None:
        self.board, self.rank, self.ranks = board, rank, ranks
        self.silence = float(os.environ.get("CNNVIZ_RANK_SILENCE", SILENCE))
        self.ended = False  # asked to end, by a signal
        self._noted = 0.0

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, at rank 0; elsewhere an empty list."""
        with self._in_words():
            values = [None] * self.ranks if self.rank == 0 else None
            dist.gather_object(value, values)
            return values or []

    def decide(self, decision: Callable[[], Any]) -> Any:
        """What `decision` returns at rank 0, at every rank. Its CnnvizError ends all, elsewhere as Decided."""
        answer: list[Any] = [None, None]
        failed = None
        if self.rank == 0:
            try:
                answer[0] = decision()
            except CnnvizError as error:
                answer[1], failed = str(error), error
        with self._in_words():
            dist.broadcast_object_list(answer)
        if failed is not None:
            raise failed
        if answer[1] is not None:
            raise RankZeroError(answer[1])
        return answer[0]

    def run_alone(self, work: Callable[[], Any]) -> Any:
        """What `work` returns at rank 0, and None elsewhere, when it is done. Errors as of `decide`."""
        kept = None

        def done() -> None:
            nonlocal kept
            kept = work()

        self.decide(done)
        return kept

    def meet(self) -> None:
        """Block until every rank has come here, at most `silence` seconds."""
        with self._in_words():
            dist.barrier()

    def note(self, done: int, often: float = 0.5) -> None:
        """Write on the board how many images this rank has done, at most every `often` seconds."""
        if time.monotonic() - self._noted > often:
            self._noted = time.monotonic()
            with self._in_words():
                self.board.set(f"at/{self.rank}", f"{done} {time.time_ns()}")

    def count_done(self) -> int:
        """Images that all ranks together have done, as far as the board knows."""
        with self._in_words():
            return sum(int(self._read(f"at/{rank}", "0").split()[0]) for rank in range(self.ranks))

    def wait(self, report: Callable[[], Any]) -> None:
        """Block until every rank has come here; `report` is called ten times a second meanwhile.

        Raises CnnvizError if one stopped, or was not heard of for `silence` seconds; Cancelled when this
        process is asked to end."""
        with self._in_words():
            self.board.set(f"end/{self.rank}", _HERE)
            heard = {rank: ("", time.monotonic()) for rank in range(self.ranks)}
            while waiting := [rank for rank in heard if self._read(f"end/{rank}", "") != _HERE]:
                self._refuse_the_lost(waiting, heard)
                report()
                time.sleep(0.1)

    def _refuse_the_lost(self, waiting: list[int], heard: dict[int, tuple[str, float]]) -> None:
        if self.ended:
            raise Cancelled(f"Rank {self.rank} was asked to end. {KEPT}")
        for rank in waiting:
            if (reason := self._read(f"end/{rank}", _HERE)) != _HERE:  # it may have come since it was asked
                raise CnnvizError(f"Rank {rank} stopped: {reason} {KEPT}")
            state = self._read(f"at/{rank}", "")
            if state != heard[rank][0]:
                heard[rank] = state, time.monotonic()
            if time.monotonic() - heard[rank][1] > self.silence:
                raise CnnvizError(f"Rank {rank} has not been heard of for {self.silence:.0f} s. {KEPT}")

    def leave(self) -> None:
        """Block until every rank has received its last message: closing a connection early can cut it off."""
        end = time.monotonic() + min(self.silence, 60.0)  # all is saved by now
        with suppress(RuntimeError):  # the board is gone: rank 0, which keeps it, has seen all leave
            self.board.set(f"left/{self.rank}", "")
            while not self.board.check([f"left/{rank}" for rank in range(self.ranks)]) and time.monotonic() < end:
                time.sleep(0.02)

    def report_stop(self, reason: str) -> None:
        """Tell the others that this rank ends before its time."""
        with suppress(RuntimeError):
            self.board.set(f"end/{self.rank}", reason.removesuffix(KEPT).strip() or "for no reason it could name.")

    def _read(self, key: str, otherwise: str) -> str:
        return self.board.get(key).decode() if self.board.check([key]) else otherwise

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # dist.DistError is one; gloo raises the bare class
            first = (str(error).strip().splitlines() or ["no reason given"])[0]
            raise CnnvizError(f"Rank {self.rank} lost its connection to the others ({first[:160]}). {KEPT}") from error


@contextmanager
def join_group() -> Iterator[Group]:
    """Join the group of ranks; the others are notified of this rank's end, also after an exception.

    Inside, SIGTERM, by which torchrun ends the others when one rank has died, only sets `ended`, so that
    what was found can still be saved. Raises BadInput if the ranks do not find each other."""
    if not dist.is_available():
        raise BadInput("This build of PyTorch has no torch.distributed: start one process, without torchrun.")
    timeout = timedelta(seconds=float(os.environ.get("CNNVIZ_RANK_SILENCE", SILENCE)))
    try:
        store, rank, ranks = next(dist.rendezvous("env://", timeout=timeout))
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        dist.init_process_group(
            "gloo", store=dist.PrefixStore(f"{attempt}/gloo", store), rank=rank, world_size=ranks, timeout=timeout
        )
    except (RuntimeError, ValueError) as error:
        raise BadInput(f"The ranks did not find each other ({error}). Start them with torchrun.") from error
    group = Group(dist.PrefixStore(f"{attempt}/board", store), rank, ranks)
    try:
        with _catch_end(group):
            yield group
            group.leave()
    except BaseException as error:
        group.report_stop(str(error) if isinstance(error, CnnvizError) else type(error).__name__ + ".")
        raise
    finally:
        dist.destroy_process_group()


@contextmanager
def _catch_end(group: Group) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals can only be caught in the main thread
        return

    def end(*_: Any) -> None:
        group.ended = True

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
