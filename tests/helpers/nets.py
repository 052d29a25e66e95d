"""Small networks and the wrapper that every probe expects."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue.registry import build, find
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import capture


def tiny(module: nn.Module, size: tuple[int, int] = (8, 8), channels: int = 3, known: bool = False) -> LoadedModel:
    """`module` as a LoadedModel whose input is used as it is: mean 0, std 1. `known`: it is of cnnviz's own code."""
    preprocessing = Preprocessing(size, mean=(0.0,) * channels, std=(1.0,) * channels)
    return LoadedModel(module, "tiny", preprocessing, ["a"], torch.device("cpu"), known=known)


def published(name: str, size: tuple[int, int] | None = None) -> LoadedModel:
    """An architecture of the catalogue with random weights, optionally at another input size."""
    torch.manual_seed(0)
    channels, height, width = find(name).input_size
    return tiny(build(name), size or (height, width), channels, known=True)


class Functional(nn.Module):
    """Calls fn(self, x); its last layer is named `out`, an identity whose output is that of the network."""

    def __init__(self, fn: Callable[["Functional", Tensor], Tensor], **modules: nn.Module) -> None:
        super().__init__()
        self.fn, self.out = fn, nn.Identity()
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.fn(self, x))


class Written(nn.Module):
    """A function as a module, so that it can stand in a Sequential."""

    def __init__(self, fn: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(x)


def images(count: int, size: tuple[int, int] = (8, 8), channels: int = 3, seed: int = 0) -> Tensor:
    """(count, channels, *size) normal noise."""
    return torch.randn(count, channels, *size, generator=torch.Generator().manual_seed(seed))


def hooks_left(module: nn.Module) -> int:
    """Hooks that are still registered anywhere in `module`."""
    return sum(
        len(getattr(child, name))
        for child in module.modules()
        for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    )


def strongest(model: LoadedModel, image: Tensor, layer: str) -> tuple[int, int, int]:
    """(channel, row, col) of the largest value of a layer."""
    maps = capture(model, image, layer)[layer][0]
    channel, row, col = np.unravel_index(maps.argmax(), maps.shape)
    return int(channel), int(row), int(col)
