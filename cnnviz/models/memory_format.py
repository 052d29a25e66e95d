"""channels_last or contiguous: the memory format in which a network runs.

channels_last is up to twice as fast for batches, on CPUs and GPUs alike, but `x.view(x.size(0), -1)` behind a
convolution, the flattening of many textbooks, cannot be had of such maps, and code that looks at strides may give
other values."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

from cnnviz.device import out_of_memory
from cnnviz.models.output import find_scores

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

LIGHT = 250_000_000  # multiply-adds of two images up to which a network is tried with its own arithmetic
_CLOSE = 1e-3  # difference of two passes, relative to the largest score, that rounding explains
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
    """channels_last, if `module`, in eval mode, runs in it and gives the scores that it gives in contiguous_format;
    also if it runs in neither.

    It is tried with one image and with two, see `make_trial_copy`. `input_size`: (C, H, W). `training`: it must run in
    training mode, too. The module may be in either format afterwards: `module.to(memory_format=…)`."""
    import torch

    if any(tensor.dim() == 5 for tensor in module.parameters()):  # Conv3d, for which there is another one
        return torch.contiguous_format
    images = make_noise(module, input_size)
    tried, both, _exact = make_trial_copy(module, images)
    if not agrees(tried, images, both) or not agrees(tried, images[:1]):
        return torch.contiguous_format
    if training and tried is not module:  # whose own passes would change it
        tried.train()
        if not all(agrees(tried, images[:count], values=False) for count in _BATCHES):
            return torch.contiguous_format
    return torch.channels_last


def agrees(module: nn.Module, images: Tensor, want: Tensor | None = None, values: bool = True) -> bool:
    """Whether `module` gives the same scores of `images` in channels_last as in contiguous_format, or fails in both;
    `values`: False asks whether it runs alone. `want`: its scores in contiguous_format, where they are known."""
    import torch

    if not values:
        runs = run_trial(module, images, torch.channels_last) is not None
        return runs or run_trial(module, images, torch.contiguous_format) is None
    want = run_trial(module, images, torch.contiguous_format) if want is None else want
    return want is None or is_close(run_trial(module, images, torch.channels_last), want)


def is_close(some: Tensor | None, others: Tensor | None) -> bool:
    """Whether two passes gave the same scores, to rounding; False if one failed, True if both or either wants memory,
    which says nothing of the network."""
    if some is None or others is None:
        return some is others
    if some.shape != others.shape or not bool((some.isfinite() == others.isfinite()).all()):
        return some.numel() == 0 or others.numel() == 0
    there = others.isfinite()
    scale = float(others[there].abs().max()) if bool(there.any()) else 0.0
    return bool(((some - others)[there].abs() <= _CLOSE * scale + 1e-30).all())


def make_noise(module: nn.Module, input_size: tuple[int, int, int], count: int = 2) -> Tensor:
    """(count, C, H, W) images of noise, the same at every call, on the network's device."""
    import torch

    device = next((tensor.device for tensor in module.parameters()), torch.device("cpu"))
    noise = torch.randn(count, *input_size, generator=torch.Generator().manual_seed(1))
    return (noise * torch.arange(1, count + 1)[:, None, None, None]).to(device)


def run_trial(
    module: nn.Module, images: Tensor, memory_format: torch.memory_format, gradient: bool = False, seed: int = 0
) -> Tensor | None:
    """(N, classes) scores of `images` in this format, by the random numbers of a seed; None if the network does not
    take them, no values at all where memory is short. `gradient`: with the graph of autograd, which is to be read, not
    followed: nothing is kept for it."""
    import torch

    try:
        module.to(memory_format=memory_format)
        with torch.inference_mode(False), torch.random.fork_rng(devices=[]), torch.set_grad_enabled(gradient):
            torch.manual_seed(seed)
            with torch.autograd.graph.saved_tensors_hooks(_drop, _drop):
                leaf = lay_out(images.detach(), memory_format).requires_grad_(gradient)
                scores = find_scores(module(leaf.clone()), len(images))
        return scores.float() if scores.is_floating_point() and scores.dtype != torch.float64 else scores
    except Exception as error:  # noqa: BLE001, a stranger's network may fail in any way
        return images.new_zeros(0) if out_of_memory(error) else None


def _drop(_tensor: Any) -> Any:
    """Nothing, in place of a tensor that a gradient would need."""
    return None


def make_trial_copy(module: nn.Module, images: Tensor) -> tuple[nn.Module, Tensor | None, bool]:
    """(a copy of `module`, in eval mode, that shares its parameters, so that trials leave no trace in it; its scores of
    `images`, see `run_trial`; True). It is `module` itself where that cannot be copied.

    Of a network above LIGHT, False: the copy's plain convolutions and linear layers do without most of their
    arithmetic. What they give has the shape and the layout of their results, and every value of it depends on the
    values and the places of their inputs. So a trial takes 0.2 s and not the time of several passes, and still tells
    what the network's own code does with axes, strides and the images of a batch."""
    import torch

    plain = torch.contiguous_format
    try:
        light, spent = make_light_copy(module)
        exact = _copy_structure(module)
    except Exception:  # noqa: BLE001, a stranger's network may mind being copied in any way
        return module, run_trial(module, images, plain), True
    scores = run_trial(light, images, plain)
    if sum(spent) > LIGHT:
        return light, scores, False
    return exact, run_trial(exact, images, plain), True


def _copy_structure(module: nn.Module) -> nn.Module:
    """A copy in eval mode that shares the parameters."""
    return copy.deepcopy(module, {id(tensor): tensor for tensor in module.parameters()}).eval()


def make_light_copy(module: nn.Module) -> tuple[nn.Module, list[int]]:
    """(a copy that shares the parameters and does without most of the arithmetic, see `make_trial_copy`; a list that
    gets the multiply-adds which each of its convolutions and linear layers would have taken)."""
    from torch import nn

    light, spent = _copy_structure(module), list[int]()
    for child in light.modules():
        if type(child) is nn.Conv2d and child.padding_mode == "zeros" and not isinstance(child.padding, str):
            child.forward = functools.partial(_convolve, child, spent)  # type: ignore[method-assign]
        elif type(child) is nn.Linear:
            child.forward = functools.partial(_multiply, child, spent)  # type: ignore[method-assign]
    return light, spent


def _convolve(conv: nn.Conv2d, spent: list[int], images: Tensor) -> Tensor:
    """Values of the shape that `conv` gives. Source: Dumoulin and Visin 2016, arXiv:1603.07285, relationship 6."""
    import torch
    from torch import nn

    if images.dim() != 4 or images.shape[1] != conv.in_channels:
        return nn.Conv2d.forward(conv, images)
    assert not isinstance(conv.padding, str)
    how = zip(images.shape[2:], conv.kernel_size, conv.stride, conv.padding, conv.dilation, strict=True)
    size = [len(images), conv.out_channels, *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in how)]
    last = torch.channels_last in (_memory_format(images), _memory_format(conv.weight))
    layout = torch.channels_last if last else torch.contiguous_format
    spent.append(conv.weight[0].numel() * size[1] * size[2] * size[3])
    across, along = _wave(images.shape[1], images), _wave(images.shape[2] * images.shape[3], images)
    each = images.mean((2, 3)) @ across + images.mean(1).flatten(1) @ along / len(along)
    rows = _wave(size[2] * size[3], images).view(size[2:])
    pattern = torch.empty(size, dtype=images.dtype, device=images.device, memory_format=layout)
    pattern.copy_(_wave(size[1], images)[:, None, None] + rows)
    return pattern.mul_(1 + each[:, None, None, None])


def _multiply(linear: nn.Linear, spent: list[int], vectors: Tensor) -> Tensor:
    from torch import nn

    if vectors.shape[-1] != linear.in_features:
        return nn.Linear.forward(linear, vectors)
    spent.append(vectors[0].numel() * linear.out_features)
    each = vectors @ _wave(linear.in_features, vectors)
    return _wave(linear.out_features, vectors) * (1 + each[..., None])


def _wave(count: int, like: Tensor) -> Tensor:
    """(count,) values of both signs, none like its neighbours."""
    import torch

    return torch.arange(1, count + 1, device=like.device, dtype=like.dtype).mul_(2.399963).sin_()


def _memory_format(tensor: Tensor) -> torch.memory_format:
    """As a convolution sees it: of what is in both formats, the strides decide; see `lay_out`."""
    import torch

    last = tensor.is_contiguous(memory_format=torch.channels_last)
    both = last and tensor.is_contiguous()
    moved = tensor.stride(1) == 1 and tensor.stride(3) == tensor.shape[1] if both else last
    return torch.channels_last if moved else torch.contiguous_format
