"""The strongest unit of every map, against a search unit by unit."""

import numpy as np
import pytest
import torch

from cnnviz.engine.peaks import WHOLE_NUMBERS, find_peaks


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


def test_rectified_maps_have_the_same_peaks_wherever_there_is_something_above_zero():
    generator = torch.Generator().manual_seed(0)
    maps = (
        torch.randn(4, 30, 9, 11, generator=generator).bfloat16().relu().contiguous(memory_format=torch.channels_last)
    )
    maps[1, 4] = 0.0
    (values, flat), (want, at) = find_peaks(maps, True), find_peaks(maps.double())
    assert values.dtype == torch.bfloat16 and torch.equal(values.double(), want)
    assert torch.equal(flat[want > 0], at[want > 0]) and (want > 0).sum() == 4 * 30 - 1


@pytest.mark.parametrize("wide", [181, 182, 300])
def test_maps_of_any_size_are_compared(wide):
    """PyTorch's pooling counts units in numbers as long as the values: 181² fit into 16 bits, 181 × 182 do not."""
    maps = torch.rand(2, 3, 181, wide).bfloat16().contiguous(memory_format=torch.channels_last)
    assert (181 * wide <= WHOLE_NUMBERS) == (wide == 181)
    maps[1, 2, 180, wide - 1] = 2.0
    values, flat = find_peaks(maps, rectified=True)
    assert values[1, 2] == 2.0 and flat[1, 2] == 181 * wide - 1
