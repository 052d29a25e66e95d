"""Frames of a motion: each is what the page itself draws at that place of the address."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from app_pages import errors
from streamlit.testing.v1 import AppTest

from app.views.inspect.occlusion import UNKNOWN, PanelPlan, sweep_frames
from app.views.receptive.walk import diagonal
from cnnviz.attribution.occlusion import Occlusion


def shown(at: AppTest) -> dict[str, dict[str, Any]]:
    """{key: data} of the components on the page."""
    found = [json.loads(one.proto.json) for one in at.get("bidi_component") if one.proto.json]
    return {data["key"]: data for data in found if isinstance(data, dict) and "key" in data}


def ask_for_reel(at: AppTest) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what the player knows, the reel): as the browser asks for it when Space is pressed first."""
    player = shown(at)["motion"]
    assert player["framed"] and not player["wanted"] and "motion_reel" not in shown(at)
    at.session_state["motion_wanted"] = ("motion", player["recipe"])
    at.run()
    assert errors(at) == [] and shown(at)["motion"]["wanted"]
    reel = shown(at)["motion_reel"]
    assert reel["recipe"] == player["recipe"]
    return player, json.loads(reel["reel"])


SIGNAL, POOLS = {"view": "Signal"}, {"view": "Pooling"}
VIEWS = [
    ("playground", {}, [{"step": f"{n + 1}"} for n in range(4)], ["playground_steps"]),
    ("playground", {"view": "Matrix"}, [{"step": f"{n + 1}"} for n in range(4)], ["playground_matrix"]),
    ("playground", POOLS, [{"move": f"{n}"} for n in range(-3, 4)], ["playground_rows"]),
    ("equivariance", {"net": "lenet5", "layer": "conv2"}, [{"dx": f"{n}"} for n in range(9)], ["shift_strip"]),
    ("pooling", {"net": "lenet5", "layer": "pool1"}, [{"right": f"{n}"} for n in range(17)], ["pooling_strip"]),
]


@pytest.mark.parametrize(("page", "query", "places", "keys"), VIEWS, ids=lambda value: str(value)[:24])
def test_every_frame_is_what_the_page_draws_there(opened, page, query, places, keys):
    at = opened(page, **query)
    player, reel = ask_for_reel(at)
    assert len(player["places"]) == len(reel["frames"]) == len(places)
    for number in {0, 1, len(places) - 1}:
        at = opened(page, **query, **places[number])
        now = shown(at)
        assert now["motion"]["at"] == number and now["motion"]["recipe"] == player["recipe"]
        for key in keys:
            frame = {**reel["shared"].get(key, {}), **reel["frames"][number][key]}
            assert frame == {name: now[key][name] for name in frame if name != "stamp"} | (
                {"stamp": frame["stamp"]} if "stamp" in frame else {}
            )


@pytest.mark.parametrize(("page", "layer"), [("equivariance", "conv2"), ("receptive_fields", "conv2")])
def test_motion_is_offered_where_one_half_is_shown(opened, page, layer):
    assert "motion" in shown(opened(page, net="lenet5", layer=layer))
    at = opened(page, net="lenet5", layer=layer, beside="random")
    now = shown(at)
    assert errors(at) == [] and "motion" not in now and any(key.endswith("_beside") for key in now)


def test_the_axes_of_the_error_curve_stay_while_it_draws_itself(opened):
    at = opened("equivariance", net="lenet5", layer="conv2")
    page = json.loads(shown(at)["curve"]["figure"])["layout"]
    _player, reel = ask_for_reel(at)
    layouts = [json.loads(frame["curve"]["figure"])["layout"] for frame in reel["frames"]]
    for axis in ("xaxis", "yaxis"):
        assert len(page[axis]["range"]) == 2
        assert all(one[axis]["range"] == page[axis]["range"] for one in layouts)
    bars = [json.loads(frame["layers"]["figure"]) for frame in reel["frames"]]
    (end,) = {one["layout"]["yaxis"]["range"][1] for one in bars}  # one scale for all shifts
    highest = max(value for one in bars for trace in one["data"] for value in _values(trace["y"]) if value == value)
    assert end == pytest.approx(1.06 * highest)


def test_the_curve_of_a_series_draws_itself_up_to_the_shift(opened):
    _player, reel = ask_for_reel(opened("playground", **SIGNAL))
    assert len(reel["frames"]) == 17
    for number, frame in enumerate(reel["frames"]):
        curve = next(one for one in json.loads(frame["signal"]["figure"])["data"] if one.get("name") == "error")
        assert [bool(np.isnan(value)) for value in _values(curve["y"])] == [at > number for at in range(17)]


def _values(packed: Any) -> list[float]:
    """Of a trace, as Plotly writes them."""
    if isinstance(packed, dict):
        return np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"]).tolist()
    return [np.nan if value is None else value for value in packed]


def test_too_many_steps_are_drawn_one_by_one(opened):
    grid = "\n".join(" ".join("1" for _ in range(12)) for _ in range(12))
    player = shown(opened("playground", grid=grid))["motion"]
    assert len(player["places"]) == 121 and not player["framed"]


def test_the_surface_turns_once_and_epochs_are_those_of_the_slider(opened):
    now = shown(opened("landscape"))
    eyes = [frame["surfaces"]["camera"] for frame in json.loads(now["motion_reel"]["reel"])["frames"]]
    assert eyes[0] == eyes[-1] and len(eyes) == 181 and len({tuple(eye) for eye in eyes}) == 180
    now = shown(opened("landscape", view="Training", epoch="10"))
    labels = [frame["training"]["frame"] for frame in json.loads(now["motion_reel"]["reel"])["frames"]]
    figure = json.loads(now["training"]["figure"])
    assert labels == [one["name"] for one in figure["frames"]] and not figure["layout"].get("updatemenus")
    assert labels[now["motion"]["at"]] == "10"


def test_the_sweep_covers_exactly_the_cells_behind_the_square():
    high, wide, stride = 11, 9, 2
    shape = (6, 5)
    maps = np.zeros(shape, np.float32)
    found = Occlusion(0, maps, maps.astype(int), maps, (0.5, 0, 1.0), 3, stride, (high, wide), "conv", 0, ("a",), 0.0)
    laid = PanelPlan(1.0, 0.0, 0.0, 100.0)
    for row, col in np.ndindex(*shape):
        covered = np.zeros((high, wide), bool)
        for one in sweep_frames(found, laid, row, col):
            if one.fill == UNKNOWN and one.left < 200:  # the first of the maps
                top, left = int(one.top), int(one.left) - 100
                covered[top : top + int(one.height), left : left + int(one.width)] = True
        cells = [[(y // stride) * shape[1] + x // stride for x in range(wide)] for y in range(high)]
        assert np.array_equal(covered, np.array(cells) > row * shape[1] + col)


def test_the_walk_goes_from_corner_to_corner_without_a_jump():
    for rows, cols in ((1, 1), (1, 7), (16, 16), (14, 5), (112, 112)):
        units = diagonal(rows, cols)
        assert units[0] == (0, 0) and units[-1] == (rows - 1, cols - 1) and len(units) <= 56
        steps = np.abs(np.diff(units, axis=0))
        assert steps.size == 0 or steps.max() <= -(-max(rows, cols) // 55)
