"""Colour maps and palettes: activations viridis from 0, signed values blue–white–red about 0, categories, kinds."""

from collections.abc import Iterable
from functools import cache

import numpy as np

# Anchors of viridis (van der Walt and Smith 2015, CC0) at equal steps; linear in between.
_VIRIDIS = (
    "440154 481467 482576 453781 404688 39558c 33638d 2d718e 287d8e 238a8d "
    "1f968b 20a386 29af7f 3dbc74 56c667 75d054 95d840 bade28 dde318 fde725"
)
# Blue–white–red with equal lightness on both sides.
_SIGNED = "1d4f9c 3f78bf 7aa6da b7d0ec f7f7f7 f3c4b3 e2907a c85749 a11f2c"

INK = (24, 28, 36)
LETTER = (118, 128, 142)  # numbers under tiles, on white paper and on dark
EMPTY = (176, 183, 192)  # where nothing is: neither paper nor a picture
PAPER = (255, 255, 255)
FRAME = (232, 93, 4)  # what is chosen
GUTTER = (255, 255, 254)  # between pictures: white paper, and see-through in a PNG; no picture's own colour
NEUTRAL = (128, 128, 128)  # outside the image


def to_hex(colour: Iterable[int]) -> str:
    """(232, 93, 4) → "#e85d04"."""
    return "#{:02x}{:02x}{:02x}".format(*map(int, colour))


def from_hex(colour: str) -> tuple[int, int, int]:
    """ "#e85d04" → (232, 93, 4)."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


CHOSEN = to_hex(FRAME)
GREY = "#5b6470"  # words of less weight


def _interpolate_palette(anchors: str, size: int = 256) -> np.ndarray:
    colours = np.array([[int(hexa[i : i + 2], 16) for i in (0, 2, 4)] for hexa in anchors.split()], float)
    at = np.linspace(0, len(colours) - 1, size)
    return (
        np.stack([np.interp(at, np.arange(len(colours)), colours[:, c]) for c in range(3)], 1).round().astype(np.uint8)
    )


@cache
def viridis() -> np.ndarray:
    """(256, 3) uint8; entry 0 is the colour of zero activation."""
    return _interpolate_palette(_VIRIDIS)


@cache
def signed_palette() -> np.ndarray:
    """(256, 3) uint8; entry 128 is white, the colour of zero."""
    table = _interpolate_palette(_SIGNED, 255)
    return np.concatenate([table[:1], table])


def sample_palette(palette: np.ndarray, count: int) -> np.ndarray:
    """(count, 3) uint8: a palette (n, 3) from end to end in `count` steps, for a bar of colours."""
    return palette[np.linspace(0, len(palette) - 1, count).round().astype(int)]


def to_levels(values: np.ndarray, low: float | np.ndarray, high: float | np.ndarray) -> np.ndarray:
    """`values` scaled from low..high to 0..255, clipped, uint8. Not finite becomes 0."""
    span = np.where(np.asarray(high) > np.asarray(low), np.asarray(high) - low, 1.0)
    levels = np.nan_to_num((values - low) / span, nan=0.0, posinf=1.0, neginf=0.0)
    return np.clip(np.rint(levels * 255), 0, 255).astype(np.uint8)


def activation_rgb(values: np.ndarray, high: float | None = None) -> np.ndarray:
    """(H, W) activations → (H, W, 3) uint8 in viridis from 0 to `high` (default: their maximum)."""
    peak = float(np.nanmax(values, initial=0.0)) if high is None else high
    return viridis()[to_levels(np.maximum(values, 0), 0.0, max(peak, 1e-12))]


def signed_rgb(values: np.ndarray, peak: float | None = None) -> np.ndarray:
    """(H, W) signed values → (H, W, 3) uint8, symmetric about 0; NaN is shown as 0."""
    reach = float(np.nanmax(np.abs(values), initial=0.0)) if peak is None else peak
    reach = max(reach, 1e-12)
    return signed_palette()[np.maximum(to_levels(np.nan_to_num(values), -reach, reach), 1)]


# Categories, after Okabe and Ito 2008, which colour-blind readers tell apart.
CATEGORIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8a6d00", "#5b6470")
KINDS = {  # kind of layer: (fill, letters, words for the legend)
    "conv": ("#56b4e9", "#181c24", "convolution"),
    "conv1": ("#c3e4f7", "#181c24", "1×1 convolution"),
    "depthwise": ("#0072b2", "#ffffff", "depthwise convolution"),
    "linear": ("#cc79a7", "#181c24", "linear"),
    "pool": ("#e69f00", "#181c24", "pooling"),
    "norm": ("#f4ec9a", "#181c24", "norm"),
    "lrn": ("#f4ec9a", "#181c24", "response norm"),
    "activation": ("#7fcfb4", "#181c24", "activation"),
    "add": ("#ffffff", "#181c24", "addition"),
    "multiply": ("#ffffff", "#181c24", "multiplication"),
    "concat": ("#3b4351", "#ffffff", "concatenation"),
    "dropout": ("#dde1e7", "#181c24", "dropout"),
    "other": ("#dde1e7", "#181c24", "other"),
}
