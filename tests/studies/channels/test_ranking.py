"""A further image joins the ranking: its place equals that of a search over corpus and image together."""

import numpy as np
import pytest
from slowindex import branching, memory, noise

from cnnviz.errors import BadInput
from cnnviz.index.search.build import index_patches
from cnnviz.probes.capture import capture
from cnnviz.studies.channels.ranking import rank_image

LAYERS = ["a", "b", "c"]


@pytest.mark.parametrize("count", [2, 5, 30], ids=["fewer than k", "a few", "many"])
def test_the_place_is_that_of_brute_force(count):
    model, pixels, photos = branching(), noise(count), noise(4, seed=7)
    index = index_patches(model, memory(pixels), LAYERS, k=3)
    entered = 0
    for photo in photos:
        maps = capture(model, photo, LAYERS)
        everyone = capture(model, [*pixels, photo], LAYERS)
        for layer in LAYERS:
            peaks = everyone[layer].max(axis=(2, 3))  # (N + 1, C), the photo last
            ranks = 1 + (peaks[:-1] >= peaks[-1]).sum(axis=0)
            found = rank_image(index, layer, maps[layer][0])
            np.testing.assert_array_equal(found, np.where(ranks <= 3, ranks, 0))
            entered += (found > 0).sum()
    assert entered > 3


def test_an_image_of_the_corpus_finds_its_own_place_and_does_not_compete_with_itself():
    model, pixels = branching(), noise(12)
    index = index_patches(model, memory(pixels), LAYERS, k=3)
    for image in (0, 5):
        for layer in LAYERS:
            found = rank_image(index, layer, capture(model, pixels[image], layer)[layer][0], own=f"n/{image:03d}")
            for channel, place in enumerate(found):
                at = [i for i, w in enumerate(index.top(layer, channel), 1) if w.image == image]
                assert place == (at[0] if at else 0)


def test_a_tie_goes_to_the_image_that_was_there_before():
    model, pixels = branching(), noise(6)
    index = index_patches(model, memory(pixels), ["a"], k=3)
    maps = np.full((index.channels("a"), 2, 2), -1e9, np.float32)
    maps[:, 0, 1] = index.tops["a"].values[:, 1]
    assert set(rank_image(index, "a", maps)) == {3}


def test_a_map_of_nan_enters_nowhere_and_other_channels_are_refused():
    index = index_patches(branching(), memory(noise(2)), ["a"], k=3)
    assert not rank_image(index, "a", np.full((6, 2, 2), np.nan, np.float32)).any()
    with pytest.raises(BadInput, match="6 channels"):
        rank_image(index, "a", np.zeros((5, 2, 2), np.float32))
