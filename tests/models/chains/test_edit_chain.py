"""Change one setting of a chain: the rest stays, and what no longer fits is said with what would."""

import pytest
import torch

from cnnviz.models.chains import edit
from cnnviz.models.chains.chain import parse_chain
from cnnviz.models.chains.network import build_chain
from cnnviz.models.chains.steps import parse_step

CHAIN = parse_chain("chain:1x28x28-conv6k5-bn-relu-max2-conv16k5-relu-max2-flatten-linear84-relu-linear10")


def test_parts_are_the_layers_with_what_follows_them():
    parts = edit.list_parts(CHAIN)
    assert [part.layer for part in parts] == ["conv1", "conv2", "fc1", "fc2"]
    assert [part.activation for part in parts] == ["relu", "relu", "relu", ""]
    assert [part.pooling and part.pooling.word for part in parts] == ["max2", "max2", None, None]
    assert [part.output for part in parts] == [(6, 12, 12), (16, 4, 4), (84,), (10,)]
    assert [part.last for part in parts] == [False, False, False, True]


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda c: edit.change_convolution(c, 1, padding=(2, 2)), ("conv16k5", "conv16k5p2")),
        (lambda c: edit.change_convolution(c, 0, stride=(2, 2)), ("conv6k5", "conv6k5s2")),
        (lambda c: edit.change_activation(c, 0, "tanh"), ("bn-relu", "bn-tanh")),
        (lambda c: edit.change_activation(c, 2, ""), ("linear84-relu", "linear84")),
        (lambda c: edit.change_pooling(c, 0, parse_step("avg3s2")), ("relu-max2-conv16", "relu-avg3s2-conv16")),
        (lambda c: edit.change_pooling(c, 1, None), ("relu-max2-flatten", "relu-flatten")),
        (lambda c: edit.change_input(c, 32, 30), ("1x28x28", "1x32x30")),
        (lambda c: edit.change_ending(c, "logsoftmax"), ("linear10", "linear10-logsoftmax")),
        (lambda c: edit.change_flattening(c, 4), ("flatten", "adaptiveavg4-flatten")),
    ],
)
def test_one_setting_changes_and_nothing_else(change, words):
    assert change(CHAIN).name == CHAIN.name.replace(*words)


@pytest.mark.parametrize("kind", edit.ENDINGS)
def test_endings_replace_one_another(kind):
    ended = edit.change_ending(edit.change_ending(CHAIN, "softmax"), kind)
    assert edit.find_ending(ended) == kind and edit.change_ending(ended, "") == CHAIN


def test_what_was_removed_comes_back_in_its_place():
    assert edit.change_activation(edit.change_activation(CHAIN, 0, ""), 0, "relu") == CHAIN
    assert edit.change_pooling(edit.change_pooling(CHAIN, 0, None), 0, parse_step("max2")) == CHAIN
    assert edit.change_flattening(edit.change_flattening(CHAIN, 3), 0) == CHAIN


def test_a_chain_that_holds_the_file_s_weights_has_no_misfit():
    assert edit.find_misfit(CHAIN, (256, 84)) == ""


@pytest.mark.parametrize("side", [20, 27, 28, 31, 33, 48])
def test_the_sides_that_are_said_to_fit_are_those_that_build(side):
    features = next(m for m in build_chain(CHAIN).modules() if isinstance(m, torch.nn.Linear)).in_features
    moved = edit.change_input(CHAIN, side, side)
    built = next(m for m in build_chain(moved).modules() if isinstance(m, torch.nn.Linear)).in_features
    assert (side in edit.find_sides(CHAIN, (features, 84))) is (built == features)


def test_a_misfit_says_what_the_layer_gets_what_the_file_has_and_what_fits():
    padded = edit.change_convolution(CHAIN, 1, padding=(2, 2))
    said = edit.find_misfit(padded, (256, 84))
    assert "fc1" in said and "6×6" in said and "256 inputs" in said and "maps of 4×4" in said
    assert "20×20 to 23×23" in said
    tiny = edit.find_misfit(edit.change_input(CHAIN, 4, 4), (256, 84))
    assert tiny.startswith("conv1") and "28×28" in tiny


def test_a_chain_that_fits_no_size_says_what_to_change():
    strange = edit.change_pooling(CHAIN, 1, None)  # 16 maps of any side give no 255
    assert "change padding or pooling" in edit.find_misfit(strange, (255, 84))
