"""No point of the history charts stands without its condition and source."""

import math

import pytest

from cnnviz.figures.anatomy.history import bubble_figure, timeline_figure
from cnnviz.figures.base.plot_style import plot_config
from cnnviz.studies.anatomy.history import HUMAN, published_models, timeline


def test_every_result_is_a_bar_with_its_condition_and_source():
    bars = [trace for trace in timeline_figure(timeline(), HUMAN).data if trace.type == "bar"]
    shown = {(y, text) for trace in bars for y, text in zip(trace.y, trace.hovertext, strict=True)}
    assert len(shown) == len(timeline())
    for result in timeline():
        assert any(y == result.top5 and result.condition in t and result.source in t for y, t in shown), result.name


def test_the_years_stand_in_order_over_their_bars():
    figure = timeline_figure(timeline(), HUMAN)
    years = [(a.x, a.text) for a in figure.layout.annotations if a.text.startswith("<b>20")]
    assert [text for _, text in years] == [f"<b>{year}</b>" for year in range(2010, 2018)]
    assert years == sorted(years)


def test_the_human_is_a_line_at_five_point_one():
    lines = [s for s in timeline_figure(timeline(), HUMAN).layout.shapes if s.y0 == s.y1]
    assert [line.y0 for line in lines] == [5.1]


def test_areas_of_circles_are_parameters_and_every_point_tells_its_condition():
    models = published_models()
    figure = bubble_figure(models)
    for model in models:
        (trace,) = [t for t in figure.data if t.name == model.family]
        index = next(i for i, text in enumerate(trace.hovertext) if f"<b>{model.name}</b>" in text)
        assert trace.x[index] == pytest.approx(model.macs / 1e9) and trace.y[index] == model.top1
        area = math.pi * (trace.marker.size[index] / 2) ** 2
        assert area == pytest.approx(math.pi * 4 * model.parameters / 1e6, rel=1e-6)
        assert model.condition in trace.hovertext[index] and model.source in trace.hovertext[index]


def test_the_mode_bar_only_saves_at_twice_the_size():
    config = plot_config("name", "svg")
    assert config["modeBarButtons"] == [["toImage"]]
    assert config["toImageButtonOptions"] == {"format": "svg", "filename": "name", "scale": 2}
