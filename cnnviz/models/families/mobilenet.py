"""MobileNet v1: depthwise separable convolutions.

Source: Howard et al., arXiv:1704.04861, section 3 and table 1."""

from torch import Tensor, nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import conv_bn, he_normal

_BODY = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


class SeparableBlock(nn.Module):
    """A 3×3 filter of its own for each map, then a 1×1 convolution that mixes them; batch norm and ReLU each."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        each = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        self.depthwise = nn.Sequential(each, nn.BatchNorm2d(inputs), nn.ReLU(inplace=True))
        self.pointwise = nn.Sequential(*conv_bn(inputs, outputs, 1), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class MobileNetV1(nn.Module):
    """(N, 3, 224, 224) → (N, num_classes) logits.

    `width`: multiplier of all numbers of maps (section 3.3; published 1.0, 0.75, 0.5 and 0.25), rounded
    down, at least 8 maps. Raises BadInput unless it is above 0."""

    def __init__(self, num_classes: int = 1000, *, width: float = 1.0) -> None:
        super().__init__()
        if not width > 0:
            raise BadInput(f"width must be above 0, got {width}. Published: 1.0, 0.75, 0.5, 0.25.")
        inputs = _scaled(32, width)
        steps: list[nn.Module] = [nn.Sequential(*conv_bn(3, inputs, 3, 2, 1), nn.ReLU(inplace=True))]
        for maps, stride in _BODY:
            outputs = _scaled(maps, width)
            steps.append(SeparableBlock(inputs, outputs, stride))
            inputs = outputs
        self.features = nn.Sequential(*steps)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(inputs, num_classes)
        he_normal(self, "fan_in")

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _scaled(maps: int, width: float) -> int:
    return max(8, int(maps * width))


add(
    Architecture(
        name="mobilenet_v1",
        title="MobileNet v1",
        family="MobileNet",
        builder=MobileNetV1,
        preprocessing=Preprocessing((224, 224), resize=256),
        classes=1000,
        labels="imagenet",
        source="Howard et al. 2017, arXiv:1704.04861",
        year=2017,
        published="29.4 % top-1 error, ILSVRC-2012 validation, one network",
        note="ReLU as in the paper's figure 3; the released TensorFlow networks cut it at 6. Not in torchvision.",
    )
)
