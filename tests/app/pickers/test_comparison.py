"""Compare: both halves on one scale, linked by channel and place; every choice in the address, there and back."""

import numpy as np
import pytest
import torch
from app_pages import errors, pictures, tile_of, turned

import cnnviz
from app import limits
from app.pickers.comparison import Side, find_counterpart, find_twin, order_alike, same_place
from app.session import networks
from app.session.networks import Choice
from app.views.patches import building
from cnnviz.data.samples import draw_digit

LENET = {"net": "lenet5"}
WALLS = {"first_layer_filters": "filter_wall", "feature_maps": "map_wall"}
PAIRS = {  # page: (rest of the link, the pictures of one half)
    "first_layer_filters": ({}, ["filter_wall"]),
    "feature_maps": ({"layer": "conv2"}, ["map_wall"]),
    "inspect": ({}, ["inspect_bars", "inspect_quick"]),
    "receptive_fields": ({"layer": "conv2", "average": "this image"}, ["field_photo", "field_heat", "field_card"]),
    "equivariance": ({"layer": "conv2"}, ["shift_strip"]),
}


@pytest.fixture(autouse=True)
def no_indexing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about indexes, which would be built beside every page."""
    monkeypatch.setattr(building, "wants_start", lambda *_: False)


def lenet(untrained: bool) -> networks.Network:
    return networks.load(Choice("lenet5", "bundled", untrained=untrained))


def shown(at) -> dict:
    """The pictures, without libraries of plots, which are sent once."""
    return {key for key in (one.key for one in at.get("bidi_component"))}


def headings(at) -> list[str]:
    return [m.value.strip("*") for m in at.markdown if m.value.startswith("**") and m.value.count("*") == 4]


@pytest.mark.parametrize("page", PAIRS)
def test_one_click_puts_random_weights_beside_trained_ones_and_one_takes_them_away(opened, page):
    rest, keys = PAIRS[page]
    at = opened(page, **LENET, **rest)
    before = dict(at.query_params)
    assert errors(at) == [] and not any(key.endswith("_beside") for key in shown(at))
    at.button(key="compare").click().run()
    assert errors(at) == [] and headings(at)[:2] == ["trained", "random weights"]
    assert {*keys, *(f"{key}_beside" for key in keys)} <= shown(at)
    assert dict(at.query_params) == before | {"beside": "random"}
    at.button(key="compare").click().run()
    assert errors(at) == [] and not any(key.endswith("_beside") for key in shown(at))
    assert dict(at.query_params) == before


def test_where_random_weights_are_shown_the_trained_ones_stand_beside_them(opened):
    at = opened("feature_maps", **LENET, beside="random", untrained="True")
    assert errors(at) == [] and headings(at)[:2] == ["random weights", "trained"]
    at = opened("feature_maps", **LENET, beside="random", weights="random")
    assert errors(at) == [] and headings(at)[:2] == ["random weights", "trained"]


def test_feature_maps_share_the_maximum_of_both_halves(opened):
    at = opened("feature_maps", **LENET, layer="conv2", beside="random", order="By index")
    digit = draw_digit(3)
    both = [cnnviz.capture(lenet(untrained).model, digit, ["conv2"])["conv2"][0] for untrained in (False, True)]
    top = max(float(values.max()) for values in both)
    assert both[0].max() != both[1].max()
    for key, values in zip(("map_wall", "map_wall_beside"), both, strict=True):
        wall = pictures(at)[key]
        assert wall["tops"] == pytest.approx([top] * 16)
        assert np.array_equal(tile_of(wall, 7), np.rint(np.maximum(values[7], 0) / top * 255))
        assert wall["group"] == "compared"
    at.segmented_control(key="scale").set_value("Each map").run()
    for key, values in zip(("map_wall", "map_wall_beside"), both, strict=True):
        assert pictures(at)[key]["tops"] == pytest.approx(values.max(axis=(1, 2)).tolist())


def test_filters_share_the_largest_weight_of_both_halves(opened):
    at = opened("first_layer_filters", **LENET, beside="random")
    weights = [dict(lenet(u).model.module.named_parameters())["conv1.weight"].detach().numpy() for u in (False, True)]
    full = max(float(np.abs(values).max()) for values in weights)
    for key, values in zip(("filter_wall", "filter_wall_beside"), weights, strict=True):
        wall = pictures(at)[key]
        assert wall["tops"] == pytest.approx([full] * 6)
        assert np.array_equal(tile_of(wall, 2), np.rint(128 + 127 * values[2, 0] / full).astype(int))
    at.segmented_control(key="contrast").set_value("Each filter").run()
    assert pictures(at)["filter_wall_beside"]["tops"] == pytest.approx(np.abs(weights[1]).max(axis=(1, 2, 3)).tolist())


def test_effective_fields_share_the_largest_gradient(opened):
    at = opened(
        "receptive_fields", **LENET, layer="conv2", average="this image", unit="1", row="4", col="4", beside="random"
    )
    words = [one["text"] for key in ("field_heat", "field_heat_beside") for one in pictures(at)[key]["labels"]][-1]
    peaks = []
    for untrained in (False, True):
        model = lenet(untrained).model
        pixels = model.batch(draw_digit(3)).clone().requires_grad_()
        seen: list[torch.Tensor] = []
        with torch.enable_grad():
            handle = model.module.conv2.register_forward_hook(lambda _m, _i, out, seen=seen: seen.append(out))
            model.module(pixels)
            handle.remove()
            (gradient,) = torch.autograd.grad(seen[0][0, 1, 4, 4], pixels)
        size = gradient.abs().sum(1)
        peaks.append(float(size.max() / size.sum()))
    assert float(words) == pytest.approx(max(peaks), rel=5e-3)


KINDS = {
    "net": ({"beside": "net", "beside_net": "resnet20_cifar", "beside_layer": "layer1.0"}, "lenet5 · conv2"),
    "weights": ({"beside": "weights"}, "trained"),
    "layer": ({"beside": "layer", "beside_layer": "conv1"}, "conv2"),
    "image": ({"beside": "image", "beside_image": "digit-8"}, "digit-3"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_opens_by_its_link_which_stays_as_it_is(opened, kind):
    query, left = KINDS[kind]
    at = opened("feature_maps", **LENET, layer="conv2", unit="3", **query)
    assert errors(at) == [] and headings(at)[0] == left
    assert dict(at.query_params) == {**LENET, "layer": "conv2", "unit": "3", **query}
    assert pictures(at)["map_wall"]["src"] != pictures(at)["map_wall_beside"]["src"]
    at.button(key="compare").click().run()
    assert dict(at.query_params) == {**LENET, "layer": "conv2", "unit": "3"}


def test_an_address_without_it_takes_the_comparison_back(opened):
    at = opened("feature_maps", **LENET, layer="conv2")
    at.button(key="compare").click().run()
    at.selectbox(key="beside").select("layer").run()
    at.selectbox(key="beside_layer").select("conv1").run()
    assert dict(at.query_params)["beside_layer"] == "conv1"
    del at.query_params["beside"], at.query_params["beside_layer"]  # Back
    at.run()
    assert errors(at) == [] and "map_wall_beside" not in shown(at) and "beside" not in at.query_params
    at.query_params["beside"], at.query_params["beside_layer"] = "layer", "pool1"  # a link
    at.run()
    assert errors(at) == [] and at.selectbox(key="beside_layer").value == "pool1"


def test_the_comparison_moves_along_to_other_pages(opened):
    at = opened("feature_maps", **LENET, layer="conv2")
    at.button(key="compare").click().run()
    for page in ("receptive_fields", "first_layer_filters"):
        turned(at, page)
        assert errors(at) == [] and at.query_params["beside"] == "random"
        assert any(key.endswith("_beside") for key in shown(at))


def test_a_channel_that_the_other_layer_has_not_is_said(opened):
    at = opened("feature_maps", **LENET, layer="conv2", unit="9", beside="layer", beside_layer="conv1")
    assert any("conv1 has no channel 9: its last is 5" in c.value for c in at.caption)
    for page in ("receptive_fields", "equivariance"):
        turned(at, page)
        assert errors(at) == [] and any("has no channel 9" in m.value for m in at.info)
        assert not any(key.endswith("_beside") for key in shown(at))


def test_a_network_without_trained_weights_says_so(opened):
    at = opened("first_layer_filters", net="alexnet_2012", weights="random", beside="random")
    assert len(errors(at)) == 1 and "no trained weights" in errors(at)[0] and "filter_wall" in shown(at)


def test_what_has_to_be_downloaded_is_asked_for_and_the_left_half_stays(opened, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    at = opened("first_layer_filters", net="squeezenet1_1", weights="random", beside="random")
    assert errors(at) == [] and "filter_wall" in shown(at) and "filter_wall_beside" not in shown(at)
    assert any("not on this computer" in m.value for m in at.markdown)
    at.button(key="stay_beside_download").click().run()
    assert errors(at) == [] and "beside" not in at.query_params


@pytest.mark.parametrize("word", ["nonsense", "randomly", "🐈"])
def test_a_link_with_an_unknown_word_compares_nothing(opened, word):
    at = opened("feature_maps", **LENET, beside=word, beside_net="nobody", beside_layer="x", beside_image="y")
    assert errors(at) == [] and "map_wall_beside" not in shown(at)
    at = opened("feature_maps", **LENET, beside="net", beside_net="nobody", beside_layer="x", beside_weights="file-1")
    assert not at.exception and "map_wall" in shown(at)


def test_two_networks_stay_within_the_bounds_of_the_store(opened, monkeypatch):
    monkeypatch.setattr(limits, "MODELS", 1)
    at = opened("feature_maps", **LENET, layer="conv2", beside="random")
    assert errors(at) == [] and "map_wall_beside" in shown(at)
    assert len(networks._cache()._entries) == 1


def test_the_twin_of_a_twin_is_the_network():
    trained, random = lenet(False), lenet(True)
    assert find_twin(trained) == random.choice and find_twin(random) == trained.choice


def test_the_layer_beside_is_of_that_name_or_as_deep():
    trained, other = lenet(False), networks.load(Choice("resnet20_cifar", "bundled"))
    assert find_counterpart(Side(trained, "digit-3", "conv2"), lenet(True)) == "conv2"
    names = cnnviz.load("resnet20_cifar").layers()
    assert find_counterpart(Side(trained, "digit-3", "conv1"), other) == names[0]
    last = cnnviz.load("lenet5").layers()[-1]
    assert find_counterpart(Side(trained, "digit-3", last), other) == names[-1]


def test_the_unit_at_the_same_place_is_the_one_that_covers_the_middle_of_the_other():
    rng = np.random.default_rng(0)
    for _ in range(300):
        shape, other = (tuple(int(n) for n in rng.integers(1, 40, 2)) for _ in range(2))
        unit = tuple(int(rng.integers(0, n)) for n in shape)
        found = same_place(*unit, shape, other)
        for at, mine, theirs, size in zip(unit, found, other, shape, strict=True):
            middle = (at + 0.5) / size
            assert mine / theirs <= middle + 1e-12 and middle <= (mine + 1) / theirs + 1e-12
        assert same_place(*unit, shape, shape) == unit


def test_the_right_half_keeps_the_order_of_the_left_and_adds_its_own():
    assert order_alike([3, 0, 2], [1, 2, 3, 4, 0], 5) == [3, 0, 2, 1, 4]
    assert order_alike([3, 0, 7], [0, 1, 3], 3) == [3, 0, 1]
    assert order_alike([5, 4], [5, 4, 3, 2], 2) == [5, 4]
