"""Figures of trainings: the numbers of the runs, the line at the moment, a bar whose marks are the values, and
sentences whose numbers are those shown."""

import json

import numpy as np
import pytest

from cnnviz.figures.training.curves import curves_figure
from cnnviz.figures.training.layers import MEASURES, layers_figure
from cnnviz.figures.training.words import depth_sentences, describe_gaps, describe_state
from cnnviz.training.record.curves import RunCurve
from cnnviz.training.record.depth import DepthPair
from cnnviz.training.record.result import RecordedRun


def curve(run: str, measure: str, part: str, *y: float) -> RunCurve:
    return RunCurve(run, measure, part, np.arange(len(y), dtype=float), np.array(y))


CURVES = [
    curve("a", "loss", "step", 3, 2, 1),
    curve("a", "loss", "test", 2, 1),
    curve("a", "accuracy", "test", 0.25, 0.5),
    curve("b", "loss", "train", 4, np.nan),
]


def test_a_run_has_one_colour_and_one_word_in_the_legend_and_accuracies_are_per_cent():
    figure = curves_figure(CURVES, {"a": "first", "b": "second"})
    assert [t.name for t in figure.data if t.showlegend] == ["second", "first"]
    colours = {run: {t.line.color for t in figure.data if t.legendgroup == run} for run in "ab"}
    assert all(len(found) == 1 for found in colours.values()) and colours["a"] != colours["b"]
    (accuracy,) = (t for t in figure.data if t.yaxis == "y2")
    assert list(accuracy.y) == [25, 50] and figure.layout.yaxis2.title.text == "Accuracy [%]"
    assert figure.layout.yaxis.type != "log"
    assert curves_figure(CURVES, {"a": "a", "b": "b"}, log=True).layout.yaxis.type == "log"


def test_the_moment_is_a_line_through_all_panels_and_every_other_is_a_frame():
    figure = curves_figure(CURVES, {"a": "a", "b": "b"}, mark=(2.0, "epoch 2"), moments={"x": 0.0, "y": 1.5})
    assert [(s.x0, s.xref) for s in figure.layout.shapes] == [(2, "x"), (2, "x2")]
    assert {f.name: f.layout.shapes[1].x0 for f in figure.frames} == {"x": 0, "y": 1.5}
    alone = curves_figure(CURVES[:2], {"a": "a"}, mark=(1.0, "epoch 1"))
    assert len(alone.layout.shapes) == 1 and "yaxis2" not in json.loads(alone.to_json())["layout"]


@pytest.mark.parametrize(("seconds", "unit", "shown"), [(100, "s", 100), (1200, "min", 20), (7200 * 3, "h", 6)])
def test_time_is_told_in_a_unit_that_fits(seconds, unit, shown):
    long = RunCurve("a", "loss", "test", np.array([0.0, seconds]), np.array([1.0, 2.0]))
    figure = curves_figure([long], {"a": "a"}, "time", mark=(seconds, "end"))
    assert figure.layout.xaxis.title.text == f"time [{unit}]"
    assert figure.data[0].x[-1] == shown == figure.layout.shapes[0].x0


@pytest.mark.parametrize("measure", MEASURES)
def test_a_heat_map_has_a_row_a_layer_from_the_top_and_tells_true_values(measure):
    table = np.array([[1e-4, 0.5, 0.0], [1e-2, 1.0, np.nan]])
    figure = layers_figure(np.array([1, 50]), ["conv", "fc", "0"], table, measure)
    heat, factor = figure.data[0], 1 if MEASURES[measure].log else 100
    assert np.shape(heat.z) == (3, 2) and figure.layout.yaxis.autorange == "reversed"
    assert list(figure.layout.yaxis.tickvals) == list(heat.y) == ["conv", "fc", "0"]
    np.testing.assert_allclose(np.array(heat.customdata, float), factor * table.T, rtol=1e-6)
    assert np.isnan(heat.z[2][1])  # not measured: empty
    if MEASURES[measure].log:
        assert heat.zmin == pytest.approx(-4) and heat.zmax == pytest.approx(0) and heat.z[2][0] == pytest.approx(-4)
        assert [10**v for v in heat.colorbar.tickvals] == pytest.approx([float(t) for t in heat.colorbar.ticktext])


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan, 1e-30, np.inf])
def test_a_table_of_one_value_is_drawn_too(value):
    heat = layers_figure(np.array([1.0]), ["a"], np.array([[value]]), "gradient").data[0]
    assert heat.zmax > heat.zmin and np.isfinite([heat.zmin, heat.zmax]).all()


def test_the_names_of_many_layers_are_thinned_out_on_the_axis_and_told_when_pointed_at():
    names = [f"layer{n}" for n in range(120)]
    figure = layers_figure(np.arange(3000), names, np.ones((3000, 120)), "weight")
    assert len(figure.layout.yaxis.tickvals) <= 40 and np.shape(figure.data[0].z)[1] <= 1000
    assert (
        figure.data[0].y[119] == "layer119" and figure.layout.yaxis.type == "category" and figure.data[0].x[-1] == 2999
    )


def test_sentences_on_depth_have_the_numbers_and_the_budgets():
    plain = DepthPair("plain", (20, 56), (50, 60), (0.957, 0.913), (0.91, 0.87))
    said = depth_sentences([plain, DepthPair("resnet", (20, 56), (50, 60), (0.97, 0.98), (float("nan"), 0.9))])
    assert "**Without shortcuts**, 56 layers end at 91.3 % of the training images, 20 at 95.7 %" in said
    assert "worse by 4.4 points" in said and "better by 1.0 points" in said and "87.0 against 91.0 %" in said
    assert "50 epochs for 20 layers, 60 epochs for 56 layers" in said and said.count("test:") == 1
    same = depth_sentences([DepthPair("plain", (20, 56), (50, 50), (0.9, 0.9), (0.8, 0.8))])
    assert "depth changes nothing" in same and "budgets" not in same and depth_sentences([]) == ""


def empty_run(**about: object) -> RecordedRun:
    none = {"step": np.empty(0, int)}
    return RecordedRun("mine", none, none, none, [], [], {}, {}, dict(about), broken=1, written=1000.0)


def test_the_state_of_a_run_and_what_it_lacks_in_words():
    assert describe_state(empty_run(), 1010, 60) == "running"
    assert describe_state(empty_run(), 1000 + 7300, 60) == "silent for 2 hours, perhaps stopped"
    assert describe_state(empty_run(ended=1.0), 9999, 60) == "ended"
    assert describe_state(empty_run(ended=1.0, failed=True), 9999, 60) == "stopped by an error"
    assert describe_gaps(empty_run(), None) == [
        "no step is written yet",
        "1 line of its files cannot be read, and left out",
    ]
    assert "from step 1,200" in describe_gaps(empty_run(ended=1.0), 1200)[1]
