"""The bundled networks keep their promises on real test images they never saw."""

import numpy as np
import pytest
from PIL import Image

import cnnviz
from cnnviz.models.bundled import bundled


@pytest.mark.parametrize("name", ["lenet5", "lenet5_avg", "lenet5_tanh"])
def test_a_lenet_reads_98_7_percent_of_the_test_digits(shared, name: str) -> None:
    mosaic = np.asarray(Image.open(shared / "data/mnist/test_0.png"))  # 100 digits of 28×28 a row
    digits = mosaic.reshape(-1, 28, 100, 28).transpose(0, 2, 1, 3).reshape(-1, 28, 28)
    labels = np.loadtxt(shared / "data/mnist/labels.txt", dtype=int)[-len(digits) :]
    model = cnnviz.load(name, "bundled", "cpu")
    answers = model.predict(list(digits)).argmax(axis=1)
    assert len(digits) == 3000
    assert (answers == labels).mean() >= 0.987
    assert (answers == labels).mean() == pytest.approx(model.notes["accuracy"]["test"], abs=0.0005)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, parameters, least",
    [
        ("nin_cifar10", 966_986, 0.88),
        ("resnet20_cifar", 269_722, 0.91),
        ("plain20_cifar", 269_722, 0.91),
        ("resnet56_cifar", 853_018, 0.92),
        ("plain56_cifar", 853_018, 0.86),
    ],
)
def test_the_cifar_networks_name_the_test_images_as_often_as_they_say(
    shared, name: str, parameters: int, least: float
) -> None:
    rows = np.asarray(Image.open(shared / "data/cifar10/cifar10_batch_50.png").convert("RGB"))
    images = rows.reshape(1000, 32, 32, 3)
    labels = np.loadtxt(shared / "data/cifar10/labels.txt", dtype=int)[50_000:51_000]
    model = cnnviz.load(name, "bundled", "cpu")
    assert sum(p.numel() for p in model.module.parameters()) == parameters
    answers = np.concatenate([model.predict(list(part)) for part in np.split(images, 4)]).argmax(axis=1)
    assert (answers == labels).mean() == pytest.approx(model.notes["accuracy"]["test"], abs=0.002)
    assert (answers == labels).mean() >= least


@pytest.mark.parametrize("name", sorted(bundled()))
def test_bundled_weights_carry_their_recipe(name: str) -> None:
    notes = cnnviz.load(name, "bundled", "cpu").notes
    assert notes["architecture"] == name
    assert notes["recipe"]["epochs"] >= 10 and notes["accuracy"]["test"] >= 0.86
    assert len(notes["classes"]) == 10
