"""LeNet-5 with ReLU and max pooling, the form taught today.

Source: LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86(11), 1998; dense C3, 61,706 parameters."""

from torch import Tensor, nn

from cnnviz.models.preprocessing import MNIST_MEAN, MNIST_STD, Preprocessing
from cnnviz.models.registry import Architecture, add


class LeNet5(nn.Module):
    """(N, 1, 28, 28) → (N, num_classes) logits. Padding 2 in conv1 stands for the paper's 32×32 field."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
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
    )
)
