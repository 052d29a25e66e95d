"""A network ready to be looked at: module, classes, preprocessing, device and the lock that guards it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.data.preprocessing import Preprocessing, check_normalised
from cnnviz.device import exact_float32, halving
from cnnviz.display import Displayed
from cnnviz.errors import BadInput
from cnnviz.models.fingerprint import extra_bytes, tensor_bytes
from cnnviz.models.memory_format import lay_out
from cnnviz.models.output import decided, find_scores, probabilities, to_logits
from cnnviz.models.prepare import prepare, refuse_scripted, without_checkpointing
from cnnviz.models.state import settle, state_token
from cnnviz.models.trial import Trial, try_known, try_network
from cnnviz.wording import plural

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import nn

    from cnnviz.data.corpus import Corpus
    from cnnviz.models.checkpoint.match import LoadReport


__all__ = ["BATCH", "LoadedModel", "NetworkLock", "decided", "layer_kinds", "probabilities"]
BATCH = 64  # images in one forward pass of predict and capture


class NetworkLock:
    """The lock of a network. Inside `with` the network is in eval mode, also if someone has left it in training; then
    its modules get back the mode that they had. May be entered again by the thread that holds it."""

    def __init__(self, module: nn.Module, name: str) -> None:
        self._name = name
        self._lock, self._module, self._depth = threading.RLock(), module, 0
        self._training: list[nn.Module] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As of `threading.RLock`; leaves the mode alone."""
        return self._lock.acquire(blocking, timeout)

    def release(self) -> None:
        """As of `threading.RLock`."""
        self._lock.release()

    def __enter__(self) -> NetworkLock:
        self._lock.acquire()
        if not self._depth:
            self._check()
        self._depth += 1
        if self._depth == 1:
            self._training = [child for child in self._module.modules() if child.training]
            if self._training:
                self._module.eval()
        return self

    def _check(self) -> None:
        """Give the lock back if a part was made TorchScript after loading."""
        try:
            refuse_scripted(self._module, self._name)
        except BadInput:
            self._lock.release()
            raise

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            for child in self._training:
                child.training = True
            self._training = []
        self._lock.release()


@dataclass(slots=True, eq=False, repr=False)
class LoadedModel(Displayed):
    """A network in eval mode with frozen parameters, shared by threads. On CUDA it computes in float32, never in TF32:
    see `device.exact_float32`. `module` is taken over: give a copy of a network that goes on being trained.

    Whoever hooks it, needs gradients or changes its mode holds `lock` meanwhile. `origin`: "random",
    "pretrained", "packaged", "bundled", "epoch-5" or the name of a file. `fingerprint`: see there.
    `report`: how a file's tensors were matched; None when nothing was read. `notes`: metadata of the
    weights (recipe, accuracy, what was assumed). `known`: its code is cnnviz's own, so that less is tried. `trial`:
    what a few passes at loading told, see `models.trial`: the memory format of weights and batches, whether images
    may share a pass, and the function that the network ends in.
    Raises BadInput for a network that cannot be looked into.

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
    known: bool = False
    lock: NetworkLock = field(init=False, repr=False)
    trial: Trial = field(init=False, repr=False)
    _fingerprint: str = field(default="", init=False, repr=False)
    _state: Any = field(default=None, init=False, repr=False)  # of the network when that was computed

    def __post_init__(self) -> None:
        if self.device.type == "cuda":
            exact_float32()
        self.module = prepare(self.module, self.input_size, self.name)
        self.module.eval().requires_grad_(False).to(self.device)
        settle(self.module)
        if self.known:
            self.trial = try_known(self.module, self.input_size)
        else:
            self.trial = try_network(self.module, self.input_size, self.name)
        self.module.to(memory_format=self.memory_format)
        self.lock = NetworkLock(self.module, self.name)
        if self.trial.remarks:
            known = [*self.notes.get("assumed", ())]
            self.notes = {**self.notes, "assumed": known + [note for note in self.trial.remarks if note not in known]}

    def __repr__(self) -> str:
        size = "×".join(map(str, self.input_size))
        weights = self.origin if self.origin.endswith("weights") else f"{self.origin} weights"
        return f"<{self.name}, {weights}, on {self.device}: input {size}, {plural(len(self.class_names), 'class')}>"

    @property
    def untrained(self) -> bool:
        """True if its weights are random."""
        return self.origin in ("random", "epoch-0")

    @property
    def memory_format(self) -> torch.memory_format:
        """Of weights and batches: channels_last where the network gives the same scores in it as in contiguous_format,
        see `models.memory_format`."""
        return self.trial.memory_format

    @property
    def most_at_once(self) -> int:
        """Images that one forward pass may take: 1 where they would change each other's answers, else BATCH."""
        return BATCH if self.trial.together else 1

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, H, W) that `preprocess` yields."""
        return (self.preprocessing.channels, *self.preprocessing.size)

    @property
    def fingerprint(self) -> str:
        """sha256, hex, of the architecture's name, every tensor and the preprocessing; of what else decides about the
        values only where there is any: see `models.fingerprint`. Another one once the network has been changed."""
        if self._fingerprint and self._is_unchanged():
            return self._fingerprint
        with self.lock:
            token = state_token(self.module)
            if not self._fingerprint or self._state != token:
                self._fingerprint, self._state = self._compute_fingerprint(), token
        return self._fingerprint

    def _is_unchanged(self) -> bool:
        """Whether the network is the one of the last fingerprint. False, too, while a pass of another thread has put
        other tensors in for a moment, such as those without values with which a graph is followed."""
        try:
            return self._state == state_token(self.module)
        except (NotImplementedError, RuntimeError):
            return False

    def _compute_fingerprint(self) -> str:
        digest = hashlib.sha256(f"{self.name}|{sorted(self.preprocessing.as_dict().items())}".encode())
        for key, tensor in self.module.state_dict().items():
            for part in tensor_bytes(key, tensor):
                digest.update(part)
        for part in extra_bytes(self.module, self.name):
            digest.update(part)
        return digest.hexdigest()

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
        """(N, C, H, W) float32 on the device, from one image, several, or a tensor that is normalised already, of which
        it is a copy: a network may write into its input. Raises BadInput for what can be no such image."""
        import torch

        if isinstance(images, torch.Tensor):
            ready = check_normalised(images, self.preprocessing, self.name)
            return self.lay_out(ready.to(self.device, torch.float32, copy=True))
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
        """`batch` in parts of at most `size` images, so that memory does not grow with their number; of one image where
        no more may share a pass."""
        size = min(size, self.most_at_once)
        if not _are_several(images) or not len(images):
            yield self.batch(images)
            return
        for start in range(0, len(images), size):
            yield self.batch(images[start : start + size])

    def at_once(self, images: Any) -> int:
        """How many of `images` one forward pass takes if memory allows, see `most_at_once`."""
        return max(1, min(self.most_at_once, len(images))) if _are_several(images) else 1

    def logits(self, images: Any) -> np.ndarray:
        """(N, classes) float32 scores before the softmax, or the logistic function of a single one. Of a network that
        ends in a softmax the logarithm of its answers, of one that ends in a sigmoid log(p / (1 − p)), see
        `output.to_logits`. `images`: as for `batch`, any number. Where memory is short, fewer go through the network
        at once; raises DeviceLost if there is no room for one."""
        return halving(lambda size: self._logits(images, size), self.at_once(images), self.device)

    def _logits(self, images: Any, size: int) -> np.ndarray:
        import torch

        with self.lock, torch.inference_mode():
            scores = [self.compute_logits(batch).float().cpu().numpy() for batch in self.batches(images, size)]
        return np.concatenate(scores)

    def compute_logits(self, batch: torch.Tensor) -> torch.Tensor:
        """(N, classes) `logits` of one pass over `batch` (N, C, H, W), with their graph of autograd where gradients are
        wanted. The network may write into `batch`. The caller holds the lock. Raises BadInput if there are none."""
        import torch

        if len(batch) > self.most_at_once:
            return torch.cat([self.compute_logits(part) for part in batch.split(self.most_at_once)])
        return to_logits(find_scores(self.module(batch), len(batch)), self.trial.ending)

    def predict(self, images: Any) -> np.ndarray:
        """(N, classes) probabilities, float32: the softmax, whose rows sum to 1; of a network with one output its
        logistic function, the probability of "yes". A network that ends in such a function gives its own answers:
        those of a sigmoid over several classes need not sum to 1. `images`: as for `batch`."""
        return self.probabilities(self.logits(images)).astype(np.float32)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """`predict` of `logits` (…, classes), float64."""
        return probabilities(logits, self.trial.ending)

    @contextmanager
    def gradients(self) -> Iterator[None]:
        """Inside, gradients can be taken, whatever mode the caller is in, and the network is locked. No graph stays in
        a network that keeps tensors of its passes."""
        import torch

        with self.lock, torch.inference_mode(False), torch.enable_grad(), without_checkpointing():
            settle(self.module)
            try:
                yield
            finally:
                settle(self.module)

    def layers(self, kind: str | None = None) -> list[str]:
        """Names worth looking at, in the order of definition.

        `kind`: "conv", "pool", "linear" or "block" (a module that contains convolutions and computes,
        e.g. a residual block); None returns all of them."""
        return [name for name, found in layer_kinds(self.module).items() if kind in (None, found)]


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
