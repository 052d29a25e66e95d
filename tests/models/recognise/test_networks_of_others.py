"""Weights files as people have them: the right network, and the accuracy that plain PyTorch measures, with no hint."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnnviz
from cnnviz.errors import BadCheckpoint

LENET = "-conv6k5-relu-max2-conv16k5-relu-max2-flatten-"
CHAINS = {  # file: the chain, or the catalogue's name where it has the same network
    "lenet-avgpool.pth": "chain:1x28x28-conv6k5p2-relu-avg2-conv16k5-relu-avg2-flatten-"
    "linear120-relu-linear84-relu-linear10",
    "lenet-c5-convolution.pth": "chain:1x32x32-conv6k5-relu-max2-conv16k5-relu-max2-conv120k5-relu-flatten-"
    "linear84-relu-linear10",
    "lenet-unpadded.pth": f"chain:1x28x28{LENET}linear120-relu-linear84-relu-linear10",
    "letters-lenet.pth": f"chain:1x28x28{LENET}linear340-relu-linear150-relu-linear47",
    "mnist-10-20-50.pt": "chain:1x28x28-conv10k5-relu-max2-conv20k5-relu-max2-flatten-linear50-relu-linear10",
    "mnist-20-50-500.pt": "chain:1x28x28-conv20k5-relu-max2-conv50k5-relu-max2-flatten-linear500-relu-linear10",
    "tinyvgg-gray28.pth": "chain:1x28x28" + 2 * "-conv10k3p1-relu-conv10k3p1-relu-max2" + "-flatten-linear10",
    "tinyvgg-rgb64.pth": "chain:3x64x64" + 2 * "-conv10k3-relu-conv10k3-relu-max2" + "-flatten-linear3",
    "digits-cnn.pth": "chain:1x28x28-conv32k3p1-relu-max2-conv64k3p1-relu-max2-conv128k3p1-relu-max2-"
    "flatten-linear256-relu-linear10",
    "mnist-cnn.safetensors": "chain:1x28x28-conv32k5-relu-conv32k5-relu-bn-max2-conv64k3-relu-conv64k3-relu-bn-max2-"
    "flatten-linear10",
    "traffic-signs.pth": "chain:3x32x32-conv32k3-relu-max2-conv64k3-relu-max2-flatten-linear128-relu-linear43",
    "xray.pth": "chain:1x28x28-conv16k3-relu-max2-conv32k3-relu-max2-flatten-linear64-relu-linear1",
}
OWN = {  # file: accuracy in percent
    "tutorial-net-a.pt": 59.0,
    "tutorial-net-b.pth": 56.9,
    "lenet-avgpool.pth": 98.0,
    "lenet-c5-convolution.pth": 98.2,
    "mnist-20-50-500.pt": 98.4,
    "digits-cnn.pth": 98.6,
    "resnet20-other-names.ckpt": 92.3,
    "resnet20-net-acc-epoch.pth": 93.9,
    "li2018-resnet56.t7": 93.7,
    "li2018-resnet56-noshort.t7": 87.1,
}


@cache
def opened(path: Path):
    return cnnviz.load(weights=path, device="cpu")


@pytest.mark.parametrize("file", CHAINS)
def test_a_chain_comes_back_as_what_it_is(shared, file):
    """The catalogue's network of the same layers is as good: it computes the same."""
    import torch

    path = shared / "strangers" / file
    model, chain = opened(path), cnnviz.load(CHAINS[file], path, device="cpu")
    assert model.input_size == chain.input_size and len(model.class_names) == len(chain.class_names)
    images = torch.rand(2, *model.input_size)
    torch.testing.assert_close(*(m.module(images).softmax(1) for m in (model, chain)))


@cache
def cifar_test(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    rows = np.asarray(Image.open(folder / "cifar10_batch_50.png").convert("RGB"))
    return rows.reshape(1000, 32, 32, 3), np.loadtxt(folder / "labels.txt", dtype=int)[50_000:51_000]


@cache
def mnist_test(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    mosaic = np.asarray(Image.open(folder / "test_0.png"))
    pixels = mosaic.reshape(-1, 28, 100, 28).transpose(0, 2, 1, 3).reshape(-1, 28, 28)
    return pixels, np.loadtxt(folder / "labels.txt", dtype=np.uint8)[60_000 : 60_000 + len(pixels)]


@pytest.mark.parametrize("file", OWN)
def test_its_accuracy_is_the_one_that_plain_pytorch_measures(shared, file):
    model = opened(shared / "strangers" / file)
    gray = model.input_size[0] == 1
    pixels, labels = mnist_test(shared / "data" / "mnist") if gray else cifar_test(shared / "data" / "cifar10")
    accuracy = 100 * np.mean(model.predict(list(pixels)).argmax(1) == labels)
    assert accuracy == pytest.approx(OWN[file], abs=0.3)


def test_the_network_without_shortcuts_comes_back_without_them(shared):
    model = opened(shared / "strangers" / "li2018-resnet56-noshort.t7")
    assert model.name == "resnet56_noshort"
    (finding,) = [f for f in model.report.findings if f.question == "network"]
    assert finding.by == "kept statistics"


@pytest.mark.parametrize(
    "file, reason",
    [
        ("three-heads.pt", "3 convolutions, 3 linear layers.*not a chain, since dense5_2"),
        ("mlp.safetensors", "no convolution, 2 linear layers: a multilayer perceptron 784-128-10"),
        ("list-of-losses.pth", "list"),
        ("quantised-mlp.pth", "quantised"),
        ("quantised-cnn.pth", "quantised"),
    ],
)
def test_what_is_no_convolutional_network_is_refused_truthfully(shared, file, reason):
    with pytest.raises(BadCheckpoint, match=reason) as refused:
        opened(shared / "strangers" / file)
    assert "Closest" not in str(refused.value)
