"""DenseNets: the published rows, who sees whom, and equality with torchvision's where it has the network."""

import pytest
import torch
from layer_costs import map_sides, on_meta, parameters
from torch import Tensor, nn

import cnnviz
from cnnviz.errors import BadInput
from cnnviz.models.families.densenet import DenseBlock, DenseLayer, DenseNet

PARTS = {  # of DenseNet-264
    "denseblock1": 335_040,
    "transition1": 33_280,
    "denseblock2": 919_680,
    "transition2": 132_096,
    "denseblock3": 12_892_160,
    "transition3": 2_658_816,
    "denseblock4": 13_662_720,
}
IMAGENET = dict(growth=32, stem=64, bottleneck=True, compression=0.5, large=True)
CIFAR = [  # name, layers of a block, maps of the stem, maps after the blocks and transitions
    ("densenet_40_k12", 12, 16, [160, 160, 304, 304, 448]),
    ("densenet_100_k12", 32, 16, [400, 400, 784, 784, 1168]),
    ("densenet_100_k24", 32, 16, [784, 784, 1552, 1552, 2320]),
    ("densenet_bc_100_k12", 16, 24, [216, 108, 300, 150, 342]),
    ("densenet_bc_250_k24", 41, 48, [1032, 516, 1500, 750, 1734]),
    ("densenet_bc_190_k40", 31, 80, [1320, 660, 1900, 950, 2190]),
]


def test_the_parts_of_densenet_264_have_the_published_parameters():
    net = on_meta("densenet264")
    assert {name: parameters(net.features.get_submodule(name)) for name in PARTS} == PARTS
    assert net.classifier.in_features == 2688


def test_the_same_code_is_torchvision_s_densenet_121():
    """Keys, shapes and, with torchvision's weights, answers."""
    torch.manual_seed(0)
    theirs = cnnviz.build("densenet121", 5).eval()
    with torch.device("meta"):
        ours = DenseNet(5, (6, 12, 24, 16), **IMAGENET).eval()
    ours.load_state_dict(theirs.state_dict(), assign=True)
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("name, layers, stem, maps", CIFAR)
def test_blocks_add_growth_and_only_bc_transitions_compress(name, layers, stem, maps):
    net = on_meta(name)
    assert net.features.conv0.out_channels == stem
    x, found = net.features.conv0(torch.zeros(1, 3, 32, 32, device="meta")), []
    for part in ("denseblock1", "transition1", "denseblock2", "transition2", "denseblock3"):
        x = net.features.get_submodule(part)(x)
        found.append(x.shape[1])
    assert found == maps
    assert [len(list(net.features.get_submodule(f"denseblock{i}").children())) for i in (1, 2, 3)] == [layers] * 3
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in net.modules()) == int(name.split("_k")[0].split("_")[-1])


def test_maps_are_32_16_and_8_pixels():
    sides = map_sides(on_meta("densenet_40_k12"), (3, 32, 32))
    assert [sides[f"features.denseblock{i}"] for i in (1, 2, 3)] == [32, 16, 8]


@pytest.mark.parametrize("bottleneck", [False, True])
def test_a_block_of_five_layers_has_fifteen_connections(bottleneck):
    """L(L+1)/2: each layer depends directly on the block's input and on every layer before it, and on no later."""
    torch.manual_seed(0)
    growth, stem, count = 3, 4, 5
    block = DenseBlock(DenseLayer(stem + i * growth, growth, bottleneck, 0.0) for i in range(count)).eval()
    sources, received = [torch.randn(1, stem, 6, 6)], []
    hooks = [
        layer.register_forward_pre_hook(lambda _m, inputs: received.append(inputs[0])) for layer in block.children()
    ]
    output = block(sources[0])
    for hook in hooks:
        hook.remove()
    connections = 0
    for layer in block.children():
        seen = torch.cat(sources, 1).detach().requires_grad_()
        new = layer(seen)
        (slope,) = torch.autograd.grad(new.square().sum(), seen)
        connections += sum(bool(part.any()) for part in slope.split([s.shape[1] for s in sources], 1))
        torch.testing.assert_close(received.pop(0), seen)
        sources.append(new)
    assert connections == count * (count + 1) // 2
    torch.testing.assert_close(output, torch.cat(sources, 1))


def test_dropout_is_an_option_that_adds_no_tensor_and_acts_in_training_alone():
    plain, dropped = on_meta("densenet_40_k12"), on_meta("densenet_40_k12", drop=0.2)
    rates = [m.p for m in dropped.modules() if isinstance(m, nn.Dropout)]
    assert rates == [0.2] * 38  # of 39 convolutions all but the first
    assert not [m for m in plain.modules() if isinstance(m, nn.Dropout)]
    assert list(plain.state_dict()) == list(dropped.state_dict())
    torch.manual_seed(0)
    layer, x = DenseLayer(4, 500, False, 0.2), torch.randn(1, 4, 3, 3)
    assert (layer.train()(x) == 0).float().mean().item() == pytest.approx(0.2, abs=0.04)
    assert not (layer.eval()(x) == 0).any()


@pytest.mark.parametrize("drop", [-0.1, 1.0])
def test_a_dropout_rate_outside_0_to_1_is_refused(drop):
    with pytest.raises(BadInput, match="0.2"):
        cnnviz.build("densenet_40_k12", drop=drop)


def test_a_layer_is_norm_rectifier_convolution_in_this_order():
    torch.manual_seed(0)
    layer = DenseLayer(3, 2, True, 0.0).eval()
    for norm in (layer.norm1, layer.norm2):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)

    def rectified(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
        scaled = (x - norm.running_mean.view(-1, 1, 1)) / (norm.running_var.view(-1, 1, 1) + norm.eps).sqrt()
        return scaled.clamp_min(0)  # weight 1 and bias 0 at the start

    x = torch.randn(1, 3, 5, 5)
    mixed = torch.einsum("oc,nchw->nohw", layer.conv1.weight[:, :, 0, 0], rectified(layer.norm1, x))
    expected = nn.functional.conv2d(rectified(layer.norm2, mixed), layer.conv2.weight, padding=1)
    torch.testing.assert_close(layer(x), expected)
