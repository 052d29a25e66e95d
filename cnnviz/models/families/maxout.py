"""Maxout networks: a unit is the largest of several linear functions.

Source: Goodfellow, Warde-Farley, Mirza, Courville, Bengio, ICML 2013 (arXiv:1302.4389); layer sizes of the
authors' published configurations, whose pools round the map size up."""

from torch import Tensor, nn

from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, MNIST_MEAN, MNIST_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add


class Maxout(nn.Module):
    """Unit u is the maximum of the channels u·pieces … u·pieces + pieces − 1.

    (N, units · pieces, …) → (N, units, …)."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.pieces)).amax(2)

    def extra_repr(self) -> str:
        return f"pieces={self.pieces}"


def _stage(inputs: int, units: int, pieces: int, kernel: int, padding: int, pool: int, dropout: float) -> nn.Module:
    """Dropout on the input, convolution, maxout, and max pooling with stride 2."""
    stage = nn.Sequential()
    stage.drop = nn.Dropout(dropout)
    stage.conv = nn.Conv2d(inputs, units * pieces, kernel, padding=padding)
    stage.maxout = Maxout(pieces)
    stage.pool = nn.MaxPool2d(pool, 2, ceil_mode=True)
    return stage


def _initialise(network: nn.Module) -> None:
    """Standard deviation 0.5 / √fan-in: the largest of the pieces in a pool's window is about twice as
    large as any of them, so that activations keep their size."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            if not module.weight.is_meta:  # there it would import PyTorch's compiler, a second long
                nn.init.normal_(module.weight, std=0.5 * module.weight[0].numel() ** -0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class MaxoutCifar(nn.Module):
    """(N, 3, 32, 32) → (N, num_classes) logits. Maps of 33, 16, 15, 7, 9 and 5 pixels a side."""

    learning_rate_scales = {"": 0.02}  # of the usual 0.1 at momentum 0.9; published 0.0085 at 0.5

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.stage1 = _stage(3, 96, 2, 8, 4, 4, 0.2)
        self.stage2 = _stage(96, 192, 2, 8, 3, 4, 0.5)
        self.stage3 = _stage(192, 192, 2, 5, 3, 2, 0.5)
        self.drop4 = nn.Dropout()
        self.fc4 = nn.Linear(192 * 5 * 5, 500 * 5)
        self.maxout4 = Maxout(5)
        self.drop5 = nn.Dropout()
        self.fc5 = nn.Linear(500, num_classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage3(self.stage2(self.stage1(x)))
        x = self.maxout4(self.fc4(self.drop4(x.flatten(1))))
        return self.fc5(self.drop5(x))


class MaxoutMnist(nn.Module):
    """(N, 1, 28, 28) → (N, num_classes) logits. Maps of 21, 10, 9, 4, 6 and 3 pixels a side."""

    learning_rate_scales = {"": 0.2}  # published with momentum 0.5, whose steps are a fifth of those at 0.9

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.stage1 = _stage(1, 48, 2, 8, 0, 4, 0.2)
        self.stage2 = _stage(48, 48, 2, 8, 3, 4, 0.5)
        self.stage3 = _stage(48, 24, 4, 5, 3, 2, 0.5)
        self.drop4 = nn.Dropout()
        self.fc4 = nn.Linear(24 * 3 * 3, num_classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage3(self.stage2(self.stage1(x)))
        return self.fc4(self.drop4(x.flatten(1)))


add(
    Architecture(
        name="maxout_cifar10",
        title="Maxout network, CIFAR",
        family="Maxout",
        builder=MaxoutCifar,
        preprocessing=Preprocessing((32, 32), mean=CIFAR_MEAN, std=CIFAR_STD),
        classes=10,
        labels="cifar10",
        source="Goodfellow et al., ICML 2013; the authors' pylearn2 configuration",
        year=2013,
        published="11.68 % error, CIFAR-10; 9.38 % with shifts and flips",
        note="Published inputs are contrast-normalised and whitened, and the norms of the kernels are bounded.",
    )
)
add(
    Architecture(
        name="maxout_mnist",
        title="Maxout network, MNIST (convolutional)",
        family="Maxout",
        builder=MaxoutMnist,
        preprocessing=Preprocessing((28, 28), mean=MNIST_MEAN, std=MNIST_STD),
        classes=10,
        labels="mnist",
        source="Goodfellow et al., ICML 2013; the authors' pylearn2 configuration",
        year=2013,
        published="0.45 % error, MNIST without distortions",
        note="One bias a map; the published configuration has one a pixel.",
    )
)
