"""Large photographs are decoded at a reduced scale where a small picture is wanted; the others are not touched."""

from io import BytesIO

import numpy as np
import pytest
from made_pictures import archive
from PIL import Image

from cnnviz.data.images import LARGE, open_image
from cnnviz.data.open import corpus
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.data.samples import sample_photo
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel


def jpeg(size, name="astronaut", grain=0, **more):
    """A sample photograph enlarged to (width, height), with noise of up to so many grey levels, as JPEG."""
    pixels = np.asarray(sample_photo(name).resize(size, Image.Resampling.BICUBIC), np.int16)
    noise = np.random.default_rng(0).integers(-grain, grain + 1, pixels.shape, dtype=np.int8) if grain else 0
    file = BytesIO()
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=90, **more)
    return file.getvalue()


@pytest.fixture(scope="module")
def photographs():
    return [jpeg((4000, 3000), "astronaut", grain=16), jpeg((3000, 4000), "coffee"), jpeg((4000, 3000), "chelsea")]


@pytest.mark.parametrize(
    "preprocessing",
    [Preprocessing((224, 224), 256), Preprocessing((299, 299), 342, interpolation="bicubic"), Preprocessing((32, 32))],
    ids=["224", "299 bicubic", "32"],
)
def test_what_a_network_receives_of_12_megapixels_differs_by_less_than_one_grey_level(photographs, preprocessing):
    found = corpus([("photo", data) for data in photographs])
    for index in range(len(found)):
        fast = preprocessing.received_from(found, index).astype(int)
        full = preprocessing.receive(found.image(index)).astype(int)
        assert 0 < np.abs(fast - full).mean() < 1.0


def test_images_below_twice_the_side_are_received_exactly_as_they_are():
    for size in ((511, 600), (2 * LARGE - 1, 2 * LARGE + 50), (500, 4000)):
        data = jpeg(size)
        np.testing.assert_array_equal(open_image(data, side=256), open_image(data))
    png = BytesIO()
    Image.fromarray(np.zeros((2100, 2100), np.uint8)).save(png, "PNG")
    assert open_image(png.getvalue(), side=32).size == (2100, 2100)


@pytest.mark.parametrize(
    ("size", "side", "short"),
    [((4000, 3000), 256, 1500), ((8200, 4200), 256, 1050), ((4000, 3000), 800, 3000), ((3001, 2049), 32, 1025)],
)
def test_no_more_is_reduced_than_twice_the_side_and_the_least_size_allow(size, side, short):
    assert min(open_image(jpeg(size), side=side).size) == short >= max(2 * side, LARGE)


def test_a_turned_photograph_is_upright_at_a_reduced_scale_too():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert open_image(jpeg((2400, 2048), exif=exif), side=224).size == (1024, 1200)


def test_files_zips_parts_and_uploads_decode_alike(tmp_path):
    data = jpeg((2400, 2048))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(data)
    (tmp_path / "a" / "2.jpg").write_bytes(data)
    expected = np.asarray(open_image(data, side=224))
    zipped = corpus(archive(tmp_path / "x.zip", {"1.jpg": data}))
    for found in (corpus(tmp_path / "a"), zipped, corpus(data), corpus(tmp_path / "a", limit=1)):
        np.testing.assert_array_equal(np.asarray(found.image(0, 224)), expected)


def test_a_model_asks_as_its_preprocessing_does(photographs):
    import torch

    model = LoadedModel(torch.nn.Identity(), "same", Preprocessing((24, 24)), ["a"], torch.device("cpu"))
    found = corpus(photographs[1])
    np.testing.assert_array_equal(model.received_from(found, 0), model.preprocessing.received_from(found, 0))


def test_a_side_below_one_pixel_is_refused():
    with pytest.raises(BadInput, match="at least 1 pixel"):
        open_image(jpeg((20, 20)), side=0)
