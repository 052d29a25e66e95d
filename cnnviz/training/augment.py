"""Augmentation of whole batches on the device: random crop and flip from one generator."""

import torch
from torch import Tensor, nn

from cnnviz.errors import BadInput
from cnnviz.models.memory_format import run_trial


def random_crop(batch: Tensor, padding: int, generator: torch.Generator, side: int = 0) -> Tensor:
    """Pad by `padding` zeros on every side and cut each image at its own random offset.

    `batch`: (N, C, H, W), normalised, so that 0 is the mean colour; `side`: of the cuts, in pixels, at most H and W; 0
    for H × W, which is a random shift by up to `padding` pixels in each direction. Source: He et al., CVPR 2016,
    section 4.2 (4 pixels on CIFAR); cuts of 24 of 32 pixels: Krizhevsky, cuda-convnet, 2011."""
    count, _channels, *whole = batch.shape
    high, wide = (side, side) if side else whole
    spare = [full + 2 * padding - kept for full, kept in zip(whole, (high, wide), strict=True)]
    if not any(spare):
        return batch
    padded = torch.nn.functional.pad(batch, (padding,) * 4)
    tops, lefts = (torch.randint(0, one + 1, (count,), generator=generator).to(batch.device) for one in spare)
    rows = tops[:, None] + torch.arange(high, device=batch.device)
    columns = lefts[:, None] + torch.arange(wide, device=batch.device)
    image = torch.arange(count, device=batch.device)[:, None, None]
    cut = padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2)


def random_flip(batch: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability one half. `batch`: (N, C, H, W)."""
    mirrored = torch.rand(len(batch), generator=generator).to(batch.device) < 0.5
    return torch.where(mirrored[:, None, None, None], batch.flip(3), batch)


def check_crop_side(module: nn.Module, architecture: str, input_size: tuple[int, int, int], side: int) -> None:
    """Raises BadInput where images of that side, 0 for the usual one, are too large or not taken by the network."""
    channels, high, wide = input_size
    if side > min(high, wide):
        raise BadInput(f"Recipe: side = {side} is more than an image has: it is {high} × {wide}.")
    tried = torch.zeros(1, channels, side, side)
    if side and run_trial(module.eval(), tried, torch.contiguous_format) is None:
        raise BadInput(
            f"{architecture} does not take an image of {side} × {side}: its linear layers may count on the size of "
            "the maps, or its pools leave nothing of it. Leave out --side, or give a larger one."
        )
