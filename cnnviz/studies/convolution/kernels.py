"""Named image kernels (sharpen, blur, Sobel, Laplace, Gabor) and photographs filtered by them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput, import_package, unknown

LIMIT = 0.1  # root mean square of a filter in the training of Zeiler and Fergus
BORDERS = {"zeros": "BORDER_CONSTANT", "mirror": "BORDER_REFLECT_101", "edge": "BORDER_REPLICATE"}


@dataclass(frozen=True, slots=True, repr=False)
class NamedKernel(Summarised):
    """`weights` (k, k) float64. `sum` 1 keeps the brightness, 0 gives 0 on an even surface. `words`: what it does."""

    name: str
    weights: np.ndarray
    words: str

    @property
    def sum(self) -> float:
        return float(self.weights.sum())

    @property
    def signed(self) -> bool:
        """True if its output has both signs about 0, which is shown in blue and red."""
        return abs(self.sum) < 1e-9


def _kernel(name: str, rows: list[list[float]], words: str, scale: float = 1.0) -> NamedKernel:
    weights = np.array(rows, np.float64) * scale
    weights.flags.writeable = False
    return NamedKernel(name, weights, words)


def gabor(angle: float, side: int = 9, wave: float = 5.0, width: float = 1.9) -> np.ndarray:
    """(side, side) float64: a wave under a Gaussian, as the fields of simple cells in the visual cortex, of sum 0 and
    largest weight 1. `angle`: of the stripes, degrees, counted from upright ones; `wave`, `width`: pixels of a period
    and of the standard deviation.
    Sources: Hubel and Wiesel, J. Physiology 1962; Jones and Palmer, J. Neurophysiology 1987."""
    half = side // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    turned = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))
    bell = np.exp(-(x**2 + y**2) / (2 * width**2))
    found = bell * np.cos(2 * np.pi * turned / wave)
    found -= bell * found.sum() / bell.sum()
    return found / np.abs(found).max()


KERNELS = {
    kernel.name: kernel
    for kernel in (
        _kernel("identity", [[0, 0, 0], [0, 1, 0], [0, 0, 0]], "leaves the picture as it is"),
        _kernel("sharpen", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]], "adds the difference to the four neighbours"),
        _kernel("edges", [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], "differs from the mean of its eight neighbours"),
        _kernel("box blur", [[1, 1, 1], [1, 1, 1], [1, 1, 1]], "is the mean of nine pixels", 1 / 9),
        _kernel("Gaussian blur", [[1, 2, 1], [2, 4, 2], [1, 2, 1]], "is a mean that weighs the middle most", 1 / 16),
        _kernel("emboss", [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], "lights the picture from the upper left"),
        _kernel("Sobel, horizontal", [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], "answers to dark on the left of bright"),
        _kernel("Sobel, vertical", [[-1, -2, -1], [0, 0, 0], [1, 2, 1]], "answers to dark above bright"),
        _kernel("Laplace", [[0, 1, 0], [1, -4, 1], [0, 1, 0]], "is the second derivative, positive at dark spots"),
        *(
            _kernel(f"simple cell, {name}", gabor(angle).tolist(), f"answers to {what} of its width, as a simple cell")
            for name, angle, what in (
                ("vertical", 0, "upright bars"),
                ("horizontal", 90, "level bars"),
                ("diagonal", 45, "slanting bars"),
            )
        ),
    )
}


def find_kernel(name: str) -> NamedKernel:
    """The kernel of this name. Raises UnknownName with the closest ones."""
    return KERNELS.get(name) or unknown("kernel", name, KERNELS)


def apply_kernel(photo: np.ndarray, kernel: np.ndarray, flip: bool = False, border: str = "zeros") -> np.ndarray:
    """float32 of the photo's shape (H, W) or (H, W, 3): the kernel laid on each channel of uint8 pixels, not clipped.

    By OpenCV's `filter2D`, which, like PyTorch, correlates; `flip` turns the kernel by 180° first, which is the
    convolution of mathematics. Even kernels are centred one unit to the lower right, as there. `border`: of BORDERS.
    Raises BadInput for other arrays, CnnvizError where OpenCV cannot be imported."""
    pixels, weights = np.asarray(photo), np.asarray(kernel, np.float64)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or not pixels.size:
        raise BadInput(f"Expected uint8 pixels (H, W) or (H, W, 3), got {pixels.dtype} {pixels.shape}.")
    if weights.ndim != 2 or not weights.size or not np.isfinite(weights).all():
        raise BadInput(f"A kernel is a table of finite numbers, got shape {weights.shape}.")
    if border not in BORDERS:
        raise BadInput(f"No border named {border!r}. Choose one of: {', '.join(BORDERS)}.")
    cv2 = import_package("cv2", "Photographs are filtered by OpenCV")
    laid = np.ascontiguousarray(weights[::-1, ::-1] if flip else weights)
    filtered = cv2.filter2D(pixels, cv2.CV_32F, laid, borderType=getattr(cv2, BORDERS[border]))
    return filtered.reshape(pixels.shape)


def to_pixels(filtered: np.ndarray, signed: bool) -> np.ndarray:
    """uint8 of the same shape. Not signed: clipped to 0 … 255. Signed: 0 becomes mid-gray 128 and the largest absolute
    value 1 or 255."""
    if not signed:
        return np.clip(np.round(filtered), 0, 255).astype(np.uint8)
    largest = max(float(np.abs(filtered).max()), 1e-12)
    return np.round(128 + filtered * (127 / largest)).astype(np.uint8)


def rms_clip(kernels: np.ndarray, limit: float = LIMIT) -> np.ndarray:
    """(F, …): each filter whose root mean square exceeds `limit` is scaled down to it; the others stay to the bit.

    Source: Zeiler and Fergus, ECCV 2014 (arXiv:1311.2901), section 3, where it keeps a few filters of the first layer
    from dominating."""
    kernels = np.asarray(kernels)
    rms = np.sqrt(np.mean(np.square(kernels.astype(np.float64)), axis=tuple(range(1, kernels.ndim)), keepdims=True))
    over = rms > limit * (1 + 4 * np.finfo(kernels.dtype).eps)  # what was scaled to the limit stays
    return np.where(over, kernels * (limit / np.where(over, rms, 1)), kernels).astype(kernels.dtype)
