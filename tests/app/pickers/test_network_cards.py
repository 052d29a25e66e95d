"""The cards of networks say what is here, what a download is, and what is known; nothing that is not."""

import pytest
from app_pages import cards, choose, chosen, errors

from app.pickers import network_cards
from app.pickers.network_cards import ALONE, DOWNLOAD, READY, size_text
from app.session import networks, uploads
from app.weights import owners
from app.weights.owners import OwnWeights
from cnnviz.models.bundled import bundled
from cnnviz.models.catalogue.cards import all_cards
from cnnviz.models.catalogue.registry import find
from cnnviz.models.zoo.packaged import PACKAGES


@pytest.fixture(autouse=True)
def no_downloads(tmp_path, monkeypatch):
    """Nothing was downloaded so far."""
    import torch

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def by_name():
    return {card.value: card for card in network_cards.list_cards(networks.catalogue(), {}, {})}


def test_every_group_and_size_is_that_of_the_weights_cards():
    shown = by_name()
    told = {card.name: card for card in all_cards()}
    assert {name for name, card in shown.items() if card.group == ALONE} == shown.keys() - told.keys()
    for name, card in told.items():
        here = name in bundled() or (name in PACKAGES and PACKAGES[name].find() is not None)
        assert shown[name].group == (READY if here else DOWNLOAD)
        if card.weights == "pretrained":
            assert shown[name].badge == f"download {size_text(card.size_bytes)}"
            assert f"{card.accuracy['ImageNet-1K']['acc@1']:.1f} % on ImageNet-1K" in shown[name].facts


def test_cards_stand_in_the_order_of_their_groups_and_say_only_what_is_known():
    groups = [card.group for card in network_cards.list_cards(networks.catalogue(), {}, {})]
    assert groups == sorted(groups, key=(READY, DOWNLOAD, ALONE).index)
    for card in by_name().values():
        entry = find(card.value)
        assert not entry.year or card.facts[0] == str(entry.year)
        assert card.group != ALONE or not any("%" in fact for fact in card.facts)


def test_a_download_makes_a_network_ready_within_seconds(no_downloads, monkeypatch):
    assert by_name()["alexnet"].group == DOWNLOAD
    no_downloads.mkdir(parents=True)
    (no_downloads / "alexnet-owt-7be5be79.pth").write_bytes(b"weights")
    networks.downloaded.clear()  # what HERE_SECONDS do
    assert by_name()["alexnet"].group == READY and networks.HERE_SECONDS <= 5


def test_networks_of_weights_of_one_s_own_are_offered_and_ready(opened, monkeypatch):
    monkeypatch.setattr("app.access.is_on_this_computer", lambda: True)
    for name in ("alexnet_2012", "chain:3x8x8-conv4k3-relu-adaptiveavg1-flatten-linear3"):
        file, entry = uploads.store_weights(name.encode()), find(name)
        labels = tuple(map(str, range(entry.classes)))
        owners.keep(OwnWeights(file, "mine.pth", name, labels, entry.preprocessing, 9, "2026-01-01 00:00"))
    at = opened("home", net="lenet5")
    shown = cards(at, "net")
    assert errors(at) == []
    assert [shown[name]["badge"] for name in shown if "mine.pth" in shown[name]["note"]] == ["ready", "ready"]


def test_a_new_name_is_taken_and_one_that_nobody_knows_leaves_the_choice(opened):
    at = opened("anatomy", net="lenet5")
    choose(at, "net", "variant:resnet18.256")
    assert errors(at) == [] and chosen(at, "net") == "variant:resnet18.256" == at.query_params["net"]
    choose(at, "net", "alex")
    (said,) = errors(at)
    assert "'alex'" in said and "unchanged" in said and chosen(at, "net") == "variant:resnet18.256"


@pytest.mark.parametrize("size, text", [(4_960_000, "5.0 MB"), (9_960_000, "10 MB"), (244_409_434, "244 MB")])
def test_sizes_have_sensible_digits(size, text):
    assert size_text(size) == text
