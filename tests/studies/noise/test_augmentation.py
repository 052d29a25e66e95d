import numpy as np
import pytest
import torch
from nets import tiny
from torch import nn

import cnnviz
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.data.samples import sample_photo
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.studies.noise.augmentation import (
    augment_image,
    make_canvas,
    mean_answer,
    several_scales,
    ten_crops,
    turn_image,
)

PICTURE = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)


def pooled(size: int = 32, resize: int | None = None, channels: int = 3) -> LoadedModel:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    expects = Preprocessing((size, size), resize, mean=(0.5,) * channels, std=(0.25,) * channels)
    return LoadedModel(net, "pooled", expects, ["a", "b", "c"], torch.device("cpu"))


def named(found) -> dict[str, np.ndarray]:
    return {one.name: one.pixels for one in found}


def test_shifts_mirrors_and_quarter_turns_move_pixels_exactly():
    model = pooled()
    found = augment_image(model, PICTURE)
    pixels = named(found)
    assert np.array_equal(pixels["shift 4 px right"][:, 4:], PICTURE[:, :-4])
    assert (pixels["shift 4 px right"][:, :4] == 128).all()  # the mean colour
    assert np.array_equal(pixels["4 px up"][:-4], PICTURE[4:])
    assert np.array_equal(pixels["mirrored"], PICTURE[:, ::-1])
    assert np.array_equal(pixels["turn by 90°"], np.rot90(PICTURE))
    for one in (found[0], found[9], found[-1]):
        assert one.probabilities == pytest.approx(model.predict(one.pixels)[0], abs=1e-5)
    assert len(found) == 29 and {one.kind for one in found[1:]} and found[0].name == "as it is"


def test_stretching_and_shearing_are_about_the_middle():
    dot = np.zeros((32, 32, 3), np.uint8)
    dot[14:18, 14:18] = 255
    pixels = named(augment_image(pooled(), dot))

    def middle(name: str) -> tuple[float, float]:
        weight = np.abs(pixels[name][4:28, 8:24].mean(2))
        rows, cols = np.mgrid[4:28, 8:24] + 0.5
        return float((weight * rows).sum() / weight.sum()), float((weight * cols).sum() / weight.sum())

    for name in ("1.33 wide", "1.33 high", "turn by +15°", "shear +0.2"):
        assert middle(name) == pytest.approx((16, 16), abs=0.2)
    wide, high = ((pixels[name][..., 0] > 127).any(axis).sum() for name, axis in (("1.33 wide", 0), ("1.33 wide", 1)))
    assert wide > high == 4


def test_crops_come_from_the_padded_image_or_from_the_larger_photograph():
    found = ten_crops(pooled(), PICTURE)
    assert np.array_equal(found[4].pixels, PICTURE)  # padded by 4: the middle is the image itself
    assert np.array_equal(found[0].pixels[4:, 4:], PICTURE[:-4, :-4])
    assert np.array_equal(found[9].pixels, PICTURE[:, ::-1])
    larger = pooled(28, resize=32)
    assert np.array_equal(make_canvas(larger, PICTURE), PICTURE)
    corners = ten_crops(larger, PICTURE)
    assert np.array_equal(corners[3].pixels, PICTURE[4:, 4:]) and np.array_equal(corners[1].pixels, PICTURE[:28, 4:])
    batch = larger.normalise(torch.from_numpy(np.stack([one.pixels for one in corners])))
    assert mean_answer(corners) == pytest.approx(sum(larger.predict(batch)) / 10, abs=1e-5)


def test_random_crops_follow_the_seed_and_lie_within_the_canvas():
    model = pooled()
    first, again, other = (
        [one.name for one in augment_image(model, PICTURE, seed) if one.kind == "crop"] for seed in (0, 0, 1)
    )
    assert first == again != other
    canvas = make_canvas(model, PICTURE)
    one = next(one for one in augment_image(model, PICTURE, 0) if one.kind == "crop")
    top, left = map(int, one.name.removeprefix("crop at (").removesuffix(")").split(", "))
    assert np.array_equal(one.pixels, canvas[top : top + 32, left : left + 32])


def test_scales_are_in_proportion_and_a_flattening_network_is_refused_in_words():
    found = several_scales(pooled(28), PICTURE)
    assert [one.pixels.shape[0] for one in found] == [28, 32, 48, 60, 80]
    flat = tiny(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 2)))
    with pytest.raises(BadInput, match="takes one input size only"):
        several_scales(flat, PICTURE)


@pytest.mark.parametrize("channels", [1, 2])
def test_networks_that_are_not_rgb_get_their_versions_too(channels):
    model = pooled(channels=channels)
    assert {one.pixels.shape for one in augment_image(model, PICTURE)} == {(32, 32, channels)}
    assert turn_image(model, PICTURE, 45).probabilities.shape == (8, 3)


def test_turning_is_exact_at_quarters_and_the_bundled_cat_is_a_frog_at_90_degrees():
    model = cnnviz.load("resnet20_cifar", "bundled", "cpu")
    image = sample_photo("chelsea")
    pixels, found = model.receive(image), turn_image(model, image)
    for turn, one in enumerate(found.quarters[:4]):
        assert np.array_equal(one.pixels, np.rot90(pixels, turn))
        assert found.probabilities[6 * turn] == pytest.approx(one.probabilities)
    told = [(model.class_names[one.answer], round(100 * float(one.probabilities.max()))) for one in found.quarters]
    assert told == [("cat", 100), ("frog", 78), ("cat", 81), ("cat", 54), ("cat", 100)]
    with pytest.raises(BadInput, match="divide 90"):
        turn_image(model, image, 7)
