"""Gradients layer by layer and gains of residual blocks, against Jacobians that are written out."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnviz
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput, UnknownName
from cnnviz.models.families.residual import BasicBlock, no_shortcut, option_a
from cnnviz.models.model import LoadedModel
from cnnviz.studies.backward.flow import block_gains, gradient_flow
from cnnviz.studies.backward.labelled_batch import labelled_batch


class Blocks(nn.Sequential):
    """(N, 2, 4, 4) → 3 logits through two residual blocks, or plain ones."""

    def __init__(self, shortcut=option_a) -> None:
        torch.manual_seed(0)
        head = nn.Sequential(nn.Flatten(), nn.Linear(32, 3))
        super().__init__(BasicBlock(2, 2, 1, shortcut), BasicBlock(2, 2, 1, shortcut), head)


def loaded(net: nn.Module) -> LoadedModel:
    expects = Preprocessing((4, 4), mean=(0.5,) * 2, std=(0.5,) * 2)
    return LoadedModel(net, "blocks", expects, ["a", "b", "c"], torch.device("cpu"))


X = torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(3))
Y = torch.tensor([2, 0])


@pytest.mark.parametrize("shortcut", [option_a, no_shortcut])
def test_the_gain_of_a_block_is_that_of_its_jacobian_one_plus_f_prime(shortcut):
    model = loaded(Blocks(shortcut))
    found = block_gains(model, X, Y)
    net = copy.deepcopy(model.module).eval()
    x = net[0](X).detach()  # enters the second block
    y = net[1](x).detach().requires_grad_()
    F.cross_entropy(net[2](y), Y).backward()
    masked = (y.grad * (y > 0)).flatten()
    jacobian = torch.autograd.functional.jacobian(lambda v: net[1].branch(v), x).reshape(64, 64)
    size = y.grad.norm()
    identity = torch.eye(64) if shortcut is option_a else torch.zeros(64, 64)
    assert found.total[1] == pytest.approx(
        float((jacobian.T + identity) @ masked @ ((jacobian.T + identity) @ masked)) ** 0.5 / float(size), rel=1e-4
    )
    assert found.branch[1] == pytest.approx(float((jacobian.T @ masked).norm() / size), rel=1e-4)
    assert found.mask[1] == pytest.approx(float(masked.norm() / size), rel=1e-4)
    if shortcut is option_a:
        assert found.shortcut[1] == pytest.approx(found.mask[1], rel=1e-6) and found.residual
    else:
        assert np.isnan(found.shortcut).all() and not found.residual
    assert found.error < 1e-6
    # the product telescopes: gradient at the first input over that at the last output
    start = X.clone().requires_grad_()
    F.cross_entropy(net(start), Y).backward()
    assert found.product[0] == pytest.approx(float(start.grad.norm() / size), rel=1e-4)


def test_norms_of_every_layer_are_those_of_backward():
    model = loaded(Blocks())
    net = copy.deepcopy(model.module).requires_grad_().eval()
    F.cross_entropy(net(X), Y).backward()
    found = gradient_flow(model, X, Y)
    assert found.layers == ("0.conv1", "0.conv2", "1.conv1", "1.conv2", "2.1")
    for place, name in enumerate(found.layers):
        weight = net.get_submodule(name).weight
        assert found.gradient[place] == pytest.approx(float(weight.grad.norm()), rel=1e-4)
        assert found.relative[place] == pytest.approx(float(weight.grad.norm() / weight.norm()), rel=1e-4)
    assert found.images == 2


def test_with_batch_norm_gradients_explode_in_plain_networks_and_with_sigmoids_alone_they_vanish():
    """The story of vanishing gradients is false for the one and true for the other."""
    growth = {}
    for name in ("plain56_cifar", "resnet56_cifar", "variant:plain20_cifar.sigmoid.nonorm"):
        model = cnnviz.load(name, "random", "cpu")
        flow = gradient_flow(model, *labelled_batch(model, "handwritten", 8), "batch")
        growth[name] = flow.relative[0] / flow.relative[-1]
    plain, residual, sigmoid = growth.values()
    assert plain > 500 and 0.05 < residual < 20 and sigmoid < 1e-9


def test_a_network_without_blocks_or_without_layers_is_refused_in_words():
    chain = loaded(nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 3)))
    with pytest.raises(BadInput, match="no residual blocks"):
        block_gains(chain, X, Y)
    bare = loaded(nn.Sequential(nn.BatchNorm2d(2), nn.Flatten(), nn.BatchNorm1d(32)))
    with pytest.raises(BadInput, match="no convolution and no linear layer"):
        gradient_flow(bare, X, Y)


def test_a_batch_is_the_same_at_every_call_and_labels_are_digits_or_the_networks_answers():
    model = cnnviz.load("lenet5", device="cpu")
    images, labels = labelled_batch(model, "handwritten", 12)
    again, _ = labelled_batch(model, "handwritten", 12)
    assert torch.equal(images, again) and images.shape == (12, 1, 28, 28)
    assert (model.logits(images).argmax(1) == labels.numpy()).mean() > 0.5  # they are the digits that they show
    images, labels = labelled_batch(model, "photographs", 4)
    assert labels.tolist() == model.logits(images).argmax(1).tolist()
    with pytest.raises(UnknownName):
        labelled_batch(model, "elsewhere")
    with pytest.raises(BadInput):
        labelled_batch(model, "photographs", 0)
