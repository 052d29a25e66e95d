"""Published figures on shift consistency, padding and jumps of the prediction, to compare with."""

from __future__ import annotations

from dataclasses import dataclass

ZHANG = "Zhang, ICML 2019 (arXiv:1904.11486), ImageNet validation, 224×224 crops of 256×256"
AZULAY = "Azulay and Weiss 2018 (arXiv:1805.12177v1), 200 images of ImageNet validation"
KAYHAN = "Kayhan and van Gemert, CVPR 2020 (arXiv:2003.07064), red-green position test"


@dataclass(frozen=True, slots=True)
class PublishedConsistency:
    """`network`: as written there. `architecture`: its name in the catalogue. `consistency`: % of images whose two
    random crops get the same class. `accuracy`: top-1, %. Without blur-pooling."""

    network: str
    architecture: str
    consistency: float
    accuracy: float
    source: str = ZHANG


@dataclass(frozen=True, slots=True)
class PublishedPadding:
    """A network classifies the colour of a patch, which its place gave away in training. Accuracy, %: `usual`,
    patches where they were in training; `swapped`, where they never were. A network that cannot see the place has both
    equal."""

    padding: str
    usual: float
    swapped: float
    source: str = KAYHAN


@dataclass(frozen=True, slots=True)
class PublishedJumps:
    """`jaggedness`: % of images whose true class leaves the five most probable ones, or joins them, when the image
    moves by one pixel. `subsampling`: the factor by which the network samples its maps down, so that at most one shift
    in its square is sure to keep the prediction."""

    network: str
    jaggedness: float
    subsampling: int
    source: str = AZULAY


JUMPS = PublishedJumps("InceptionResNetV2", 28.0, 45)
CONSISTENCY = (
    PublishedConsistency("AlexNet", "alexnet", 78.18, 56.55),
    PublishedConsistency("VGG16", "vgg16", 88.52, 71.59),
    PublishedConsistency("ResNet18", "resnet18", 85.11, 69.74),
    PublishedConsistency("ResNet34", "resnet34", 87.56, 73.30),
    PublishedConsistency("ResNet50", "resnet50", 89.20, 76.16),
    PublishedConsistency("DenseNet121", "densenet121", 88.81, 74.43),
    PublishedConsistency("MobileNetV2", "mobilenet_v2", 86.50, 71.88),
)
POSITION = (
    PublishedPadding("valid", 100.0, 0.2),
    PublishedPadding("zero, same", 99.8, 8.4),
    PublishedPadding("circular", 73.7, 73.7),
    PublishedPadding("full", 89.7, 89.7),
)


def published_consistency(architecture: str) -> PublishedConsistency | None:
    """What was published for a network of the catalogue; None if it is not in the table."""
    return next((entry for entry in CONSISTENCY if entry.architecture == architecture), None)
