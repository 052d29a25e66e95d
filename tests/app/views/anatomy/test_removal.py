"""Blocks that a click takes out of the graph of a network."""

import json

import numpy as np
from app_jobs import when_built
from app_pages import errors

import cnnviz
from cnnviz.figures.anatomy.network_graph import PALE, network_graph
from cnnviz.studies.anatomy.anatomy import anatomy
from cnnviz.studies.noise.blocks import predict_without


def drawn(at) -> dict[str, str]:
    found = {shown.key: json.loads(shown.proto.json) for shown in at.get("bidi_component") if shown.proto.json}
    return {key: " ".join(part["svg"] for part in data["parts"]) for key, data in found.items() if "parts" in data}


def test_a_click_takes_a_block_out_and_another_puts_it_back(opened):
    at = opened("anatomy", net="resnet20_cifar", click="Removes it", removed="layer2.1")
    assert errors(at) == [] and at.multiselect(key="removed").value == ["layer2.1"]
    assert "without 1" in drawn(at)["removed_answer"] and PALE in drawn(at)["network_graph"]
    at = when_built(at)
    model, corpus = cnnviz.load("resnet20_cifar", "bundled", "cpu"), cnnviz.corpus("samples")
    pictures = [corpus.image(number) for number in range(64)]
    same = predict_without(model, pictures, ["layer2.1"]).argmax(1) == model.predict(pictures).argmax(1)
    assert f"it keeps **{100 * np.mean(same):.0f} %** of its answers" in " ".join(one.value for one in at.markdown)
    at.multiselect(key="removed").set_value([]).run()
    assert errors(at) == [] and "removed" not in at.query_params and PALE not in drawn(at)["network_graph"]


def test_a_network_without_such_a_block_says_so_and_building_blocks_offer_no_removal(opened):
    at = opened("anatomy", net="lenet5", click="Removes it")
    assert errors(at) == [] and "none can be removed" in " ".join(one.value for one in at.markdown)
    at = opened("anatomy", net="naive_inception", click="Removes it")
    assert errors(at) == [] and at.segmented_control(key="click").options == ["Shows a block"]


def test_only_the_removed_blocks_are_grey():
    found = anatomy("resnet20_cifar")
    names = [block.block for block in found.blocks]
    gone = names.index("layer2.1")
    whole, without = (network_graph(found, repeats="all", removed=removed) for removed in ((), {gone}))
    changed = {
        shape.item
        for shape, before in zip(without.shapes, whole.shapes, strict=True)
        if getattr(shape, "item", "") and shape != before
    }
    assert changed == {f"block:{gone}"} and without.height == whole.height
