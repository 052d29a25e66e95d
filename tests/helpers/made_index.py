"""Patch indexes whose winners are given."""

import numpy as np

from cnnviz.index.records import LayerTop
from cnnviz.index.result import PatchIndex


def index_of(images: list[list[int]], labels: dict[str, str] | None) -> PatchIndex:
    """Winners as given, strongest first; -1 for none."""
    rows = np.array(images)
    channels, k = rows.shape
    values = np.tile(np.arange(k, 0, -1, dtype=np.float32), (channels, 1))
    zeros, boxes = np.zeros((channels, k), int), np.zeros((channels, k, 4), int)
    ids = {int(i): f"{i}.png" for i in rows.flat if i >= 0}
    top = LayerTop(np.where(rows >= 0, values, -np.inf), rows, zeros, zeros, boxes, boxes)
    return PatchIndex({"conv": top}, ids, {"labels": labels} if labels is not None else {})


LABELS = {"0": "cat", "1": "cat", "2": "dog", "3": "dog", "4": "owl", "5": "cat"}
