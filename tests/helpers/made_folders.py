"""Tiny data sets for training: bars that lie or stand, as class folders or as MNIST's IDX files."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("lying", "standing")


def bars(count: int, seed: int, size: int = 28) -> tuple[np.ndarray, np.ndarray]:
    """(count, size, size) uint8 and (count,) uint8: a bright bar on noise; 0 lies, 1 stands."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (count, size, size), dtype=np.uint8)
    labels = (np.arange(count) % 2).astype(np.uint8)
    for picture, label in zip(pixels, labels, strict=True):
        at = int(rng.integers(2, size - 4))
        (picture if label == 0 else picture.T)[at : at + 2, 3:-3] = 255
    return pixels, labels


def class_folders(root: Path, **splits: int) -> Path:
    """`root`/<split>/<class>/<number>.png; the split "all" lies in `root` itself."""
    for seed, (split, count) in enumerate(splits.items()):
        for number, (picture, label) in enumerate(zip(*bars(count, seed), strict=True)):
            folder = (root if split == "all" else root / split) / CLASSES[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / f"{number:03d}.png")
    return root


def idx_bytes(values: np.ndarray) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def idx_folder(root: Path, train: int, test: int) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for seed, (prefix, count) in enumerate((("train", train), ("t10k", test))):
        pixels, labels = bars(count, seed)
        (root / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(pixels))
        (root / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return root
