"""Trained against random: a switch of the view, in the URL, that keeps the chosen weights."""

import pytest
import torch
from app_pages import errors, pictures, turned

from app.session import networks, uploads
from app.views.patches import building
from app.weights import owners
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue.registry import build

PAGES = ("home", "first_layer_filters", "feature_maps", "top9")


@pytest.fixture(autouse=True)
def no_indexing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about indexes, which would be built beside every page."""
    monkeypatch.setattr(building, "wants_start", lambda *_: False)


def badge(at) -> bool:
    return "random weights" in at.title[0].value


@pytest.mark.parametrize("page", PAGES)
def test_the_switch_is_on_every_page_and_in_the_url(opened, page):
    at = opened(page, net="lenet5", untrained="True")
    assert errors(at) == []
    assert at.toggle(key="untrained").value is True and badge(at)
    assert at.selectbox(key="weights").value == "bundled"  # still chosen
    assert any("in place of: bundled" in c.value for c in at.sidebar.caption)
    at.toggle(key="untrained").set_value(False).run()
    assert errors(at) == [] and not badge(at)
    assert at.query_params == {"net": "lenet5"}


def test_the_switch_changes_the_filters_and_changes_them_back(opened):
    at = opened("first_layer_filters", net="lenet5")
    trained = pictures(at)["filter_wall"]["src"]
    at.toggle(key="untrained").set_value(True).run()
    assert at.query_params["untrained"] == "True"
    random = pictures(at)["filter_wall"]["src"]
    turned(at, "feature_maps")
    assert badge(at)
    turned(at, "first_layer_filters")
    assert pictures(at)["filter_wall"]["src"] == random != trained
    at.toggle(key="untrained").set_value(False).run()
    assert pictures(at)["filter_wall"]["src"] == trained


def test_random_weights_need_no_switch_and_are_told_all_the_same(opened):
    at = opened("home", net="lenet5", weights="random")
    assert at.toggle(key="untrained").disabled and badge(at)
    assert not badge(opened("home", net="lenet5"))


def twin_of(choice: networks.Choice) -> tuple:
    untrained = networks.Choice(choice.name, choice.weights, untrained=True)
    return networks.load(choice).model, networks.load(untrained).model


def test_the_twin_of_bundled_weights_differs_in_its_weights_alone():
    trained, twin = twin_of(networks.Choice("resnet20_cifar", "bundled"))
    assert twin.preprocessing == trained.preprocessing and list(twin.class_names) == list(trained.class_names)
    assert twin.origin == "random" and twin.fingerprint != trained.fingerprint
    ours, theirs = twin.module.state_dict(), trained.module.state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert not torch.equal(ours["conv1.weight"], theirs["conv1.weight"])


def test_the_twin_of_own_weights_has_their_classes_and_preprocessing(tmp_path):
    path = tmp_path / "x.pth"
    torch.save(build("lenet5", 3).state_dict(), path)
    name = uploads.store_weights(path.read_bytes())
    expects = Preprocessing((28, 28), 40, (0.3,), (0.6,))
    owners.keep(owners.OwnWeights(name, "x.pth", "lenet5", ("a", "b", "c"), expects, 1, "2026-01-01 10:00"))
    trained, twin = twin_of(networks.Choice("lenet5", name))
    assert trained.preprocessing == twin.preprocessing == expects
    assert list(trained.class_names) == list(twin.class_names) == ["a", "b", "c"]
    assert twin.predict(torch.zeros(1, 1, 28, 28)).shape == (1, 3)


def test_the_twin_of_pretrained_weights_needs_no_download(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("CNNVIZ_WEIGHTS_MIRROR", str(tmp_path / "nowhere"))
    twin = networks.load(networks.Choice("squeezenet1_1", "pretrained", untrained=True)).model
    assert twin.origin == "random" and len(twin.class_names) == 1000 and twin.class_names[0] == "tench"


def test_nothing_is_kept_in_the_url_for_a_value_that_says_no(opened):
    at = opened("home", net="lenet5", untrained="nonsense")
    assert at.toggle(key="untrained").value is False and at.query_params == {"net": "lenet5"}


def test_the_card_of_trained_weights_is_at_hand_and_random_ones_have_none(opened):
    at = opened("first_layer_filters", net="lenet5")
    (card,) = [c.value for c in at.sidebar.caption if c.value.startswith("**source**")]
    assert "99.17 %" in card and "on MNIST" in card and "**licence**" in card
    assert "/" not in card.partition("**input**")[0]  # no path of this machine
    at.toggle(key="untrained").set_value(True).run()
    assert not [c for c in at.sidebar.caption if c.value.startswith("**source**")]
