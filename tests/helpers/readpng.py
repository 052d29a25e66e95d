"""Pixels back from the bytes that figures make."""

import io

import numpy as np
from PIL import Image


def rgb(png: bytes) -> np.ndarray:
    """(H, W, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def cell(png: bytes, box: tuple[int, int, int, int]) -> np.ndarray:
    """The pixels inside (left, top, width, height)."""
    left, top, width, height = box
    return rgb(png)[top : top + height, left : left + width]
