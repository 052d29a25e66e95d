"""The small networks that students hold: MNIST examples, LeNets, TinyVGG, D2L's AlexNet."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from published_counts import PUBLISHED
from torch import nn

import cnnviz
from cnnviz.models.recognise.recognise import NAMES, find_candidates

STRANGERS = Path(__file__).resolve().parents[4] / "shared" / "strangers"
# layers from the image on: conv (inputs, outputs, kernel, side of its map), linear (inputs, outputs)
LENET_BODY = [(1, 6, 5, 28), (6, 16, 5, 10)]
TABLES = {
    "mnist_10_20_50": [(1, 10, 5, 24), (10, 20, 5, 8), (320, 50), (50, 10)],
    "mnist_20_50_500": [(1, 20, 5, 24), (20, 50, 5, 8), (800, 500), (500, 10)],
    "mnist_32_64_128": [(1, 32, 3, 26), (32, 64, 3, 24), (9216, 128), (128, 10)],
    **{f"lenet5_{kind}": [*LENET_BODY, (400, 120), (120, 84), (84, 10)] for kind in ("avg", "tanh", "sigmoid")},
    "lenet5_unpadded": [(1, 6, 5, 24), (6, 16, 5, 8), (256, 120), (120, 84), (84, 10)],
    "lenet5_c5": [*LENET_BODY, (16, 120, 5, 1), (120, 84), (84, 10)],
    "lenet5_c5_tanh": [*LENET_BODY, (16, 120, 5, 1), (120, 84), (84, 10)],
    "tinyvgg_28": [(1, 10, 3, 28), (10, 10, 3, 28), (10, 10, 3, 14), (10, 10, 3, 14), (490, 10)],
    "tinyvgg_64": [(3, 10, 3, 62), (10, 10, 3, 60), (10, 10, 3, 28), (10, 10, 3, 26), (1690, 3)],
    "alexnet_d2l": [(3, 96, 11, 54), (96, 256, 5, 26), (256, 384, 3, 12), (384, 384, 3, 12), (384, 256, 3, 12)]
    + [(6400, 4096), (4096, 4096), (4096, 1000)],
    "alexnet_d2l_gray": [(1, 96, 11, 54), (96, 256, 5, 26), (256, 384, 3, 12), (384, 384, 3, 12), (384, 256, 3, 12)]
    + [(6400, 4096), (4096, 4096), (4096, 10)],
}
KEYS = {  # weights as the files of their users call them
    "mnist_10_20_50": "conv1 conv2 fc1 fc2",
    "mnist_20_50_500": "conv1 conv2 fc1 fc2",
    "mnist_32_64_128": "conv1 conv2 fc1 fc2",
    "lenet5_tanh": "conv1 conv2 fc1 fc2 fc3",
    "lenet5_unpadded": "conv1 conv2 fc1 fc2 fc3",
    "lenet5_c5": "convnet.c1 convnet.c3 convnet.c5 fc.f6 fc.f7",
    "tinyvgg_28": "block_1.0 block_1.2 block_2.0 block_2.2 classifier.1",
    "tinyvgg_64": "conv_block_1.0 conv_block_1.2 conv_block_2.0 conv_block_2.2 classifier.1",
    "alexnet_d2l": "0 3 6 8 10 14 17 20",
}


@pytest.mark.parametrize("name", TABLES)
def test_counts_are_those_of_the_table_of_layers(name):
    parameters = macs = 0
    for row in TABLES[name]:
        if len(row) == 4:
            inputs, outputs, kernel, side = row
            weights, places = inputs * outputs * kernel * kernel, side * side
        else:
            (inputs, outputs), places = row, 1
            weights = inputs * outputs
        parameters, macs = parameters + weights + outputs, macs + weights * places
    assert PUBLISHED[name][1:] == (parameters, macs)


@pytest.mark.parametrize("name", KEYS)
def test_tensors_are_called_as_in_the_files_of_their_users(name):
    with torch.device("meta"):
        module = cnnviz.build(name)
    assert [key for key in module.state_dict() if key.endswith("weight")] == [f"{k}.weight" for k in KEYS[name].split()]


def lenet(net: nn.Module, x: torch.Tensor, act, pool) -> torch.Tensor:
    x = pool(act(net.conv1(x)), 2)
    x = pool(act(net.conv2(x)), 2)
    return net.fc3(act(net.fc2(act(net.fc1(x.flatten(1))))))


def lenet_c5(net: nn.Module, x: torch.Tensor, act, pool) -> torch.Tensor:
    x = pool(act(net.convnet.c1(x)), 2)
    x = pool(act(net.convnet.c3(x)), 2)
    return net.fc.f7(act(net.fc.f6(act(net.convnet.c5(x)).flatten(1))))


FORMULAS = {
    "lenet5_avg": (lenet, torch.relu, F.avg_pool2d),
    "lenet5_tanh": (lenet, torch.tanh, F.avg_pool2d),
    "lenet5_sigmoid": (lenet, torch.sigmoid, F.avg_pool2d),
    "lenet5_unpadded": (lenet, torch.relu, F.max_pool2d),
    "lenet5_c5": (lenet_c5, torch.relu, F.max_pool2d),
    "lenet5_c5_tanh": (lenet_c5, torch.tanh, F.avg_pool2d),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_lenet_is_what_its_name_says(name):
    formula, act, pool = FORMULAS[name]
    net, image = cnnviz.build(name).eval(), torch.randn(2, *PUBLISHED[name][0])
    with torch.inference_mode():
        torch.testing.assert_close(net(image), formula(net, image, act, pool))


def test_the_mnist_example_of_earlier_years_is_the_published_function():
    net, x = cnnviz.build("mnist_10_20_50").eval(), torch.randn(2, 1, 28, 28)
    with torch.inference_mode():
        y = F.relu(F.max_pool2d(net.conv1(x), 2))
        y = F.relu(F.max_pool2d(net.conv2(y), 2))
        torch.testing.assert_close(net(x), net.fc2(F.relu(net.fc1(y.view(-1, 320)))))


@pytest.mark.parametrize("name", [name for name in TABLES if not name.startswith("alexnet")])
def test_its_own_file_is_recognised(name, tmp_path):
    net, image = cnnviz.build(name).eval(), torch.randn(1, *PUBLISHED[name][0])
    torch.save(net.state_dict(), tmp_path / "w.pth")
    names = [c.name for c in find_candidates(net.state_dict()) if c.level == NAMES]
    model = cnnviz.load(names[0], tmp_path / "w.pth", device="cpu")
    assert name in names and model.report.matched == len(net.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(cnnviz.load(name, tmp_path / "w.pth", device="cpu").module(image), net(image))


@pytest.mark.skipif(not STRANGERS.is_dir(), reason="needs ../shared/strangers")
@pytest.mark.parametrize(
    "file, name",
    [
        ("mnist-10-20-50.pt", "mnist_10_20_50"),
        ("mnist-20-50-500.pt", "mnist_20_50_500"),
        ("lenet-c5-convolution.pth", "lenet5_c5"),
        ("lenet-unpadded.pth", "lenet5_unpadded"),
        ("tinyvgg-gray28.pth", "tinyvgg_28"),
        ("tinyvgg-rgb64.pth", "tinyvgg_64"),
    ],
)
def test_a_strangers_file_is_recognised(file, name):
    assert cnnviz.load(weights=STRANGERS / file, device="cpu").name == name
