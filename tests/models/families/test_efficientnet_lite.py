"""EfficientNet-Lite0 against its table, and padding as TensorFlow's SAME."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnviz
from cnnviz.models.families.efficientnet_lite import InvertedResidual, StridedConv


def test_each_stage_has_the_size_and_the_channels_of_the_table():
    net, sizes = cnnviz.build("efficientnet_lite0"), []
    x = net.stem(torch.zeros(1, 3, 224, 224))
    for block in net.blocks:
        x = block(x)
        sizes.append((x.shape[1], x.shape[2]))
    table = [(16, 112)] + [(24, 56)] * 2 + [(40, 28)] * 2 + [(80, 14)] * 3 + [(112, 14)] * 3 + [(192, 7)] * 4
    assert sizes == [*table, (320, 7)]
    assert sum(block.shortcut for block in net.blocks) == 9


@pytest.mark.parametrize("size", [8, 9, 11, 12])
@pytest.mark.parametrize("kernel", [3, 5])
def test_a_strided_convolution_is_padded_like_same(size, kernel):
    """Output o reads the inputs 2·o − before + tap, where before + after = 2·(⌈n / 2⌉ − 1) + k − n, the less before."""
    torch.manual_seed(0)
    layer = StridedConv(1, 1, kernel, 2, activated=False).eval()
    x = torch.randn(1, 1, size, size, dtype=torch.float64)
    found = layer.double()(x)[0, 0].detach().numpy() * np.sqrt(1 + 1e-3)
    outputs = -(-size // 2)
    before = (2 * (outputs - 1) + kernel - size) // 2
    weight, pixels = layer[0].weight[0, 0].detach().numpy(), x[0, 0].numpy()
    want = np.zeros((outputs, outputs))
    for row, col in np.ndindex(want.shape):
        for dy, dx in np.ndindex(kernel, kernel):
            y, z = 2 * row - before + dy, 2 * col - before + dx
            if 0 <= y < size and 0 <= z < size:
                want[row, col] += weight[dy, dx] * pixels[y, z]
    np.testing.assert_allclose(found, want, atol=1e-12)


def test_a_block_adds_its_input_where_the_shape_stays():
    torch.manual_seed(0)
    block, x = InvertedResidual(4, 4, 6, 3, 1).eval(), torch.randn(1, 4, 6, 6)
    torch.testing.assert_close(block(x), block.project(block.depthwise(block.expand(x))) + x)
    assert not InvertedResidual(4, 4, 6, 3, 2).shortcut and not InvertedResidual(4, 5, 6, 3, 1).shortcut
    assert isinstance(InvertedResidual(4, 4, 1, 3, 1).expand, nn.Identity)


def test_its_outputs_are_those_of_timm():
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    theirs, ours = timm.create_model("tf_efficientnet_lite0").eval(), cnnviz.build("efficientnet_lite0").eval()
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    for size in (64, 97):
        x = torch.randn(2, 3, size, size)
        with torch.no_grad():
            torch.testing.assert_close(ours(x), theirs(x))
