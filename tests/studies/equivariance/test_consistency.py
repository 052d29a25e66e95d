"""Answers under shifts, against plain scripts."""

import numpy as np
import pytest
import torch
from nets import hooks_left, images, tiny
from PIL import Image
from torch import nn

import cnnviz
from cnnviz.data.corpus import MemoryCorpus
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput, Cancelled
from cnnviz.models.model import LoadedModel
from cnnviz.studies.equivariance.consistency import crop_offsets, measure_consistency, measure_wobble
from cnnviz.studies.equivariance.published import CONSISTENCY, POSITION, published_consistency


def classifier(stride: int = 3, size: int = 12, resize: int = 18) -> LoadedModel:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 16, 3, stride), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(7))
    net(torch.zeros(1, 3, size, size))
    preprocessing = Preprocessing((size, size), resize, (0.5,) * 3, (0.25,) * 3)
    return LoadedModel(net, "tiny", preprocessing, [f"class {i}" for i in range(7)], torch.device("cpu"))


def noise(count: int, size: int = 18) -> MemoryCorpus:
    pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return MemoryCorpus("noise", [f"image {i}" for i in range(count)], pixels)


def by_script(model: LoadedModel, pictures: list[np.ndarray], offsets: np.ndarray) -> tuple[float, float, float]:
    """Consistency, P(top-1 changes), mean absolute change: image by image, crop by crop."""
    height, width = model.input_size[1:]
    agree, changed, difference = [], [], []
    for picture, places in zip(pictures, offsets, strict=True):
        answers = []
        for top, left in places:
            x = torch.from_numpy(picture[top : top + height, left : left + width] / 255).float()
            x = (x - torch.tensor(model.preprocessing.mean)) / torch.tensor(model.preprocessing.std)
            with torch.no_grad():
                answers.append(model.module(x.permute(2, 0, 1)[None]).softmax(1)[0])
        agree.append(bool(answers[0].argmax() == answers[1].argmax()))
        top = int(answers[2].argmax())
        changed.append(int(answers[3].argmax()) != top)
        difference.append(abs(float(answers[3][top] - answers[2][top])))
    return float(np.mean(agree)), float(np.mean(changed)), float(np.mean(difference))


def test_shares_over_a_corpus_equal_a_plain_script():
    model, corpus = classifier(), noise(40)
    seen = []
    found = measure_consistency(model, corpus, seed=3, most=6, progress=lambda p: seen.append(p.done))
    pictures = [np.asarray(corpus.image(i)) for i in range(40)]  # 18×18 already: crop 12 plus 6
    agree, changed, difference = by_script(model, pictures, crop_offsets(40, 3, 6))
    assert 0 < agree < 1 and 0 < changed < 1
    assert (found.consistency, found.change) == (agree, changed)
    assert found.mean_change == pytest.approx(difference, abs=1e-6)
    assert seen[-1] == 40 and found.ids == tuple(corpus.ids)
    assert found.standard_error(agree) == pytest.approx(np.sqrt(agree * (1 - agree) / 40))


def test_offsets_are_seeded_cover_the_range_and_step_one_pixel_down_and_right():
    first = crop_offsets(5000, 0, 32)
    assert np.array_equal(first, crop_offsets(5000, 0, 32)) and not np.array_equal(first, crop_offsets(5000, 1, 32))
    assert first[:, :2].min() == 0 and first[:, :2].max() == 31
    assert (first[:, 2] == 16).all() and (first[:, 3] == 15).all()


def test_invariant_18_equal_offsets_are_always_consistent(monkeypatch):
    monkeypatch.setattr("cnnviz.studies.equivariance.consistency.crop_offsets", lambda n, *_: np.full((n, 4, 2), 2))
    found = measure_consistency(classifier(), noise(12), most=6)
    assert found.consistency == 1.0 and found.change == 0.0 and found.mean_change == pytest.approx(0, abs=1e-6)


def test_a_network_without_location_is_consistent_under_every_shift_on_a_torus():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    model, shifts = tiny(net, (10, 10)), [(a, b) for a in range(-3, 4) for b in range(-3, 4)]
    still = measure_wobble(model, images(1, (10, 10)), shifts, padding="circular")
    assert still.changed == 0 and np.ptp(still.probabilities, axis=0).max() < 1e-6
    assert np.ptp(measure_wobble(model, images(1, (10, 10)), shifts).probabilities, axis=0).max() > 1e-4


def test_a_wobble_gives_the_answer_to_each_shifted_image():
    model = classifier()
    x = images(1, (12, 12))
    found = measure_wobble(model, x, [(0, 0), (1, 0), (-2, 5)])
    for row, shift in zip(found.probabilities, found.shifts, strict=True):
        np.testing.assert_allclose(row, model.predict(x.roll(tuple(shift), (2, 3)))[0], atol=1e-6)
    np.testing.assert_allclose(found.still, found.probabilities[0], atol=1e-6)
    assert found.top(3) == list(np.argsort(-found.probabilities.max(0))[:3])
    assert found.changed == np.mean(found.answers != found.answers[0]) and len(found.class_names) == 7


def test_unreadable_images_are_named_and_a_stop_is_heard():
    good = noise(3)
    items = [np.asarray(good.image(0)), b"no image", np.asarray(good.image(2))]
    found = measure_consistency(classifier(), MemoryCorpus("mixed", ["a", "b", "c"], items), most=6)
    assert found.ids == ("a", "c") and [name for name, _ in found.skipped] == ["b"]
    with pytest.raises(BadInput, match="could be read"):
        measure_consistency(classifier(), MemoryCorpus("bad", ["b"], [b"no image"]), most=6)
    with pytest.raises(BadInput, match="offsets"):
        measure_consistency(classifier(), good, most=1)
    model = classifier()
    with pytest.raises(Cancelled):
        measure_consistency(model, noise(70), most=6, progress=lambda p: False)
    assert not hooks_left(model.module)


def test_published_figures_are_those_of_the_papers():
    assert [(p.consistency, p.accuracy) for p in CONSISTENCY][:2] == [(78.18, 56.55), (88.52, 71.59)]
    assert published_consistency("resnet50").consistency == 89.20 and published_consistency("lenet5") is None
    assert all(p.architecture in cnnviz.architectures() for p in CONSISTENCY)
    assert [(p.usual, p.swapped) for p in POSITION] == [(100.0, 0.2), (99.8, 8.4), (73.7, 73.7), (89.7, 89.7)]


def test_squeezenet_on_real_photographs_equals_a_plain_script(shared):
    model = cnnviz.load("squeezenet1_0", shared / "weights" / "squeezenet1_0-imagenet.pth", "cpu")
    files = sorted((shared / "data" / "imagenet-sample").glob("*.jpg"))[::25][:24]
    found = measure_consistency(model, cnnviz.corpus(files), seed=0)
    pictures = []
    for file in files:
        photo = Image.open(file).convert("RGB")
        scale = 256 / min(photo.size)
        size = [256 if side == min(photo.size) else int(side * scale) for side in photo.size]
        photo = photo.resize(size, Image.Resampling.BILINEAR)
        left, top = (round((side - 256) / 2) for side in photo.size)
        pictures.append(np.asarray(photo.crop((left, top, left + 256, top + 256))))
    assert (found.most, len(found.ids)) == (32, 24)
    agree, changed, difference = by_script(model, pictures, crop_offsets(24, 0, 32))
    assert (found.consistency, found.change) == (agree, changed)
    assert found.mean_change == pytest.approx(difference, abs=1e-5)


def test_a_network_with_one_output_wavers_between_yes_and_no():
    bright_left = nn.Linear(144, 1, bias=False)
    bright_left.weight.data = torch.tensor([1.0] * 6 + [-1.0] * 6).repeat(12)[None]
    preprocessing = Preprocessing((12, 12), 18, (0.5,), (0.25,))
    model = LoadedModel(nn.Sequential(nn.Flatten(), bright_left), "tiny", preprocessing, ["yes"], torch.device("cpu"))
    picture = np.zeros((12, 12), np.uint8)
    picture[:, :6] = 255
    found = measure_wobble(model, picture, [(0, 0), (0, 6)])
    assert found.answers.tolist() == [1, 0] and found.changed == 0.5
    many = measure_consistency(model, noise(40), seed=0, most=6)
    gray = [np.asarray(noise(40).image(i).convert("L"), float) / 255 - 0.5 for i in range(40)]

    def is_bright_on_the_left(image, top, left):
        return image[top : top + 12, left : left + 6].sum() >= image[top : top + 12, left + 6 : left + 12].sum()

    offsets = crop_offsets(40, 0, 6)
    yes = np.array([[is_bright_on_the_left(g, *at) for at in four] for g, four in zip(gray, offsets, strict=True)])
    assert 0 < many.consistency < 1 and many.consistency == (yes[:, 0] == yes[:, 1]).mean()
    assert many.change == (yes[:, 2] != yes[:, 3]).mean()
