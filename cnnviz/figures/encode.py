"""Bytes for the browser: palette PNG for maps (small, lossless), PNG for the rest."""

import base64
import io

import numpy as np
from PIL import Image


def palette_png(levels: np.ndarray, palette: np.ndarray) -> bytes:
    """`levels` (H, W) uint8 indices into `palette` (≤ 256, 3) uint8 → PNG."""
    image = Image.fromarray(levels, "P") if levels.flags.c_contiguous else Image.fromarray(levels.copy(), "P")
    image.putpalette(np.ascontiguousarray(palette).tobytes())
    return _bytes(image)


def rgb_png(pixels: np.ndarray) -> bytes:
    """(H, W, 3) or (H, W) or (H, W, 1) uint8 → PNG."""
    return _bytes(Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels))


def _bytes(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def data_url(png: bytes) -> str:
    """The picture as a data: address that a browser shows without another request."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def enlarge(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Nearest neighbour by a whole multiple; works on (H, W) and (H, W, C)."""
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1) if factor > 1 else pixels


def whole_factor(size: int, wanted: int) -> int:
    """The largest whole multiple of `size` pixels that fits into `wanted` pixels, at least 1."""
    return max(1, wanted // max(size, 1))
