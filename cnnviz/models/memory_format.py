"""channels_last or contiguous: the memory format in which a network runs.

channels_last is up to twice as fast for batches, on CPUs and GPUs alike, but `x.view(x.size(0), -1)` behind a
convolution, the flattening of many textbooks, cannot be had of such maps."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING

from cnnviz.device import out_of_memory

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_BATCHES = (1, 2)  # some networks take one image alone, some only several


def lay_out(batch: Tensor, memory_format: torch.memory_format) -> Tensor:
    """`batch` (N, C, H, W) in this memory format, without a copy if it is. Images of one channel are in both formats;
    in contiguous_format their strides are made those of contiguous maps, since convolutions go by them."""
    import torch

    ready = batch.contiguous(memory_format=memory_format)
    return ready.view(-1).view(batch.shape) if memory_format is torch.contiguous_format else ready


def choose_memory_format(
    module: nn.Module, input_size: tuple[int, int, int], training: bool = False
) -> torch.memory_format:
    """channels_last, unless `module`, in eval mode, cannot run in it and can in contiguous_format.

    It is tried, by passes of images of zeros in which convolutions and matrix products only lay out their results: 0.02
    to 0.2 s. `input_size`: (C, H, W). `training`: it is to run in training mode, too. The module may be in either
    format afterwards: `module.to(memory_format=…)`."""
    import torch

    if any(tensor.dim() == 5 for tensor in module.parameters()):  # Conv3d, for which there is another one
        return torch.contiguous_format
    modes = (False, True) if training else (False,)
    found = [_compare(module, input_size, mode) for mode in modes]
    return torch.contiguous_format if torch.contiguous_format in found else torch.channels_last


def _compare(module: nn.Module, input_size: tuple[int, int, int], training: bool) -> torch.memory_format:
    import torch

    try:
        tried = _without_arithmetic(module).train(training)
    except Exception:  # noqa: BLE001, a stranger's network may mind being copied in any way
        if training:  # its own passes would change it
            return torch.channels_last
        tried = module
    failed = [count for count in _BATCHES if not _runs(tried, count, input_size, torch.channels_last)]
    if any(_runs(tried, count, input_size, torch.contiguous_format) for count in failed):
        return torch.contiguous_format
    return torch.channels_last


def _runs(module: nn.Module, count: int, input_size: tuple[int, int, int], memory_format: torch.memory_format) -> bool:
    """Whether `module` takes so many images in this format."""
    import torch

    channels, *size = input_size
    device = next((tensor.device for tensor in module.parameters()), torch.device("cpu"))
    pixels = torch.zeros(count, *size, channels, device=device).movedim(-1, 1)  # as images come
    try:
        module.to(memory_format=memory_format)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            module(lay_out(pixels, memory_format))
    except Exception as error:  # noqa: BLE001, a stranger's network may fail in any way
        return out_of_memory(error)  # which says nothing of the format
    return True


def _without_arithmetic(module: nn.Module) -> nn.Module:
    """A copy with the same parameters whose convolutions and linear layers give zeros, laid out as theirs are."""
    from torch import nn

    tried = copy.deepcopy(module, {id(tensor): tensor for tensor in module.parameters()})
    for child in tried.modules():
        if type(child) is nn.Conv2d and child.padding_mode == "zeros" and not isinstance(child.padding, str):
            child.forward = functools.partial(_convolve, child)  # type: ignore[method-assign]
        elif type(child) is nn.Linear:
            child.forward = functools.partial(_multiply, child)  # type: ignore[method-assign]
    return tried


def _convolve(conv: nn.Conv2d, images: Tensor) -> Tensor:
    """Zeros of the shape that `conv` gives. Source: Dumoulin and Visin 2016, arXiv:1603.07285, relationship 6."""
    import torch
    from torch import nn

    if images.dim() != 4 or images.shape[1] != conv.in_channels:
        return nn.Conv2d.forward(conv, images)
    assert not isinstance(conv.padding, str)
    how = zip(images.shape[2:], conv.kernel_size, conv.stride, conv.padding, conv.dilation, strict=True)
    size = [len(images), conv.out_channels, *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in how)]
    last = torch.channels_last in (_memory_format(images), _memory_format(conv.weight))
    layout = torch.channels_last if last else torch.contiguous_format
    return torch.empty(size, dtype=images.dtype, device=images.device, memory_format=layout).zero_()


def _multiply(linear: nn.Linear, vectors: Tensor) -> Tensor:
    from torch import nn

    if vectors.shape[-1] != linear.in_features:
        return nn.Linear.forward(linear, vectors)
    return vectors.new_zeros(*vectors.shape[:-1], linear.out_features)


def _memory_format(tensor: Tensor) -> torch.memory_format:
    """As a convolution sees it: of what is in both formats, the strides decide; see `lay_out`."""
    import torch

    last = tensor.is_contiguous(memory_format=torch.channels_last)
    both = last and tensor.is_contiguous()
    moved = tensor.stride(1) == 1 and tensor.stride(3) == tensor.shape[1] if both else last
    return torch.channels_last if moved else torch.contiguous_format
