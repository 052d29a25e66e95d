"""The fully connected baseline: what a network without convolutions costs and learns."""

from torch import Tensor, nn

from cnnviz.data.preprocessing import MNIST_MEAN, MNIST_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import he_normal


class Mlp(nn.Module):
    """(N, 1, 28, 28) → 784 inputs, 256 hidden units with ReLU → (N, num_classes) logits."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(784, 256)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(256, num_classes)
        he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.relu1(self.fc1(self.flatten(x))))


add(
    Architecture(
        name="mlp",
        title="Multilayer perceptron 784-256-10",
        family="MLP",
        builder=Mlp,
        preprocessing=Preprocessing((28, 28), mean=MNIST_MEAN, std=MNIST_STD),
        classes=10,
        labels="mnist",
        source="Rumelhart, Hinton, Williams, Nature 1986; one hidden layer",
        year=1986,
        note="A baseline without convolutions; the widths are the usual ones for MNIST, not of one paper.",
    )
)
