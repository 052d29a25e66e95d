"""Chains: networks described by their names, checked step by step, built, written as Python."""

import pytest
import torch
from torch import nn

import cnnviz
from cnnviz.errors import BadInput
from cnnviz.models.catalogue import architecture, plugins
from cnnviz.models.catalogue.registry import find
from cnnviz.models.chains.chain import Chain, parse_chain
from cnnviz.models.chains.network import build_chain, write_source
from cnnviz.models.chains.steps import ChainStep, parse_step

LENET = "chain:1x28x28-conv6k5p2-relu-max2-conv16k5-relu-max2-flatten-linear120-relu-linear84-relu-linear10"
RICH = (
    "chain:3x33x40-conv8k3x1s2x1p1x0n-bne0.001-leaky0.2-max3s2p1c-conv16k3p2d2g4-groupnorm4-prelu-avg2-conv16k1-bnn-"
    "prelu1-adaptiveavg2x3-dropout0.3-flatten-bn-linear12n-elu-linear5-logsoftmax"
)


def test_a_name_describes_its_chain_and_the_chain_its_name():
    for name in (LENET, RICH):
        assert parse_chain(name).name == name
        assert find(name).name == name


def test_a_chain_is_built_as_the_plain_layers_are():
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(3, 8, (3, 1), (2, 1), (1, 0), bias=False), nn.BatchNorm2d(8, 0.001), nn.LeakyReLU(0.2),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.Conv2d(8, 16, 3, 1, 2, 2, 4), nn.GroupNorm(4, 16), nn.PReLU(16),
        nn.AvgPool2d(2), nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16, affine=False), nn.PReLU(1),
        nn.AdaptiveAvgPool2d((2, 3)), nn.Dropout(0.3), nn.Flatten(), nn.BatchNorm1d(96),
        nn.Linear(96, 12, bias=False), nn.ELU(), nn.Linear(12, 5), nn.LogSoftmax(1),
    ).eval()  # fmt: off
    built = cnnviz.build(RICH).eval()
    built.load_state_dict(dict(zip(built.state_dict(), plain.state_dict().values(), strict=True)))
    images = torch.rand(2, 3, 33, 40)
    torch.testing.assert_close(built(images), plain(images))
    shapes = [output.shape for output in parse_chain(RICH).check()]
    for layer, shape in zip(plain, shapes, strict=True):
        images = layer(images)
        assert images.shape[1:] == shape


def test_a_chain_is_a_network_like_any_other():
    model = cnnviz.load(LENET, "random", device="cpu")
    assert (model.name, model.input_size, model.class_names[3]) == (LENET, (1, 28, 28), "3")
    assert [name for name in model.layers("conv")] == ["conv1", "conv2"]
    assert cnnviz.anatomy(model).parameters == 61_706
    assert cnnviz.receptive_field(model, "pool2").size == (16, 16)
    assert cnnviz.build(LENET, 7)(torch.zeros(2, 1, 28, 28)).shape == (2, 7)
    with torch.device("meta"):
        assert cnnviz.build(LENET).fc3.weight.is_meta


@pytest.mark.parametrize(
    "name, reason",
    [
        ("chain:", "channels × rows × columns"),
        ("chain:1x28-flatten-linear10", "channels × rows × columns"),
        ("chain:1x28x28-conv6-flatten-linear10", "written like conv16k5"),
        ("chain:1x28x28-convk5-flatten-linear10", "written like conv16k5|no step"),
        ("chain:1x28x28-linear10", "flatten them before"),
        ("chain:1x28x28-conv6k29-flatten-linear10", "larger than the maps of 28×28"),
        ("chain:3x28x28-conv6k5g2-flatten-linear10", "can't be divided into 2 groups"),
        ("chain:1x28x28-conv6k5", "ends in one score a class"),
        ("chain:1x28x28-__import__-flatten-linear10", "has no step"),
        ("chain:1x9999x9999-flatten-linear10", "1 to 4096 pixels"),
        ("chain:1x28x28-flatten-linear65000-linear65000", "weights; at most"),
        ("chain:4x4000x4000-conv64k1-adaptiveavg1-flatten-linear2", "units for one image"),
        ("chain:1x28x28" + "-relu" * 300, "up to 256 steps"),
        ("chain:1x28x28-conv6k0-flatten-linear10", "must lie between 1 and"),
        ("chain:1x28x28-conv6k5-conv6k5p9999999-flatten-linear10", "has no step|can't be read"),
    ],
)
def test_what_is_no_network_is_refused_in_words(name, reason):
    with pytest.raises(BadInput, match=reason):
        cnnviz.build(name)


def test_the_step_that_does_not_fit_is_told_where_it_stands():
    steps = tuple(map(parse_step, ["conv6k5", "relu", "max2", "conv6k13", "relu"]))
    outputs = Chain((1, 28, 28), steps).check()
    assert [output.shape for output in outputs] == [(6, 24, 24), (6, 24, 24), (6, 12, 12), None]
    assert outputs[-1].layer == "conv2" and "larger than the maps of 12×12" in outputs[-1].problem


def test_settings_are_changed_without_touching_the_rest():
    chain = parse_chain(LENET)
    changed = chain.with_activation("tanh").with_pooling("avg").with_classes(26)
    assert changed.name == LENET.replace("relu", "tanh").replace("max", "avg").replace("linear10", "linear26")
    ending = parse_chain("chain:1x8x8-conv2k3-relu-flatten-linear2-sigmoid")
    assert [step.kind for step in ending.with_activation("tanh").steps] == "conv tanh flatten linear sigmoid".split()


@pytest.mark.parametrize("name", [LENET, RICH])
def test_the_python_source_is_a_plugin_that_loads_the_same_file_with_equal_answers(tmp_path, monkeypatch, name):
    architecture.published()
    monkeypatch.setattr(architecture, "_CATALOGUE", dict(architecture.registered()))
    chain = parse_chain(name)
    network = build_chain(chain).eval()
    torch.save(network.state_dict(), tmp_path / "w.pt")
    registered = f"copied_{len(name)}"
    (tmp_path / "net.py").write_text(write_source(chain, registered, find(name).preprocessing))
    plugins.load_file(tmp_path / "net.py")
    model = cnnviz.load(registered, tmp_path / "w.pt", device="cpu")
    images = torch.rand(3, *chain.input_size)
    torch.testing.assert_close(model.module(images), network(images))
    assert model.input_size == chain.input_size and not model.report.renamed
    assert model.preprocessing == find(name).preprocessing


def test_a_step_with_numbers_out_of_range_is_refused():
    for wrong in (dict(kind="conv", width=0), dict(kind="dance"), dict(kind="dropout", value=2.0)):
        with pytest.raises(BadInput):
            ChainStep(**wrong)
