"""The common style of figures: what a figure asks for, what it had, and the style, in one layout."""

import plotly.graph_objects as go
import pytest

from cnnviz.figures.base.plot_style import apply_style, upright


def styled_one_by_one(figure: go.Figure, height: int) -> go.Figure:
    """The style as Plotly's own update functions set it."""
    plain = apply_style(go.Figure(), height)
    axis = plain.layout.xaxis.to_plotly_json()
    rest = {name: value for name, value in plain.layout.to_plotly_json().items() if name not in ("xaxis", "yaxis")}
    return figure.update_layout(rest | {"template": "none"}).update_xaxes(axis).update_yaxes(axis)


def test_what_a_figure_had_stays_and_every_axis_gets_the_style():
    def make() -> go.Figure:
        figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))
        figure.update_layout(xaxis2={"title": "second", "domain": [0.5, 1]}, yaxis3={"type": "log"}, meta={"panels": 2})
        figure.add_annotation(text="a word", x=1, y=2)
        return figure

    assert apply_style(make(), 300).to_dict() == styled_one_by_one(make(), 300).to_dict()


def test_settings_reach_all_axes_of_their_kind_and_come_before_the_style():
    figure = go.Figure()
    figure.update_layout(xaxis2={"anchor": "y"})
    layout = apply_style(
        figure, 200, {"title": "across", "showgrid": False}, {"zeroline": True}, showlegend=False
    ).layout
    for axis in (layout.xaxis, layout.xaxis2):
        assert axis.title.text == "across" and axis.title.font.size == 15 and axis.showgrid is False
        assert axis.zeroline is False
    assert layout.yaxis.zeroline is True and layout.yaxis.showgrid is None
    assert layout.height == 200 and layout.showlegend is False and layout.xaxis2.anchor == "y"


def test_one_part_of_a_nested_setting_leaves_its_others():
    layout = apply_style(go.Figure(), legend={"orientation": "h"}, xaxis={"tickfont": {"color": "#123456"}}).layout
    assert layout.legend.orientation == "h" and layout.legend.itemsizing == "constant"
    assert layout.xaxis.tickfont.color == "#123456" and layout.xaxis.tickfont.size == 13


def test_a_setting_that_plotly_does_not_know_is_refused():
    with pytest.raises(ValueError, match="titel"):
        apply_style(go.Figure(), x={"titel": "across"})


@pytest.mark.parametrize("panel", ["", "2"])
def test_an_upright_line_is_plotly_s_own_vertical_line(panel: str):
    figure = go.Figure()
    figure.add_shape(upright(1.5, panel, color="#ff0000", width=2))
    shape = figure.layout.shapes[0]
    other = go.Figure(go.Scatter(x=[1], y=[1]))
    other.add_vline(1.5, line={"color": "#ff0000", "width": 2})
    wanted = {**other.layout.shapes[0].to_plotly_json(), "xref": f"x{panel}", "yref": f"y{panel} domain"}
    assert shape.to_plotly_json() == wanted
