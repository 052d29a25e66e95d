"""Feature maps: the frames stand where the chosen unit is; choices that no longer fit give way."""

import numpy as np
import pytest
from app_pages import choose, errors, frame, pictures, tile_of

import cnnviz
from cnnviz.data.samples import draw_digit


def maps_of(layer: str) -> np.ndarray:
    """(C, H, W) of LeNet-5 on the digit 3."""
    return cnnviz.capture(cnnviz.load("lenet5"), draw_digit(3), [layer])[layer][0]


@pytest.mark.parametrize(
    "row, col, box",
    [
        (3, 4, (6, 4, 14, 14)),  # conv 5×5 pad 2, pool 2, conv 5×5: 14 pixels wide, 2 apart, the first starts at −2
        (0, 0, (0, 0, 12, 12)),  # cut off at the upper left border
        (9, 9, (16, 16, 12, 12)),  # and at the lower right one
    ],
)
def test_the_receptive_field_is_framed_on_the_input(opened, row, col, box):
    at = opened("feature_maps", net="lenet5", layer="conv2", unit="1", row=str(row), col=str(col))
    overlay = pictures(at)["map_overlay"]
    factor = overlay["width"] / 28
    assert factor == int(factor) >= 2
    assert frame(overlay) == pytest.approx(tuple(v * factor for v in box))


@pytest.mark.parametrize("scale, unit", [("Each map", 13), ("Common", 4)])
def test_the_wall_holds_the_values_of_the_chosen_map_and_frames_it(opened, scale, unit):
    at = opened("feature_maps", net="lenet5", layer="conv2", unit=str(unit), scale=scale, row="2", col="7")
    shown, maps = pictures(at)["map_wall"], maps_of("conv2")
    top = maps[unit].max() if scale == "Each map" else maps.max()
    assert shown["tops"][shown["items"].index(unit)] == pytest.approx(top)
    expected = np.rint(np.maximum(maps[unit], 0) / top * 255)
    assert np.array_equal(tile_of(shown, unit), expected) and (expected == 0).any() and expected.max() > 50
    assert (shown["chosen"], shown["unit"], shown["units"]) == (unit, [2, 7], [10, 10])
    note = shown["notes"][shown["items"].index(unit)]
    assert note == f"maximum {maps[unit].max():.3g}"


def test_the_layer_of_the_classes_names_them(opened):
    at = opened("feature_maps", net="lenet5", layer="fc3", order="By index")
    names = pictures(at)["map_wall"]["names"]
    assert names == [f"channel {n} · {name}" for n, name in enumerate(cnnviz.load("lenet5").class_names)]


def test_it_opens_on_the_strongest_map_and_its_peak(opened):
    at = opened("feature_maps", net="lenet5", layer="conv2")
    maps = maps_of("conv2")
    unit = int(maps.max((1, 2)).argmax())
    row, col = divmod(int(maps[unit].argmax()), 10)
    assert [at.number_input(key=key).value for key in ("unit", "row", "col")] == [unit, row, col]
    assert at.query_params == {"net": "lenet5", "layer": "conv2"}


def test_an_unchosen_unit_follows_the_layer_and_a_chosen_one_stays_where_it_fits(opened):
    at = opened("feature_maps", net="lenet5", layer="conv2")
    choose(at, "layer", "conv1")
    assert at.number_input(key="unit").value == int(maps_of("conv1").max((1, 2)).argmax())
    at.number_input(key="unit").set_value(4).run()
    choose(at, "layer", "conv2")
    assert at.number_input(key="unit").value == 4


def test_the_name_of_the_unit_is_shown_in_the_common_form(opened):
    at = opened("feature_maps", net="lenet5", layer="conv2", unit="7", row="3", col="4")
    assert any("conv2 · channel 7 · (3, 4)" in way.proto.label for way in at.get("page_link"))
    value = maps_of("conv2")[7, 3, 4]
    assert any(f"{value:.3g}" in c.value for c in at.caption)


def test_maps_stand_by_index_or_the_strongest_first(opened):
    at = opened("feature_maps", net="lenet5", layer="conv2", order="By index")
    assert pictures(at)["map_wall"]["items"] == list(range(16))
    ranked = sorted(range(16), key=lambda channel: -maps_of("conv2")[channel].max())
    at = opened("feature_maps", net="lenet5", layer="conv2")
    assert pictures(at)["map_wall"]["items"] == ranked


def test_a_position_outside_the_map_falls_back_to_the_peak(opened):
    at = opened("feature_maps", net="lenet5", layer="conv2", unit="7", row="10", col="-3")
    peak = divmod(int(maps_of("conv2")[7].argmax()), 10)
    assert errors(at) == []
    assert (at.number_input(key="row").value, at.number_input(key="col").value) == peak


def test_layers_with_one_unit_a_channel_open(opened):
    at = opened("feature_maps", net="lenet5", layer="fc1")
    assert errors(at) == [] and "map_wall" in pictures(at)
    assert at.number_input(key="row").value == at.number_input(key="col").value == 0


@pytest.mark.parametrize("corpus", ["nonsense", "upload", "folder"])
def test_a_corpus_that_this_page_cannot_open_leaves_the_maps_alone(opened, corpus):
    at = opened("feature_maps", net="lenet5", corpus=corpus)
    assert errors(at) == [] and "map_wall" in pictures(at)
