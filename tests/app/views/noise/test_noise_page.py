"""The page of noise in training: every view opens, says something at once, and tells in words what a network lacks."""

import json
from typing import Any

import pytest
from app_pages import choose, chosen, errors, traces
from torch import nn

from app.views.noise import results


class Dropping(nn.Sequential):
    """(N, 3, 16, 16) → logits; dropout in front of the last layer, and no block."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__(
            nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(4 * 49, num_classes)
        )


def shown(at: Any) -> dict[str, dict[str, Any]]:
    """{key: data} of pictures, drawings and figures."""
    return {one.key: json.loads(one.proto.json) for one in at.get("bidi_component") if one.proto.json}


def said(at: Any) -> str:
    return " ".join(one.value for one in [*at.markdown, *at.caption])


def svg(at: Any, key: str) -> str:
    return " ".join(part["svg"] for part in shown(at)[key]["parts"])


def test_it_opens_on_masks_and_another_mask_is_another_picture(opened):
    at = opened("noise")
    assert errors(at) == [] and at.query_params == {} and chosen(at, "net") == results.first_with_dropout()
    first = shown(at)["dropout_units"]["src"]
    assert "mean of 12" in svg(at, "dropout_answers") and "of 12 masks" in said(at)
    at.number_input(key="pass").set_value(2).run()
    assert errors(at) == [] and at.query_params["pass"] == "2" and shown(at)["dropout_units"]["src"] != first


def test_a_network_without_dropout_gets_it_assumed_and_says_so(opened):
    at = opened("noise", net="lenet5")
    assert errors(at) == [] and "assumed" in said(at) and chosen(at, "layer") == "pool2"


def test_a_network_with_dropout_drops_at_its_own_rate(opened, registered):
    name = registered("dropping", Dropping)
    at = opened("noise", net=name)
    assert errors(at) == [] and at.selectbox(key="rate").value == 20 and "`3` drops each of its 196 units" in said(at)
    assert "2^{196}" in said(at) and "assumed" not in said(at)
    at = opened("noise", net=name, show="Mean", passes="64")
    assert errors(at) == [] and "They agree" in said(at)  # one linear layer follows
    curves = traces(shown(at)["mean_error"])
    assert curves[0]["x"] == [1, 2, 4, 8] and curves[0]["y"][0] > curves[0]["y"][-1]


def test_the_evidence_of_the_cat_outlives_most_masks(opened):
    at = opened("noise", net="resnet20_cifar", show="Evidence")
    assert errors(at) == [] and {"evidence_bars", "evidence_margins"} <= shown(at).keys()
    assert "64 features" in said(at)
    assert "cat stays ahead under 100 % of the masks" in said(at)


def test_dropconnect_and_dropout_differ_in_the_correlation_alone(opened):
    at = opened("noise", net="lenet5", view="DropConnect")
    assert errors(at) == [] and "clouds" in shown(at)
    assert len(traces(shown(at)["clouds"])) == 6
    at.number_input(key="unit2").set_value(3).run()
    assert errors(at) == [] and at.query_params["unit2"] == "3"


def test_stochastic_depth_tells_its_expected_depth_and_offers_networks_where_there_is_no_branch(opened):
    at = opened("noise", net="resnet20_cifar", view="Stochastic depth", last="50")
    assert errors(at) == [] and "6.50 of 9 run on average" in said(at)  # (3 · 9 − 1) / 4
    choose(at, "net", "plain20_cifar")
    assert errors(at) == [] and "no residual branch" in said(at)
    at.button(key="offer_resnet56_cifar").click().run()
    assert errors(at) == [] and chosen(at, "net") == "resnet56_cifar" and "survival" in shown(at)


def test_removed_blocks_stand_beside_those_of_the_plain_twin_at_once(opened):
    at = opened("noise", net="resnet20_cifar", view="Blocks removed", block="layer1.1")
    assert errors(at) == [] and len([t for t in traces(shown(at)["removed_bars"]) if t["type"] == "bar"]) == 2
    assert "output less input is 0 at most" in said(at) and "Plain-20" in said(at)
    at = opened("noise", net="lenet5", view="Blocks removed")
    assert errors(at) == [] and "no block that keeps its shape" in said(at)


@pytest.mark.parametrize("net", ["resnet20_cifar", "lenet5"])
@pytest.mark.parametrize("view", ["Gallery", "Crops and scales", "Turns"])
def test_the_image_is_augmented_for_networks_of_one_channel_and_three(opened, net, view):
    at = opened("noise", net=net, view="Augmentation", augment=view)
    assert errors(at) == []
    if view == "Turns" and net == "resnet20_cifar":
        assert "90°: frog 78 %; 180°: cat 81 %; 270°: cat 54 %; mirrored: cat 100 %" in said(at)
    if view == "Crops and scales":
        assert ("takes one input size only" in said(at)) == (net == "lenet5")
    if view == "Gallery":
        assert len([key for key in shown(at) if key.startswith("gallery_")]) == 8


def test_the_right_answer_can_be_another_than_the_first(opened):
    at = opened("noise", net="resnet20_cifar", view="Augmentation", label="frog")
    assert errors(at) == [] and "frog after every" not in said(at) and "flip or turn (1 of 4)" in said(at)


def test_the_table_links_every_method_to_its_view(opened):
    at = opened("noise", view="Table")
    assert errors(at) == []
    links = [link.proto for link in at.get("page_link")]
    queries = {link.label.strip("*"): link.query_string for link in links}
    assert {"Dropout", "DropConnect", "Stochastic depth", "Augmentation"} <= queries.keys()
    assert "view=Stochastic" in queries["Stochastic depth"]
