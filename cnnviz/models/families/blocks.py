"""Building blocks that several families share."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Fan = Literal["fan_in", "fan_out"]


def paper_lrn() -> nn.LocalResponseNorm:
    """Local response normalisation of Krizhevsky et al. 2012, section 3.3, also of CNN-F/M/S and A-LRN.

    b = a / (2 + 1e-4 · Σ a²)^0.75 over 5 neighbouring maps. PyTorch divides alpha by the 5."""
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def caffe_lrn() -> nn.LocalResponseNorm:
    """Local response normalisation of the Caffe releases: k = 1 and alpha 1e-4 divided by the 5 maps."""
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)


def conv_relu(
    inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0, groups: int = 1
) -> list[nn.Module]:
    """A convolution with bias and its ReLU, to be unpacked into a Sequential."""
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups), nn.ReLU(inplace=True)]


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> list[nn.Module]:
    """A convolution without bias and its batch norm, to be unpacked into a Sequential."""
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs)]


def fully_connected(inputs: int, num_classes: int, widths: tuple[int, int] = (4096, 4096)) -> nn.Sequential:
    """The classifier of AlexNet and its followers: two hidden layers, each ReLU and dropout 0.5."""
    first, second = widths
    return nn.Sequential(
        nn.Linear(inputs, first),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(first, second),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(second, num_classes),
    )


class FeatureClassifier(nn.Module):
    """(N, 3, H, W) → `features`, flattened → `classifier` → (N, num_classes) logits; He initialisation.

    The form of AlexNet and of the networks of its kind, which have no batch norm."""

    def __init__(self, features: nn.Sequential, classifier: nn.Sequential) -> None:
        super().__init__()
        self.features = features
        self.classifier = classifier
        he_normal(self, "fan_in")

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


class Concat(nn.Module):
    """Branches side by side: (N, C, H, W) → their outputs one after another along the channels."""

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.children()], 1)


def he_normal(module: nn.Module, mode: Fan = "fan_out") -> None:
    """Initial weights of He et al. 2015 of all convolutions and linear layers; biases zero.

    `mode`, of the convolutions: "fan_in" keeps the size of the activations, which networks without batch
    norm need, "fan_out" that of the gradients. Linear layers use fan-in: a head of few classes would
    otherwise start with large answers. Weights without memory are left alone: to draw them on the meta device
    imports PyTorch's compiler, a second long."""
    for child in module.modules():
        if isinstance(child, nn.Conv2d | nn.Linear) and not child.weight.is_meta:
            fan: Fan = "fan_in" if isinstance(child, nn.Linear) else mode
            nn.init.kaiming_normal_(child.weight, mode=fan, nonlinearity="relu")
            if child.bias is not None:
                nn.init.zeros_(child.bias)
