"""Running a private copy of the network at each point: folded, fused, in one precision, over the same images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from cnnviz.device import fuses_bfloat16, halving, out_of_memory
from cnnviz.engine.core_workers import CoreWorkers, copy_sharing_tensors
from cnnviz.engine.cuda_graph import capture_graph
from cnnviz.engine.fold_batchnorm import ConvNorm, copy_folded
from cnnviz.engine.fuse_relu import Fusion, fuse
from cnnviz.landscape.evaluate.loss import Images, average, exactness, score
from cnnviz.landscape.results import Measured

SIZES = (16, 32, 64, 128, 256, 512, 1024)  # images of one pass that are compared on a CPU
ROUNDS, SLOWER = 3, 1.1  # passes timed a size; how much slower an image may be before the search ends
_LOWERED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


class Runner:
    """`module` is copied, folded, and fused where `fused` names convolutions and the processor can. With
    `bfloat16` its convolutions and linear layers hold bfloat16 weights, so that autocast need not convert
    them again for every part. `size`: images of one pass; 0: measured.

    On a CPU of several cores the parts are computed side by side, one core each, unless passes on all cores were
    measured to be faster."""

    def __init__(
        self,
        module: nn.Module,
        folds: tuple[ConvNorm, ...],
        fused: tuple[Fusion, ...],
        images: Images,
        bfloat16: bool,
        size: int = 0,
    ) -> None:
        fused = fused if not bfloat16 or fuses_bfloat16() else ()
        self.images, self.bfloat16, self.folds, self.fused = images, bfloat16, folds, fused
        self.device = images.labels.device
        self.module = copy_folded(module, folds).to(memory_format=images.memory_format)
        if bfloat16:
            _lower(self.module)
        fuse(self.module, fused)
        self.tensors = named_tensors(self.module)
        self.holder: object | None = None  # whose tensors were set last
        self.size = size
        self.side_by_side = self.device.type == "cpu" and torch.get_num_threads() > 1
        self._workers: CoreWorkers | None = None
        self._twins: list[nn.Module] = []  # of each worker
        self._pass: Callable[[], Tensor] | None = None

    def set(self, tensors: Mapping[str, Tensor], holder: object | None = None) -> None:
        """Give the network these tensors; others stay as they were."""
        with torch.no_grad():
            for name, tensor in tensors.items():
                self.tensors[name].copy_(tensor)
        self.holder = holder

    def resize(self, size: int) -> None:
        """Take another number of images a pass."""
        self.size, self._pass = size, None

    def run(self) -> Measured:
        """Loss and accuracy over all images; where memory is short, with fewer of them a pass from now on."""
        if not self.size:
            self.size = self._find_fastest()
        return halving(self._run, min(self.size, self.images.count), self.device)

    def _run(self, size: int) -> Measured:
        if size < min(self.size, self.images.count):
            self.resize(size)
        with exactness(self.device, self.bfloat16):
            if self._pass is None:
                self._pass = capture_graph(self._score) if self.device.type == "cuda" else self._score
            return average(self._pass())

    def _score(self) -> Tensor:
        return torch.cat(self._score_parts(self.images.split(self.size)), dim=1)

    def _score_parts(self, rows: list[slice]) -> list[Tensor]:
        if not self.side_by_side or len(rows) < 2:
            return [self._score_part(self.module, part) for part in rows]
        if self._workers is None:
            self._workers = CoreWorkers()
            self._twins = [copy_sharing_tensors(self.module) for _ in range(self._workers.count)]
        return self._workers.map(self._score_beside, rows)

    def _score_beside(self, worker: int, rows: slice) -> Tensor:
        with exactness(self.device, self.bfloat16):  # holds for one thread
            return self._score_part(self._twins[worker], rows)

    def _score_part(self, module: nn.Module, rows: slice) -> Tensor:
        module.eval()  # some networks forget there what they derived from other weights
        return score(module, *self.images.part(rows), self.images.ending)

    def _find_fastest(self) -> int:
        """The number of images a pass at which an image takes least time, on some of the images: of passes side by
        side, where that is possible, and of single ones.

        On a CPU, feature maps that stay in the cache can be up to twice as fast; on a GPU larger is better."""
        cores = min(torch.get_num_threads(), self.images.count) if self.side_by_side else 1
        if cores == 1:
            return self._search(1)[1]
        found = []
        for self.side_by_side in (True, False):
            found.append((*self._search(cores if self.side_by_side else 1), self.side_by_side))
        _, size, self.side_by_side = min(found)
        if not self.side_by_side:
            return size
        rounds = math.ceil(self.images.count / (size * cores))
        return math.ceil(self.images.count / (rounds * cores))  # every core has as many parts

    def _search(self, cores: int) -> tuple[float, int]:
        """(seconds an image, images a pass) at the fastest, with so many passes at once. It goes up until an image
        takes clearly longer, or twice in a row no less."""
        sizes = [size * (1 if self.device.type == "cpu" else 16) for size in SIZES]
        sizes = [size for size in sizes if size * cores <= self.images.count] or [math.ceil(self.images.count / cores)]
        chosen, least, worse = sizes[0], math.inf, 0
        for size in sizes:
            times = [self._time_pass(size, cores) for _ in range(ROUNDS + 1)]
            known = [seconds for seconds in times[1:] if seconds is not None]  # the first pass fetches its memory
            if None in times or (each := min(known) / (size * cores)) > SLOWER * least:
                break
            if each < least:
                chosen, least, worse = size, each, 0
            elif (worse := worse + 1) == 2:
                break
        return least, chosen

    def _time_pass(self, size: int, cores: int) -> float | None:
        """Of passes of `size` images, so many at once; None if the device has no room for them."""
        try:
            with exactness(self.device, self.bfloat16):
                started = time.perf_counter()
                scored = self._score_parts(self.images.split(size)[:cores])
                float(torch.cat(scored, dim=1).sum())  # waits for the device
                return time.perf_counter() - started
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            return None


def named_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, those that are shared once."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _lower(module: nn.Module) -> None:
    for child in module.modules():
        if type(child) in _LOWERED:
            child.to(torch.bfloat16)
