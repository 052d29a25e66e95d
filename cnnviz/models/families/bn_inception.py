"""BN-Inception, which most code calls Inception v2.

Source: Ioffe and Szegedy, ICML 2015 (arXiv:1502.03167), section 4.2 and the table of its appendix."""

from collections import OrderedDict

from torch import Tensor, nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import Concat, he_normal

Widths = tuple[int, int, int, int, int, int]  # inputs; 1×1; 3×3 reduction, 3×3; double 3×3 reduction, double 3×3
MODULES: dict[str, tuple[Widths, str, int]] = {
    "3a": ((192, 64, 64, 64, 64, 96), "average", 32),
    "3b": ((256, 64, 64, 96, 64, 96), "average", 64),
    "3c": ((320, 0, 128, 160, 64, 96), "stride 2", 0),
    "4a": ((576, 224, 64, 96, 96, 128), "average", 128),
    "4b": ((576, 192, 96, 128, 96, 128), "average", 128),
    "4c": ((576, 160, 128, 160, 128, 160), "average", 96),
    "4d": ((576, 96, 128, 192, 160, 192), "average", 96),
    "4e": ((576, 0, 128, 192, 192, 256), "stride 2", 0),
    "5a": ((1024, 352, 192, 320, 160, 224), "average", 128),
    "5b": ((1024, 352, 192, 320, 192, 224), "max", 128),
}  # widths, pool, projection after the pool


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, padded by half its kernel, batch norm and ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(outputs), relu=nn.ReLU(inplace=True)))


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, 2, ceil_mode=True)


class BNInceptionModule(Concat):
    """Branches side by side: 1×1; reduced 3×3; reduced double 3×3; pool with projection.

    `pool`: "average" or "max", both 3×3 with stride 1; "stride 2" halves the map: no 1×1 branch, and the
    max pool passes its input's channels on without a projection."""

    def __init__(self, widths: Widths, pool: str, projection: int) -> None:
        inputs, one, three_in, three, double_in, double = widths
        stride = 2 if pool == "stride 2" else 1
        branches: dict[str, nn.Module] = {"branch1": _conv(inputs, one, 1)} if one else {}
        branches["branch2"] = nn.Sequential(_conv(inputs, three_in, 1), _conv(three_in, three, 3, stride))
        branches["branch3"] = nn.Sequential(
            _conv(inputs, double_in, 1), _conv(double_in, double, 3), _conv(double, double, 3, stride)
        )
        if pool == "stride 2":
            branches["branch4"] = _pool()
        else:
            kind = nn.AvgPool2d if pool == "average" else nn.MaxPool2d
            branches["branch4"] = nn.Sequential(kind(3, 1, 1), _conv(inputs, projection, 1))
        super().__init__(**branches)


class BNInception(nn.Module):
    """(N, 3, 224, 224) → (N, num_classes) logits. Other sizes must give 3c and 4e maps of even sides: their
    pools then agree with their strided convolutions."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = _conv(3, 64, 7, 2)
        self.maxpool1 = _pool()
        self.conv2 = _conv(64, 64, 1)
        self.conv3 = _conv(64, 192, 3)
        self.maxpool2 = _pool()
        for name, row in MODULES.items():
            self.add_module(f"inception{name}", BNInceptionModule(*row))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(1024, num_classes)
        he_normal(self, "fan_in")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        for name in MODULES:
            x = self.get_submodule(f"inception{name}")(x)
        return self.fc(self.avgpool(x).flatten(1))


add(
    Architecture(
        name="bn_inception",
        title="BN-Inception (Inception v2)",
        family="Inception",
        builder=BNInception,
        preprocessing=Preprocessing((224, 224), resize=256),
        classes=1000,
        labels="imagenet",
        source="Ioffe and Szegedy, ICML 2015, appendix",
        year=2015,
        published="25.2 % top-1, 7.8 % top-5 error, ILSVRC-2012 validation, one network, one crop",
        note="The paper's widths and no convolution biases; the release derived from Caffe has biases, and "
        "projections of 128 instead of 96 in modules 4c and 4d. Averages count the zero padding.",
    )
)
