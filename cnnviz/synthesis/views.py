"""Random views of an image: shifted, turned and zoomed a little, so that what is made survives all of them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnviz.synthesis.settings import SynthesisSettings


def margin_of(settings: SynthesisSettings) -> int:
    """Pixels around the image that shifted views see."""
    return math.ceil(settings.shift or 0)


def draw_view(generator: torch.Generator, settings: SynthesisSettings) -> Tensor:
    """(4,) float32: rows and columns of the shift in pixels, the turn in radians, the logarithm of the zoom; each
    uniform between ± what the settings say."""
    most = [settings.shift, settings.shift, math.radians(settings.turn or 0), math.log(settings.zoom or 1)]
    return (torch.rand(4, generator=generator) * 2 - 1) * torch.tensor([value or 0.0 for value in most])


def take_views(canvas: Tensor, size: tuple[int, int], views: Tensor) -> Tensor:
    """(N, C, h, w): of each image (N, C, H, W) its view (N, 4), bilinear, about the middle; what lies beyond the edge
    is the edge."""
    height, width = canvas.shape[-2:]
    rows, cols, turn, zoom = views.unbind(1)
    cos, sin = torch.cos(turn) / zoom.exp(), torch.sin(turn) / zoom.exp()
    high, wide = size
    first = torch.stack([cos * wide / width, -sin * high / width, 2 * cols / width], 1)
    second = torch.stack([sin * wide / height, cos * high / height, 2 * rows / height], 1)
    affine = torch.stack([first, second], 1).to(canvas.device)
    grid = F.affine_grid(affine, [len(canvas), canvas.shape[1], high, wide], align_corners=False)
    return F.grid_sample(canvas, grid, mode="bilinear", padding_mode="border", align_corners=False)


def take_middle(canvas: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, h, w): the middle of each image, without resampling."""
    top, left = ((have - want) // 2 for have, want in zip(canvas.shape[-2:], size, strict=True))
    return canvas[..., top : top + size[0], left : left + size[1]]
