"""Collecting the running top k and statistics of a search into a PatchIndex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.index.records import ChannelStatistics, LayerTop
from cnnviz.index.result import PatchIndex
from cnnviz.index.search.search import Search
from cnnviz.index.search.topk import RunningTop
from cnnviz.models.model import LoadedModel
from cnnviz.tracing.receptive_field import receptive_field

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus


def collect_index(search: Search, corpus: Corpus, meta: dict[str, Any]) -> PatchIndex:
    """The index as it stands, with exact crop boxes, the winners' ids and, where there are, their labels."""
    search.settle()
    tops, statistics, widths = {}, {}, {}
    for layer in search.layers:
        if layer in search.tops:
            top = search.tops[layer]
            widths[layer] = top.width
            tops[layer] = _collect_records(search.model, layer, top)
            statistics[layer] = _collect_statistics(top)
    winners = sorted({int(i) for top in tops.values() for i in np.unique(top.images) if i >= 0})
    labels = corpus.labels
    named = {"labels": {str(i): labels[i] for i in winners}} if labels is not None else {}
    ids = {i: corpus.ids[i] for i in winners}
    return PatchIndex(tops, ids, meta | {"widths": widths} | named, statistics)


def _collect_statistics(top: RunningTop) -> ChannelStatistics:
    maximum, histogram, means, positive = (
        tensor.cpu().numpy() for tensor in (top.maximum, top.histogram, top.means, top.positive)
    )
    return ChannelStatistics(maximum, histogram, means, positive, top.units, top.sampled)


def _collect_records(model: LoadedModel, layer: str, top: RunningTop) -> LayerTop:
    values, images, flat = (t.cpu().numpy() for t in (top.values, top.images, top.flat))
    rows, cols = np.divmod(flat, top.width)
    field = receptive_field(model, layer)
    filled = images >= 0
    boxes, full = np.zeros((*images.shape, 4), np.int64), np.zeros((*images.shape, 4), np.int64)
    for array, clip in ((boxes, True), (full, False)):
        array[filled] = field.boxes(rows[filled], cols[filled], clip)
    return LayerTop(values.astype(np.float32), images, rows, cols, boxes, full)
