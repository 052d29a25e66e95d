"""Small networks as people write them, each with what plain PyTorch makes of one image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

SIZE, CLASSES = (3, 12, 12), 4
Forward = Callable[["Small", Tensor], Any]


class Small(nn.Module):
    """Two convolutions, a normalisation and a linear layer, called by `fn(self, x)`."""

    def __init__(self, fn: Forward, classes: int = CLASSES) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fn = fn
        self.first, self.norm, self.second = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3)
        self.norm.running_mean.normal_()
        self.head = nn.Linear(6 * 16, classes)

    def forward(self, x: Tensor) -> Any:
        return self.fn(self, x)

    def maps(self, x: Tensor) -> Tensor:
        """(N, 6, 8, 8)."""
        return F.relu(self.second(F.relu(self.norm(self.first(x)))))

    def scores(self, y: Tensor) -> Tensor:
        """(N, classes) of maps (N, 6, 8, 8)."""
        return self.head(F.max_pool2d(y, 2).flatten(1))

    def plain(self, x: Tensor) -> Tensor:
        return self.scores(self.maps(x))


@dataclass
class Answer:
    """What HuggingFace's networks return."""

    loss: Any
    logits: Tensor


def cached(net: Small, x: Tensor) -> Tensor:
    net.cache = [net.maps(x)]
    return net.scores(net.cache[0])


def by_strides(net: Small, x: Tensor) -> Tensor:
    y = net.maps(x)
    return net.scores(torch.as_strided(y, (len(y), 6, 8, 8), (384, 64, 8, 1)))


def by_storage(net: Small, x: Tensor) -> Tensor:
    y = net.maps(x)
    return net.scores(torch.empty(0).set_(y.untyped_storage(), 0, (len(y), 6, 8, 8), (384, 64, 8, 1)))


def by_contiguity(net: Small, x: Tensor) -> Tensor:
    y = net.maps(x)
    return net.scores(y if y.is_contiguous() else -y)


def leaving_early(net: Small, x: Tensor) -> Tensor:
    y = net.maps(x)
    scores = net.scores(y)
    return scores if scores.max() > 0.15 else net.scores(y.flip(-1))


def by_hand(net: Small, x: Tensor) -> Tensor:
    shares = net.plain(x).exp()
    return shares / shares.sum(1, keepdim=True)


def first_score(output: Any) -> Tensor:
    if isinstance(output, dict):
        return output["logits"]
    if isinstance(output, tuple | list):
        return output[0]
    return output if isinstance(output, Tensor) else output.logits


SCORES: dict[str, Forward] = {
    "plain": Small.plain,
    "view": lambda n, x: n.head(F.max_pool2d(n.maps(x), 2).view(x.size(0), -1)),
    "permute and reshape": lambda n, x: n.head(F.max_pool2d(n.maps(x), 2).permute(0, 2, 3, 1).reshape(len(x), -1)),
    "as_strided": by_strides,
    "storage": by_storage,
    "is_contiguous": by_contiguity,
    "keeps a tensor": cached,
    "one image": lambda n, x: n.head(F.max_pool2d(n.maps(x), 2).view(1, -1)),
    "statistics of the batch": lambda n, x: n.scores(F.batch_norm(n.maps(x), None, None, training=True)),
    "minus the mean image": lambda n, x: n.plain(x - 0.5 * x.mean(0)),
    "sorted over images": lambda n, x: n.plain(x).sort(0)[0],
    "previous image": lambda n, x: n.plain(x + x.roll(1, 0)),
    "early exit": leaving_early,
    "writes into its input": lambda n, x: n.plain(x.sub_(0.5)),
    "ReLU in place first": lambda n, x: n.plain(F.relu(x, inplace=True)),
    "dict": lambda n, x: {"aux": n.maps(x), "logits": n.plain(x)},
    "tuple": lambda n, x: (n.plain(x), n.second.weight),
    "object": lambda n, x: Answer(None, n.plain(x)),
    "checkpoint": lambda n, x: n.scores(checkpoint(n.maps, x, use_reentrant=False)),
    "reentrant checkpoint": lambda n, x: n.scores(checkpoint(n.maps, x, use_reentrant=True)),
    "complex inside": lambda n, x: n.scores(torch.fft.ifft2(torch.fft.fft2(n.maps(x))).real),
    "float64": lambda n, x: n.plain(x).double(),
    "squeezed": lambda n, x: n.plain(x).squeeze(),
}
PROBABILITIES: dict[str, Forward] = {
    "softmax": lambda n, x: n.plain(x).softmax(1),
    "softmax without gradients": torch.no_grad()(lambda n, x: n.plain(x).softmax(1)),
    "softmax by hand": by_hand,
    "exp of log-softmax": lambda n, x: F.log_softmax(n.plain(x), -1).exp(),
    "sigmoid": lambda n, x: torch.sigmoid(n.plain(x)),
    "sigmoid by hand": lambda n, x: 1 / (1 + torch.exp(-n.plain(x))),
}
