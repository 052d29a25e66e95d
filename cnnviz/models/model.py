"""A network ready to be looked at: module, classes, preprocessing, device and the lock that guards it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.device import exact_float32, halving
from cnnviz.display import Displayed
from cnnviz.errors import BadInput
from cnnviz.models.fingerprint import extra_bytes
from cnnviz.models.memory_format import choose_memory_format, lay_out

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import nn

    from cnnviz.data.corpus import Corpus
    from cnnviz.models.checkpoint.match import LoadReport


BATCH = 64  # images in one forward pass of predict and capture


@dataclass(slots=True, eq=False)
class LoadedModel(Displayed):
    """A network in eval mode with frozen parameters, shared by threads. On CUDA it computes in float32, never in TF32:
    see `device.exact_float32`.

    Whoever hooks it, needs gradients or changes its mode holds `lock` meanwhile. `origin`: "random",
    "pretrained", "packaged", "bundled", "epoch-5" or the name of a file. `fingerprint`: see there.
    `report`: how a file's tensors were matched; None when nothing was read. `notes`: metadata of the
    weights (recipe, accuracy, what was assumed). `memory_format`: of weights and batches, channels_last unless the
    network runs in contiguous_format alone, see `models.memory_format`.

    Example:
        >>> import cnnviz
        >>> model = cnnviz.load("lenet5", device="cpu")
        >>> three = cnnviz.corpus("digits").image(3)
        >>> model.class_names[model.predict(three).argmax()]
        '3'
    """

    module: nn.Module
    name: str
    preprocessing: Preprocessing
    class_names: list[str]
    device: torch.device
    origin: str = "random"
    report: LoadReport | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    memory_format: torch.memory_format = field(init=False, repr=False)
    _fingerprint: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.device.type == "cuda":
            exact_float32()
        self.module.eval().requires_grad_(False).to(self.device)
        self.memory_format = choose_memory_format(self.module, self.input_size)
        self.module.to(memory_format=self.memory_format)

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, H, W) that `preprocess` yields."""
        return (self.preprocessing.channels, *self.preprocessing.size)

    @property
    def fingerprint(self) -> str:
        """sha256, hex, of the architecture's name, every tensor and the preprocessing; of what else decides about the
        values only where there is any: see `models.fingerprint`."""
        if not self._fingerprint:
            digest = hashlib.sha256(f"{self.name}|{sorted(self.preprocessing.as_dict().items())}".encode())
            for key, tensor in self.module.state_dict().items():
                digest.update(f"{key}{tuple(tensor.shape)}{tensor.dtype}".encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().data)  # its memory, not a copy
            for part in extra_bytes(self.module, self.name):
                digest.update(part)
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def receive(self, image: np.ndarray | Image.Image) -> np.ndarray:
        """What the network sees before normalisation: uint8 (H, W, C)."""
        return self.preprocessing.receive(image)

    def received_from(self, corpus: Corpus, index: int) -> np.ndarray:
        """What the network sees of image `index` of a corpus: uint8 (H, W, C). See `Preprocessing.received_from`."""
        return self.preprocessing.received_from(corpus, index)

    def preprocess(self, image: np.ndarray | Image.Image) -> torch.Tensor:
        """RGB uint8 (H, W, 3) or PIL image → float32 (C, H, W), normalised, on the CPU.

        Raises BadInput for other kinds of array."""
        import torch

        return self.preprocessing.normalise(torch.from_numpy(self.receive(image)))

    def batch(self, images: Any) -> torch.Tensor:
        """(N, C, H, W) float32 on the device, from one image, several, or a ready tensor."""
        import torch

        if isinstance(images, torch.Tensor):
            ready = images if images.ndim == 4 else images[None]
            if ready.shape[1] != self.input_size[0]:
                raise BadInput(
                    f"{self.name} expects tensors (N, {self.input_size[0]}, H, W), got {tuple(images.shape)}."
                )
            return self.lay_out(ready.to(self.device, torch.float32))
        if not isinstance(images, Sequence) and getattr(images, "ndim", 3) != 4:
            images = [images]
        if not len(images):
            raise BadInput("Expected at least one image, got none.")
        received = torch.from_numpy(np.stack([self.receive(image) for image in images]))
        return self.normalise(received)

    def lay_out(self, batch: torch.Tensor) -> torch.Tensor:
        """A batch (N, C, H, W) in the network's memory format."""
        return lay_out(batch, self.memory_format)

    def normalise(self, received: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, C) as received → float32 (N, C, H, W), on the device, in the network's memory format."""
        return self.lay_out(self.preprocessing.normalise_channels_last(received.to(self.device, non_blocking=True)))

    def batches(self, images: Any, size: int = BATCH) -> Iterator[torch.Tensor]:
        """`batch` in parts of at most `size` images, so that memory does not grow with their number."""
        if not _are_several(images) or not len(images):
            yield self.batch(images)
            return
        for start in range(0, len(images), size):
            yield self.batch(images[start : start + size])

    def at_once(self, images: Any) -> int:
        """How many of `images` one forward pass takes if memory allows: at most BATCH."""
        return max(1, min(BATCH, len(images))) if _are_several(images) else 1

    def logits(self, images: Any) -> np.ndarray:
        """(N, classes) float32 scores before the softmax. `images`: as for `batch`, any number. Where memory is short,
        fewer go through the network at once; raises DeviceLost if there is no room for one."""
        return halving(lambda size: self._logits(images, size), self.at_once(images), self.device)

    def _logits(self, images: Any, size: int) -> np.ndarray:
        import torch

        scores = []
        with self.lock, torch.inference_mode():
            for batch in self.batches(images, size):
                output = self.module(batch)
                output = output[0] if isinstance(output, tuple | list) else output
                scores.append(output.flatten(1).float().cpu().numpy())
        return np.concatenate(scores)

    def predict(self, images: Any) -> np.ndarray:
        """(N, classes) probabilities, float32: the softmax, whose rows sum to 1; of a network with one output its
        logistic function, the probability of "yes". `images`: as for `batch`."""
        return probabilities(self.logits(images)).astype(np.float32)

    def layers(self, kind: str | None = None) -> list[str]:
        """Names worth looking at, in the order of definition.

        `kind`: "conv", "pool", "linear" or "block" (a module that contains convolutions and computes,
        e.g. a residual block); None returns all of them."""
        return [name for name, found in layer_kinds(self.module).items() if kind in (None, found)]


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, float64; of a single logit its logistic function, as it is trained with."""
    scores = logits.astype(np.float64)
    if scores.shape[-1] == 1:
        return np.exp(-np.logaddexp(0.0, -scores))
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return scores / scores.sum(axis=-1, keepdims=True)


def decided(shares: np.ndarray) -> np.ndarray:
    """The most probable class along the last axis of `probabilities`; of a single output 1, yes, from a half on, else
    0, no: its only class would always win."""
    return (shares[..., 0] >= 0.5).astype(np.int64) if shares.shape[-1] == 1 else shares.argmax(axis=-1)


def _are_several(images: Any) -> bool:
    return isinstance(images, Sequence) or getattr(images, "ndim", 3) == 4


def layer_kinds(module: nn.Module) -> dict[str, str]:
    """{name: "conv" | "pool" | "linear" | "block"} of the sub-modules that make or shape features."""
    from torch import nn

    convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
    pools = ("MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "LPPool2d")
    containers = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
    kinds: dict[str, str] = {}
    for name, child in module.named_modules():
        if not name:
            continue
        if isinstance(child, convolutions):
            kinds[name] = "conv"
        elif isinstance(child, nn.Linear):
            kinds[name] = "linear"
        elif type(child).__name__ in pools:
            kinds[name] = "pool"
        elif not isinstance(child, containers) and any(isinstance(m, convolutions) for m in child.modules()):
            kinds[name] = "block"
    return kinds
