"""The MNIST examples of PyTorch: 10-20-50 and 20-50-500 of earlier years, 32-64-128 of today.

Source: github.com/pytorch/examples, mnist. Layers carry the names that they have there; the examples end in
log-softmax, these networks in the logits that it is made from, and their answers are the same."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from cnnviz.data.preprocessing import MNIST_MEAN, MNIST_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add


def example_10_20_50(num_classes: int = 10) -> nn.Sequential:
    """(N, 1, 28, 28) → (N, num_classes) logits, two 5×5 convolutions, pooled before the ReLU, and two linear layers."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 10, 5),
            pool1=nn.MaxPool2d(2),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(10, 20, 5),
            conv2_drop=nn.Dropout2d(),
            pool2=nn.MaxPool2d(2),
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),
            fc1=nn.Linear(20 * 4 * 4, 50),
            relu3=nn.ReLU(),
            dropout=nn.Dropout(),
            fc2=nn.Linear(50, num_classes),
        )
    )


def example_20_50_500(num_classes: int = 10) -> nn.Sequential:
    """(N, 1, 28, 28) → (N, num_classes) logits, two 5×5 convolutions, each pooled, and two linear layers."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 20, 5),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(20, 50, 5),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(50 * 4 * 4, 500),
            relu3=nn.ReLU(),
            fc2=nn.Linear(500, num_classes),
        )
    )


def example_32_64_128(num_classes: int = 10) -> nn.Sequential:
    """(N, 1, 28, 28) → (N, num_classes) logits, two 3×3 convolutions, one pool behind them, and two linear layers."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 32, 3),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(32, 64, 3),
            relu2=nn.ReLU(),
            pool=nn.MaxPool2d(2),
            dropout1=nn.Dropout(0.25),
            flatten=nn.Flatten(),
            fc1=nn.Linear(64 * 12 * 12, 128),
            relu3=nn.ReLU(),
            dropout2=nn.Dropout(0.5),
            fc2=nn.Linear(128, num_classes),
        )
    )


def _add(widths: str, builder: Callable[..., nn.Module], year: int, note: str) -> None:
    add(
        Architecture(
            name=f"mnist_{widths.replace('-', '_')}",
            title=f"MNIST example {widths}",
            family="MNIST example",
            builder=partial(builder),
            preprocessing=Preprocessing((28, 28), mean=MNIST_MEAN, std=MNIST_STD),
            classes=10,
            labels="mnist",
            source="PyTorch's examples, mnist",
            year=year,
            note=note,
        )
    )


_add("10-20-50", example_10_20_50, 2016, "PyTorch's MNIST example until 2018, with 2-D dropout before the second pool.")
_add("20-50-500", example_20_50_500, 2018, "PyTorch's MNIST example of 2018 and 2019; the widths of Caffe's LeNet.")
_add("32-64-128", example_32_64_128, 2019, "PyTorch's MNIST example since 2019: 3×3 kernels, a single pool, dropout.")
