"""LeNet-5 as it is taught today, with ReLU and max pooling; its CIFAR form; entry of the original.

Source: LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86(11), 1998; the original is in `lenet_1998`."""

from functools import partial

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
