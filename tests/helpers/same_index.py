"""Whether two patch indexes are the same."""

import numpy as np

from cnnviz.index.records import ChannelStatistics
from cnnviz.index.result import PatchIndex


def assert_same(one: PatchIndex, other: PatchIndex) -> None:
    assert one.layers == other.layers and one.ids == other.ids and one.meta == other.meta
    for layer in one.layers:
        for name, array in one.tops[layer].arrays().items():
            np.testing.assert_array_equal(array, other.tops[layer].arrays()[name], err_msg=f"{layer} {name}")
        for name in ChannelStatistics.__slots__:
            mine, theirs = getattr(one.statistics[layer], name), getattr(other.statistics[layer], name)
            np.testing.assert_array_equal(mine, theirs, err_msg=f"{layer} {name}")
