"""Gates are found where a sigmoid layer's output is multiplied into a map, and the product is the network's own."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnviz
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.studies.families.gates import Gate, capture_gate, find_gates

IMAGE = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Gated(nn.Module):
    """One channel in: y = g · F(x), or with `complement` (1 − g) · F(x); `pooled`: one factor a channel."""

    def __init__(self, complement: bool = False, pooled: bool = False) -> None:
        super().__init__()
        self.conv, self.gate, self.sigmoid = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(1, 3, 1), nn.Sigmoid()
        self.complement, self.pool = complement, nn.AdaptiveAvgPool2d(1) if pooled else nn.Identity()
        self.product, self.head = nn.Identity(), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = self.sigmoid(self.gate(self.pool(x)))
        y = self.product((1 - gate if self.complement else gate) * self.conv(x))
        return self.head(y.mean((2, 3)))


def wrapped(module: nn.Module) -> LoadedModel:
    torch.manual_seed(0)
    expects = Preprocessing((8, 8), mean=(0.5,), std=(0.5,))
    return LoadedModel(module.eval(), type(module).__name__, expects, ["a", "b"], torch.device("cpu"))


@pytest.mark.parametrize("complement", [False, True])
@pytest.mark.parametrize("pooled", [False, True])
def test_the_product_is_what_the_network_computes(complement, pooled):
    model = wrapped(Gated(complement, pooled))
    (gate,) = find_gates(model)
    assert (gate.sigmoid, gate.main, gate.complement) == ("sigmoid", "conv", complement)
    found = capture_gate(model, IMAGE, gate)
    own = cnnviz.capture(model, IMAGE, ["product", "gate"])
    np.testing.assert_allclose(found.product, own["product"][0], rtol=1e-5, atol=1e-7)
    assert found.channelwise == pooled and found.mask.shape == found.main.shape == (3, 8, 8)
    output = 1 / (1 + np.exp(-own["gate"][0]))  # the mask is the sigmoid's output, not its input
    np.testing.assert_allclose(found.mask, np.broadcast_to(1 - output if complement else output, (3, 8, 8)), rtol=1e-5)


def test_the_catalogues_gates_are_found():
    highway = find_gates(cnnviz.load("highway19_cifar10", "random", "cpu"))
    assert sum(not one.complement for one in highway) == 4 + 5 + 5  # layers of the stages
    assert [one.main for one in highway if one.complement] == [f"features.stage{n}.relu" for n in (1, 2, 3)]
    squeezed = find_gates(cnnviz.load("senet18_cifar", "random", "cpu"))
    assert len(squeezed) == 8 and all(one.sigmoid.endswith("sigmoid") for one in squeezed)


def test_a_network_without_gates_has_none_and_shapes_that_differ_are_refused_in_words():
    model = cnnviz.load("lenet5", "random", "cpu")
    assert find_gates(model) == ()
    with pytest.raises(BadInput, match="cannot be multiplied"):
        capture_gate(model, torch.zeros(1, 1, 28, 28), Gate("×", "conv1", "conv2", complement=False))
