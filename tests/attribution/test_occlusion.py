"""Occlusion as Zeiler and Fergus did it: every place against a loop that covers the image by hand."""

import numpy as np
import pytest
import torch
from nets import images, published, tiny
from torch import nn

from cnnviz.attribution.attribute import attribute
from cnnviz.attribution.occlusion import default_square, occlude, square
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput, UnknownName


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(45, 4))


def covered(image: torch.Tensor, size: int, stride: int, row: int, col: int, level: float) -> torch.Tensor:
    """Pixel by pixel: gray wherever it lies within half a square of the middle of the cell."""
    result = image.clone()
    top, left = row * stride + (stride - size) // 2, col * stride + (stride - size) // 2
    for y in range(image.shape[2]):
        for x in range(image.shape[3]):
            if top <= y < top + size and left <= x < left + size:
                result[0, :, y, x] = level
    return result


@pytest.mark.parametrize("size, stride", [(3, 1), (4, 3), (2, 2)])
def test_every_place_is_what_the_covered_image_gives(size, stride):
    model, image = tiny(network()), images(1)
    with torch.no_grad():
        maps = model.module[:2](image)
    strongest = int(maps.sum((2, 3)).argmax())
    found = occlude(model, image, 1, size, stride, layer="0", gray=51)
    assert found.channel == strongest and found.probability.shape == (-(-8 // stride),) * 2
    for row, col in np.ndindex(found.probability.shape):
        with torch.no_grad():
            x = covered(image, size, stride, row, col, 51 / 255)
            share, total = model.module(x).softmax(1)[0], model.module[:2](x)[0, strongest].sum()
        assert found.probability[row, col] == pytest.approx(float(share[1]), rel=1e-4)
        assert found.label[row, col] == int(share.argmax())
        assert found.activation[row, col] == pytest.approx(float(total), rel=1e-4)
        top, left, bottom, right = found.box(row, col)
        gray = (x != image).any(1)[0]
        assert gray[top:bottom, left:right].all() and int(gray.sum()) == (bottom - top) * (right - left)
    whole = model.module(image).softmax(1)[0]
    three = float(whole[1]), int(whole.argmax()), float(maps[0, strongest].sum())
    assert found.whole == pytest.approx(three, rel=1e-4)
    np.testing.assert_allclose(found.drop, float(whole[1]) - found.probability, atol=1e-6)
    assert found.changed == (found.label != int(whole.argmax())).mean()


def test_as_an_attribution_it_is_the_probability_that_the_square_takes():
    model, image = tiny(network()), images(1)
    found = attribute(model, image, 2, "occlusion", size=3, stride=2)
    places = occlude(model, image, 2, 3, 2)
    for y, x in np.ndindex(8, 8):
        assert found.map[y, x] == places.drop[y // 2, x // 2]
    assert found.signed and found.target == 2


def test_the_gray_is_normalised_like_a_pixel():
    model = tiny(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)))
    model.preprocessing = Preprocessing((8, 8), mean=(0.5, 0.4, 0.3), std=(0.2, 0.1, 0.5))
    gray = np.full((8, 8, 3), 128, np.uint8)
    found = occlude(model, gray, 0, 4, 4, layer="1")
    np.testing.assert_allclose(found.probability, found.whole[0], rtol=1e-5)  # gray on gray covers nothing


def test_squares_are_centred_in_the_cells_of_a_lattice_that_fills_the_image():
    assert default_square((224, 224)) == (56, 16) and default_square((32, 32)) == (8, 2)
    assert square(2, 2, (8, 8), 0, 3) == (0, 6, 2, 8)
    assert square(4, 2, (8, 8), 0, 3) == (0, 5, 3, 8)
    assert square(1, 3, (8, 8), 1, 2) == (4, 7, 5, 8)


def test_a_channel_can_be_chosen_and_the_last_maps_are_the_default():
    model = published("lenet5")
    found = occlude(model, images(1, (28, 28), 1), channel=5, stride=14)
    assert (found.layer, found.channel) == ("relu2", 5) and found.activation.shape == (2, 2)
    assert occlude(published("mlp"), images(1, (28, 28), 1), stride=14).layer == "fc1"


def test_wrong_squares_layers_and_channels_are_explained():
    model, image = tiny(network()), images(1)
    with pytest.raises(BadInput, match="1 to 8 pixels, got 9 and 1"):
        occlude(model, image, size=9, stride=1)
    with pytest.raises(BadInput, match="channels 0 to 4"):
        occlude(model, image, layer="0", channel=5)
    with pytest.raises(BadInput, match="gray must be 0 to 255"):
        occlude(model, image, gray=300)
    with pytest.raises(UnknownName, match="No layer named"):
        occlude(model, image, layer="9")
