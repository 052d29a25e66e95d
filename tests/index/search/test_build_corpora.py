"""The same images from a folder, a zip and shards give the same index; large JPEGs are seen alike by all."""

import io
import zipfile

import numpy as np
import pytest
import torch
import webdataset
from PIL import Image
from slowindex import branching, noise
from torch import nn

from cnnviz.data.images import LARGE
from cnnviz.data.open import corpus
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.index.search.build import index_patches
from cnnviz.models.model import LoadedModel


def encoded(pixels, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """{kind: where 60 images lie}."""
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "cache"))
    files = {f"{number:03d}": encoded(pixels) for number, pixels in enumerate(noise(60))}
    (tmp_path / "folder").mkdir()
    (tmp_path / "shards").mkdir()
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as content:
        for name, data in files.items():
            (tmp_path / "folder" / f"{name}.png").write_bytes(data)
            content.writestr(f"{name}.png", data)
    with webdataset.ShardWriter(str(tmp_path / "shards" / "s-%03d.tar"), maxcount=25, verbose=0) as writer:
        for name, data in files.items():
            writer.write({"__key__": name, "png": data, "cls": int(name) % 7})
    return {"folder": tmp_path / "folder", "zip": tmp_path / "x.zip", "shards": f"{tmp_path}/shards/s-{{000..002}}.tar"}


def test_a_folder_a_zip_and_shards_give_the_same_index(sources):
    workers = {"folder": 0, "zip": 0, "shards": 2}  # processes that decode
    indexes = {
        kind: index_patches(branching(), corpus(source), ["a", "c"], batch=8, workers=workers[kind])
        for kind, source in sources.items()
    }
    for kind in ("zip", "shards"):
        for layer in ("a", "c"):
            for name, array in indexes["folder"].tops[layer].arrays().items():
                np.testing.assert_array_equal(array, indexes[kind].tops[layer].arrays()[name], err_msg=f"{kind} {name}")
    first = indexes["shards"].top("a", 0)[0]
    assert first.image_id == f"s-{first.image // 25:03d}.tar/{first.image:03d}"
    assert indexes["shards"].meta["labels"][str(first.image)] == str(first.image % 7)


def test_values_are_those_of_the_pixels_that_patches_are_cut_from(tmp_path):
    """Of a large JPEG, which is decoded at a reduced scale, and of small ones."""
    rng = np.random.default_rng(0)
    for number, side in enumerate((2 * LARGE + 100, 40, 30)):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
        (tmp_path / f"{number}.jpg").write_bytes(encoded(np.asarray(coarse.resize((side, side))), "JPEG"))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 5, 3))
    model = LoadedModel(net, "one", Preprocessing((20, 20), 24), ["a"], torch.device("cpu"))
    images = corpus(tmp_path)
    index = index_patches(model, images, ["0"], k=3, batch=2)
    full = model.preprocessing.receive(images.image(0)).astype(int)
    assert 0 < np.abs(model.received_from(images, 0).astype(int) - full).mean() < 1.0
    received = torch.from_numpy(np.stack([model.received_from(images, i) for i in range(3)]))
    maps = net(model.preprocessing.normalise(received)).detach().numpy()
    for channel in range(5):
        for winner in index.top("0", channel):
            assert winner.value == pytest.approx(maps[winner.image, channel].max(), abs=1e-5)
            assert winner.value == pytest.approx(maps[winner.image, channel, winner.row, winner.col], abs=1e-5)
