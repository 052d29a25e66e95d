"""The strongest unit of every map, against a search unit by unit."""

import numpy as np
import pytest
import torch

from cnnviz.engine.peaks import find_peaks


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_peaks_are_the_maxima_and_the_first_place_that_has_them(layout, kind):
    maps = torch.randint(-3, 3, (3, 37, 6, 5), generator=torch.Generator().manual_seed(0)).to(kind)  # many ties
    maps[1, 4] = -7.0
    values, flat = find_peaks(maps.contiguous(memory_format=layout))
    for image, channel in np.ndindex(3, 37):
        units = maps[image, channel].flatten().tolist()
        assert values[image, channel].item() == max(units)
        assert flat[image, channel].item() == units.index(max(units))
