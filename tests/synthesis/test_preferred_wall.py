"""The wall of a layer: stopped and resumed, and nobody else's file."""

import numpy as np
import pytest

import cnnviz
from cnnviz.errors import BadInput, Cancelled
from cnnviz.synthesis.maximize import maximize_activations
from cnnviz.synthesis.settings import SynthesisSettings
from cnnviz.synthesis.wall import PreferredWall, maximize_layer, name_wall

SETTINGS = SynthesisSettings(steps=4)


@pytest.fixture(scope="module")
def model():
    return cnnviz.load("lenet5", device="cpu")


def test_a_wall_holds_each_channels_image_and_activation(model):
    wall = maximize_layer(model, "conv2", settings=SETTINGS)
    assert wall.channels == tuple(range(16)) and wall.done.all() and wall.patches.shape == (16, 14, 14, 3)
    found = maximize_activations(model, "conv2", range(8, 16), SETTINGS)
    np.testing.assert_array_equal(wall.patches[8:], [result.patch for result in found])
    np.testing.assert_array_equal(wall.activations[8:], np.float32([result.activation for result in found]))
    assert repr(wall) == "<preferred inputs of lenet5 · conv2: 16 channels>"


def test_work_that_was_stopped_goes_on_with_the_same_outcome(model, tmp_path):
    whole, out = maximize_layer(model, "conv2", settings=SETTINGS), tmp_path / "wall.npz"
    with pytest.raises(Cancelled, match="8 of 16 channels"):
        maximize_layer(model, "conv2", settings=SETTINGS, out=out, progress=lambda p: p.done < 9)
    part = PreferredWall.load(out)
    assert part.done.tolist() == [True] * 8 + [False] * 8 and "8 of them made" in repr(part)
    steps = []
    wall = maximize_layer(model, "conv2", settings=SETTINGS, out=out, progress=lambda p: steps.append(p.done))
    assert min(steps) >= 8
    np.testing.assert_array_equal(wall.patches, whole.patches)
    np.testing.assert_array_equal(PreferredWall.load(out).activations, whole.activations)


def test_a_file_of_other_settings_or_another_layer_is_refused(model, tmp_path):
    out = tmp_path / "wall.npz"
    maximize_layer(model, "conv1", [0, 2], SETTINGS, out=out)
    for layer, channels, settings in (
        ("conv2", [0, 2], SETTINGS),
        ("conv1", [0, 1], SETTINGS),
        ("conv1", [0, 2], SynthesisSettings(steps=5)),
    ):
        with pytest.raises(BadInput, match="holds other preferred inputs"):
            maximize_layer(model, layer, channels, settings, out=out)
    cnnviz.index_patches(model, cnnviz.corpus("digits", limit=4), ["conv1"], k=1).save(out)
    with pytest.raises(BadInput, match="no preferred inputs"):
        PreferredWall.load(out)


def test_file_names_tell_networks_layers_and_settings_apart(model):
    other = cnnviz.load("lenet5", "random", "cpu")
    names = {
        name_wall(model, "conv1", SETTINGS),
        name_wall(model, "conv2", SETTINGS),
        name_wall(model, None, SETTINGS),
        name_wall(model, "conv1", SynthesisSettings(steps=5)),
        name_wall(other, "conv1", SETTINGS),
    }
    assert len(names) == 5 and name_wall(model, "conv1", SETTINGS) in names


def test_results_and_walls_show_themselves(model):
    wall = maximize_layer(model, "conv2", [3, 5], SETTINGS)
    html = wall._repr_html_()
    assert "2 of 2 made" in html and "14×14 each" in html and "data:image/png" in html
    found = cnnviz.maximize_activation(model, "conv2", 5, steps=4)
    html = found._repr_html_()
    assert "conv2 · channel 5 · (5, 5)" in html and "4 steps, seed 0" in html and "data:image/png" in html
    assert repr(found).startswith("<preferred input of conv2 · channel 5 · (5, 5): ")
