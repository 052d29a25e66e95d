"""What of a figure's text reaches Plotly in the browser: its own few tags, and no others."""

import itertools
import json

import plotly.graph_objects as go
import pytest

from app.components.plots import _FOREIGN_TAG, plot_data

TEXT = '<b>B</b><br><i>i</i> x<sub>1</sub><sup>2</sup> <span style="color:red">s</span>'
POISON = '<a href="http://evil.example">a</a><img src=x><body></bold><extras>'
SHOWN = '&lt;a href="http://evil.example">a&lt;/a>&lt;img src=x>&lt;body>&lt;/bold>&lt;extras>'


def test_the_tags_of_figures_stay_and_others_are_text():
    figure = go.Figure(go.Scatter(x=[1], y=[1], hovertemplate=f"{TEXT}<extra></extra>", name=POISON))
    figure.add_annotation(text=TEXT + POISON)
    drawn = json.loads(plot_data(figure)["figure"])
    assert drawn["data"][0]["hovertemplate"] == f"{TEXT}<extra></extra>" and drawn["data"][0]["name"] == SHOWN
    assert drawn["layout"]["annotations"][0]["text"] == TEXT + SHOWN


@pytest.mark.parametrize(
    ("opening", "slash"), itertools.product(("<", "\\u003c", "\\u003C"), ("/", "\\/", "\\u002f", "\\u002F"))
)
def test_however_json_spells_a_tag_it_is_the_same_tag(opening: str, slash: str):
    spelled = json.dumps(TEXT + POISON).replace("<", opening).replace("/", slash)
    assert json.loads(spelled) == TEXT + POISON
    assert json.loads(_FOREIGN_TAG.sub("&lt;", spelled)) == TEXT + SHOWN
