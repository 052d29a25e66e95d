"""GoogLeNet as published in 2014: local response normalisation, real 5×5 convolutions, auxiliary heads.

Source: Szegedy et al., CVPR 2015 (arXiv:1409.4842), table 1 and section 5. Also two single modules on a
28×28 map of 256 channels, which show what the 1×1 reductions save."""

from collections import OrderedDict

from torch import Tensor, nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import Concat, caffe_lrn, he_normal

MODULES: dict[str, tuple[int, int, int, int, int, int, int]] = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}  # inputs; 1×1; 3×3 reduction, 3×3; 5×5 reduction, 5×5; projection after the pool


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution with bias, padded to keep the size, and its ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
    return nn.Sequential(OrderedDict(conv=conv, relu=nn.ReLU(inplace=True)))


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, 2, ceil_mode=True)


class InceptionModule(Concat):
    """Four branches side by side: 1×1, 3×3 and 5×5 behind their reductions, and a projected max pool."""

    def __init__(self, inputs: int, one: int, three_in: int, three: int, five_in: int, five: int, pool: int) -> None:
        super().__init__(
            branch1=_conv(inputs, one, 1),
            branch2=nn.Sequential(_conv(inputs, three_in, 1), _conv(three_in, three, 3)),
            branch3=nn.Sequential(_conv(inputs, five_in, 1), _conv(five_in, five, 5)),
            branch4=nn.Sequential(nn.MaxPool2d(3, 1, 1), _conv(inputs, pool, 1)),
        )


class AuxiliaryHead(nn.Module):
    """Classifier on a 14×14 map: (N, inputs, 14, 14) → (N, num_classes) logits."""

    def __init__(self, inputs: int, num_classes: int) -> None:
        super().__init__()
        self.avgpool = nn.AvgPool2d(5, 3)
        self.conv = _conv(inputs, 128, 1)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.avgpool(x)).flatten(1)
        return self.fc2(self.dropout(self.relu(self.fc1(x))))


class GoogLeNet(nn.Module):
    """(N, 3, 224, 224) → (N, num_classes) logits; in training with `aux` (logits, of 4d's head, of 4a's).

    `aux`: with the two auxiliary heads. They run in evaluation too, so that they can be captured, and they
    take no other input size."""

    auxiliary_weight = 0.3  # of each head's loss in training, section 5
    inception4a: InceptionModule
    inception4b: InceptionModule
    inception4c: InceptionModule
    inception4d: InceptionModule
    inception4e: InceptionModule

    def __init__(self, num_classes: int = 1000, *, aux: bool = False) -> None:
        super().__init__()
        self.conv1 = _conv(3, 64, 7, 2)
        self.maxpool1 = _pool()
        self.norm1 = caffe_lrn()
        self.conv2 = _conv(64, 64, 1)
        self.conv3 = _conv(64, 192, 3)
        self.norm2 = caffe_lrn()
        self.maxpool2 = _pool()
        self.inception3a, self.inception3b = InceptionModule(*MODULES["3a"]), InceptionModule(*MODULES["3b"])
        self.maxpool3 = _pool()
        for name in ("4a", "4b", "4c", "4d", "4e"):
            self.add_module(f"inception{name}", InceptionModule(*MODULES[name]))
        self.maxpool4 = _pool()
        self.inception5a, self.inception5b = InceptionModule(*MODULES["5a"]), InceptionModule(*MODULES["5b"])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.4)
        self.fc = nn.Linear(1024, num_classes)
        self.aux1 = AuxiliaryHead(512, num_classes) if aux else None
        self.aux2 = AuxiliaryHead(528, num_classes) if aux else None
        he_normal(self, "fan_in")

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        x = self.norm1(self.maxpool1(self.conv1(x)))
        x = self.maxpool2(self.norm2(self.conv3(self.conv2(x))))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        early = self.inception4a(x)
        late = self.inception4d(self.inception4c(self.inception4b(early)))
        x = self.maxpool4(self.inception4e(late))
        x = self.inception5b(self.inception5a(x))
        logits = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        if self.aux1 is None or self.aux2 is None:
            return logits
        heads = self.aux2(late), self.aux1(early)
        return (logits, *heads) if self.training else logits


class NaiveInception(Concat):
    """Without reductions: (N, 256, 28, 28) → (N, 672, 28, 28), the pool's 256 channels last."""

    def __init__(self, num_classes: int = 1) -> None:
        super().__init__(
            branch1=_conv(256, 128, 1),
            branch2=_conv(256, 192, 3),
            branch3=_conv(256, 96, 5),
            branch4=nn.MaxPool2d(3, 1, 1),
        )
        he_normal(self, "fan_in")


class ReducedInception(InceptionModule):
    """With reductions to 64 channels: (N, 256, 28, 28) → (N, 480, 28, 28)."""

    def __init__(self, num_classes: int = 1) -> None:
        super().__init__(256, 128, 64, 192, 64, 96, 64)
        he_normal(self, "fan_in")


add(
    Architecture(
        name="googlenet_2014",
        title="GoogLeNet as published",
        family="Inception",
        builder=GoogLeNet,
        preprocessing=Preprocessing((224, 224), resize=256),
        classes=1000,
        labels="imagenet",
        source="Szegedy et al., CVPR 2015; Caffe's definition for what the paper leaves open",
        year=2015,
        published="top-5 error 10.07 %, ILSVRC-2012 validation, one network, one crop; 6.67 % with 7 networks",
        note="torchvision's googlenet has batch norm, no normalisation across maps and 3×3 kernels where these are "
        "5×5. The paper does not print the constants of the local response normalisation: these are Caffe's, k = 1.",
    )
)
for _name, _title, _builder, _note in (
    ("naive_inception", "Inception module, naive", NaiveInception, "every branch reads all 256 channels"),
    ("reduced_inception", "Inception module, reduced", ReducedInception, "3×3 and 5×5 read 64 channels"),
):
    add(
        Architecture(
            name=_name,
            title=_title,
            family="Inception",
            builder=_builder,
            preprocessing=Preprocessing((28, 28), mean=(0.45,) * 256, std=(0.225,) * 256),
            classes=1,
            labels="",
            source="Szegedy et al., CVPR 2015, figure 2; widths of a common lecture example",
            year=2015,
            note=f"One module without a classifier: {_note}.",
            classifier=False,
        )
    )
