"""Weights cards say what their publisher says, and whether the file is here."""

import hashlib
import json

import pytest
import torch

from cnnviz.models.bundled import bundled
from cnnviz.models.catalogue.cards import all_cards, cards
from cnnviz.models.catalogue.registry import architectures, build, find
from cnnviz.models.zoo import download as pretrained
from cnnviz.models.zoo.packaged import PACKAGES


@pytest.fixture(autouse=True)
def home(weights_home):
    return weights_home


def test_a_torchvision_card_repeats_torchvisions_figures():
    (card,) = cards("resnet18")
    assert (card.weights, card.classes, card.here) == ("pretrained", 1000, False)
    assert card.accuracy == {"ImageNet-1K": {"acc@1": 69.758, "acc@5": 89.078}}  # torchvision's table of weights
    assert card.accuracy_text() == "69.76 % top-1, 89.08 % top-5 on ImageNet-1K"
    assert card.sha256_prefix == "f37072fd" and card.url.endswith("resnet18-f37072fd.pth")
    assert card.size_bytes == pytest.approx(44.661 * 2**20, abs=2**20 / 1000)
    assert "BSD-3" in card.licence and "non-commercial" in card.licence
    text = "\n".join(card.lines())
    for fact in ("short side to 256", "3×224×224", "(0.485, 0.456, 0.406)", "46.8 MB", "cnnviz prefetch resnet18"):
        assert fact in text


def test_a_card_knows_when_the_file_has_come(home):
    path = pretrained.cache_path(pretrained.find_weights(find("squeezenet1_1")).url)
    home.mkdir(parents=True)
    path.write_bytes(b"12345")
    (card,) = cards("squeezenet1_1")
    assert card.here and card.size_bytes == 5


@pytest.mark.parametrize("name", ["resnet20_cifar", "lenet5", "plain20_cifar"])
def test_a_bundled_card_is_the_recipe_beside_the_file(name):
    card, path = cards(name)[0], bundled()[name]
    recipe = json.loads(path.with_suffix(".json").read_text())
    ((score,),) = (measures.values() for measures in card.accuracy.values())
    assert score == pytest.approx(100 * recipe["accuracy"]["test"])
    assert f"{recipe['accuracy']['test_images']:,} test images" in card.condition
    assert card.preprocessing.mean == tuple(recipe["preprocessing"]["mean"])
    assert card.here and card.classes == 10 and card.size_bytes == path.stat().st_size
    assert card.sha256_prefix == hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def test_a_card_of_an_own_file_tells_what_the_file_tells(tmp_path):
    file = tmp_path / "mine.pt"
    told = {"accuracy": {"test": 0.5, "test_images": 40}, "classes": ["x", "y"], "made_by": "a script"}
    torch.save({"state_dict": build("lenet5", 2).state_dict(), **told}, file)
    card = cards("lenet5", [file])[-1]
    assert (card.weights, card.classes, card.source) == (str(file), 2, "a script")
    assert list(card.accuracy.values()) == [{"acc@1": 50.0}] and "40 test images" in card.condition
    assert card.preprocessing == find("lenet5").preprocessing and "yours" in card.licence


def test_a_pytorchcv_card_tells_error_as_accuracy_and_the_deviation():
    pytest.importorskip("pytorchcv")
    (card,) = cards("pytorchcv:densenet40_k12_cifar10")
    assert card.accuracy == {"CIFAR-10": {"acc@1": 94.39}}  # 5.61 % error in pytorchcv's table
    assert "Not the paper's network" in card.note and "sha1" in card.note and card.sha256_prefix == ""
    (zfnet,) = cards("pytorchcv:zfnet")
    assert zfnet.accuracy == {"ImageNet-1K": {"acc@5": 82.73}} and zfnet.size_bytes == 4 * 62_357_608


def test_a_timm_card_has_timms_licence_and_no_made_up_accuracy():
    pytest.importorskip("timm")
    (card,) = cards("timm:resnet18.tv_in1k")
    assert card.accuracy == {} and card.accuracy_text() == "not told"
    assert "bsd-3-clause" in card.licence and card.preprocessing.interpolation == "bilinear"


def test_every_network_with_trained_weights_has_a_card_and_no_other():
    with_weights = {name for name in architectures() if find(name).pretrained} | {*bundled(), *PACKAGES}
    assert {card.name for card in all_cards()} == with_weights
    assert cards("plain18") == []
