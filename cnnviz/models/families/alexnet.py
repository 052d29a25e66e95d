"""AlexNet with two groups, CaffeNet, and AlexNet in one tower. Input 227×227.

Source: Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3. The paper prints 224, which no whole number
of strides fits; with 227 conv1 gives the 55×55 units that its later layers presume."""

from collections.abc import Callable
from functools import partial

from torch import nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import FeatureClassifier, caffe_lrn, conv_relu, fully_connected, paper_lrn


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
