"""ZFNet, AlexNet with a finer first layer, and its wide variant -b.

Source: Zeiler and Fergus, ECCV 2014, section 4 and figure 3. The pools round up: 110 → 55 → 26 → 13."""

from functools import partial

from torch import nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import FeatureClassifier, conv_relu, fully_connected, paper_lrn


class ZFNet(FeatureClassifier):
    """(N, 3, 224, 224) → (N, num_classes) logits. `widths`: maps of conv3, conv4 and conv5.

    Convolution, ReLU, pool, then contrast normalisation; the paper gives no constants for it, so these
    are AlexNet's."""

    def __init__(self, num_classes: int = 1000, widths: tuple[int, int, int] = (384, 384, 256)) -> None:
        third, fourth, fifth = widths
        features = nn.Sequential(
            *conv_relu(3, 96, 7, stride=2, padding=1),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            paper_lrn(),
            *conv_relu(96, 256, 5, stride=2),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            paper_lrn(),
            *conv_relu(256, third, 3, padding=1),
            *conv_relu(third, fourth, 3, padding=1),
            *conv_relu(fourth, fifth, 3, padding=1),
            nn.MaxPool2d(3, 2, ceil_mode=True),
        )
        super().__init__(features, fully_connected(fifth * 6 * 6, num_classes))


for _name, _title, _widths, _error in (
    ("zfnet", "ZFNet", (384, 384, 256), "38.4 % top-1 and 16.5 % top-5"),
    ("zfnet_b", "ZFNet-b (512, 1024, 512 maps)", (512, 1024, 512), "37.5 % top-1 and 16.0 % top-5"),
):
    add(
        Architecture(
            name=_name,
            title=_title,
            family="AlexNet",
            builder=partial(ZFNet, widths=_widths),
            preprocessing=Preprocessing((224, 224), resize=256),
            classes=1000,
            labels="imagenet",
            source="Zeiler and Fergus, ECCV 2014",
            year=2014,
            published=f"{_error} error, ILSVRC-2012 validation, one network",
            note="The academic network. Clarifai, which won ILSVRC-2013, was an ensemble of networks of this kind "
            "that was never published. Constants of the normalisation are AlexNet's.",
        )
    )
