"""The page of anatomies: every view of every kind of network, clicks, two networks, and its place in the URL."""

import json
import xml.etree.ElementTree as ET

import pytest
from app_pages import choose, chosen, errors

from app.views.anatomy import results


def drawings(at) -> dict[str, list[str]]:
    """{key: SVG documents} of the drawings on the page."""
    found = {shown.key: json.loads(shown.proto.json) for shown in at.get("bidi_component")}
    return {key: [part["svg"] for part in data["parts"]] for key, data in found.items() if "parts" in data}


def items(svg: str) -> set[str]:
    return {node.get("data-item") for node in ET.fromstring(svg).iter() if node.get("data-item")}


def test_the_page_opens_on_the_graph_with_a_block_in_large(opened):
    at = opened("anatomy", net="googlenet_2014")
    assert errors(at) == [] and at.selectbox(key="block").value == "inception3a"
    whole, block = drawings(at)["network_graph"]
    assert "inception5b" in whole and "concat: 256 maps" in block
    assert {f"block:{n}" for n in range(18)} == items(whole)


def test_an_anatomy_needs_no_weights(opened):
    gone = {"net": "vgg16", "weights": "file-gone"}
    assert errors(opened("first_layer_filters", **gone)) != []  # a file that is not there any more
    at = opened("anatomy", **gone)
    assert errors(at) == [] and drawings(at)["network_graph"]
    assert not [box for box in at.selectbox if box.key == "weights"]


@pytest.mark.parametrize("view", ["Layers", "Profile", "Compare", "History"])
def test_every_view_opens_by_its_link(opened, view):
    at = opened("anatomy", net="lenet5_1998", view=view)
    assert errors(at) == [] and at.segmented_control(key="view").value == view
    assert len(at.get("download_button")) >= 1


def test_the_block_of_a_link_is_shown_and_another_network_brings_its_own(opened):
    at = opened("anatomy", net="resnet18", block="layer3.1")
    assert at.selectbox(key="block").value == "layer3.1" and "layer3.1" in drawings(at)["network_graph"][1]
    choose(at, "net", "vgg16")
    assert errors(at) == [] and at.selectbox(key="block").value == "Whole network"
    assert len(drawings(at)["network_graph"]) == 1


def test_dropout_in_front_of_a_network_is_no_block_to_choose(opened):
    at = opened("anatomy", net="maxout_mnist", block="stage1.drop")
    assert errors(at) == [] and at.selectbox(key="block").value == "Whole network"
    assert "stage1.conv" in at.selectbox(key="block").options and "stage1.drop" not in at.selectbox(key="block").options


def test_folding_is_a_choice_that_the_link_carries(opened):
    at = opened("anatomy", net="resnet34", repeats="Folded")
    assert "× 5" in drawings(at)["network_graph"][0]
    at.segmented_control(key="repeats").set_value("All").run()
    assert "× 5" not in drawings(at)["network_graph"][0] and at.query_params["repeats"] == "All"


def test_two_networks_stand_side_by_side_on_one_scale(opened):
    at = opened("anatomy", net="vgg16", view="Compare")
    assert at.selectbox(key="with").value == "googlenet_2014"
    assert len(drawings(at)["both_graphs"]) == len(drawings(at)["both_bars"]) == 2
    at.selectbox(key="with").select("resnet18").run()
    assert at.query_params["with"] == "resnet18" and "ResNet-18" in drawings(at)["both_graphs"][1]
    told = json.dumps([str(table.value.to_dict()) for table in at.table])
    assert "138,357,544" in told and "11,689,512" in told


def test_totals_are_told_to_the_unit_and_wrong_slides_corrected(opened):
    at = opened("anatomy", net="vgg16", view="Profile")
    said = " ".join(m.value for m in at.markdown)
    assert "15,237,608 activations = 60.95 MB" in said and "24 M values" in said


def test_a_building_block_without_a_classifier_can_be_chosen(opened):
    at = opened("anatomy", net="naive_inception")
    assert errors(at) == [] and chosen(at, "net") == "naive_inception"


def test_the_table_of_blocks_adds_up(opened):
    at = opened("anatomy", net="resnet18", view="Layers", rows="Block")
    (frame,) = at.dataframe
    assert frame.value["parameters"].sum() == 11_689_512 and frame.value["MACs"].sum() == 1_814_073_344


def test_facts_come_out_as_csv_with_condition_and_source():
    from cnnviz.studies.anatomy.history import timeline

    lines = results.facts_csv(timeline()).splitlines()
    assert lines[0].startswith("year,name,top5") and len(lines) == 1 + len(timeline())
    assert any("five networks" in line and "NIPS 2012" in line for line in lines)
