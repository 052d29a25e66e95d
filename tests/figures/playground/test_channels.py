"""Several channels, filters and groups in the playground's drawing, against the notes' numbers and loops."""

import numpy as np
import pytest

from cnnviz.figures.base.scene import Box, Scene, Text
from cnnviz.figures.base.text import text_width
from cnnviz.figures.playground.cells import EDGE, tied_colours
from cnnviz.figures.playground.channels import channels_scene
from cnnviz.studies.convolution.convolution import convolve, output_size

GRID = np.stack([np.arange(9).reshape(3, 3), np.arange(1, 10).reshape(3, 3)])
KERNELS = np.array([[[0, 1], [2, 3]], [[1, 2], [3, 4]]], float)


def scene(number: int, grid=GRID, kernels=KERNELS[None], groups: int = 1, width: float = 1070, **how) -> Scene:
    result = convolve(grid, kernels, groups=groups, **how)
    padding, flip = how.get("padding", 0), how.get("flip", False)
    sizes = tuple(output_size(n, k, 1, padding) for n, k in zip(grid.shape[1:], kernels.shape[2:], strict=True))
    return channels_scene(result, padding, number, sizes, flip, width)


def words(drawn: Scene) -> list[str]:
    return [shape.text for shape in drawn.shapes if isinstance(shape, Text)]


def test_two_channels_give_56_72_104_120_with_each_channel_s_sum_written_out():
    for number, (parts, value) in enumerate((((19, 37), 56), ((25, 47), 72), ((37, 67), 104), ((43, 77), 120))):
        said = words(scene(number))
        assert f"{parts[0]} + {parts[1]} = {value}" in said
        assert [line for line in said if "·" in line and line.endswith((f"= {parts[0]}", f"= {parts[1]}"))]
    assert "0·0 + 1·1 + 3·2 + 4·3 = 19" in words(scene(0)) and "1·1 + 2·2 + 4·3 + 5·4 = 37" in words(scene(0))


def test_every_weight_of_a_filter_has_a_colour_of_its_own_also_when_turned():
    for flip in (False, True):
        fills = [shape.fill for shape in scene(0, flip=flip).shapes if isinstance(shape, Box)]
        assert all(fills.count(colour) == 2 for colour in tied_colours(8))  # in a window, in a kernel


def test_a_group_reads_its_own_channel_alone_and_the_other_is_pale():
    drawn = scene(4, kernels=KERNELS[:, None], groups=2)  # the second map's first unit
    said = words(drawn)
    assert "37 = 37" in said and said.count("of another group") == 1 and "2 maps" in said and "filter 2" in said
    pale = [shape for shape in drawn.shapes if isinstance(shape, Text) and shape.fill == EDGE]
    assert {shape.text for shape in pale} >= set("012345678")
    assert {"19", "25", "37", "43"} <= set(said)  # the first map is done
    items = [shape.item for shape in drawn.shapes if isinstance(shape, Box) and shape.item]
    assert items == [f"step:{n}" for n in range(8)]


def test_a_one_by_one_kernel_mixes_channels_pixel_by_pixel():
    kernels = np.array([2.0, -1.0]).reshape(1, 2, 1, 1)
    said = words(scene(8, kernels=kernels))
    assert "8·2 = 16" in said and "9·(−1) = −9" in said and "16 + (−9) = 7" in said


@pytest.mark.parametrize("width", [1070, 690])
@pytest.mark.parametrize(
    ("side", "k", "channels", "filters"), [(3, 1, 4, 4), (12, 5, 4, 4), (7, 3, 3, 1), (1, 1, 2, 2)]
)
def test_nothing_reaches_over_the_edge_and_no_text_over_its_neighbour(width, side, k, channels, filters):
    grid, kernels = np.full((channels, side, side), -123.5), np.full((filters, channels, k, k), -0.111111)
    drawn = scene(0, grid, kernels, 1, width, padding=1 if k == 3 else 0)
    for shape in drawn.shapes:
        if isinstance(shape, Text) and shape.text:
            half = text_width(shape.text, shape.size, shape.bold)
            left = {"start": shape.x, "middle": shape.x - half / 2, "end": shape.x - half}[shape.anchor]
            assert left >= -1 and left + half <= width + 1 and 0 < shape.y < drawn.height, shape.text
        if isinstance(shape, Box):
            assert shape.x >= 0 and shape.x + shape.width <= width + 2 and shape.y + shape.height <= drawn.height
