"""The page of pooling invariance: every view opens, says something at once, and tells what is wrong in words."""

import json
from typing import Any

import pytest
from app_pages import Failing, choose, chosen, errors, traces
from torch import nn


class Pooling(nn.Sequential):
    """(N, 3, 16, 16) → logits; a pool inside, and a flattened map at the end."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 5, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(5 * 6 * 6, num_classes),
        )


class NoPool(nn.Sequential):
    """(N, 3, 16, 16) → logits; no pooling module anywhere."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 49, num_classes))


def shown(at: Any) -> dict[str, dict[str, Any]]:
    """{key: data} of pictures, drawings and figures."""
    return {one.key: json.loads(one.proto.json) for one in at.get("bidi_component") if one.proto.json}


def svg(at: Any) -> str:
    return " ".join(part["svg"] for data in shown(at).values() for part in data.get("parts", []))


def said(at: Any) -> str:
    return " ".join(one.value for one in [*at.markdown, *at.caption])


def lines(at: Any, key: str) -> list[list[float]]:
    return [trace["y"] for trace in traces(shown(at)[key])]


def test_it_opens_on_a_network_that_pools_and_pooling_has_gained_something(opened):
    at = opened("pooling")
    assert errors(at) == [] and at.query_params == {}
    assert chosen(at, "net") == "lenet5" and chosen(at, "layer") == "pool2"
    assert {"pooling_strip", "pooling_curve", "pooling_instead", "pooling_layers"} <= shown(at).keys()
    assert "**8 %** of the active units before this pooling unchanged and **30 %** after it" in said(at)
    words = {label["text"] for label in shown(at)["pooling_instead"]["labels"]}
    assert {"maximum, 5×5", "stochastic, 5×5", "31 % unchanged"} <= words
    at.slider(key="right").set_value(0).run()
    assert errors(at) == [] and "**100 %** of the active units" in said(at) and at.query_params["right"] == "0"


def test_a_network_that_was_asked_for_moves_along_and_the_page_s_own_does_not(opened):
    at = opened("pooling")
    choose(at, "net", "resnet20_cifar")
    assert errors(at) == [] and at.query_params["net"] == "resnet20_cifar"
    assert chosen(at.run(), "net") == "resnet20_cifar"
    asked = opened("pooling", net="lenet5")
    assert asked.query_params["net"] == "lenet5" and chosen(asked, "net") == "lenet5"


def test_a_network_that_pools_only_at_its_end_says_so_and_offers_another(opened):
    at = opened("pooling", net="resnet20_cifar")
    assert errors(at) == [] and "pools only once" in said(at) and "avgpool" in said(at)
    assert "after, 64 channels" in {label["text"] for label in shown(at)["pooling_strip"]["labels"]}
    at.button(key="offer_lenet5").click().run()
    assert errors(at) == [] and chosen(at, "net") == "lenet5" and "pools only once" not in said(at)


def test_a_network_without_pooling_says_so(opened, registered):
    at = opened("pooling", net=registered("no_pool", NoPool))
    assert errors(at) == [] and "no pooling layer" in said(at) and "pooling_strip" not in shown(at)


def test_window_and_stride_are_live_and_a_click_on_a_row_chooses_its_layer(opened, registered):
    at = opened("pooling", net=registered("pooling_live", Pooling), window="3", poolstride="1", how="crop")
    assert errors(at) == [] and "maximum, 14×14" in {one["text"] for one in shown(at)["pooling_instead"]["labels"]}
    assert lines(at, "pooling_layers")[0] == ["2"]


def test_pooling_by_hand_stands_in_the_playground_and_links_to_it_here_still_open_it(opened):
    links = [link.proto for link in opened("pooling", move="2").get("page_link")]
    assert [link.query_string for link in links if link.label == "By hand"] == ["move=2&view=Pooling"]
    at = opened("pooling", view="By hand")
    assert errors(at) == [] and "4 of 4 inputs and 2 of 4 outputs change." in svg(at)
    at.selectbox(key="poolby").select("L2: root of the sum of squares").run()
    assert "4 of 4 inputs and 3 of 4 outputs change." in svg(at)
    # the third window holds 1, 0.2, 0.1 before and 0.1, 1, 0.2 after
    at.selectbox(key="poolby").select("Stochastic").run()
    assert errors(at) == [] and at.number_input(key="draw").value == 1
    at.text_input(key="detector").set_value("0.5 −1").run()
    assert any("0 or more" in told for told in errors(at))


def test_the_maximum_over_four_turned_filters_is_equal_for_four_turned_pictures(opened):
    at = opened("pooling", view="Learned")
    assert errors(at) == [] and "The maximum is the same for all four pictures." in svg(at)
    at.slider(key="pieces").set_value(1).run()
    assert "Over 1 of 4 poses" in svg(at)
    at = opened("pooling", view="Learned", pattern="own", posekernel="1 −1\n1 −1", posepicture="1 0\n1 0")
    assert errors(at) == [] and "The maximum is the same" in svg(at)


def test_location_ends_on_a_torus_at_multiples_of_the_stride_and_one_of_two_networks_takes_all_sizes(opened):
    at = opened("pooling", view="Location")
    assert errors(at) == [] and chosen(at, "net") == "resnet20_cifar"
    flat, average, largest = lines(at, "location_curves")
    assert [value == 0 for value in average] == [value == 0 for value in largest] == [n % 4 == 0 for n in range(17)]
    assert min(flat[1:]) > 20
    assert "ResNet-20 (CIFAR) runs on all 5 sizes. LeNet-5 runs on 1 of 5 sizes." in said(at)
    assert svg(at).count("does not run") == 4


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"view": "Learned", "pattern": "own", "posekernel": "1 2 3"}, "Give as many rows as columns"),
        ({"view": "Learned", "pattern": "own", "posekernel": "1 2\n3 4"}, "has no middle place"),
        ({"view": "By hand", "detector": "0.1 x"}, "'x', number 2 in row 1 of the detector row"),
        ({"view": "By hand", "entering": " "}, "is empty"),
    ],
)
def test_what_is_wrong_with_the_numbers_is_said_in_words(opened, query, says):
    (told,) = errors(opened("pooling", **query))
    assert says in told


@pytest.mark.parametrize("view", ["In a network", "Location"])
def test_a_network_that_fails_is_told_in_words(opened, registered, view):
    (told,) = errors(opened("pooling", net=registered(f"failing_{len(view)}", Failing), view=view))
    assert "Traceback" not in told and len(told) > 20


@pytest.mark.parametrize("link", [{"right": "99"}, {"tolerance": "x"}, {"layer": "pool9"}, {"unit": "-4"}])
def test_choices_of_a_wrong_link_fall_back(opened, link):
    at = opened("pooling", **link)
    assert errors(at) == [] and "pooling_strip" in shown(at)
