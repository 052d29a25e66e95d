"""At most one winner a group of images that show the same thing, exactly, in one run as in parts."""

from itertools import permutations

import numpy as np
import pytest
import torch
from same_index import assert_same
from slowindex import branching, noise

from cnnviz.data.corpus import MemoryCorpus
from cnnviz.data.grouping import find_group
from cnnviz.data.open import corpus as open_corpus
from cnnviz.errors import BadInput
from cnnviz.index.merge import merge
from cnnviz.index.result import PatchIndex
from cnnviz.index.search.build import index_patches
from cnnviz.index.search.topk import RunningTop
from cnnviz.probes.capture import capture

LAYERS, K = ["a", "relu", "b", "c"], 5


def frames(count: int = 60, videos: int = 7, seed: int = 0) -> MemoryCorpus:
    """Frames of a few videos in random order, with equal frames in one video and in two."""
    pixels = noise(count, seed=seed)
    pixels[30:34], pixels[50] = pixels[2:6], pixels[11]
    chosen = np.random.default_rng(seed).integers(0, videos, count)
    images = MemoryCorpus("videos", [f"video{v}_{i:03d}.png" for i, v in enumerate(chosen)], pixels)
    return open_corpus(images, group="name")


def find_winners(peaks: np.ndarray, groups: list[str], k: int) -> list[int]:
    """Image by image, the strongest first, of equal ones the earlier."""
    found: list[int] = []
    for image in sorted(range(len(peaks)), key=lambda i: (-peaks[i], i)):
        if groups[image] not in {groups[other] for other in found}:
            found.append(image)
    return found[:k]


@pytest.mark.parametrize("videos", [1, 3, 7, 60])
def test_winners_are_those_of_brute_force(videos):
    images = frames(videos=videos)
    index = index_patches(branching(), images, LAYERS, k=K, batch=4)
    groups = [find_group("name", image_id) for image_id in images.ids]
    everything = capture(branching(), [images.image(i) for i in range(len(images))], LAYERS)
    for layer in LAYERS:
        peaks = everything[layer].max(axis=(2, 3))
        for channel in range(peaks.shape[1]):
            winners = index.top(layer, channel)
            assert [w.image for w in winners] == find_winners(peaks[:, channel], groups, K)
            np.testing.assert_allclose(
                [w.value for w in winners], peaks[[w.image for w in winners], channel], rtol=1e-5
            )
    assert index.meta["group"] == "name"


@pytest.mark.parametrize("videos", [2, 7])
def test_parts_make_the_index_of_one_run(videos):
    images = frames(videos=videos)
    how = dict(k=K, batch=4)
    whole = index_patches(branching(), images, LAYERS, **how)
    parts = [index_patches(branching(), images, LAYERS, part=(i, 3), **how) for i in range(3)]
    for one, two, three in permutations(parts):
        assert_same(merge([one, merge([two, three])]), whole)


def test_a_run_that_was_stopped_goes_on_and_another_rule_is_refused(tmp_path):
    images, out = frames(), tmp_path / "index.npz"
    index_patches(branching(), images, LAYERS, k=K, batch=4, out=out, progress=lambda state: state.done < 24)
    found = index_patches(branching(), images, LAYERS, k=K, batch=4, out=out)
    assert_same(PatchIndex.load(out), index_patches(branching(), images, LAYERS, k=K, batch=4))
    assert found.complete
    for other in ("image", "folder"):
        with pytest.raises(BadInput, match="different group"):
            index_patches(branching(), open_corpus(images, group=other), LAYERS, k=K, out=tmp_path / "index.npz")


@pytest.mark.parametrize("seed", range(5))
def test_running_records_with_ties_and_numbers_that_are_none(seed):
    """Whole numbers from few, so that most are equal; NaN enters nothing."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 6, (200, 3), generator=generator).float()
    values[torch.rand(200, 3, generator=generator) < 0.1] = float("nan")
    groups = torch.randint(0, 12, (200,), generator=generator)
    top = RunningTop(3, 1, 9, torch.device("cpu"), groups)
    for start in range(0, 200, 8):
        top.add_maps(values[start : start + 8, :, None, None], torch.arange(start, start + 8))
    top.settle()
    for channel in range(3):
        peaks = values[:, channel].nan_to_num(nan=-np.inf).tolist()
        want = [i for i in find_winners(np.array(peaks), groups.tolist(), 9) if peaks[i] > -np.inf]
        assert top.images[channel].tolist() == want + [-1] * (9 - len(want))


def test_the_samples_have_nine_source_photographs_in_every_channel():
    index = index_patches(branching(), open_corpus("samples", limit=120), ["a", "c"], batch=8)
    for layer in ("a", "c"):
        for channel in range(index.channels(layer)):
            sources = [w.image_id.split("/")[0] for w in index.top(layer, channel)]
            assert len(sources) == len(set(sources)) == 9
