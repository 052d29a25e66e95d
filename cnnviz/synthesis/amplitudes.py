"""The amplitudes of photographs in the Fourier basis, which magnitude-constrained images have."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnnviz.data.samples import samples
from cnnviz.models.model import LoadedModel


def amplitudes_of(model: LoadedModel, size: tuple[int, int], colours: int) -> Tensor:
    """(C, H, W // 2 + 1) float32: mean amplitudes of the sample photographs at `size` (H, W), orthonormal transform of
    values in 0..1, `colours` of 1 or 3 channels. Of gray networks whose images are small and dark, such as digits, see
    `PhaseImage`: the photographs' amplitudes hold for them as well."""
    return torch.from_numpy(_mean_amplitudes(size, colours))


@lru_cache(maxsize=16)
def _mean_amplitudes(size: tuple[int, int], colours: int) -> np.ndarray:
    corpus, total, count = samples(), np.zeros((colours, size[0], size[1] // 2 + 1)), 0
    for _number, _name, photo in corpus.iterate():
        picture = photo.convert("RGB" if colours == 3 else "L")
        side = min(picture.size)
        box = ((picture.width - side) // 2, (picture.height - side) // 2)
        square = picture.crop((*box, box[0] + side, box[1] + side))
        pixels = np.asarray(square.resize((size[1], size[0]), Image.Resampling.BILINEAR), np.float64) / 255
        planes = pixels.reshape(*size, colours).transpose(2, 0, 1)
        total += np.abs(np.fft.rfft2(planes, norm="ortho"))
        count += 1
    return (total / count).astype(np.float32)
