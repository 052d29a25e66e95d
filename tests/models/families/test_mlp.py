"""The fully connected baseline."""

import torch
from layer_costs import on_meta, parameters

import cnnviz


def test_the_answer_is_two_affine_maps_with_a_rectifier_between():
    torch.manual_seed(0)
    net = cnnviz.build("mlp", 3)
    x = torch.randn(2, 1, 28, 28)
    hidden = x.reshape(2, 784) @ net.fc1.weight.T + net.fc1.bias
    hidden = torch.where(hidden > 0, hidden, torch.zeros(()))
    torch.testing.assert_close(net(x), hidden @ net.fc2.weight.T + net.fc2.bias)


def test_the_layers_are_784_256_10():
    net = on_meta("mlp")
    assert (parameters(net.fc1), parameters(net.fc2)) == (784 * 256 + 256, 256 * 10 + 10)
