"""A layer and a unit of an index as objects: their pictures are those of the corpus, cut and projected slowly."""

import copy
import pickle
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from nets import tiny
from slowindex import branching, memory, noise
from torch import nn

import cnnviz
from cnnviz.attribution.effective_field import effective_field
from cnnviz.errors import BadImage, BadInput, UnknownName
from cnnviz.index.crops import source
from cnnviz.index.result import PatchIndex
from cnnviz.index.search.build import index_patches
from cnnviz.models.model import LoadedModel


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return branching()


@pytest.fixture(scope="module")
def index(model: LoadedModel) -> PatchIndex:
    return index_patches(model, memory(noise(20)), ["a", "b"], k=4, batch=4)


def test_a_layer_lists_its_channels_strongest_first(index: PatchIndex) -> None:
    view = index.layer("b")
    values = [index.top("b", channel)[0].value for channel in range(5)]
    assert len(view) == 5 and view.strongest() == sorted(range(5), key=lambda c: -values[c])
    assert view.strongest(2) == view.strongest()[:2]
    assert view.field == cnnviz.receptive_field(index.source.model, "b").size
    np.testing.assert_array_equal(index.dead("b"), index.statistics["b"].maximum <= 0)


def test_patches_are_the_pixels_of_the_field_and_gray_beyond_the_image(index: PatchIndex) -> None:
    pixels, outside = noise(20), 0
    unit = index.unit("b", 2)
    for winner, patch in zip(unit.winners, unit.patches(), strict=True):
        top, left, bottom, right = winner.full_box
        assert patch.shape == (bottom - top, right - left, 3)
        for row, col in np.ndindex(patch.shape[:2]):
            inside = 0 <= top + row < 12 and 0 <= left + col < 12
            outside += not inside
            expected = pixels[winner.image, top + row, left + col] if inside else [128] * 3
            assert patch[row, col].tolist() == list(expected)
    assert len(unit.patches(2)) == 2 and outside > 0


@pytest.mark.parametrize("rule", ["deconvnet", "gradient"])
def test_reconstructions_are_those_of_the_single_images_inside_the_field(index: PatchIndex, rule: str) -> None:
    unit, model = index.unit("b", 1), index.source.model
    for winner, found in zip(unit.winners, unit.reconstructions(rule), strict=True):
        whole = cnnviz.reconstruct(model, noise(20)[winner.image], "b", 1, winner.row, winner.col, rule)
        top, left, bottom, right = winner.box
        upper, start = winner.full_box[:2]
        part = found[:, top - upper : bottom - upper, left - start : right - start]
        np.testing.assert_allclose(part, whole[:, top:bottom, left:right], atol=1e-6)
        assert np.abs(found).sum() == pytest.approx(np.abs(whole).sum(), rel=1e-4)  # none of it lies elsewhere


def test_a_saved_index_shows_pictures_once_it_is_attached_again(
    index: PatchIndex, model: LoadedModel, tmp_path
) -> None:
    back = PatchIndex.load(index.save(tmp_path / "index.npz"))
    with pytest.raises(BadInput, match=r"index\.attached\(model, corpus\)"):
        back.unit("a", 0).patches()
    again = back.attached(model, memory(noise(20)))
    for one, other in zip(again.unit("a", 0).patches(), index.unit("a", 0).patches(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_corpus_or_network_is_refused(index: PatchIndex, model: LoadedModel) -> None:
    with pytest.raises(BadInput, match="other images"):
        index.attached(model, memory(noise(20, seed=1)))
    with pytest.raises(BadInput, match="another network"):
        index.attached(tiny(nn.Sequential(nn.Conv2d(3, 2, 3)), (12, 12)), memory(noise(20)))


def test_copies_that_leave_the_process_leave_network_and_images_behind(index: PatchIndex) -> None:
    for other in (pickle.loads(pickle.dumps(index)), copy.deepcopy(index)):
        assert other.source.model is None and other.source.corpus is None
        assert other.top("a", 1) == index.top("a", 1)
    assert index.source.model is not None


def test_without_its_images_an_index_falls_back_on_its_crops(model: LoadedModel, tmp_path) -> None:
    whole = index_patches(model, memory(noise(9)), ["a"], k=2, batch=4, embed=2)
    back = PatchIndex.load(whole.save(tmp_path / "index.npz"))
    for found, crop in zip(back.unit("a", 3).patches(), whole.crops("a", 3), strict=True):
        assert max(found.shape[:2]) == 2
        np.testing.assert_array_equal(found, crop)
    with pytest.raises(BadInput):
        back.unit("a", 3).reconstructions()


def test_an_image_that_is_gone_is_told(index: PatchIndex, model: LoadedModel) -> None:
    gone = index_patches(model, memory(noise(20)), ["a"], k=2, batch=4)
    gone.source.corpus.items = [b"no image"] * 20
    with pytest.raises(BadImage):
        gone.unit("a", 0).images()


def test_few_images_are_held_and_each_is_decoded_once(model: LoadedModel, monkeypatch) -> None:
    monkeypatch.setattr(source, "KEPT", 3)
    index = index_patches(model, memory(noise(8)), ["a"], k=8, batch=4)
    first = index.source.received([0])[0]
    assert index.source.received([0])[0] is first
    index.unit("a", 0).images()
    assert len(index.source._kept) == 3


def test_a_layer_or_channel_that_is_not_there_is_named(index: PatchIndex) -> None:
    with pytest.raises(UnknownName, match="List them"):
        index.layer("bb")
    with pytest.raises(BadInput, match=r"0\.\.4, got 5"):
        index.unit("b", 5)


def test_the_text_of_an_index_is_short(index: PatchIndex) -> None:
    texts = [repr(index), repr(index.layer("a")), repr(index.unit("a", 0))]
    assert all(len(text) < 150 for text in texts) and "2 layers, 11 channels" in texts[0]
    assert "a · channel 0" in texts[2]


def test_the_effective_field_is_that_of_the_winners_own_units(index: PatchIndex) -> None:
    unit, model = index.unit("b", 2), index.source.model
    units = [(2, winner.row, winner.col) for winner in unit.winners]
    batch = model.preprocessing.normalise(torch.from_numpy(np.stack(unit.images())))
    np.testing.assert_array_equal(unit.effective_field().weight, effective_field(model, batch, "b", units).weight)
    assert unit.effective_field().size == cnnviz.receptive_field(model, "b").size


def test_a_caller_may_keep_the_images_that_an_index_reads(index: PatchIndex) -> None:
    asked: list[int] = []

    def read(images: Sequence[int]) -> list[np.ndarray]:
        asked.extend(images)
        return index.source.received(images)

    unit = index.attached(*index.source.known(), read).unit("b", 1)
    for own, other in zip(unit.patches(), index.unit("b", 1).patches(), strict=True):
        np.testing.assert_array_equal(own, other)
    assert asked == [winner.image for winner in unit.winners]
