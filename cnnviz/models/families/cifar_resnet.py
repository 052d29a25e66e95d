"""The CIFAR-10 ResNets with shortcuts of option A or B, and their plain twins.

Source: He, Zhang, Ren, Sun, CVPR 2016, section 4.2: 6n+2 layers, three stages of n two-layer blocks
with 16, 32 and 64 maps."""

from functools import partial

from torch import Tensor, nn

from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import he_normal
from cnnviz.models.families.residual import BasicBlock, Maker, Shortcut, no_shortcut, option_a, option_b, settle, stage


class CifarResNet(nn.Module):
    """(N, 3, 32, 32) → (N, num_classes) logits. `depth` = 6n+2; `block` makes a block."""

    def __init__(self, num_classes: int = 10, depth: int = 20, block: Maker = BasicBlock) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = stage(block, 16, 16, blocks, 1)
        self.layer2 = stage(block, 16, 32, blocks, 2)
        self.layer3 = stage(block, 32, 64, blocks, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, num_classes)
        he_normal(self, "fan_in")
        settle(self.layer1, self.layer2, self.layer3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


_HE, _LI = "He et al., CVPR 2016, section 4.2", "Li et al., NeurIPS 2018 (arXiv:1712.09913), section 5"
_AUGMENTED = "CIFAR-10 with flips and crops"


def _add(name: str, title: str, depth: int, shortcut: Shortcut, source: str, published: str, note: str = "") -> None:
    add(
        Architecture(
            name=name,
            title=f"{title} (CIFAR)",
            family="CIFAR ResNet",
            builder=partial(CifarResNet, depth=depth, block=partial(BasicBlock, shortcut=shortcut)),
            preprocessing=Preprocessing((32, 32), mean=CIFAR_MEAN, std=CIFAR_STD),
            classes=10,
            labels="cifar10",
            source=source,
            year=2018 if source.startswith(_LI) else 2016,
            published=published and f"{published}, {_AUGMENTED}",
            note=note,
        )
    )


_A = "Shortcuts of option A, without parameters; most later releases of this name project (option B)."
_ERRORS = {20: "8.75 %", 32: "7.51 %", 44: "7.17 %", 56: "6.97 %", 110: "6.43 %", 1202: "7.93 %"}
for _depth, _error in _ERRORS.items():
    _runs = " of the best run, 6.61 % on average" if _depth == 110 else ""
    _add(
        f"resnet{_depth}_cifar",
        f"ResNet-{_depth}",
        _depth,
        option_a,
        f"{_HE}, option A",
        f"{_error} error{_runs}",
        note=_A,
    )
for _depth in (20, 32, 44, 56, 110):
    _failed = "over 60 % error" if _depth == 110 else ""
    _add(f"plain{_depth}_cifar", f"Plain-{_depth}", _depth, no_shortcut, f"{_HE}; shortcuts removed", _failed)
for _depth, _error in ((20, "7.37 %"), (56, "5.89 %"), (110, "5.79 %")):
    _add(
        f"resnet{_depth}_cifar_b",
        f"ResNet-{_depth} option B",
        _depth,
        option_b,
        f"{_LI}; after {_HE}, option B",
        f"{_error} error, weight decay 5e-4",
        note="A 1×1 convolution with batch norm where a stage begins; He et al. used option A on CIFAR.",
    )
_add(
    "resnet56_noshort",
    "ResNet-56 without shortcuts",
    56,
    no_shortcut,
    _LI,
    "13.31 % error, weight decay 5e-4",
    note="resnet56_cifar_b without its shortcuts, and so without their convolutions: the same network as "
    "plain56_cifar, 853,018 parameters.",
)
