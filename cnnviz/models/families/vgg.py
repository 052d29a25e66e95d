"""The VGG configurations that torchvision has not: A-LRN and C.

Source: Simonyan and Zisserman, ICLR 2015, section 2.1 and table 1."""

from functools import partial

from torch import nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import FeatureClassifier, conv_relu, fully_connected, paper_lrn

Stages = tuple[tuple[tuple[int, int], ...], ...]  # of each stage, (kernel, maps) of its convolutions
_A: Stages = (((3, 64),), ((3, 128),), ((3, 256),) * 2, ((3, 512),) * 2, ((3, 512),) * 2)
_C: Stages = (((3, 64),) * 2, ((3, 128),) * 2) + tuple(((3, m), (3, m), (1, m)) for m in (256, 512, 512))


class Vgg(FeatureClassifier):
    """(N, 3, 224, 224) → (N, num_classes) logits. Every stage ends in a 2×2 max pool.

    `stages`: kernels and widths of the convolutions; all keep the size of the map. `lrn`: local response
    normalisation after the first of them, as in A-LRN. He initialisation: the paper starts its deep
    configurations from trained layers of A."""

    def __init__(self, num_classes: int = 1000, stages: Stages = _C, lrn: bool = False) -> None:
        steps: list[nn.Module] = []
        inputs = 3
        for stage in stages:
            for kernel, maps in stage:
                steps += conv_relu(inputs, maps, kernel, padding=kernel // 2)
                if lrn and inputs == 3:
                    steps.append(paper_lrn())
                inputs = maps
            steps.append(nn.MaxPool2d(2))
        super().__init__(nn.Sequential(*steps), fully_connected(inputs * 7 * 7, num_classes))


def _add(name: str, title: str, stages: Stages, lrn: bool, published: str, note: str) -> None:
    add(
        Architecture(
            name=name,
            title=title,
            family="VGG",
            builder=partial(Vgg, stages=stages, lrn=lrn),
            preprocessing=Preprocessing((224, 224), resize=256),
            classes=1000,
            labels="imagenet",
            source="Simonyan and Zisserman, ICLR 2015",
            year=2014,
            published=published,
            note=note,
        )
    )


_add(
    "vgg11_lrn",
    "VGG-11 with LRN (configuration A-LRN)",
    _A,
    lrn=True,
    published="29.7 % top-1 and 10.5 % top-5 error, ILSVRC-2012 validation, one network, one scale",
    note="vgg11 with local response normalisation after the first layer, which the paper found useless.",
)
_add(
    "vgg16_c",
    "VGG-16 configuration C",
    _C,
    lrn=False,
    published="27.3 % top-1 and 8.8 % top-5 error, ILSVRC-2012 validation, one network, one scale, trained on many",
    note="vgg16 with a 1×1 instead of a 3×3 convolution at the end of stages 3, 4 and 5.",
)
