"""The ImageNet ResNets as published: strides of v1, shortcut options A and C, and the plain twins.

Source: He, Zhang, Ren, Sun, CVPR 2016, table 1; the authors' Caffe release for stem and strides. Layers
carry torchvision's names; torchvision's own networks are v1.5 with option B."""

from functools import partial

from torch import Tensor, nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import he_normal
from cnnviz.models.families.residual import (
    BasicBlock,
    Bottleneck,
    Maker,
    no_shortcut,
    option_a,
    option_b,
    option_c,
    settle,
    stage,
)


class ResNet(nn.Module):
    """(N, 3, H, W) → (N, num_classes) logits.

    `depths`: blocks of each of the four stages. `block`: makes one. `widths`: maps that the stages put out."""

    def __init__(
        self,
        num_classes: int = 1000,
        depths: tuple[int, ...] = (2, 2, 2, 2),
        block: Maker = BasicBlock,
        widths: tuple[int, ...] = (64, 128, 256, 512),
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, ceil_mode=True)  # Caffe's: no padding, 112 → 56 by rounding up
        first, second, third, fourth = widths
        self.layer1 = stage(block, 64, first, depths[0], 1)
        self.layer2 = stage(block, first, second, depths[1], 2)
        self.layer3 = stage(block, second, third, depths[2], 2)
        self.layer4 = stage(block, third, fourth, depths[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(fourth, num_classes)
        he_normal(self)
        settle(self.layer1, self.layer2, self.layer3, self.layer4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def _add(
    name: str, title: str, published: str, note: str, depths: tuple[int, ...], block: Maker, widths: tuple[int, ...]
) -> None:
    add(
        Architecture(
            name=name,
            title=title,
            family="ResNet",
            builder=partial(ResNet, depths=depths, block=block, widths=widths),
            preprocessing=Preprocessing((224, 224), resize=256),
            classes=1000,
            labels="imagenet",
            source="He et al., CVPR 2016",
            year=2016,
            published=f"{published}, ILSVRC-2012 validation, one network, ten crops",
            note=note,
        )
    )


_LAYERS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_STEM = "The stem's pool has no padding and rounds up, as in Caffe; torchvision's pads by 1."
_V1 = "Strides on the first 1×1 convolution of a stage; torchvision's network (v1.5) has them on the 3×3."
_FREE = "Shortcuts without parameters (option A); torchvision's project where the shape changes (option B)."
_C = "A projection in every block; torchvision's project where the shape changes (option B)."
for _depth, _top1, _top5 in ((50, "22.85", "6.71"), (101, "21.75", "6.05"), (152, "21.43", "5.71")):
    _add(
        f"resnet{_depth}_v1",
        f"ResNet-{_depth} v1",
        f"{_top1} % top-1 and {_top5} % top-5 error",
        f"{_V1} {_STEM}",
        depths=_LAYERS[_depth],
        block=partial(Bottleneck, shortcut=option_b),
        widths=(256, 512, 1024, 2048),
    )
for _depth, _kind, _shortcut, _published, _note in (
    (18, "a", option_a, "27.88 % top-1 error", _FREE),
    (34, "a", option_a, "25.03 % top-1 and 7.76 % top-5 error", _FREE),
    (34, "c", option_c, "24.19 % top-1 and 7.40 % top-5 error", _C),
    (18, "", no_shortcut, "27.94 % top-1 error", "resnet18_a without its shortcuts."),
    (34, "", no_shortcut, "28.54 % top-1 error", "resnet34_a without its shortcuts."),
):
    _add(
        f"resnet{_depth}_{_kind}" if _kind else f"plain{_depth}",
        f"ResNet-{_depth} option {_kind.upper()}" if _kind else f"Plain-{_depth}",
        _published,
        f"{_note} {_STEM}",
        depths=_LAYERS[_depth],
        block=partial(BasicBlock, shortcut=_shortcut),
        widths=(64, 128, 256, 512),
    )
