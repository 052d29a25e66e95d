"""The grid of strongest patches over time, and the cosines of each layer to its final filters."""

import io

import numpy as np
import pytest
from PIL import Image

from cnnviz.figures.base.colors import EMPTY
from cnnviz.figures.training.evolution import SCALE, SIDE, convergence_figure, evolution_picture
from cnnviz.studies.learning.convergence import Convergence
from cnnviz.studies.learning.evolution import FollowedChannels


def followed(moments=3, channels=2, size=6):
    """Plain patches of one gray each, and projections that are as strong as the moment's number."""
    shape = (moments, channels)
    patches = tuple(
        tuple(np.full((size, size, 1), 10 * t + c, np.uint8) for c in range(channels)) for t in range(moments)
    )
    signals = tuple(tuple(np.full((1, size, size), t + 1, np.float32) for _ in range(channels)) for t in range(moments))
    return FollowedChannels(
        "conv",
        np.arange(channels) + 4,
        np.arange(moments) * 100,
        np.ones(shape),
        np.zeros(shape, int),
        np.zeros(shape, int),
        np.zeros(shape, int),
        np.zeros((*shape, 4), int),
        patches,
        signals,
        ("one",),
        "deconvnet",
    )


def read(drawn):
    return np.asarray(Image.open(io.BytesIO(drawn.png)).convert("RGB"))


def cell(drawn, moment, channel, part):
    """The middle pixel of the patch (part 0) or the projection (1) of a channel."""
    left, top, _wide, _high = drawn.columns[moment]
    y = top + channel * (2 * SIDE + 12) + part * (SIDE + 2) + SIDE // 2
    return tuple(read(drawn)[y * SCALE, (left + SIDE // 2) * SCALE])


def test_each_cell_is_a_patch_over_its_projection_on_the_scale_of_its_channel():
    drawn = evolution_picture(followed(), [0, 1, 2], "epoch")
    assert read(drawn).shape[:2] == (drawn.size[1] * SCALE, drawn.size[0] * SCALE)
    for moment in range(3):
        for channel in range(2):
            assert cell(drawn, moment, channel, 0) == (10 * moment + channel,) * 3
    levels = [cell(drawn, moment, 1, 1)[0] for moment in range(3)]
    assert levels == [128 + 64, 255, 255]  # full contrast is that of the second, the median moment


def test_what_is_missing_is_pale():
    found = followed()
    object.__setattr__(found, "patches", ((None, None), *found.patches[1:]))
    object.__setattr__(found, "projections", ((None, None), *found.projections[1:]))
    drawn = evolution_picture(found, [0, 1, 2], "epoch")
    assert cell(drawn, 0, 0, 0) == EMPTY and cell(drawn, 0, 1, 1) == EMPTY


def test_columns_and_rows_are_named_and_columns_found_where_they_are():
    drawn = evolution_picture(followed(), [0, 900, 45_000], "step")
    assert [text for *_place, text in drawn.words] == ["step", "0", "900", "45 k", "channel", "4", "channel", "5"]
    assert [drawn.find_column(left + wide / 2) for left, _top, wide, _high in drawn.columns] == [0, 1, 2]
    assert drawn.find_column(3) is None
    assert all(top + high <= drawn.size[1] and left + wide <= drawn.size[0] for left, top, wide, high in drawn.columns)


@pytest.mark.parametrize("log", [False, True])
def test_curves_show_the_cosines_and_the_layer_looked_at_in_bold(log):
    mean = np.array([[0.1, 0.2, 0.3], [0.5, 0.6, np.nan], [1, 1, 1]])
    found = Convergence(("a", "b.0", "b.1"), np.ones(3, int), np.array([0, 10, 100]), mean, mean - 0.1, mean)
    figure = convergence_figure(found, found.steps, "step", "b", 10, log)
    lines = {str(line.hovertemplate).partition("<br>")[0]: line for line in figure.data if line.hovertemplate}
    for column, name in enumerate(found.layers):
        np.testing.assert_allclose(lines[name].y, mean[:, column], rtol=1e-6)
        np.testing.assert_allclose(lines[name].x, np.log1p([0, 10, 100]) if log else [0, 10, 100], rtol=1e-6)
        assert (lines[name].line.width > 2) == name.startswith("b")
    assert len({line.line.color for line in lines.values()}) == 3
    assert figure.layout.shapes[0].x0 == pytest.approx(np.log1p(10) if log else 10)
    if log:
        assert list(figure.layout.xaxis.ticktext) == ["0", "1", "2", "5", "10", "20", "50", "100"]
