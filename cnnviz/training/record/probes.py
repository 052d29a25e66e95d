"""The probe images of a run: a few test images whose answers are recorded after every epoch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.models.runs import files
from cnnviz.store import write_bytes_atomic

if TYPE_CHECKING:
    from cnnviz.data.labelled import LabelledSet

PROBES = "probes/images.safetensors"
MOST = 10  # images, of as many classes


@dataclass(frozen=True, slots=True)
class ProbeAnswers:
    """`pixels`: (n, H, W, C) uint8, as the network receives them; `labels`: (n,) their class numbers; `epochs`: (T,) of
    the answers, from 1; `logits`: (T, n, classes)."""

    pixels: np.ndarray
    labels: np.ndarray
    epochs: np.ndarray
    logits: np.ndarray


def write_probes(folder: Path, data: LabelledSet) -> np.ndarray:
    """Keep at most MOST test images in the folder of a run, the first of each class in the order of the classes; their
    pixels, (n, H, W, C) uint8."""
    from safetensors.numpy import save

    _, first = np.unique(data.labels, return_index=True)
    rows = first[:MOST]
    pixels = np.ascontiguousarray(data.batch(rows))
    write_bytes_atomic(folder / PROBES, save({"pixels": pixels, "labels": data.labels[rows]}))
    return pixels


def read_probes(folder: Path) -> ProbeAnswers | None:
    """The probe images of a run and what was answered so far; None where it keeps none."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        kept = load_file(folder / PROBES)
        pixels, labels = kept["pixels"], kept["labels"]
    except (OSError, KeyError, SafetensorError):
        return None
    lines = [line for line in files.read_lines(folder / files.EPOCHS) if _is_answer(line.get("probes"), len(pixels))]
    logits = np.array([line["probes"] for line in lines], float)
    return ProbeAnswers(pixels, labels, np.array([line.get("epoch", 0) for line in lines], np.int64), logits)


def _is_answer(logits: object, count: int) -> bool:
    return isinstance(logits, list) and len(logits) == count and all(isinstance(one, list) for one in logits)
