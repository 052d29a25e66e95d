"""Neighbours in the space of the top hidden layer, against a loop over all images."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnnviz.data.corpus import MemoryCorpus
from cnnviz.data.open import corpus
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput, Cancelled
from cnnviz.models.model import LoadedModel
from cnnviz.studies.channels.neighbours import Embedding, embed_corpus, embed_image, find_nearest


def loaded(*layers: nn.Module) -> LoadedModel:
    torch.manual_seed(0)
    expects = Preprocessing((8, 8), mean=(0.5,) * 3, std=(0.25,) * 3)
    return LoadedModel(nn.Sequential(*layers), "small", expects, ["a", "b"], torch.device("cpu"))


def dense() -> LoadedModel:
    return loaded(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10), nn.ReLU(), nn.Linear(10, 2))


PIXELS = np.random.default_rng(0).integers(0, 256, (23, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def many() -> MemoryCorpus:
    return MemoryCorpus("many", [f"image {n}" for n in range(23)], PIXELS)


def test_neighbours_are_those_of_a_loop_over_all_images(many):
    model = dense()
    found = find_nearest(embed_corpus(model, many), embed_image(model, PIXELS[4]), many, k=6)

    def hidden(pixels):
        with torch.no_grad():
            return model.module[:5](model.preprocess(pixels)[None])[0]

    distances = [float((hidden(p) - hidden(PIXELS[4])).pow(2).sum() ** 0.5) for p in PIXELS]
    order = sorted(range(23), key=lambda n: distances[n])[:6]
    assert [n.position for n in found] == order and found[0].image_id == "image 4"
    np.testing.assert_allclose([n.distance for n in found], [distances[n] for n in order], rtol=1e-4, atol=1e-5)
    others = find_nearest(embed_corpus(model, many), embed_image(model, PIXELS[4]), many, k=6, leave_out="image 4")
    assert [n.position for n in others[:5]] == order[1:]


def test_maps_that_a_convolution_classifies_are_averaged(many):
    model = loaded(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with torch.no_grad():
        expected = model.module[:2](model.preprocess(PIXELS[0])[None]).mean((2, 3))[0]
    np.testing.assert_allclose(embed_image(model, PIXELS[0]), expected.numpy(), rtol=1e-5)
    assert embed_corpus(model, many).vectors.shape == (23, 4)


def test_an_embedding_is_saved_and_belongs_to_its_images(many, tmp_path):
    model = dense()
    made = embed_corpus(model, many)
    made.save(tmp_path / "e.npz")
    again = Embedding.load(tmp_path / "e.npz")
    np.testing.assert_array_equal(again.vectors, made.vectors)
    assert (again.model, again.corpus, again.layer) == (model.fingerprint, many.fingerprint, "5")
    with pytest.raises(BadInput, match="other images"):
        find_nearest(again, made.vectors[0], many.take(3))
    with pytest.raises(BadInput, match="10 values an image"):
        find_nearest(again, np.zeros(9, np.float32), many)
    (tmp_path / "other.npz").write_bytes(b"no archive")
    with pytest.raises(BadInput, match="damaged"):
        Embedding.load(tmp_path / "other.npz")


def test_unreadable_images_are_left_out_and_positions_stay_true(tmp_path):
    for number in (0, 2):
        Image.fromarray(PIXELS[number]).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    images, model = corpus(tmp_path), dense()
    made = embed_corpus(model, images)
    assert made.positions.tolist() == [0, 2] and [name for name, _ in made.skipped] == ["1.png"]
    assert [n.image_id for n in find_nearest(made, embed_image(model, PIXELS[2]), images)] == ["2.png", "0.png"]


def test_it_can_be_stopped_and_an_empty_corpus_is_told(many, tmp_path):
    model = dense()
    model.preprocessing = Preprocessing((500, 500), mean=(0.5,) * 3, std=(0.25,) * 3)
    with pytest.raises(Cancelled):
        embed_corpus(
            loaded(nn.Conv2d(3, 1, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2)),
            MemoryCorpus("m", [str(n) for n in range(99)], np.tile(PIXELS, (5, 1, 1, 1))[:99]),
            lambda state: False,
        )
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(BadInput, match="could be read"):
        embed_corpus(dense(), corpus(tmp_path))
    with pytest.raises(BadInput, match="neither a convolution nor a linear layer"):
        embed_image(loaded(nn.Flatten()), PIXELS[0])
