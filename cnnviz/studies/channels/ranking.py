"""The rank that a further image would take among the strongest images of each channel."""

from __future__ import annotations

import numpy as np

from cnnviz.data.grouping import EACH, find_group
from cnnviz.errors import BadInput
from cnnviz.index.result import PatchIndex
from cnnviz.wording import plural


def rank_image(index: PatchIndex, layer: str, maps: np.ndarray, own: str | None = None) -> np.ndarray:
    """(C,) int: the place, from 1, that the image with these feature maps (C, H, W) would take among the k winners
    of each channel; 0 where it would not be among them.

    An equal value goes to the image that was there before. `own`: its id, if the image is one of those
    searched: it does not compete with itself, nor with images of its group.
    Raises UnknownName for a layer that was not indexed, BadInput for maps of another number of channels."""
    if maps.ndim != 3 or len(maps) != index.channels(layer):
        raise BadInput(
            f"{layer} has {plural(index.channels(layer), 'channel')}; expected maps (C, H, W), got {maps.shape}."
        )
    top = index.tops[layer]
    peaks = maps.reshape(len(maps), -1).max(axis=1).astype(np.float32)
    peaks = np.where(np.isnan(peaks), -np.inf, peaks)
    rivals = top.images >= 0
    if own is not None:
        rule = index.meta.get("group", EACH)
        mine = [image for image, name in index.ids.items() if find_group(rule, name) == find_group(rule, own)]
        rivals &= ~np.isin(top.images, mine)
    ahead = (rivals & (top.values >= peaks[:, None])).sum(axis=1)
    return np.where((ahead < top.values.shape[1]) & (peaks > -np.inf), ahead + 1, 0)
