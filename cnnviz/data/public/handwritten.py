"""The 1,797 handwritten digits of 8×8 pixels that come with scikit-learn: real images without a download.

Source: Alpaydin and Kaynak, Optical recognition of handwritten digits, UCI Machine Learning Repository 1998, its test
set. The package's file is read; the package itself is not imported."""

from __future__ import annotations

import gzip
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from cnnviz.errors import BadInput, CnnvizError

TEST_EVERY = 5  # every fifth digit is a test image, which mixes the writers
_FILE = Path("datasets", "data", "digits.csv.gz")
_SIDE, _MOST = 8, 16  # pixels; the largest value of one


def is_installed() -> bool:
    """Whether scikit-learn is here with its digits."""
    return _find_file() is not None


def _find_file() -> Path | None:
    spec = find_spec("sklearn")
    places = [Path(place) / _FILE for place in (spec.submodule_search_locations or [])] if spec else []
    return next((path for path in places if path.is_file()), None)


def read_handwritten(split: str) -> tuple[np.ndarray, np.ndarray]:
    """(pixels (N, 8, 8) uint8, labels (N,) int64) of the "train" (1,438) or "test" split (359). Raises CnnvizError with
    the command if scikit-learn is not installed, BadInput if its file is damaged."""
    if (path := _find_file()) is None:
        raise CnnvizError(
            "The handwritten digits come with scikit-learn, which is not installed: pip install scikit-learn."
        )
    pixels, labels = _read(path)
    test = np.arange(len(labels)) % TEST_EVERY == TEST_EVERY - 1
    chosen = test if split == "test" else ~test
    return pixels[chosen], labels[chosen]


@lru_cache(1)
def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.int64, ndmin=2, converters=_whole)
    except (OSError, EOFError, ValueError) as error:
        raise BadInput(f"{path.name} of scikit-learn is damaged ({error}). Install scikit-learn again.") from error
    sized = table.shape[1] == _SIDE**2 + 1 and len(table) >= TEST_EVERY
    if not sized or table.min() < 0 or table[:, :-1].max() > _MOST or table[:, -1].max() > 9:
        raise BadInput(f"{path.name} of scikit-learn holds no digits of 8×8 pixels. Install scikit-learn again.")
    pixels = np.rint(table[:, :-1] * (255 / _MOST)).astype(np.uint8).reshape(-1, _SIDE, _SIDE)
    return pixels, table[:, -1]


def _whole(text: str) -> int:
    return int(float(text))  # "0.0000e+00" in some releases
