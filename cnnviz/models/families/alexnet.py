"""AlexNet with two groups, CaffeNet, AlexNet in one tower, and that of Dive into Deep Learning. Input 227×227, D2L 224.

Source: Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3. The paper prints 224, which no whole number
of strides fits; with 227 conv1 gives the 55×55 units that its later layers presume."""

from collections.abc import Callable
from functools import partial

from torch import nn

from cnnviz.data.class_names import FASHION_MNIST
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import FeatureClassifier, caffe_lrn, conv_relu, fully_connected, he_normal, paper_lrn


class AlexNet(FeatureClassifier):
    """(N, 3, 227, 227) → (N, num_classes) logits.

    `groups`: 2 splits conv2, conv4 and conv5 as the paper's two GPUs did, 1 lets every map see all maps.
    `lrn` makes a local response normalisation; `pool_first`: it follows the pooling instead of the ReLU.
    He initialisation: the paper's Gaussian of width 0.01 presumes pixels of 0..255."""

    def __init__(
        self,
        num_classes: int = 1000,
        groups: int = 2,
        lrn: Callable[[], nn.Module] = paper_lrn,
        pool_first: bool = False,
    ) -> None:
        def shrink() -> list[nn.Module]:
            steps = [lrn(), nn.MaxPool2d(3, 2)]
            return steps[::-1] if pool_first else steps

        features = nn.Sequential(
            *conv_relu(3, 96, 11, stride=4),
            *shrink(),
            *conv_relu(96, 256, 5, padding=2, groups=groups),
            *shrink(),
            *conv_relu(256, 384, 3, padding=1),
            *conv_relu(384, 384, 3, padding=1, groups=groups),
            *conv_relu(384, 256, 3, padding=1, groups=groups),
            nn.MaxPool2d(3, 2),
        )
        super().__init__(features, fully_connected(256 * 6 * 6, num_classes))


def d2l_alexnet(num_classes: int = 1000, channels: int = 3) -> nn.Sequential:
    """(N, channels, 224, 224) → (N, num_classes) logits: one tower without normalisation, conv1 padded by 1.

    A flat sequence, as it is printed there: layers are called 0 (conv1) to 20 (the last linear layer)."""
    net = nn.Sequential(
        *conv_relu(channels, 96, 11, stride=4, padding=1),
        nn.MaxPool2d(3, 2),
        *conv_relu(96, 256, 5, padding=2),
        nn.MaxPool2d(3, 2),
        *conv_relu(256, 384, 3, padding=1),
        *conv_relu(384, 384, 3, padding=1),
        *conv_relu(384, 256, 3, padding=1),
        nn.MaxPool2d(3, 2),
        nn.Flatten(),
        *fully_connected(256 * 5 * 5, num_classes),
    )
    he_normal(net, "fan_in")
    return net


_entry = partial(
    Architecture,
    family="AlexNet",
    preprocessing=Preprocessing((227, 227), resize=256),
    classes=1000,
    labels="imagenet",
)
add(
    _entry(
        name="alexnet_2012",
        title="AlexNet (2012, two groups)",
        builder=partial(AlexNet, groups=2, lrn=paper_lrn, pool_first=False),
        source="Krizhevsky, Sutskever, Hinton, NIPS 2012",
        year=2012,
        published="40.7 % top-1 and 18.2 % top-5 error, ILSVRC-2012 validation, one network",
        note="Groups, overlapping pools and normalisation (k = 2, alpha 1e-4 on the sum) of the paper. torchvision's "
        "alexnet is the narrower one-tower net of 2014; Caffe's release normalises with k = 1 and alpha 1e-4 / 5.",
    )
)
add(
    _entry(
        name="caffenet",
        title="CaffeNet",
        builder=partial(AlexNet, groups=2, lrn=caffe_lrn, pool_first=True),
        source="Jia et al., Caffe, arXiv:1408.5093; bvlc_reference_caffenet",
        year=2014,
        published="42.6 % top-1 and 19.6 % top-5 error, ILSVRC-2012 validation, one network, centre crop",
        note="AlexNet with pooling before normalisation, and Caffe's constants (k = 1, alpha 1e-4 / 5).",
    )
)
add(
    _entry(
        name="alexnet_one_tower",
        title="AlexNet in one tower",
        builder=partial(AlexNet, groups=1, lrn=paper_lrn, pool_first=False),
        source="Krizhevsky, Sutskever, Hinton, NIPS 2012, without the split over two GPUs",
        year=2012,
        note="alexnet_2012 without groups: 1.4 M more parameters and 57 % more multiply-adds.",
    )
)
_D2L = "Zhang et al., Dive into Deep Learning, section 8.1; after Krizhevsky et al. 2012"
add(
    Architecture(
        name="alexnet_d2l",
        title="AlexNet (D2L)",
        family="AlexNet",
        builder=partial(d2l_alexnet, channels=3),
        preprocessing=Preprocessing((224, 224), resize=256),
        classes=1000,
        labels="imagenet",
        source=_D2L,
        year=2020,
        note="One tower without normalisation; conv1 is padded by 1, so that 224 gives 54×54 units and fc6 sees 5×5.",
    ),
    Architecture(
        name="alexnet_d2l_gray",
        title="AlexNet (D2L, one channel)",
        family="AlexNet",
        builder=partial(d2l_alexnet, channels=1),
        preprocessing=Preprocessing((224, 224), mean=(0.0,), std=(1.0,)),
        classes=10,
        labels=FASHION_MNIST,
        source=_D2L,
        year=2020,
        note="alexnet_d2l as the book trains it: Fashion-MNIST, enlarged to 224×224, pixels of 0 to 1.",
    ),
)
