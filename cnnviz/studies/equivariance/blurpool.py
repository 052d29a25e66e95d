"""Blur-pooling: a copy of a network that blurs before it subsamples, against aliasing."""

from __future__ import annotations

import copy
from math import comb

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnviz.errors import BadInput
from cnnviz.interventions.padding import fill_border
from cnnviz.models.model import LoadedModel
from cnnviz.tracing.operations import to_pair

SIZES = (2, 3, 4, 5)
Stride = tuple[int, int]


def binomial(size: int) -> np.ndarray:
    """(size, size) float64, sum 1: the outer product of a row of Pascal's triangle, [1 2 1] for 3, [1 3 3 1] for 4,
    [1 4 6 4 1] for 5. Raises BadInput for a size outside SIZES."""
    if size not in SIZES:
        raise BadInput(f"A blur has {', '.join(map(str, SIZES))} taps, got {size}.")
    row = np.array([comb(size - 1, i) for i in range(size)], np.float64)
    return np.outer(row, row) / row.sum() ** 2


class Blur(nn.Module):
    """A binomial blur of every channel, of which every `stride`-th row and column is kept.

    (N, C, H, W) → (N, C, ⌈H/stride⌉, ⌈W/stride⌉), mirrored at the border.
    Source: Zhang, ICML 2019 (arXiv:1904.11486), section 3.2."""

    def __init__(self, size: int, stride: Stride) -> None:
        super().__init__()
        self.size, self.stride = size, stride
        self.kernel: Tensor
        self.register_buffer("kernel", torch.from_numpy(binomial(size)).float()[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        before, after = (self.size - 1) // 2, self.size // 2
        if min(x.shape[-2:]) > after:
            x = F.pad(x, (before, after, before, after), mode="reflect")  # by its name, so that padding can be swapped
        else:
            x = fill_border(x, (before, after, before, after), "reflect")
        channels = x.shape[1]
        kernel = self.kernel.to(x.dtype).expand(channels, 1, -1, -1)
        return F.conv2d(x, kernel, stride=self.stride, groups=channels)

    def extra_repr(self) -> str:
        return f"{self.size}×{self.size}, stride={self.stride}"


class _Dense(nn.Module):
    """A layer that stepped, now without its stride, and the blur that drops pixels instead."""

    def __init__(self, layer: nn.Module, blur: Blur) -> None:
        super().__init__()
        self.layer, self.blur = layer, blur

    def forward(self, x: Tensor) -> Tensor:
        return self.blur(self.layer(x))


def add_blur_pooling(model: LoadedModel, size: int = 3) -> LoadedModel:
    """A private copy of `model` in which each layer with a stride above 1 is evaluated densely, blurred and then
    subsampled: max pooling at stride 1, then the blur; a convolution at stride 1, then the blur (in the paper behind
    its ReLU, which needs the network's source); an average pooling becomes the blur alone, as in the paper.

    The weights stay, although they were trained without. Global and adaptive pooling, strided slices (shortcuts of
    option A) and functional pooling stay as they are. `size`: 2 … 5 taps. `.notes["blur"]` lists what was replaced.
    Raises BadInput for another size, or a network without anything to replace.
    Source: Zhang, ICML 2019 (arXiv:1904.11486), section 3.2."""
    binomial(size)
    with model.lock:
        module = copy.deepcopy(model.module)
    strided = {
        name: child
        for name, child in module.named_modules()
        if isinstance(child, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) and max(_stride(child)) > 1
    }
    if not strided:
        raise BadInput(f"{model.name} has no convolution or pooling with a stride above 1: nothing to blur.")
    for name, child in strided.items():
        parent = module.get_submodule(name.rpartition(".")[0])
        setattr(parent, name.rpartition(".")[2], _blur(child, size))
    return LoadedModel(
        module,
        model.name,
        model.preprocessing,
        list(model.class_names),
        model.device,
        f"{model.origin}, blur-pooled {size}×{size}",
        model.report,
        {**model.notes, "blur": {"size": size, "layers": list(strided), "from": model.fingerprint}},
        known=model.known,
    )


Strided = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d


def _stride(child: Strided) -> Stride:
    return to_pair(child.stride if child.stride is not None else child.kernel_size)


def _blur(child: Strided, size: int) -> nn.Module:
    blur = Blur(size, _stride(child))
    if isinstance(child, nn.AvgPool2d):
        return blur
    if isinstance(child, nn.MaxPool2d) and child.return_indices:
        raise BadInput("A max pooling that hands on its places (for unpooling) cannot be blurred.")
    if isinstance(child, nn.Conv2d):
        child.stride = (1, 1)
    else:
        child.stride = 1
    return _Dense(child, blur)
