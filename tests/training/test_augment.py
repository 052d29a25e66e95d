"""Whole-batch augmentation against a loop over single images that draws the same random numbers."""

import pytest
import torch

from cnnviz.training.augment import random_crop, random_flip


def batch(seeded: torch.Generator, count: int = 16) -> torch.Tensor:
    return torch.randn(count, 3, 7, 5, generator=seeded)


def cropped_slowly(images: torch.Tensor, padding: int, high: int, wide: int, seed: int) -> torch.Tensor:
    count, channels, height, width = images.shape
    generator = torch.Generator().manual_seed(seed)
    tops = torch.randint(0, height + 2 * padding - high + 1, (count,), generator=generator)
    lefts = torch.randint(0, width + 2 * padding - wide + 1, (count,), generator=generator)
    result = torch.empty(count, channels, high, wide)
    for n in range(count):
        for row in range(high):
            for col in range(wide):
                r, c = row + int(tops[n]) - padding, col + int(lefts[n]) - padding
                inside = 0 <= r < height and 0 <= c < width
                result[n, :, row, col] = images[n, :, r, c] if inside else 0
    return result


def test_random_crop_equals_a_loop_over_pixels(seeded):
    images = batch(seeded)
    found = random_crop(images, 2, torch.Generator().manual_seed(5))
    assert torch.equal(found, cropped_slowly(images, 2, 7, 5, 5))


@pytest.mark.parametrize("padding, side", [(0, 4), (2, 4), (0, 5), (1, 1)])
def test_cuts_of_a_smaller_side_equal_a_loop_over_pixels(seeded, padding, side):
    images = batch(seeded)
    found = random_crop(images, padding, torch.Generator().manual_seed(5), side)
    assert torch.equal(found, cropped_slowly(images, padding, side, side, 5))


def test_random_crop_reaches_every_offset():
    images = torch.zeros(400, 1, 5, 5)
    images[:, 0, 2, 2] = 1
    found = random_crop(images, 1, torch.Generator().manual_seed(0))
    places = {divmod(int(picture.argmax()), 5) for picture in found}
    assert places == {(r, c) for r in (1, 2, 3) for c in (1, 2, 3)}


def test_no_padding_leaves_the_batch_and_the_generator_alone(seeded):
    images, before = batch(seeded), seeded.get_state()
    assert torch.equal(random_crop(images, 0, seeded), images)
    assert torch.equal(seeded.get_state(), before)


def test_random_flip_equals_a_loop_over_images(seeded):
    images = batch(seeded)
    found = random_flip(images, torch.Generator().manual_seed(5))
    draws = torch.rand(len(images), generator=torch.Generator().manual_seed(5))
    mirrored = 0
    for n, draw in enumerate(draws):
        expected = torch.stack([images[n, :, :, 4 - col] for col in range(5)], 2) if draw < 0.5 else images[n]
        mirrored += bool(draw < 0.5)
        assert torch.equal(found[n], expected)
    assert 0 < mirrored < len(images)
