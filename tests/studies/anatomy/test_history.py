"""History's figures are those of the published tables, each with condition and source."""

import re
from pathlib import Path

import pytest

from cnnviz.models.catalogue.registry import architectures
from cnnviz.studies.anatomy.anatomy import anatomy
from cnnviz.studies.anatomy.history import HUMAN, find_correction, published_models, timeline, torchvision_models


def top5(name: str) -> float:
    (found,) = [r.top5 for r in timeline() if r.name == name]
    return found


def test_no_figure_stands_without_condition_and_source():
    for entry in [*timeline(), HUMAN, *published_models()]:
        assert entry.condition and entry.source, entry.name
    assert [r.year for r in timeline()] == sorted(r.year for r in timeline())


def test_the_challenge_was_won_with_these_errors():
    assert (top5("AlexNet, 5 nets"), top5("AlexNet, 7 nets")) == (16.4, 15.3)
    assert (top5("Clarifai"), top5("VGG"), top5("GoogLeNet"), top5("ResNet")) == (11.7, 7.3, 6.67, 3.57)
    assert HUMAN.top5 == 5.1
    winners = {r.name for r in timeline() if r.kind == "winner"}
    assert "Clarifai" in winners and "ZF" not in winners and "VGG" not in winners


def test_ensembles_and_single_networks_say_so():
    for result in timeline():
        single = re.search(r"\bone network\b", result.condition)
        several = re.search(r"\b(two|five|six|seven) networks|ensemble", result.condition)
        assert bool(single) != bool(several) or result.kind in ("before", "entry"), result.name
        assert ("test" in result.condition) != ("validation" in result.condition)


@pytest.mark.parametrize("model", published_models(), ids=lambda m: m.name)
def test_counts_of_published_models_are_those_of_the_built_network(model):
    if model.network not in architectures():
        pytest.skip(f"{model.network} is not in the catalogue")
    found = anatomy(model.network)
    assert (found.parameters, found.macs) == (model.parameters, model.macs)


def test_published_errors_are_in_the_fact_sheet(shared: Path):
    sheet = (shared / "facts" / "architectures.md").read_text(encoding="utf-8")
    for model in published_models():
        assert f"{model.parameters:,}" in sheet and f"{int(model.macs):,}" in sheet, model.name
        error = 100 - model.top1
        assert re.search(rf"\b{error:.2f}".rstrip("0").replace(".", r"\.") + r"0*\b", sheet), model.name


def test_torchvisions_own_metadata_is_taken_without_a_download():
    found = {m.name: m for m in torchvision_models()}
    vgg, resnet = found["vgg16"], found["resnet50"]
    assert (vgg.top1, vgg.parameters, vgg.macs) == (71.592, 138_357_544, pytest.approx(15.47e9))
    assert resnet.top1 == 76.13 and resnet.network == "resnet50" and "one crop of 224" in resnet.condition
    newest = {m.name: m for m in torchvision_models(newest=True)}
    assert newest["resnet50"].top1 == 80.858
    assert all(m.top1 > 0 and m.parameters > 0 and m.macs > 0 for m in found.values())


def test_its_multiply_adds_are_those_counted_here():
    found = {m.name: m for m in torchvision_models()}
    for name in ("alexnet", "squeezenet1_1", "mobilenet_v2", "resnet18"):
        assert anatomy(name).macs == pytest.approx(found[name].macs, rel=0.002)
        assert anatomy(name).parameters == found[name].parameters


def test_corrections_state_the_value_that_the_network_has():
    assert f"{anatomy('vgg16').activations:,}" in find_correction("vgg16")
    for name in ("googlenet_2014", "fractalnet_c3b5"):
        assert f"{anatomy(name).parameters:,}" in find_correction(name)
    assert f"{anatomy('reduced_inception').macs:,}" in find_correction("reduced_inception")
    assert find_correction("resnet18") == ""
