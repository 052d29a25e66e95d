"""Running a private copy of the network at each point: folded, fused, in one precision, over the same images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from cnnviz.device import fuses_bfloat16, halving, out_of_memory
from cnnviz.engine.cuda_graph import capture_graph
from cnnviz.engine.fold_batchnorm import ConvNorm, copy_folded
from cnnviz.engine.fuse_relu import Fusion, fuse
from cnnviz.landscape.evaluate.loss import Images, average, exactness, score
from cnnviz.landscape.results import Measured

SIZES = (64, 128, 256, 512, 1024)  # images of one pass that are compared on a CPU
ROUNDS, SLOWER = 3, 1.1  # passes timed a size; how much slower an image may be before the search ends
_LOWERED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


class Runner:
    """`module` is copied, folded, and fused where `fused` names convolutions and the processor can. With
    `bfloat16` its convolutions and linear layers hold bfloat16 weights, so that autocast need not convert
    them again for every part. `size`: images of one pass; 0: measured."""

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
        return torch.cat([self._score_part(*part) for part in self.images.parts(self.size)], dim=1)

    def _score_part(self, images: Tensor, labels: Tensor) -> Tensor:
        self.module.eval()  # some networks forget there what they derived from other weights
        return score(self.module, images, labels, self.images.ending)

    def _find_fastest(self) -> int:
        """The number of images a pass at which an image takes least time, on some of the images; the search goes up
        as long as larger is not clearly slower.

        On a CPU, feature maps that stay in the cache can be up to twice as fast; on a GPU larger is better."""
        sizes = [size * (1 if self.device.type == "cpu" else 16) for size in SIZES]
        sizes = [size for size in sizes if size <= self.images.count] or [self.images.count]
        chosen, least = sizes[0], math.inf
        for size in sizes if len(sizes) > 1 else ():
            times = [self._time_pass(size) for _ in range(ROUNDS + 1)]
            known = [seconds for seconds in times[1:] if seconds is not None]  # the first pass fetches its memory
            if None in times or (each := min(known) / size) > SLOWER * least:
                break
            if each < least:
                chosen, least = size, each
        return chosen

    def _time_pass(self, size: int) -> float | None:
        """Of one pass of `size` images; None if the device has no room for it."""
        images, labels = next(self.images.parts(size))
        try:
            with exactness(self.device, self.bfloat16):
                started = time.perf_counter()
                float(score(self.module, images, labels, self.images.ending).sum())  # waits for the device
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
