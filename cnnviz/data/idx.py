"""The IDX format of MNIST's files: find them in a folder, read one into an array."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from cnnviz.errors import BadInput
from cnnviz.wording import plural


def find_idx(folder: Path, split: str, what: str) -> Path | None:
    """MNIST's file in `folder`, gzipped or not, with "-idx" or ".idx" in its name; None if it is not there.

    `split`: "train" or "test". `what`: "images" or "labels"."""
    prefix, kind = ("train" if split == "train" else "t10k"), ("idx3" if what == "images" else "idx1")
    for name in (f"{prefix}-{what}-{kind}-ubyte", f"{prefix}-{what}.{kind}-ubyte"):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    return None


def read_idx(path: Path) -> np.ndarray:
    """An array in the IDX format (MNIST's), gzipped or not. Source: LeCun, Cortes, Burges.

    Raises BadInput if header and length disagree."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{path.name} is damaged ({error}).") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != 8:
        raise BadInput(f"{path.name} is not an IDX file of unsigned bytes.")
    rank, start = data[3], 4 + 4 * data[3]
    if len(data) < start:
        raise BadInput(
            f"{path.name} ends within its header: {rank} dimensions need {plural(start, 'byte')}, not {len(data)}."
        )
    shape = tuple(int(v) for v in np.frombuffer(data, ">u4", rank, 4))
    if len(data) != start + math.prod(shape):
        raise BadInput(f"{path.name} declares shape {shape} but holds {plural(len(data) - start, 'byte')}.")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
