"""A unit's page: its winners, statistics, fields and neighbours; links from every unit's name."""

import json

import pytest
from app_jobs import when_built
from app_pages import errors

from cnnviz.index.result import PatchIndex


def links(at) -> dict[str, str]:
    """{label: query} of the links to units."""
    return {w.proto.label: w.proto.query_string for w in at.get("page_link") if "channel" in w.proto.label}


def captions(at) -> str:
    return " ".join(c.value for c in at.caption)


@pytest.fixture
def unit(opened):
    """The page of one channel of LeNet's second convolution."""
    return when_built(opened("unit", net="lenet5", layer="conv2", unit="7"))


def test_winners_histogram_fields_and_words_are_there(unit, cache):
    assert errors(unit) == []
    (file,) = (cache / "indexes").glob("*.npz")
    index = PatchIndex.load(file)
    found = index.statistics["conv2"]
    (figure,) = unit.get("plotly_chart")
    bars = json.loads(figure.proto.spec)["data"][0]
    told = [int(text.partition(" ")[0].replace(",", "")) for text in bars["hovertext"]]
    assert sum(told) == index.meta["images"] and max(told) == found.histogram[7].max()
    text = captions(unit)
    assert f"over {index.meta['images']:,} images" in text and "effective" in text and "95 %" in text
    assert "Classes of the 9 winners" in text  # the digits have labels


def test_the_sentence_of_the_projection_follows_the_toggle(unit):
    assert "Deconvnet:" in captions(unit)
    unit.selectbox(key="rule").select("guided").run()
    assert errors(unit) == [] and "Guided:" in captions(unit) and "Deconvnet:" not in captions(unit)


def test_inputs_and_outputs_are_links_to_units(unit):
    found = links(unit)
    inside = {label: query for label, query in found.items() if "conv1" in label}
    assert inside and all("layer=conv1" in query and "unit=" in query for query in inside.values())
    assert all("net=lenet5" in query for query in inside.values())


def test_a_pooling_layer_says_that_it_has_no_inputs_of_this_kind(opened):
    at = when_built(opened("unit", net="lenet5", layer="pool1", unit="2"))
    assert errors(at) == []
    assert "it is no convolution" in captions(at)


@pytest.mark.parametrize("page", ["feature_maps", "top9", "first_layer_filters"])
def test_every_unit_s_name_leads_to_its_page(opened, page):
    layer = "conv1" if page == "first_layer_filters" else "conv2"
    at = when_built(opened(page, net="lenet5", layer=layer, unit="3"))
    (query,) = [q for label, q in links(at).items() if label.startswith(f"{layer} · channel 3")]
    assert "unit=3" in query and f"layer={layer}" in query


def test_a_link_with_a_projection_opens_with_it(opened):
    at = when_built(opened("unit", net="lenet5", layer="conv2", unit="1", rule="gradient"))
    assert errors(at) == [] and "Gradient:" in captions(at) and at.query_params["rule"] == "gradient"
