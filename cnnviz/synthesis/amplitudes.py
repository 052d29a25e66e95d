"""The amplitudes of photographs in the Fourier basis, which magnitude-constrained images have."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnnviz.data.corpus import Corpus
from cnnviz.data.samples import sample_names, sample_photo
from cnnviz.synthesis.parameters import decorrelate

MOST = 256  # images that the mean is taken of


def find_amplitudes(size: tuple[int, int], colours: int, corpus: Corpus | None = None) -> Tensor:
    """(C, H, W // 2 + 1) float32: the mean amplitude of each frequency in images of `size` (H, W), orthonormal
    transform of values in 0..1, `colours` of 3 channels decorrelated, or of 1.

    Of the first 256 images of `corpus`, or of the sample photographs; each is cut to its middle square and scaled."""
    if corpus is None:
        return torch.from_numpy(_of_samples(size, colours))
    return torch.from_numpy(_average((photo for _number, _name, photo in corpus.iterate()), size, colours))


@lru_cache(maxsize=16)
def _of_samples(size: tuple[int, int], colours: int) -> np.ndarray:
    return _average((sample_photo(name) for name in sample_names()), size, colours)


def _average(pictures: Iterable[Image.Image], size: tuple[int, int], colours: int) -> np.ndarray:
    total, count = np.zeros((colours, size[0], size[1] // 2 + 1)), 0
    for picture in islice(pictures, MOST):
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        square = picture.convert("RGB" if colours == 3 else "L").crop((left, top, left + side, top + side))
        pixels = np.asarray(square.resize((size[1], size[0]), Image.Resampling.BILINEAR), np.float32) / 255
        planes = decorrelate(torch.from_numpy(pixels.reshape(1, *size, colours).transpose(0, 3, 1, 2)))
        total += torch.fft.rfft2(planes[0], norm="ortho").abs().numpy()
        count += 1
    return (total / max(count, 1)).astype(np.float32)
