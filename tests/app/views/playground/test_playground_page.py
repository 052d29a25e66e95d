"""The playground: every view opens, numbers are typed, and what is wrong with them is said."""

import json

import numpy as np
import pytest
from app_pages import errors, traces

from app.views.playground.input import table, written
from cnnviz.errors import BadInput
from cnnviz.studies.convolution.lecture_errors import list_errors


def drawn(at) -> str:
    """All drawings of the page as one text."""
    found = [json.loads(shown.proto.json) for shown in at.get("bidi_component")]
    return " ".join(part["svg"] for data in found if "parts" in data for part in data["parts"])


def test_the_page_opens_on_the_first_step_and_the_slider_goes_on(opened):
    at = opened("playground")
    assert errors(at) == [] and at.segmented_control(key="view").value == "Step by step"
    assert "0·0 + 1·1 + 3·2 + 4·3 = 19" in drawn(at)
    at.slider(key="step").set_value(4).run()
    assert "= 43" in drawn(at) and at.query_params["step"] == "4"
    at.segmented_control(key="op").set_value("Convolution").run()
    assert "= 29" in drawn(at)  # the last of 5, 11, 23, 29


def test_another_example_brings_its_own_numbers(opened):
    at = opened("playground", grid="1 2\n3 4", stride="2", step="1")
    assert "= 20" in drawn(at)  # 1·0 + 2·1 + 3·2 + 4·3
    at.selectbox(key="example").select("Sharpening: first 114").run()
    assert errors(at) == [] and "= 114" in drawn(at) and at.number_input(key="pad").value == 1
    assert "grid" not in at.query_params and at.number_input(key="stride").value == 1


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ("Matrix", "W: 4×9"),
        ("Wiring", "13 connections, 3 weights"),
        ("Commutativity", "convolution commutes"),
        ("Coverage", "(0, 0): once"),
        ("Counters", "36,928"),
        ("Photograph", "−1"),
        ("Pooling", "4 of 4 inputs and 2 of 4 outputs change."),
    ],
)
def test_every_view_opens_by_its_link(opened, view, says):
    at = opened("playground", view=view)
    assert errors(at) == [] and at.segmented_control(key="view").value == view
    assert says in drawn(at)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"view": "Wiring", "at": "x1", "wunits": "7"}, "19 connections, 3 weights"),
        ({"view": "Wiring", "wiring": "Shift test"}, "not equivariant"),
        ({"view": "Wiring", "wiring": "Shift test", "tied": "100"}, "equivariant to this shift"),
        ({"view": "Wiring", "wiring": "Shift test", "tied": "100", "wends": "zeros"}, "not equivariant"),
        ({"view": "Commutativity", "op": "Correlation"}, "turned by 180°"),
        ({"view": "Coverage", "coverage": "How maps shrink"}, "4×4"),
        ({"view": "Counters", "axes": "3"}, "110,656"),
        ({"view": "Counters", "count": "A dense layer"}, "750,001,000"),
        ({"view": "Pooling", "pool": "A part in its window"}, "no maximum changed"),
        ({"view": "Pooling", "pool": "A part in its window", "part": "1,3"}, "2 of 4 maxima changed"),
        ({"view": "Pooling", "pool": "A part in its window", "part": "9,9"}, "no maximum changed"),
        ({"view": "Wiring", "at": "h9", "wunits": "many", "tied": "33"}, "13 connections"),
    ],
)
def test_what_a_link_chooses_is_drawn(opened, query, says):
    at = opened("playground", **query)
    assert errors(at) == [] and says in drawn(at)


def test_a_preset_of_the_dense_layer_counts_the_notes_photograph(opened):
    at = opened("playground", view="Counters", count="A dense layer")
    assert "2.79 GiB" in " ".join(text.value for text in at.markdown)
    at.button(key="preset_3464").click().run()
    assert errors(at) == [] and at.query_params["denseunits"] == "100"
    assert "3,599,788,800" in " ".join(text.value for text in at.markdown)


def test_every_question_of_the_notes_can_be_asked(opened):
    at = opened("playground", view="Counters", count="The notes' questions", question="alexnet-lenet")
    assert errors(at) == [] and "right is 760" in drawn(at)
    assert len(at.selectbox(key="question").options) == len(at.dataframe[0].value) > 20


def test_four_poolings_stand_side_by_side_and_negative_numbers_are_no_chances(opened):
    at = opened("playground", view="Pooling", pool="A map in four ways")
    assert errors(at) == [] and "3.75" in drawn(at) and "Stochastic, draw 1" in drawn(at)
    at.text_area(key="map").set_value("1 −3\n2 9").run()
    assert errors(at) == [] and "Stochastic" not in drawn(at) and "0 or more" in at.info[0].value


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"grid": "1 two\n3 4"}, "'two', number 2 in row 1 of the grid, is not a number"),
        ({"grid": "1 2\n3"}, "have 2, 1 numbers"),
        ({"kernel": "1 1 1 1\n" * 4}, "A window that spans 4 pixels does not fit 3 pixels"),
        ({"kernel": "1 1 1 1 1 1"}, "at most 5×5"),
        ({"grid": " "}, "is empty"),
        ({"grid": "1e9"}, "too large"),
        ({"view": "Counters", "groups": "3"}, "cannot be divided into 3 groups"),
        ({"view": "Pooling", "detector": "0.1 x"}, "'x', number 2 in row 1 of the detector row"),
        ({"grid": "1 2\n3 4\n\n1 2\n3 4"}, "2 kernels or a multiple of that"),
        ({"grid": "1 2\n3 4\n\n1 2"}, "Give every one the same size"),
        ({"example": "2 channels: 56, 72, 104, 120", "cgroups": "3"}, "cannot be divided into 3 groups"),
        ({"kernel": "\n\n".join(["1"] * 17)}, "at most 16"),
        ({"view": "Signal", "sigkernel": "own", "sigown": "1 a"}, "'a', number 2 in row 1 of the kernel"),
        ({"view": "Signal", "series": "own", "sigvalues": "0 b"}, "'b', number 2 in row 1 of the series"),
        ({"view": "Signal", "series": "own", "sigvalues": "1 2"}, "2 numbers, fewer than the 3 of the kernel"),
        ({"view": "Signal", "series": "own", "sigvalues": "1 " * 129}, "at most"),
    ],
)
def test_what_is_wrong_with_the_numbers_is_said_in_words(opened, query, says):
    (message,) = errors(opened("playground", **query))
    assert says in message


def test_a_table_survives_being_written_and_read():
    values = np.array([[0.5, -2], [3, 1e-3]])
    assert np.array_equal(table(written(values), "grid", 5), values)
    assert table("1/9, −2", "grid", 5).tolist() == [[1 / 9, -2.0]]
    for wrong in ("nan", "inf", "1/0", "1e400", "--1"):
        with pytest.raises(BadInput):
            table(wrong, "grid", 5)


def test_an_own_kernel_is_laid_on_the_photograph(opened):
    at = opened("playground", view="Photograph", named="own", ownkernel="0.25 0.5 0.25")
    assert errors(at) == [] and "0.25" in drawn(at) and len(at.get("image")) == 2


def test_several_channels_are_summed_and_groups_keep_them_apart(opened):
    at = opened("playground", example="2 channels: 56, 72, 104, 120")
    assert errors(at) == [] and "19 + 37 = 56" in drawn(at) and at.number_input(key="cgroups").value == 1
    at.number_input(key="cgroups").set_value(2).run()
    assert errors(at) == [] and "of another group" in drawn(at) and at.slider(key="step").max == 8
    at = opened("playground", example="1×1: 3 channels to 2", step="10")
    assert errors(at) == [] and "0·0.5 = 0" in drawn(at) and "0 + 0.5 + 0 = 0.5" in drawn(at)
    at.segmented_control(key="view").set_value("Matrix").run()
    assert errors(at) == [] and any("first channel" in told.value for told in at.caption)


def test_a_series_of_ones_own_is_shifted(opened):
    at = opened(
        "playground", view="Signal", series="own", sigvalues="0 0 5 0 0 0", sigkernel="own", sigown="1", steps="2"
    )
    (figure,) = (json.loads(shown.proto.json) for shown in at.get("bidi_component") if shown.key == "signal")
    drawn_lines = [list(trace["y"]) for trace in traces(figure)]
    assert errors(at) == [] and [0, 0, 5, 0, 0, 0] in drawn_lines and [0, 0, 0, 0, 5, 0] in drawn_lines


def test_a_time_series_has_teeth_at_the_stride(opened):
    at = opened("playground", view="Signal", sigstride="4")
    (figure,) = (json.loads(shown.proto.json) for shown in at.get("bidi_component") if shown.key == "signal")
    (teeth,) = (trace["y"] for trace in traces(figure) if trace["name"] == "error")
    assert errors(at) == [] and [value == 0 for value in teeth] == [n % 4 == 0 for n in range(17)]
    at.slider(key="steps").set_value(4).run()
    assert errors(at) == [] and any("0 (equal but for rounding)" in told.value for told in at.markdown)


def test_the_counters_list_what_is_wrong_in_the_notes(opened):
    at = opened("playground", view="Counters", count="The notes' errors")
    (table,) = at.table
    assert errors(at) == [] and len(table.value) == len(list_errors())
    assert any("3 GB" in text for text in table.value["correct"])
