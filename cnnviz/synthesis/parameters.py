"""Images as parameters of a Fourier basis: with 1/f amplitudes and decorrelated colours, or with the phases alone."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

AMPLITUDE = 0.01  # of the noise at the start, in the Fourier basis
GAIN = 4.0  # before the sigmoid, whose slope in the middle is 1/4
EDGE = 1e-3  # how close to black and white a given image may come
# Columns: principal axes of the colours of 1,000 photographs (500 of them, every 50th pixel), times their standard
# deviations, over the largest. Brightness first, then red against blue, then green.
COLOURS = ((0.565, -0.195, 0.059), (0.579, -0.007, -0.112), (0.588, 0.195, 0.054))


class ImageParameters(Protocol):
    """Parameters of N images, and the images that they stand for."""

    tensors: list[Tensor]

    def render(self) -> Tensor:
        """(N, C, H, W) in 0..1, with the graph of autograd."""


class FourierImage:
    """N images whose Fourier coefficients, times 1/f, are the parameters, in decorrelated colours; a sigmoid keeps
    pixels between black and white. `noise` (N, C, H, W): normal; its Fourier transform is the start.

    Source: Olah, Mordvintsev, Schubert, Feature Visualization, Distill 2017, "Preconditioning and parameterization"."""

    def __init__(self, noise: Tensor, image: Tensor | None = None) -> None:
        self.size: tuple[int, int] = (noise.shape[-2], noise.shape[-1])
        self.scale = _inverse_frequency(self.size, noise.device)
        spectrum = AMPLITUDE * torch.view_as_real(torch.fft.rfft2(noise, norm="ortho"))
        if image is not None:
            spectrum = spectrum + self._encode(image)
        self.tensors = [spectrum.contiguous().requires_grad_()]

    def render(self) -> Tensor:
        spectrum = torch.view_as_complex(self.tensors[0]) * self.scale
        values = torch.fft.irfft2(spectrum, s=self.size, norm="ortho")
        return torch.sigmoid(GAIN * correlate(values))

    def _encode(self, image: Tensor) -> Tensor:
        """The parameters of images (N, C, H, W) in 0..1."""
        values = decorrelate(torch.logit(image, EDGE) / GAIN)
        return torch.view_as_real(torch.fft.rfft2(values, norm="ortho") / self.scale)


class PhaseImage:
    """N images whose amplitudes in the Fourier basis are those of photographs; the phases are the parameters.

    `amplitudes` (C, H, W // 2 + 1): of values in 0..1, colours decorrelated, orthonormal transform. `noise`
    (N, C, H, W) gives the phases of the start, `image` (N, C, H, W) in 0..1 those of given images. The mean stays.
    Values beyond black and white are clipped, with the gradient of those that are not.
    Source: Fel et al., NeurIPS 2023, arXiv:2306.06805, section 3."""

    def __init__(self, noise: Tensor, amplitudes: Tensor, image: Tensor | None = None) -> None:
        self.size: tuple[int, int] = (noise.shape[-2], noise.shape[-1])
        self.amplitudes = amplitudes.to(noise.device)
        phase = torch.fft.rfft2(noise if image is None else decorrelate(image), norm="ortho").angle()
        self.tensors = [phase.contiguous().requires_grad_()]

    def render(self) -> Tensor:
        values = self.render_unclipped()
        return values + (values.clamp(0, 1) - values).detach()

    def render_unclipped(self) -> Tensor:
        """(N, C, H, W) of which the amplitudes are those given."""
        free = torch.ones_like(self.amplitudes)
        free[:, 0, 0] = 0
        spectrum = torch.polar(self.amplitudes.expand_as(self.tensors[0]), self.tensors[0] * free)
        return correlate(torch.fft.irfft2(spectrum, s=self.size, norm="ortho"))


def correlate(values: Tensor) -> Tensor:
    """(N, C, H, W) of decorrelated colours in the colours of images; gray ones as they are."""
    if values.shape[1] != 3:
        return values
    return torch.einsum("dc,nchw->ndhw", torch.tensor(COLOURS, device=values.device), values)


def decorrelate(values: Tensor) -> Tensor:
    """The inverse of `correlate`."""
    if values.shape[1] != 3:
        return values
    inverse = torch.linalg.inv(torch.tensor(COLOURS)).to(values.device)
    return torch.einsum("dc,nchw->ndhw", inverse, values)


def _inverse_frequency(size: tuple[int, int], device: torch.device) -> Tensor:
    """(H, W // 2 + 1): 1/f in cycles per image, but 1 at most, times what makes the variance of an image of noise
    independent of its size."""
    height, width = size
    rows = torch.fft.fftfreq(height, device=device)[:, None]
    cols = torch.fft.rfftfreq(width, device=device)[None]
    frequency = torch.sqrt(rows**2 + cols**2).clamp_min(1 / max(height, width))
    return 1 / frequency
