"""The page of translation equivariance: every view, what the theory calls zero, and what goes wrong in words."""

import json
from typing import Any

import numpy as np
import pytest
from app_jobs import when_built
from app_pages import Failing, chosen, errors, image_of
from torch import nn

from cnnviz.figures.equivariance.panels import BETWEEN, CAPTION, GAP, PHOTO, SIDE


class Striding(nn.Sequential):
    """(N, 3, 16, 16) → logits; a stride of 2 halfway."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(4, 6, 3, 2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, num_classes),
        )


class Unstriding(nn.Sequential):
    """(N, 3, 16, 16) → logits; every pixel is kept up to the global mean."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))


def pictures(at: Any) -> dict[str, dict[str, Any]]:
    """{key: data} of pictures and figures; Plotly's own script comes without data."""
    return {shown.key: json.loads(shown.proto.json) for shown in at.get("bidi_component") if shown.proto.json}


def difference(at: Any) -> np.ndarray:
    """The pixels of the third map."""
    left = PHOTO + BETWEEN + 2 * (SIDE + GAP)
    return np.asarray(image_of(pictures(at)["shift_strip"]).convert("RGB"))[
        CAPTION : CAPTION + SIDE, left : left + SIDE
    ]


def said(at: Any) -> str:
    return " ".join(m.value for m in at.markdown)


def test_it_opens_on_one_pixel_to_the_right_in_a_middle_layer(opened):
    at = opened("equivariance")
    assert errors(at) == [] and at.query_params == {}
    assert [at.number_input(key=key).value for key in ("dx", "dy")] == [1, 0]
    assert chosen(at, "layer") == "layer2.0"
    assert {"shift_strip", "layers", "curve"} <= pictures(at).keys()
    assert difference(at).any() and "no multiple" in said(at)


def test_on_a_torus_the_difference_is_black_at_the_stride_and_nowhere_between(opened):
    at = opened("equivariance", padding="torus", dx="2")
    assert errors(at) == [] and not difference(at).any() and "0 (equal but for rounding)" in said(at)
    at.number_input(key="dx").set_value(1).run()
    assert errors(at) == [] and difference(at).any() and "dx" not in at.query_params


def test_without_the_border_zero_padding_is_equivariant_too(opened, registered):
    at = opened("equivariance", net=registered("striding_border", Striding), layer="0", mask="True", dx="3", dy="-2")
    pixels = difference(at)
    gray = (pixels == 128).all(axis=2)
    assert errors(at) == [] and gray.any() and not pixels[~gray].any()


def test_crops_are_compared_where_both_see_the_same_and_what_came_in_is_gray(opened, registered):
    net = registered("striding_crop", Striding)
    pixels = difference(opened("equivariance", net=net, layer="0", how="crop", dx="2"))
    cells = pixels[9::18, 9::18]  # 16 units of 18 pixels
    assert (cells[:, :2] == 128).all() and not cells[1:-1, 3:-1].any()
    at = opened("equivariance", net=net, layer="0", how="crop", mask="True", dx="2")
    pixels = difference(at)
    assert errors(at) == [] and not pixels[~(pixels == 128).all(axis=2)].any()


def test_padding_that_leaves_no_sum_is_told_in_words_and_earlier_layers_go_on(opened):
    (told,) = errors(opened("equivariance", padding="valid"))
    assert "no longer fit together" in told and "earlier layer" in told
    at = opened("equivariance", padding="valid", layer="conv1")
    assert errors(at) == [] and "shift_strip" in pictures(at)
    assert any("Only this layer" in caption.value for caption in at.caption)


def test_the_map_of_all_shifts_comes_with_progress_and_is_kept(opened, registered):
    net = registered("striding_map", Striding)
    at = when_built(opened("equivariance", net=net, view="Map", layer="2"))
    assert errors(at) == [] and "map" in pictures(at)
    assert "map" in pictures(at.run())


def test_answers_wobble_and_a_corpus_is_measured_when_asked(opened, registered):
    net = registered("striding_answers", Striding)
    at = opened("equivariance", net=net, view="Prediction", blur="True")
    assert errors(at) == [] and "wobble" in pictures(at) and "measured here" not in str(at.table[0].value.to_dict())
    at.button(key="start_consistency").click().run()
    at = when_built(at)
    table = at.table[0].value.to_dict("list")
    assert errors(at) == [] and sum("measured here" in words for words in table["images"]) == 2
    assert "AlexNet" in table["network"] and "78.18 %" in table["consistency"]


def test_turns_and_scales_have_a_view(opened, registered):
    at = opened("equivariance", net=registered("striding_beyond", Striding), view="Beyond shifts", layer="2")
    assert errors(at) == [] and {"beyond_strip", "beyond"} <= pictures(at).keys() and "turn 90°" in said(at)
    at.selectbox(key="transform").set_value("scale 0.9").run()
    assert errors(at) == [] and at.query_params["transform"] == "scale 0.9"


def test_a_network_without_strides_has_nothing_to_blur_and_says_so(opened, registered):
    (told,) = errors(opened("equivariance", net=registered("unstriding", Unstriding), blur="True"))
    assert "nothing to blur" in told


@pytest.mark.parametrize("view", ["Shift", "Map", "Prediction", "Beyond shifts"])
def test_a_network_that_fails_is_told_in_words(opened, registered, view):
    at = when_built(opened("equivariance", net=registered(f"failing_{view.split()[0]}".lower(), Failing), view=view))
    (told,) = errors(at)
    assert "Traceback" not in told and len(told) > 20


def test_an_image_that_is_gone_gives_way_to_a_sample(opened):
    at = opened("equivariance", image="upload-0123456789abcdef")
    assert errors(at) == [] and chosen(at, "image") == "chelsea" and "shift_strip" in pictures(at)


@pytest.mark.parametrize("link", [{"dx": "99"}, {"dy": "north"}, {"padding": "concrete"}, {"how": "sideways"}])
def test_choices_of_a_wrong_link_fall_back(opened, link):
    at = opened("equivariance", **link)
    assert errors(at) == [] and "shift_strip" in pictures(at)
