"""Augmentation of whole batches on the device: random crop and flip from one generator."""

import torch
from torch import Tensor


def random_crop(batch: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Pad by `padding` zeros on every side and cut each image at its own random offset.

    `batch`: (N, C, H, W), normalised, so that 0 is the mean colour. The same as a random shift by up to
    `padding` pixels in each direction. Source: He et al., CVPR 2016, section 4.2 (4 pixels on CIFAR)."""
    if padding == 0:
        return batch
    count, channels, height, width = batch.shape
    padded = torch.nn.functional.pad(batch, (padding,) * 4)
    offsets = torch.randint(0, 2 * padding + 1, (2, count), generator=generator).to(batch.device)
    rows = offsets[0][:, None] + torch.arange(height, device=batch.device)
    columns = offsets[1][:, None] + torch.arange(width, device=batch.device)
    image = torch.arange(count, device=batch.device)[:, None, None]
    cut = padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2)


def random_flip(batch: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability one half. `batch`: (N, C, H, W)."""
    mirrored = torch.rand(len(batch), generator=generator).to(batch.device) < 0.5
    return torch.where(mirrored[:, None, None, None], batch.flip(3), batch)
