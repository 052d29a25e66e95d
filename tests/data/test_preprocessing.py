"""From a photograph to the network's input: torchvision's preset pixel by pixel, formulas, odd images."""

import json
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from cnnviz.data.images import open_image
from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, Preprocessing
from cnnviz.errors import BadInput

IMAGENET = Preprocessing((224, 224), resize=256)
DIGITS = Preprocessing((28, 28), mean=(0.1307,), std=(0.3081,))


def photograph(height: int, width: int, seed: int = 0) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("height, width", [(300, 400), (401, 301), (256, 256), (224, 224), (100, 90), (233, 1000)])
@pytest.mark.parametrize("size, resize", [(224, 256), (224, 232), (299, 342), (32, 32)])
def test_pixels_equal_torchvisions_classification_preset(height, width, size, resize):
    from torchvision.transforms import CenterCrop, Resize

    picture = photograph(height, width)
    expected = np.asarray(CenterCrop(size)(Resize(resize)(picture)))
    np.testing.assert_array_equal(Preprocessing((size, size), resize=resize).receive(picture), expected)


def test_without_a_resize_the_short_side_becomes_the_crop():
    picture = photograph(60, 120)
    expected = np.asarray(picture.resize((56, 28), Image.Resampling.BILINEAR).convert("RGB"))[:, 14:42]
    np.testing.assert_array_equal(Preprocessing((28, 28)).receive(picture), expected)


def test_an_image_of_the_right_size_is_not_touched():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    found = Preprocessing((32, 32)).receive(pixels)
    np.testing.assert_array_equal(found, pixels)
    found[:] = 0
    assert pixels.any(), "the caller's pixels were changed"


@pytest.mark.parametrize("size", [(20, 50), (50, 20)])
@pytest.mark.parametrize("shape", [(60, 60), (10, 200), (200, 10)])
def test_inputs_that_are_not_square_are_filled_without_padding(size, shape):
    found = Preprocessing(size).receive(np.full((*shape, 3), 77, np.uint8))
    assert found.shape == (*size, 3) and (found == 77).all()


def test_normalisation_is_value_over_255_minus_mean_over_std():
    preprocessing = Preprocessing((3, 4), mean=CIFAR_MEAN, std=CIFAR_STD)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), dtype=np.uint8)
    found = preprocessing.normalise(torch.from_numpy(pixels))
    assert found.shape == (2, 3, 3, 4) and found.dtype == torch.float32 and found.is_contiguous()
    for n, channel, row, col in np.ndindex(2, 3, 3, 4):
        expected = (pixels[n, row, col, channel] / 255 - CIFAR_MEAN[channel]) / CIFAR_STD[channel]
        assert found[n, channel, row, col].item() == pytest.approx(expected, abs=1e-6)


def test_normalising_leaves_the_pixels_it_was_given():
    pixels = torch.full((4, 4, 1), 200, dtype=torch.uint8)
    DIGITS.normalise(pixels)
    assert (pixels == 200).all()


def test_one_channel_networks_receive_the_luminance():
    colours = np.zeros((28, 28, 3), np.uint8)
    colours[:] = (200, 100, 50)
    found = DIGITS.receive(colours)
    assert found.shape == (28, 28, 1)
    assert abs(int(found[0, 0, 0]) - (0.299 * 200 + 0.587 * 100 + 0.114 * 50)) <= 1


def test_gray_pixels_become_three_equal_channels_and_four_channel_networks_get_luminance():
    gray = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    for image in (gray, gray[:, :, None], Image.fromarray(gray)):
        found = Preprocessing((32, 32)).receive(image)
        np.testing.assert_array_equal(found, np.stack([gray] * 3, 2))
    four = Preprocessing((32, 32), mean=(0.0,) * 4, std=(1.0,) * 4).receive(gray)
    np.testing.assert_array_equal(four, np.stack([gray] * 4, 2))


def test_transparent_pixels_are_seen_on_white():
    picture = Image.new("RGBA", (28, 28), (0, 0, 0, 0))
    picture.paste((10, 10, 10, 255), (0, 0, 14, 28))
    found = DIGITS.receive(picture)[:, :, 0]
    assert (found[:, :14] == 10).all() and (found[:, 14:] == 255).all()


def test_sixteen_bit_pictures_keep_their_shades():
    ramp = np.linspace(0, 65535, 784).astype(np.uint16).reshape(28, 28)
    found = DIGITS.receive(Image.fromarray(ramp))[:, :, 0]
    assert np.abs(found - ramp / 257).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"])
def test_every_mode_of_pillow_can_be_received(mode):
    picture = Image.new(mode, (40, 30))
    assert IMAGENET.receive(picture).shape == (224, 224, 3)
    assert DIGITS.receive(picture).shape == (28, 28, 1)


@pytest.mark.parametrize(
    "wrong", [np.zeros((8, 8, 3), np.float32), np.zeros((3, 8, 8), np.uint8), np.zeros(8, np.uint8), "photo.jpg"]
)
def test_other_arrays_are_refused_with_what_is_expected(wrong):
    with pytest.raises(BadInput, match=r"uint8 pixels of shape \(H, W, 3\)"):
        IMAGENET.receive(wrong)


def test_plain_values_come_back_from_json():
    for preprocessing in (IMAGENET, DIGITS, Preprocessing((20, 50))):
        assert Preprocessing.from_dict(json.loads(json.dumps(preprocessing.as_dict()))) == preprocessing


@pytest.mark.parametrize(
    "change", [{"size": 224}, {"size": None}, {"mean": [0.5]}, {"std": [0.0] * 3}, {"std": ["a"] * 3}]
)
def test_values_that_make_no_preprocessing_are_refused(change):
    with pytest.raises(BadInput):
        Preprocessing.from_dict(IMAGENET.as_dict() | change)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_photograph_is_received_alike_as_a_file_and_as_the_pil_image_of_it(mode):
    exif, file = Image.Exif(), BytesIO()
    exif[0x0112] = 6  # stored lying on its side
    gradient = np.add.outer(np.arange(20) * 2, np.arange(40) * 4).astype(np.uint8)
    Image.fromarray(gradient).convert(mode).save(file, "PNG", exif=exif)
    seen = [Preprocessing((10, 10)).receive(how(BytesIO(file.getvalue()))) for how in (open_image, Image.open)]
    np.testing.assert_array_equal(*seen)
    assert not np.array_equal(seen[0], np.rot90(seen[0]))
