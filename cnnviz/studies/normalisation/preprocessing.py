"""Mean image and channel means: what AlexNet and VGG subtract from a photograph before the first layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput


@dataclass(frozen=True, slots=True, repr=False)
class MeanImage(Summarised):
    """`image` (H, W, C) float64, 0 … 255: the mean of every pixel over `count` images. `channels` (C,): its mean over
    all places, which is that of every value of a channel. `deviation`: standard deviation of all values around the
    means of their channels."""

    image: np.ndarray
    channels: np.ndarray
    count: int
    deviation: float

    @property
    def spread(self) -> float:
        """Standard deviation of the mean image around the means of its channels: what a mean a channel leaves out."""
        return float(np.sqrt(((self.image - self.channels) ** 2).mean()))


def mean_image(images: Iterable[np.ndarray]) -> MeanImage:
    """Of uint8 images (H, W, C) of one size. Raises BadInput without any, or for another size.

    Sources: Krizhevsky, Sutskever, Hinton, NIPS 2012, section 2 (the mean of each pixel); Simonyan and Zisserman, ICLR
    2015 (arXiv:1409.1556), section 2.1 (the mean of each channel)."""
    total, squares, count = np.zeros(0), np.zeros(0), 0
    for pixels in images:
        if count and pixels.shape != total.shape:
            raise BadInput(f"Expected images of {total.shape}, got {pixels.shape}. Resize them first.")
        values = pixels.astype(np.float64)
        total, squares = (total + values, squares + values**2) if count else (values, values**2)
        count += 1
    if not count:
        raise BadInput("Expected at least one image, got none.")
    mean = total / count
    channels = mean.mean(axis=(0, 1))
    deviation = float(np.sqrt((squares / count - 2 * mean * channels + channels**2).mean()))
    return MeanImage(mean, channels, count, deviation)
