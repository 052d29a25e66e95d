"""One private network whose tensors are set for each point: folded, fused, in one precision, over the same images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from cnnviz.device import halving, out_of_memory
from cnnviz.landscape.folding import Pair, folded_copy
from cnnviz.landscape.fusing import Fusion, fuse
from cnnviz.landscape.replaying import replayed
from cnnviz.landscape.results import Measured
from cnnviz.landscape.scoring import Images, exactness, measured, scores
from cnnviz.probes.flattening import Flat, flattened, same

SIZES = (64, 128, 256, 512, 1024)  # images of one pass that are compared on a CPU
RECORDED = 8  # runs after which the pass is recorded: for fewer it does not pay
ROUNDS, SLOWER = 3, 1.1  # passes timed a size; how much slower an image may be before the search ends
_LOWERED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


class Runner:
    """`module` is copied, folded, and fused where `fused` names convolutions. With
    `bfloat16` its convolutions and linear layers hold bfloat16 weights, so that autocast need not convert
    them again for every part. `size`: images of one pass; 0: measured. On a CPU a pass is recorded after a few
    runs, see `probes.flattening`."""

    def __init__(
        self,
        module: nn.Module,
        folds: tuple[Pair, ...],
        fused: tuple[Fusion, ...],
        images: Images,
        bfloat16: bool,
        size: int = 0,
    ) -> None:
        self.images, self.bfloat16, self.folds, self.fused = images, bfloat16, folds, fused
        self.device = images.labels.device
        self.module = folded_copy(module, folds).to(memory_format=torch.channels_last)
        if bfloat16:
            _lower(self.module)
        fuse(self.module, fused)
        self.tensors = named_tensors(self.module)
        self.holder: object | None = None  # whose tensors were set last
        self.size = size
        self.records = self.device.type == "cpu"  # whether a pass may be recorded
        self._pass: Callable[[], Tensor] | None = None
        self._runs = 0
        self._flat: dict[torch.Size, Flat] = {}

    def set(self, tensors: Mapping[str, Tensor], holder: object | None = None) -> None:
        """Give the network these tensors; others stay as they were."""
        with torch.no_grad():
            for name, tensor in tensors.items():
                self.tensors[name].copy_(tensor)
        self.holder = holder
        for flat in self._flat.values():
            flat.pack()

    def resize(self, size: int) -> None:
        """Take another number of images a pass."""
        self.size, self._pass = size, None
        self._runs, self._flat = 0, {}

    def run(self) -> Measured:
        """Loss and accuracy over all images; where memory is short, with fewer of them a pass from now on."""
        if not self.size:
            self.size = self._fastest()
        return halving(self._run, min(self.size, self.images.count), self.device)

    def _run(self, size: int) -> Measured:
        if size < min(self.size, self.images.count):
            self.resize(size)
        with exactness(self.device, self.bfloat16):
            if self._pass is None:
                self._pass = replayed(self._scored) if self.device.type == "cuda" else self._scored
            return measured(self._pass())

    def _scored(self) -> Tensor:
        self._runs += self.records
        if self._runs == RECORDED:
            self._record()
        trusted = self._flat if self._runs > RECORDED + 1 else {}
        parts = [
            trusted.get(images.shape, self._plain)(images, labels) for images, labels in self.images.parts(self.size)
        ]
        if self._runs == RECORDED + 1 and not self._still_agrees(parts):
            self._flat = {}
        return torch.cat(parts, dim=1)

    def _plain(self, images: Tensor, labels: Tensor) -> Tensor:
        return scores(self.module, images, labels)

    def _record(self) -> None:
        """Record the pass over a part; the parts of one size share a record."""
        for images, labels in self.images.parts(self.size):
            if images.shape not in self._flat and (flat := flattened(self._plain, images, labels)) is not None:
                self._flat[images.shape] = flat

    def _still_agrees(self, parts: list[Tensor]) -> bool:
        """Whether the records, made at another point, give `parts` too: they hold nothing that the weights decide."""
        return all(
            same(self._flat[images.shape](images, labels), part)
            for (images, labels), part in zip(self.images.parts(self.size), parts, strict=True)
            if images.shape in self._flat
        )

    def _fastest(self) -> int:
        """The number of images a pass at which an image takes least time, on some of the images; the search goes up
        as long as larger is not clearly slower.

        On a CPU, feature maps that stay in the cache can be up to twice as fast; on a GPU larger is better."""
        sizes = [size * (1 if self.device.type == "cpu" else 16) for size in SIZES]
        sizes = [size for size in sizes if size <= self.images.count] or [self.images.count]
        chosen, least = sizes[0], math.inf
        for size in sizes if len(sizes) > 1 else ():
            first, *times = (self._seconds(size) for _ in range(ROUNDS + 1))  # the first pass fetches its memory
            if first is None or None in times or (each := min(times) / size) > SLOWER * least:
                break
            if each < least:
                chosen, least = size, each
        return chosen

    def _seconds(self, size: int) -> float | None:
        """Of one pass of `size` images; None if the device has no room for it."""
        images, labels = next(self.images.parts(size))
        try:
            with exactness(self.device, self.bfloat16):
                started = time.perf_counter()
                float(scores(self.module, images, labels).sum())  # waits for the device
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
