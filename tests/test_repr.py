"""Every result prints itself in one line."""

import numpy as np
import pytest

import cnnviz
from cnnviz.attribution.attribute import attribute


@pytest.fixture(scope="module")
def model():
    return cnnviz.load("lenet5", device="cpu")


def test_a_model_names_its_weights_and_its_input(model):
    assert repr(model) == "<lenet5, bundled weights, on cpu: input 1×28×28, 10 classes>"


def test_results_are_one_line(model):
    digits = cnnviz.corpus("digits", limit=12)
    index = cnnviz.index_patches(model, digits, ["conv2"])
    found = [
        model,
        cnnviz.first_layer_filters(model),
        cnnviz.receptive_field(model, "conv2"),
        cnnviz.anatomy(model),
        next(iter(cnnviz.anatomy(model))),
        cnnviz.equivariance(model, digits.image(0), [(0, 1)], ["conv1"]),
        cnnviz.loss_surface(model, np.zeros((4, 28, 28, 3), np.uint8), [0, 1, 2, 3], steps=3),
        attribute(model, digits.image(0), method="saliency"),
        digits,
        index,
        index.unit("conv2", 0),
        index.layer("conv2"),
        index.top("conv2", 0)[0],
        index.tops["conv2"],
        index.statistics["conv2"],
        model.report,
        model.preprocessing,
    ]
    for result in found:
        assert len(repr(result)) < 400 and "\n" not in repr(result), repr(result)
    assert "weights=<float32 (6, 1, 5, 5)>" in repr(cnnviz.first_layer_filters(model))
