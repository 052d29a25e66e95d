"""An index file opened in the app without its images."""

import numpy as np
import pytest
from app_jobs import when_built
from app_pages import errors, image_of, pictures
from PIL import Image

from app.pickers.index_file import SOURCE
from cnnviz.data.corpus import MemoryCorpus
from cnnviz.data.open import corpus
from cnnviz.index.search.build import index_patches
from cnnviz.models.load import load


@pytest.fixture
def file(tmp_path):
    """An index with crops, made of images that are deleted afterwards."""
    folder = tmp_path / "gone"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(random.integers(0, 256, (28, 28), np.uint8)).save(folder / f"{number}.png")
    path = tmp_path / "index.npz"
    index_patches(load("lenet5", "bundled", "cpu"), corpus(folder), ["conv1", "conv2"], out=path, embed=32)
    for image in folder.iterdir():
        image.unlink()
    return path


def test_an_index_file_shows_its_crops_without_its_images(opened, file, cache):
    at = opened("top9", net="lenet5", layer="conv1", corpus=SOURCE, indexfile=str(file))
    assert errors(at) == []
    assert any("12 images" in c.value and "nothing can be projected" in c.value for c in at.caption)
    wall = np.asarray(image_of(pictures(at)["wall_picture"]).convert("RGB"))
    assert len(np.unique(wall.reshape(-1, 3), axis=0)) > 100  # random pixels, not pale tiles
    assert not list(cache.glob("indexes/*"))  # nothing was searched
    at.selectbox(key="corpus").select("digits").run()
    assert errors(when_built(at)) == []


def test_the_unit_page_shows_its_crops_too(opened, file):
    at = opened("unit", net="lenet5", layer="conv2", unit="3", corpus=SOURCE, indexfile=str(file))
    assert errors(at) == [] and "winners" in pictures(at)
    assert any("needs the images" in c.value for c in at.caption)


def test_another_file_of_the_same_images_is_never_shown_with_the_pictures_of_the_first(opened, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
    images = MemoryCorpus("gone", [str(number) for number in range(12)], pixels)
    model, colours = load("lenet5", "bundled", "cpu"), []
    for name, k, side in (("without", 9, None), ("with", 4, 32)):  # as the page advises where there are no crops
        path = tmp_path / f"{name}.npz"
        index_patches(model, images, ["conv1"], k, path, embed=side)
        link = {"net": "lenet5", "layer": "conv1", "corpus": SOURCE, "indexfile": str(path), "device": "cpu"}
        for page, picture in (("top9", "wall_picture"), ("unit", "winners")):
            at = opened(page, **link)
            assert errors(at) == []
            shown = np.asarray(image_of(pictures(at)[picture]).convert("RGB"))
            colours.append(len(np.unique(shown.reshape(-1, 3), axis=0)))
    assert max(colours[:2]) < 5 < 50 < min(colours[2:]), colours  # pale tiles, then random pixels


def test_an_uploaded_index_is_opened_on_every_page(opened, file):
    at = opened("top9", net="lenet5", layer="conv2", corpus=SOURCE)
    assert errors(at) == [] and len(at.info) == 1
    at.file_uploader(key="index_upload").set_value(("mine.npz", file.read_bytes(), "application/zip")).run()
    assert errors(at) == [] and "wall_picture" in pictures(at)
    at = at.switch_page("../pages/feature_maps.py").run()
    assert errors(at) == [] and "unit_patches" in pictures(at)


def test_an_uploaded_index_in_use_stays_and_one_that_is_gone_is_said_without_a_path(opened, file, cache):
    at = opened("top9", net="lenet5", layer="conv2", corpus=SOURCE)
    at.file_uploader(key="index_upload").set_value(("mine.npz", file.read_bytes(), "application/zip")).run()
    (mine,) = cache.glob("uploads/*.npz")
    before = mine.stat().st_atime_ns
    at.run()
    assert errors(at) == [] and mine.stat().st_atime_ns > before
    mine.unlink()
    (message,) = errors(at.run())
    assert "Upload it again" in message and "cache" not in message


def test_an_index_of_another_network_or_none_is_said_and_the_pickers_live(opened, file, tmp_path):
    at = opened("top9", net="lenet5", weights="random", corpus=SOURCE, indexfile=str(file))
    (message,) = errors(at)
    assert "bundled weights" in message and "Choose the network" in message
    (tmp_path / "text.npz").write_text("hello")
    for name in ("text.npz", "missing.npz", "\0"):
        at.text_input(key="indexfile").set_value(str(tmp_path / name)).run()
        assert len(errors(at)) == 1
    at.selectbox(key="corpus").select("digits").run()
    assert errors(when_built(at)) == []


def test_a_layer_that_the_index_does_not_hold_is_said(opened, file):
    at = opened("top9", net="lenet5", layer="pool1", corpus=SOURCE, indexfile=str(file))
    assert errors(at) == [] and any("It holds: conv1, conv2" in i.value for i in at.info)
