"""A deeper network built of a shallower one answers as that does, and its own training does not get there."""

import numpy as np
import pytest
import torch

import cnnviz
from cnnviz.errors import BadInput, UnknownName
from cnnviz.studies.learning.construction import build_deeper, check_construction

IMAGES = [np.random.default_rng(n).integers(0, 256, (32, 32, 3), dtype=np.uint8) for n in range(6)]


@pytest.mark.parametrize(
    ("name", "deeper", "added"), [("plain20_cifar", "plain56_cifar", 18), ("resnet20_cifar", "resnet56_cifar", 18)]
)
def test_the_deeper_network_gives_the_shallower_ones_answers(name, deeper, added):
    model = cnnviz.load(name, "bundled", device="cpu")
    before = model.fingerprint
    found = build_deeper(model, deeper)
    assert (len(found.copied), len(found.added)) == (9, added) and found.model.name == deeper
    check = check_construction(model, found.model, IMAGES, cnnviz.load(deeper, "bundled", device="cpu"))
    assert check.same == 1 and check.difference < 1e-4 * np.abs(check.logits).max()
    assert check.trained is not None and check.trained <= 1 and model.fingerprint == before


def test_every_added_block_is_the_identity_on_what_has_left_a_relu():
    for name in ("plain20_cifar", "resnet20_cifar"):
        found = build_deeper(cnnviz.load(name, "random", device="cpu"), name.replace("20", "32"))
        for block in found.added:
            module = found.model.module.get_submodule(block)
            x = torch.rand(2, module.conv1.in_channels, 5, 5)
            with torch.no_grad():
                torch.testing.assert_close(module(x.clone()), x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("deeper", ["plain20_cifar", "resnet56_cifar", "resnet18", "lenet5"])
def test_another_kind_of_network_or_one_no_deeper_is_refused(deeper):
    with pytest.raises(BadInput, match="does not hold plain20_cifar"):
        build_deeper(cnnviz.load("plain20_cifar", "random", device="cpu"), deeper)


def test_a_network_that_nobody_knows_is_named():
    with pytest.raises(UnknownName):
        build_deeper(cnnviz.load("plain20_cifar", "random", device="cpu"), "plain57_cifar")
