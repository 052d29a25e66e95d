"""Highway network: gates decide how much of its input a layer passes on unchanged.

Source: Srivastava, Greff, Schmidhuber, NIPS 2015 (arXiv:1507.06228); the authors' 19-layer definition."""

from torch import Tensor, nn

from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import he_normal

STAGES = ((32, 4), (80, 5), (128, 5))  # width, highway layers after the stage's plain convolution
GATE_BIAS = -2.0  # at first a layer passes on 88 % of its input


class HighwayLayer(nn.Module):
    """y = H(x) · T(x) + x · (1 − T(x)), H a ReLU layer and T, the transform gate, a sigmoid layer.

    (N, width, H, W) → the same shape. Source: section 2, equation 3."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.transform = nn.Conv2d(width, width, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.gate = nn.Conv2d(width, width, 3, padding=1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        transform, gate = self.relu(self.transform(x)), self.sigmoid(self.gate(x))
        return transform * gate + x * (1 - gate)


class Highway19(nn.Module):
    """(N, 3, 32, 32) → (N, num_classes) logits. 18 convolutional layers and one linear layer."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential()
        inputs = 3
        for number, (width, layers) in enumerate(STAGES, 1):
            stage = nn.Sequential()
            stage.drop = nn.Dropout(0.2)
            stage.conv = nn.Conv2d(inputs, width, 3, padding=1)
            stage.relu = nn.ReLU(inplace=True)
            for layer in range(1, layers + 1):
                stage.add_module(f"highway{layer}", HighwayLayer(width))
            if number < len(STAGES):
                stage.pool = nn.MaxPool2d(2)
            self.features.add_module(f"stage{number}", stage)
            inputs = width
        self.conv = nn.Conv2d(inputs, 100, 1)
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(100, num_classes)
        he_normal(self, "fan_in")
        for module in self.modules():
            if isinstance(module, HighwayLayer):
                assert module.gate.bias is not None
                nn.init.constant_(module.gate.bias, GATE_BIAS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.relu(self.conv(self.features(x))))
        return self.fc(self.drop(x.flatten(1)))


add(
    Architecture(
        name="highway19_cifar10",
        title="Highway-19, CIFAR",
        family="Highway",
        builder=Highway19,
        preprocessing=Preprocessing((32, 32), mean=CIFAR_MEAN, std=CIFAR_STD),
        classes=10,
        labels="cifar10",
        source="Srivastava et al., NIPS 2015; the authors' Caffe definition",
        year=2015,
        published="7.60 % error, CIFAR-10 with shifts and flips, best run",
    )
)
