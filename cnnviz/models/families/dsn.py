"""Deeply supervised net: Network in Network with a linear classifier on each of its convolutions.

Source: Lee, Xie, Gallagher, Zhang, Tu, AISTATS 2015 (arXiv:1409.5185); the authors' CIFAR-10 definition."""

from torch import Tensor, nn

from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import he_normal
from cnnviz.models.families.nin import CIFAR_ROWS, mlpconv_layers

COMPANIONS = {"conv1": 192 * 32 * 32, "conv2": 192 * 16 * 16, "conv3": 192 * 8 * 8}  # layer → its values, at 32×32


class DeeplySupervisedNet(nn.Module):
    """(N, 3, 32, 32) → (N, num_classes) logits; in training (logits, [companion logits, input side first]).

    The companions read the convolutions before their ReLU. They run in evaluation too, where nothing uses
    them, so that what the network knows at each depth can be captured (`companions.conv1`)."""

    auxiliary_weight = 0.3  # of each companion's loss in training; the paper lets theirs fade out
    learning_rate_scales = {"companions": 0.001}  # as published: a step moves 196,608 weights at once

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = mlpconv_layers(CIFAR_ROWS, num_classes, dropped=(1, 2), last_relu=False)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.companions = nn.ModuleDict({name: nn.Linear(size, num_classes) for name, size in COMPANIONS.items()})
        he_normal(self.features, "fan_in")

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, list[Tensor]]:
        known = []
        for name, layer in self.features.named_children():
            x = layer(x)
            if name in COMPANIONS:
                known.append(self.companions[name](x.flatten(1)))
        logits = self.avgpool(x).flatten(1)
        return (logits, known) if self.training else logits


add(
    Architecture(
        name="dsn_cifar10",
        title="Deeply supervised net, CIFAR",
        family="Network in Network",
        builder=DeeplySupervisedNet,
        preprocessing=Preprocessing((32, 32), mean=CIFAR_MEAN, std=CIFAR_STD),
        classes=10,
        labels="cifar10",
        source="Lee et al., AISTATS 2015; the authors' Caffe definition",
        year=2015,
        published="9.69 % error, CIFAR-10; 7.97 % with crops and flips",
        note="Trained here with cross-entropy, companions at a constant weight 0.3; published with squared hinge "
        "losses. The companions are part of the network: without them it is Network in Network without the last ReLU.",
    )
)
