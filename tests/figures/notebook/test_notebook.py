"""What notebooks show: HTML that stands alone, is small, says what it shows, and never fails."""

import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
import torch
from nets import tiny
from PIL import Image
from readpng import rgb
from torch import nn

import cnnviz
from cnnviz.data.corpus import MemoryCorpus
from cnnviz.figures.notebook import index as notebook_index
from cnnviz.figures.notebook.html import html_of
from cnnviz.figures.notebook.parts import MOST_ROWS, facts, table
from cnnviz.figures.patches.patch_wall import patches_png
from cnnviz.figures.patches.wall import GAP, three_by_three
from cnnviz.index.records import LayerTop
from cnnviz.index.result import PatchIndex
from cnnviz.index.search.build import index_patches

EVIL = '<script>alert("1")</script>&.png'
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)


class Reader(HTMLParser):
    """Texts, pictures and the nesting of tags; what does not close is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.images, self.words, self.tags = list[str](), list[dict](), list[str](), set[str]()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "img":
            self.images.append(dict(attributes))
        else:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def index() -> PatchIndex:
    torch.manual_seed(0)  # the first image is among the winners
    net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.Flatten(), nn.Linear(144, 3))
    ids = [EVIL, *(f"photo/{i}.png" for i in range(1, 12))]
    labels = [f"class <{i % 3}>" for i in range(12)]
    return index_patches(
        tiny(net), MemoryCorpus("noise & co", ids, PIXELS, labels=labels), ["0", "2", "4"], k=3, batch=4
    )


RESULTS = {
    "index": lambda index: index,
    "layer": lambda index: index.layer("2"),
    "linear layer": lambda index: index.layer("4"),
    "unit": lambda index: index.unit("2", 1),
    "linear unit": lambda index: index.unit("4", 2),
    "model": lambda index: index.source.model,
    "filters": lambda index: cnnviz.first_layer_filters(index.source.model),
    "filters, each": lambda index: cnnviz.first_layer_filters(index.source.model, "each", 1),
    "field": lambda index: cnnviz.receptive_field(index.source.model, "2"),
    "field of everything": lambda index: cnnviz.receptive_field(index.source.model, "4"),
    "anatomy": lambda index: cnnviz.anatomy("googlenet_2014"),
    "anatomy of an own network": lambda index: cnnviz.anatomy(index.source.model),
}


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_shows_itself_without_scripts_and_without_other_files(name: str, index: PatchIndex) -> None:
    found = RESULTS[name](index)._repr_html_()
    read = Reader(found)
    assert len(found) < 1_000_000 and "script" not in read.tags and not re.search(r"\son\w+=", found)
    assert all(image["src"].startswith("data:image/") for image in read.images) and "http" not in found
    assert name == "model" or read.images


def test_names_are_shown_as_they_are_written(index: PatchIndex) -> None:
    for result in (index, index.layer("0"), *(index.unit("0", channel) for channel in range(6))):
        assert EVIL not in result._repr_html_()
    words = "".join(w for channel in range(6) for w in Reader(index.unit("0", channel)._repr_html_()).words)
    assert EVIL in words and "class <0>" in words


def test_the_wall_of_a_layer_holds_the_patches_of_its_strongest_channels(index: PatchIndex) -> None:
    (image,) = Reader(index.layer("2")._repr_html_()).images
    picture = rgb(b64decode(image["src"].partition(",")[2]))
    patches = index.unit("2", index.layer("2").strongest(1)[0]).patches()
    side = patches[0].shape[0] * 8  # 5 pixels, enlarged to 40
    block = three_by_three(patches, side)
    np.testing.assert_array_equal(picture[: len(block), : len(block)], block)
    assert "pixelated" in image["style"]


def test_a_wall_of_patches_stands_in_rows() -> None:
    patches = [PIXELS[i] for i in range(9)]
    png, size = patches_png([(patches[i:], ["one", "two"]) for i in range(5)], 2, 8)
    picture, block = rgb(png), 3 * (8 + GAP) - GAP
    assert size == picture.shape[1::-1]
    high = picture.shape[0] // 3
    found = picture[2 * high : 2 * high + block, :block]
    np.testing.assert_array_equal(found, three_by_three(patches[4:], 8))
    assert (picture[block + 2 : high, :block] < 128).any() and (picture[2 * high :, block + 20 :] == 255).all()


def detached(index: PatchIndex, tmp_path) -> PatchIndex:
    return PatchIndex.load(index.save(tmp_path / "index.npz"))


def test_without_images_the_records_are_shown_and_the_reason(index: PatchIndex, tmp_path) -> None:
    back = detached(index, tmp_path)
    for result in (back, back.layer("2"), back.unit("2", 0)):
        read = Reader(result._repr_html_())
        text = " ".join(read.words)
        assert not read.images and "No pictures" in text and "index.attached(model, corpus)" in text
    best = back.top("2", 0)[0]
    assert best.image_id in read.words and f"({best.row}, {best.col})" in read.words


@pytest.mark.parametrize("what", ["bytes", "exception"])
def test_a_corpus_that_is_gone_shows_the_records(what: str, index: PatchIndex, monkeypatch) -> None:
    corpus = MemoryCorpus("gone", index.source.corpus.ids, PIXELS)
    fresh = index_patches(index.source.model, corpus, ["0"], k=3, batch=4)
    if what == "bytes":
        corpus.items = [b"no image"] * 12
    else:
        monkeypatch.setattr(corpus, "_read", lambda *_: (_ for _ in ()).throw(OSError("the disk is gone")))
    for result in (fresh, fresh.layer("0"), fresh.unit("0", 0)):
        read = Reader(result._repr_html_())
        assert not read.images and fresh.top("0", 0)[0].image_id in " ".join(read.words)


def test_crops_inside_the_index_are_shown_where_the_images_are_not(index: PatchIndex, tmp_path) -> None:
    from cnnviz.index.crops.embed import embed

    back = detached(embed(index, index.source.model, index.source.corpus, 4), tmp_path)
    for result in (back, back.layer("2"), back.unit("2", 0)):
        read = Reader(result._repr_html_())
        assert len(read.images) == 1
    assert "Crops kept inside the index" in " ".join(read.words)


def test_a_network_that_cannot_go_backwards_shows_patches_and_says_so(index: PatchIndex, monkeypatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("the device is full")

    monkeypatch.setattr("cnnviz.attribution.reconstruct.reconstruct_batch", fails)
    read = Reader(index.unit("2", 0)._repr_html_())
    assert len(read.images) == 1 and "No reconstructions: the device is full" in read.words


def large(layers: int, channels: int, k: int) -> PatchIndex:
    """As of a large network over a large corpus, which is not here."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 100_000, (channels, k))
    places, boxes = np.zeros((channels, k), int), np.tile([0, 0, 99, 99], (channels, k, 1))
    top = LayerTop(-np.sort(-rng.random((channels, k), np.float32)), images, places, places, boxes, boxes)
    ids = {int(i): f"folder/with/a/long/name/of/an/image/{i:012}.jpeg" for i in np.unique(images)}
    meta = {"model": "large", "corpus": "ImageNet", "k": k, "images": 1_281_167, "next": 5, "complete": False}
    return PatchIndex({f"layer{i}.with.a.name": top for i in range(layers)}, ids, meta)


def test_a_large_index_is_shown_in_little_space() -> None:
    index = large(600, 2048, 100)
    for result in (index, index.layer("layer5.with.a.name"), index.unit("layer5.with.a.name", 7)):
        assert len(result._repr_html_()) < 1_000_000
    assert "5 of the 1,281,167 of ImageNet: not complete" in index._repr_html_()


def test_few_images_are_read_for_a_wall_however_many_channels_and_winners_there_are(monkeypatch) -> None:
    torch.manual_seed(0)  # the first image is among the winners
    net = nn.Sequential(nn.Conv2d(3, 40, 3), nn.Conv2d(40, 30, 3))
    many = np.random.default_rng(1).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    corpus = MemoryCorpus("many", [str(i) for i in range(60)], many)
    index, read = index_patches(tiny(net), corpus, ["0", "1"], k=60, batch=4), []
    monkeypatch.setattr(corpus, "image", lambda i, side=None: read.append(i) or Image.fromarray(many[i]))
    monkeypatch.setattr(notebook_index, "SECONDS", 60.0)
    assert Reader(index.unit("1", 0)._repr_html_()).images and len(read) == 9
    assert Reader(index._repr_html_()).images and len(read) <= 9 + 6 * 9


def test_a_wall_ends_when_pictures_take_long(index: PatchIndex, monkeypatch) -> None:
    monkeypatch.setattr(notebook_index, "SECONDS", -1.0)
    assert "the 1 strongest of 4 channels" in index.layer("2")._repr_html_()


def test_an_empty_index_and_a_unit_without_winners_are_shown(index: PatchIndex) -> None:
    assert "Patch index" in PatchIndex({}, {})._repr_html_()
    nothing = {name: np.full_like(array, -1) for name, array in index.tops["0"].arrays().items()}
    empty = replace(index, tops={"0": LayerTop(**nothing)}, statistics={})
    for result in (empty, empty.layer("0"), empty.unit("0", 0)):
        read = Reader(result._repr_html_())
        assert not read.images and "No image won: none was searched." in read.words


def test_a_perceptron_of_many_filters_shows_some_and_says_so() -> None:
    filters = cnnviz.first_layer_filters(cnnviz.load("mlp", "random", "cpu"))
    many = replace(filters, weights=np.tile(filters.weights, (8, 1, 1, 1)), tiles=np.tile(filters.tiles, (8, 1, 1, 1)))
    found = Reader(many._repr_html_())
    assert "The first 150 of" in " ".join(found.words) and len(found.images[0]["src"]) < 1_000_000


def test_a_long_table_is_cut_and_counted_and_empty_columns_are_left_out() -> None:
    lines = [["name", "nothing", "count"], *([f"row {i}", "", str(i)] for i in range(MOST_ROWS + 7))]
    words = Reader(table(lines, right=(2,))).words
    assert "… and 7 more" in words and "nothing" not in words and f"row {MOST_ROWS - 1}" in words
    assert f"row {MOST_ROWS}" not in words and facts([("name", "")]) == ""


def test_the_field_is_drawn_to_scale() -> None:
    """A 3×3 convolution on 8×8 pixels: field and image have sides as 3 to 8."""
    model = tiny(nn.Sequential(nn.Conv2d(3, 2, 3)))
    (image,) = Reader(cnnviz.receptive_field(model, "0")._repr_html_()).images
    svg = b64decode(image["src"].partition(",")[2]).decode()
    widths = [float(w) for w in re.findall(r'<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)"', svg)]
    assert widths[1] / widths[0] == pytest.approx(3 / 8, abs=0.01) and widths[2] == widths[1]


def test_a_result_without_a_figure_is_left_to_its_text() -> None:
    assert html_of(object()) is None


def test_pictures_are_whole_png_files(index: PatchIndex) -> None:
    for result in (index, index.layer("0"), index.unit("0", 0), cnnviz.first_layer_filters(index.source.model)):
        for image in Reader(result._repr_html_()).images:
            with Image.open(BytesIO(b64decode(image["src"].partition(",")[2]))) as picture:
                picture.load()
                assert str(picture.width) == image["width"]
