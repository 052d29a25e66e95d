"""LeNet-5 as it is taught today, with ReLU and max pooling, or tanh or sigmoid and average pooling; without padding,
with C5 as a convolution; its CIFAR form; entry of the original.

Source: LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86(11), 1998; the original is in `lenet_1998`."""

from collections import OrderedDict
from functools import partial
from typing import Literal

from torch import Tensor, nn

from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, MNIST_MEAN, MNIST_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.lenet_1998 import LeNet5Original


class LeNet5(nn.Module):
    """(N, channels, H, W) → (N, num_classes) logits, for maps of 28×28 after conv1.

    `padding`, of conv1: 2 for inputs of 28×28 stands for the paper's 32×32 field, 0 takes 32×32 as it is."""

    def __init__(self, num_classes: int = 10, channels: int = 1, padding: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 6, 5, padding=padding)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(400, 120)
        self.relu3 = nn.ReLU()
        self.fc2 = nn.Linear(120, 84)
        self.relu4 = nn.ReLU()
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.relu1(self.conv1(x)))
        x = self.pool2(self.relu2(self.conv2(x)))
        x = self.relu3(self.fc1(x.flatten(1)))
        return self.fc3(self.relu4(self.fc2(x)))


Activation = Literal["relu", "tanh", "sigmoid"]
Pool = Literal["max", "avg"]
_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
_POOLS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


def lenet_variant(
    num_classes: int = 10, activation: Activation = "relu", pool: Pool = "max", padding: int = 2
) -> nn.Sequential:
    """(N, 1, 28, 28) → (N, num_classes) logits: LeNet-5 with another rectifier or pooling; layers as in `LeNet5`.

    `padding`, of conv1: 2 keeps the maps at 28×28, as in the paper's 32×32 field; 0 leaves 24×24."""
    act, shrink, side = _ACTIVATIONS[activation], _POOLS[pool], 4 + padding // 2
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv1"], layers[f"{activation}1"] = nn.Conv2d(1, 6, 5, padding=padding), act()
    layers["pool1"] = shrink(2)
    layers["conv2"], layers[f"{activation}2"] = nn.Conv2d(6, 16, 5), act()
    layers["pool2"] = shrink(2)
    layers["flatten"] = nn.Flatten()
    layers["fc1"], layers[f"{activation}3"] = nn.Linear(16 * side * side, 120), act()
    layers["fc2"], layers[f"{activation}4"] = nn.Linear(120, 84), act()
    layers["fc3"] = nn.Linear(84, num_classes)
    return nn.Sequential(layers)


def lenet_c5(num_classes: int = 10, activation: Activation = "relu", pool: Pool = "max") -> nn.Sequential:
    """(N, 1, 32, 32) → (N, num_classes) logits: the paper's C5 as what it is there, a convolution of the whole map."""
    act, shrink = _ACTIVATIONS[activation], _POOLS[pool]
    convnet: OrderedDict[str, nn.Module] = OrderedDict()
    convnet["c1"], convnet[f"{activation}1"], convnet["s2"] = nn.Conv2d(1, 6, 5), act(), shrink(2)
    convnet["c3"], convnet[f"{activation}3"], convnet["s4"] = nn.Conv2d(6, 16, 5), act(), shrink(2)
    convnet["c5"], convnet[f"{activation}5"] = nn.Conv2d(16, 120, 5), act()
    fc: OrderedDict[str, nn.Module] = OrderedDict()
    fc["f6"], fc[f"{activation}6"], fc["f7"] = nn.Linear(120, 84), act(), nn.Linear(84, num_classes)
    return nn.Sequential(OrderedDict(convnet=nn.Sequential(convnet), flatten=nn.Flatten(), fc=nn.Sequential(fc)))


add(
    Architecture(
        name="lenet5",
        title="LeNet-5",
        family="LeNet",
        builder=LeNet5,
        preprocessing=Preprocessing((28, 28), mean=MNIST_MEAN, std=MNIST_STD),
        classes=10,
        labels="mnist",
        source="LeCun et al., Proc. IEEE 1998 (ReLU and max pooling, dense C3)",
        year=1998,
        note="The form taught today: ReLU, max pooling, every map of conv2 sees all maps, softmax. "
        "The paper's network is lenet5_1998.",
    )
)
add(
    Architecture(
        name="lenet5_1998",
        title="LeNet-5 (1998)",
        family="LeNet",
        builder=LeNet5Original,
        preprocessing=Preprocessing((32, 32), mean=MNIST_MEAN, std=MNIST_STD),
        classes=10,
        labels="mnist",
        source="LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86(11), 1998, section II.B",
        year=1998,
        published="0.95 % error, MNIST test, without distortions; 0.8 % with",
        note="Scaled tanh, trainable sub-sampling, the table of C3, Euclidean RBF output. The digits of the output "
        "codes are drawn anew; answers are minus the squared distance, so that the largest wins. Train it at a "
        "learning rate near 0.01.",
    )
)
add(
    Architecture(
        name="lenet_cifar",
        title="LeNet for CIFAR-10",
        family="LeNet",
        builder=partial(LeNet5, channels=3, padding=0),
        preprocessing=Preprocessing((32, 32), mean=CIFAR_MEAN, std=CIFAR_STD),
        classes=10,
        labels="cifar10",
        source="PyTorch tutorial, Training a classifier; after LeCun et al. 1998",
        year=2017,
        note="The tutorial's network for colour images: lenet5 with three input channels and no padding.",
    )
)

_variant = partial(Architecture, family="LeNet", classes=10, labels="mnist", year=1998)
_SMALL = Preprocessing((28, 28), mean=MNIST_MEAN, std=MNIST_STD)
_FIELD = Preprocessing((32, 32), mean=MNIST_MEAN, std=MNIST_STD)
add(
    _variant(
        name="lenet5_avg",
        title="LeNet-5, ReLU and average pooling",
        builder=partial(lenet_variant, activation="relu", pool="avg", padding=2),
        preprocessing=_SMALL,
        source="LeCun et al., Proc. IEEE 1998 (ReLU, average pooling, dense C3)",
        note="lenet5 with average instead of max pooling.",
    ),
    _variant(
        name="lenet5_tanh",
        title="LeNet-5, tanh and average pooling",
        builder=partial(lenet_variant, activation="tanh", pool="avg", padding=2),
        preprocessing=_SMALL,
        source="LeCun et al., Proc. IEEE 1998 (plain tanh, average pooling, dense C3)",
        note="The nearest that plain layers come to the paper's network, lenet5_1998.",
    ),
    _variant(
        name="lenet5_sigmoid",
        title="LeNet-5, sigmoid and average pooling",
        builder=partial(lenet_variant, activation="sigmoid", pool="avg", padding=2),
        preprocessing=_SMALL,
        source="Zhang et al., Dive into Deep Learning, section 7.6; after LeCun et al. 1998",
        note="The LeNet of Dive into Deep Learning (D2L), which trains it on Fashion-MNIST without normalisation.",
    ),
    _variant(
        name="lenet5_unpadded",
        title="LeNet-5 without padding",
        builder=partial(lenet_variant, activation="relu", pool="max", padding=0),
        preprocessing=_SMALL,
        source="LeCun et al., Proc. IEEE 1998 (ReLU and max pooling, 28×28 as it is)",
        note="lenet5 without padding: fc1 sees 16 maps of 4×4.",
    ),
    _variant(
        name="lenet5_c5",
        title="LeNet-5, C5 as a convolution",
        builder=partial(lenet_c5, activation="relu", pool="max"),
        preprocessing=_FIELD,
        source="LeCun et al., Proc. IEEE 1998 (ReLU and max pooling, dense C3)",
        note="C5 is a convolution of 5×5, as in the paper, on inputs of 32×32.",
    ),
    _variant(
        name="lenet5_c5_tanh",
        title="LeNet-5, C5 as a convolution, tanh and average pooling",
        builder=partial(lenet_c5, activation="tanh", pool="avg"),
        preprocessing=_FIELD,
        source="LeCun et al., Proc. IEEE 1998 (plain tanh, average pooling, dense C3)",
        note="lenet5_c5 with tanh and average pooling.",
    ),
)
