"""The page of receptive fields: every view, the unit's place by button and by link, and what goes wrong in words."""

import json
from typing import Any

import pytest
import torch
from app_jobs import when_built
from app_pages import Failing, chosen, errors, frame
from torch import nn

from app.session import networks
from app.views.receptive import unit_field, unit_place
from cnnviz.tracing.receptive_field import receptive_field

BOXES = {"theory": "#e85d04", "most": "#56b4e9", "half": "#cc79a7"}


class Small(nn.Sequential):
    """(N, 3, 16, 16) → logits: fields of 3, 5, 7, the mean of all places, a linear layer."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(4, 6, 3, 2, padding=1),
            nn.ReLU(),
            nn.Conv2d(6, 6, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, num_classes),
        )


class Pointwise(nn.Sequential):
    """(N, 3, 16, 16) → logits; nothing but 1×1 kernels up to the mean."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__(
            nn.Conv2d(3, 4, 1),
            nn.ReLU(),
            nn.Conv2d(4, 4, 1),
            nn.Conv2d(4, num_classes, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )


class Wide(nn.Sequential):
    """(N, 3, 16, 16) → logits; the corner unit of the first layer sees padding alone."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__(
            nn.Conv2d(3, 4, 1, padding=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes)
        )


class Blind(nn.Module):
    """(N, 3, 16, 16) → logits; one of its layers does not look at the image."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.conv, self.constant = nn.Conv2d(3, num_classes, 3), nn.Linear(1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).mean((2, 3)) + self.constant(x.new_ones(1, 1))


def shown(at: Any) -> dict[str, dict[str, Any]]:
    """{key: data} of pictures, drawings and figures."""
    return {part.key: json.loads(part.proto.json) for part in at.get("bidi_component") if part.proto.json}


def said(at: Any) -> str:
    return " ".join(part.value for kind in (at.markdown, at.caption, at.info) for part in kind)


def drawn(at: Any, key: str) -> str:
    return " ".join(part["svg"] for part in shown(at)[key]["parts"])


def test_it_opens_on_the_unit_in_the_middle_with_both_fields(opened):
    at = opened("receptive_fields")
    assert errors(at) == [] and at.query_params == {}
    assert chosen(at, "layer") == "layer2.0"
    assert [at.number_input(key=key).value for key in ("row", "col")] == [8, 8]
    assert {"field_photo", "field_heat", "field_card"} <= shown(at).keys()
    card = drawn(at, "field_card")
    assert "21×21" in card and "6 … 26" in card and "of area" in card
    assert [box["colour"] for box in shown(at)["field_heat"]["boxes"]] == list(BOXES.values())


def test_buttons_choose_corner_and_centre_and_the_box_reaches_into_the_padding(opened):
    at = opened("receptive_fields", layer="layer1.2")
    at.button(key="place_corner").click().run()
    assert errors(at) == [] and (at.query_params["row"], at.query_params["col"]) == ("0", "0")
    free, seen = shown(at)["field_photo"]["boxes"]
    assert "−7 … 7" in drawn(at, "field_card") and free["width"] * 8 == pytest.approx(seen["width"] * 15)
    assert "padding" in said(at) and shown(at)["field_photo"]["labels"][0]["text"] == "padding"
    at.button(key="place_centre").click().run()
    assert errors(at) == [] and "row" not in at.query_params and len(shown(at)["field_photo"]["boxes"]) == 1


def test_the_frame_is_the_exact_box_and_a_zoom_enlarges_it(opened, registered):
    net = registered("small_box", Small)
    at = opened("receptive_fields", net=net, layer="2", row="3", col="4", average="this image")
    left, top, width, height = frame(shown(at)["field_photo"])
    step = width / 5
    assert width == height and (left, top) == (9 * step, 7 * step)  # pixel (4, 6), 3 pixels of margin
    at.toggle(key="zoom").set_value(True).run()
    assert errors(at) == [] and frame(shown(at)["field_photo"])[2] > 2 * width


def test_the_gradient_is_averaged_over_as_many_images_as_asked(opened, registered):
    at = opened("receptive_fields", net=registered("small_mean", Small), layer="2", unit="1")
    assert errors(at) == [] and "mean over 8 images" in said(at)
    asked = {"this image": "this photograph", "32 images": "32 images", "32 images and channels": "32 images"}
    for average, number in asked.items():
        at.selectbox(key="average").set_value(average).run()
        assert errors(at) == [] and f"mean over {number}" in said(at) and at.query_params["average"] == average
        assert len(shown(at)["field_heat"]["boxes"]) == 3


def test_the_chosen_image_s_gradient_stands_in_until_the_mean_is_there(opened, registered, monkeypatch):
    monkeypatch.setattr(unit_field, "QUICK", 0)  # so that even a small network needs a job
    at = opened("receptive_fields", net=registered("small_job", Small), layer="2")
    assert errors(at) == [] and len(shown(at)["field_heat"]["boxes"]) == 3
    assert errors(when_built(at)) == [] and "mean over 8 images" in said(at)


def test_a_click_finds_the_unit_whose_field_lies_there(opened, registered):
    model = networks.load(networks.Choice(registered("small_click", Small), "random")).model
    field = receptive_field(model, "2")
    for row in range(8):
        assert unit_place.unit_at(field, *field.centre(row, 7 - row)) == (row, 7 - row)
    assert unit_place.unit_at(field, -50, 99) == (0, 7)


def test_layers_without_places_and_networks_without_any_say_so(opened, registered):
    at = opened("receptive_fields", layer="fc")
    assert errors(at) == [] and "no map of places" in said(at) and at.button(key="place_corner").disabled
    at = opened("receptive_fields", net="mlp")
    assert errors(at) == [] and "28×28" in said(at)
    at.segmented_control(key="view").set_value("Growth").run()
    assert errors(at) == [] and "nothing grows" in said(at) and "growth" not in shown(at)
    at = opened("receptive_fields", net=registered("pointwise", Pointwise), layer="0")
    assert errors(at) == [] and "one pixel" in said(at)
    at.segmented_control(key="view").set_value("Growth").run()
    assert errors(at) == [] and "Only 1×1 kernels" in said(at)


def test_a_unit_on_padding_alone_and_a_layer_that_sees_nothing_are_told_in_words(opened, registered):
    at = opened("receptive_fields", net=registered("wide_padding", Wide), layer="0", row="0", col="0")
    assert errors(at) == [] and "padding alone" in said(at) and "no gradient arrives" in drawn(at, "field_card")
    (told,) = errors(opened("receptive_fields", net=registered("blind", Blind), layer="constant"))
    assert "does not depend on the image" in told


def test_growth_shows_theory_at_once_and_the_effective_sizes_when_measured(opened, registered):
    at = when_built(opened("receptive_fields", net=registered("small_growth", Small), view="Growth", layer="2"))
    assert errors(at) == [] and {"growth", "field_nested"} <= shown(at).keys()
    lines = {line.get("name"): line for line in json.loads(shown(at)["growth"]["figure"])["data"]}
    assert lines["theoretical field"]["x"] == ["0", "2", "4"]
    assert {"95 % of the gradient", "half of the gradient", "sees everything"} <= lines.keys()
    assert shown(at)["field_nested"]["boxes"][-1]["colour"] == BOXES["theory"]
    assert "5×5 pixels at stride 2" in said(at)
    at.segmented_control(key="depth").set_value("All layers").run()
    assert errors(at) == [] and "growth" in shown(at) and at.query_params["depth"] == "All layers"


def test_three_3x3_stand_beside_one_7x7_with_the_counts_of_the_notes(opened):
    at = opened("receptive_fields", view="Stacks")
    text = drawn(at, "stacks")
    assert errors(at) == [] and at.query_params == {"view": "Stacks"}
    assert all(words in text for words in ("1,769,472", "3,211,264", "27 C²", "49 C²", "σ 1.414", "σ 2 pixels"))
    at.button(key="left_add").click().run()
    assert errors(at) == [] and at.query_params["leftstack"] == "3\n3\n3\n3" and "9×9" in drawn(at, "stacks")
    at.selectbox(key="leftpreset").set_value("two 3×3").run()
    assert errors(at) == [] and "leftstack" not in at.query_params and "18 C²" in drawn(at, "stacks")


def test_a_wrong_stack_is_told_in_words_and_the_other_one_stays(opened):
    at = opened("receptive_fields", view="Stacks", leftstack="3\nthree")
    (told,) = errors(at)
    assert "Layer 2, 'three'" in told and len(shown(at)["stacks"]["parts"]) == 1
    assert len(errors(opened("receptive_fields", view="Stacks", leftstack="0", rightstack="31; 31; 31"))) == 2


def test_a_network_that_fails_is_told_in_words(opened, registered):
    (told,) = errors(opened("receptive_fields", net=registered("failing_fields", Failing)))
    assert "Traceback" not in told and len(told) > 20


def test_choices_of_a_wrong_link_fall_back(opened, registered):
    link = {"row": "99", "col": "north", "average": "all", "view": "Sideways", "zoom": "perhaps", "corpus": "all"}
    at = opened("receptive_fields", net=registered("small_link", Small), **link)
    assert errors(at) == [] and "field_photo" in shown(at)


def test_one_channel_and_random_weights_work(opened):
    at = opened("receptive_fields", net="lenet5", untrained="True", layer="pool2")
    assert errors(at) == [] and "16×16" in drawn(at, "field_card") and "random weights" in at.title[0].value
