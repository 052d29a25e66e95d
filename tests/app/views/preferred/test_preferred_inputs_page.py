"""Preferred inputs on pages: beside the patches, of one channel, of a layer, between two, of a class; made beside the
page, kept, and true."""

import re

import numpy as np
import pytest
import streamlit as st
import torch
from app_jobs import when_built
from app_pages import FourChannels, entered, errors, image_of, pictures, tile_of
from PIL import Image
from torch import nn

import cnnviz
from app.jobs import background
from app.views.preferred import choices
from app.views.preferred.between import STEPS, mix
from cnnviz.synthesis.kept import load_inputs
from cnnviz.synthesis.settings import SynthesisSettings
from cnnviz.synthesis.wall import PreferredWall, maximize_layer

HERE = {"net": "lenet5", "layer": "conv2", "unit": "7"}


def made(at):
    """The page once the patches are indexed, and the preferred inputs made."""
    for _ in range(3):
        at = when_built(at)
    return at


def captions(at) -> str:
    return " ".join(one.value for one in at.caption)


def test_beside_the_patches_stands_an_image_that_reaches_what_is_said(opened, cache):
    at = made(opened("top9", **HERE))
    assert errors(at) == []
    (file,) = (cache / "preferred").glob("inputs-*.npz")
    (found,) = load_inputs(file)
    assert found.layer == "conv2" and found.mixture == ((7, 1.0),) and found.settings.seed == 0
    model = cnnviz.load("lenet5", device="cpu")
    maps = cnnviz.capture(model, Image.fromarray(found.image), ["conv2"])["conv2"][0]
    value, best = float(maps[7][found.unit]), float(re.search(r"the best of digits \(([\d.]+)\)", captions(at))[1])
    said = re.search(r"Activation \*\*([\d.]+), ([\d.]+) ×", captions(at))
    assert value == pytest.approx(found.activation, abs=1e-4)
    assert float(said[1]) == pytest.approx(value, rel=5e-3) and float(said[2]) == pytest.approx(value / best, rel=1e-2)
    shown = np.asarray(image_of(pictures(at)["preferred_picture"]))
    factor = len(shown) // len(found.patch)
    np.testing.assert_array_equal(shown[::factor, ::factor], found.patch)


def test_the_second_visit_finds_it_on_the_disk_and_starts_nothing(opened, cache):
    at = made(opened("unit", **HERE))
    first = pictures(at)["preferred_picture"]["src"]
    st.cache_resource.clear()  # as after a restart
    again = opened("unit", **HERE)
    assert pictures(again)["preferred_picture"]["src"] == first
    jobs, _lock = background._registry()
    assert not [key for key in jobs if key.startswith("inputs-")]


def test_the_seed_of_the_address_gives_another_image_and_a_wrong_one_the_first(opened):
    shown = [pictures(made(opened("unit", **HERE, start=seed)))["preferred_picture"]["src"] for seed in ("0", "3", "x")]
    assert shown[0] == shown[2] != shown[1]


def test_a_channel_has_different_images_with_what_each_reaches(opened):
    at = made(opened("preferred_inputs", **HERE))
    assert errors(at) == []
    wall = pictures(at)["copies_wall"]
    tiles = [tile_of(wall, item).tobytes() for item in wall["items"]]
    assert len(set(tiles)) == len(tiles) == 6
    assert all(re.match(r"activation [\d.]+ · [\d.]+ × the best patch", words) for words in wall["captions"])


def test_the_mean_of_a_map_is_not_compared_with_a_single_unit(opened):
    at = made(opened("preferred_inputs", **HERE, maximised="whole map"))
    wall = pictures(at)["copies_wall"]
    assert errors(at) == [] and not any("best" in words for words in wall["captions"])
    assert "the mean of the channel's map" in wall["foot"]


def test_a_layer_s_wall_is_made_shown_and_kept_and_a_click_chooses_the_channel(opened, cache):
    at = made(opened("preferred_inputs", **HERE, view="Layer"))
    assert errors(at) == []
    (file,) = (cache / "preferred").glob("preferred-*.npz")
    kept, wall = PreferredWall.load(file), pictures(at)["layer_wall"]
    assert wall["items"] == list(range(16)) and kept.done.all() and wall["chosen"] == 7
    for channel in range(16):
        np.testing.assert_array_equal(tile_of(wall, channel), kept.patches[channel])
    alone = maximize_layer(
        cnnviz.load("lenet5", device="cpu"), "conv2", settings=SynthesisSettings(choices.read_steps())
    )
    np.testing.assert_array_equal(kept.patches, alone.patches)


def test_a_student_sees_what_was_made_and_is_told_of_what_was_not(opened, monkeypatch):
    whole = pictures(made(opened("preferred_inputs", **HERE, view="Layer")))["layer_wall"]["src"]
    monkeypatch.setenv("CNNVIZ_CLASS_TOKEN", "a-token-of-this-test")
    student = entered("preferred_inputs", **HERE, view="Layer")
    assert errors(student) == [] and pictures(student)["layer_wall"]["src"] == whole
    student = entered("preferred_inputs", **HERE, view="Layer", start="1")
    assert errors(student) == [] and "the lecturer starts it" in captions(student)
    assert pictures(student)["layer_wall"]["src"] != whole


def test_mixtures_go_from_one_channel_to_the_other_and_sum_to_one():
    assert mix(3, 8, 0) == ((3, 1.0),) and mix(3, 8, STEPS) == ((8, 1.0),)
    for place in range(1, STEPS):
        (one, first), (other, second) = mix(8, 3, place)
        assert (one, other) == (3, 8) and first == place / STEPS and first + second == 1
    assert mix(4, 4, 2) == ((4, 1.0),)


def test_between_two_channels_the_address_has_both_and_the_place(opened, cache):
    at = made(opened("preferred_inputs", **HERE, view="Between", to="2", way="6"))
    assert errors(at) == []
    (file,) = (cache / "preferred").glob("inputs-*.npz")
    found = load_inputs(file)
    assert [one.mixture for one in found] == [mix(7, 2, place) for place in range(STEPS + 1)]
    picture = pictures(at)["preferred_between"]
    assert picture["labels"][0]["text"].startswith("0.75 × channel 2 + 0.25 × channel 7: ")
    assert [one["text"].split(":")[0] for one in picture["labels"][1:]] == ["channel 7", "channel 2"]
    assert pictures(at)["motion"]["at"] == 6 and at.query_params["to"] == "2" and at.query_params["way"] == "6"


def test_random_weights_stand_beside_trained_ones_and_say_so(opened):
    at = made(opened("preferred_inputs", **HERE, beside="random"))
    assert errors(at) == []
    shown = pictures(at)
    assert shown["copies_wall"]["src"] != shown["copies_wall_beside"]["src"]
    assert "The weights are random" in captions(at)


def test_inspect_shows_the_input_that_a_class_prefers_with_its_logit(opened, cache):
    at = made(opened("inspect", net="lenet5", image="digit-3", view="Preferred input"))
    assert errors(at) == []
    (file,) = (cache / "preferred").glob("inputs-*.npz")
    (found,) = load_inputs(file)
    model = cnnviz.load("lenet5", device="cpu")
    logits = [float(model.compute_logits(model.batch(Image.fromarray(one)))[0, 3]) for one in (found.image,)]
    assert (
        found.layer is None and found.mixture == ((3, 1.0),) and logits[0] == pytest.approx(found.activation, abs=1e-4)
    )
    words = [label["text"] for label in pictures(at)["preferred_strip"]["labels"]]
    said = float(next(text for text in words if text.startswith("Preferred")).rsplit(" ", 1)[1])
    assert said == pytest.approx(found.activation, rel=5e-3)


class Detached(nn.Module):
    """(N, 3, 16, 16) → logits of maps that are rounded: their gradient by the image is nowhere to be had."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.conv, self.rounded, self.head = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 6, 3), nn.Linear(6, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rounded(self.conv(x).detach().round()).mean((2, 3)))


def test_a_layer_without_a_gradient_says_so_and_offers_to_try_again(opened, registered):
    at = made(opened("preferred_inputs", net=registered("preferred_detached", Detached), layer="rounded", unit="1"))
    said = errors(at)  # of the projection, too
    assert said and all("does not depend on the image in a differentiable way" in words for words in said)
    assert at.button(key="start_preferred_copies").label == "Compute"


@pytest.mark.parametrize("view", ["Channel", "Layer", "Between"])
def test_a_network_of_four_channels_has_preferred_inputs_and_says_what_it_is_given(opened, registered, view):
    net = registered("preferred_four", FourChannels, 4)
    at = made(opened("preferred_inputs", net=net, layer="2", unit="1", view=view))
    assert errors(at) == [] and {"copies_wall", "layer_wall", "preferred_between"} & pictures(at).keys()
    if view == "Channel":
        assert "each of its channels is given the same image" in captions(at)


def test_a_layer_of_one_channel_has_nothing_to_go_to(opened, registered):
    small = nn.Sequential(nn.Conv2d(3, 1, 3), nn.Flatten(), nn.Linear(196, 4))
    at = made(opened("preferred_inputs", net=registered("preferred_one", lambda _: small), layer="0", view="Between"))
    assert errors(at) == [] and any("there is no other to go to" in one.value for one in at.info)


@pytest.mark.parametrize(("said", "steps"), [("40", 40), ("", 256), ("none", 256), ("0", 256), ("99999", 256)])
def test_a_slow_computer_may_make_them_in_fewer_steps(monkeypatch, said, steps):
    monkeypatch.setenv("CNNVIZ_PREFERRED_STEPS", said)
    assert choices.read_steps() == steps
