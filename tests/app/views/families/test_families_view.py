"""Families on the page of anatomies: every topic opens by its link, choices are in the URL, gates need a network."""

import json

import pytest
from app_pages import errors

from app.views.families.gates import OFFERED, TOPIC
from app.views.families.view import TOPICS


def words(at) -> str:
    return " ".join(part.value for part in at.markdown)


def pictures(at) -> str:
    """All SVG of the page's drawings."""
    found = [json.loads(shown.proto.json) for shown in at.get("bidi_component")]
    return " ".join(part["svg"] for data in found for part in data.get("parts", ()))


SAID = {  # a figure in the picture that the topic is about
    "LeNet-5: draw a digit": ">3</text>",
    "LeNet-5: C3": "151",
    "AlexNet: two towers": "813,859",
    "VGG: A to E": "138,344,128",
    "ZFNet against AlexNet": "11 → 7",
    "Network in Network": "29.0 MiB",
    "GoogLeNet: table": "13,378,280",
    "Inception module": "271,351,808",
    "Factorised convolutions": "3×3 + 3×3",
    "Residual unit: shortcuts": "5.55·10^−17",
    "Residual unit: order": "full pre-activation",
    "Four families": "concat: 256 maps",
    "Dense block": "15 connections",
    "CIFAR and SVHN": "10.2M",
    "Ablations": "102,908,520",
}


@pytest.mark.parametrize("topic", SAID)
def test_every_topic_opens_by_its_link(opened, topic):
    at = opened("anatomy", view="Families", topic=topic)
    assert errors(at) == [] and at.selectbox(key="topic").value == topic
    assert SAID[topic] in pictures(at) and "**Notice**" in words(at)


def test_every_topic_is_looked_at():
    assert set(TOPICS) == {*SAID, "Identity construction"}  # that one has tests of its own


def test_columns_of_vgg_are_a_choice_of_the_url(opened):
    at = opened("anatomy", view="Families", topic="VGG: A to E", columns="D,E")
    assert errors(at) == [] and "132,863,336" not in pictures(at) and "143,667,240" in pictures(at)


def test_cut_and_start_of_a_unit_are_choices_of_the_url(opened):
    at = opened("anatomy", view="Families", topic="Residual unit: order", cut="convolution", start="at the sum")
    assert errors(at) == [] and "full pre-activation**, 6.37 %" in words(at)
    at.select_slider(key="cut").set_value("ReLU").run()
    assert at.query_params["cut"] == "ReLU" and "ReLU before addition**, 7.84 %" in words(at)


def test_a_grid_that_cannot_be_halved_is_refused_in_words(opened):
    at = opened("anatomy", view="Families", topic="Factorised convolutions", way="Grid", side="17")
    assert errors(at) == [] and "cannot be halved" in at.info[0].value


def test_strokes_are_a_choice_of_the_url_and_nonsense_is_refused_in_words(opened):
    at = opened("anatomy", view="Families", topic="LeNet-5: draw a digit")
    assert "The network says **3**" in words(at)
    at = opened("anatomy", view="Families", topic="LeNet-5: draw a digit", ink="VAVBVz")
    assert errors(at) == [] and at.query_params["ink"] == "VAVBVz" and "The network says **1**" in words(at)
    at = opened("anatomy", view="Families", topic="LeNet-5: draw a digit", ink="A!")
    assert "Draw it anew" in at.error[0].value and "Nothing is drawn" in words(at)


def test_a_gate_of_a_network_is_shown_as_a_mask(opened):
    at = opened("anatomy", view="Families", topic=TOPIC, image="chelsea", gated="3")
    assert errors(at) == [] and "random weights" in at.title[0].value
    assert "features.stage1.highway1.sigmoid" in words(at) and at.query_params["gated"] == "3"


def test_a_building_block_takes_no_photograph_and_gives_way_to_a_network_with_gates(opened):
    at = opened("anatomy", view="Families", topic=TOPIC, net="naive_inception")
    assert errors(at) == [] and "features.stage1.highway1.sigmoid" in words(at)


def test_a_network_without_gates_says_so_and_offers_some_that_have(opened):
    at = opened("anatomy", view="Families", topic=TOPIC, net="lenet5")
    assert errors(at) == [] and "it has no gates" in words(at)
    at.button(key="gated_senet18_cifar").click().run()
    assert errors(at) == [] and "one factor for a whole channel" in words(at) and "senet18_cifar" in OFFERED


@pytest.mark.parametrize(("chart", "said"), [("Depth", "152 layers"), ("ILSVRC-2012", "0.26979")])
def test_depth_and_the_ranking_are_charts_of_the_history(opened, chart, said):
    at = opened("anatomy", view="History", chart=chart)
    assert errors(at) == [] and said in pictures(at)
    assert "recipe" not in [box.key for box in at.segmented_control]  # torchvision's weights belong to another chart


def test_a_network_built_of_a_shallower_one_stands_beside_it_with_its_answers(opened):
    for kind in ("without shortcuts", "with shortcuts"):
        at = opened("anatomy", view="Families", topic="Identity construction", shortcuts=kind)
        assert errors(at) == [] and "gives 100 % of the answers of the shallow one" in words(at)
        assert "**Notice**" in words(at) and "built of it with 18 identity blocks" in words(at)
