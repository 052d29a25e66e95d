"""What else a shortcut may be: ResNet-110 with scaled, gated, convolved and dropped shortcuts.

Source: He, Zhang, Ren, Sun, ECCV 2016 (arXiv:1603.05027), section 3, figure 2, table 1. Where a unit changes
its shape, the x path starts with option A; only the 1×1 convolution takes its place."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, Preprocessing
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.cifar_resnet import CifarResNet
from cnnviz.models.families.residual import BasicBlock, option_a, require_rate

DEPTH, GATE_BIAS = 110, -6.0


class ScaledBlock(BasicBlock):
    """ReLU(residual_scale · F(x) + shortcut_scale · h(x))."""

    def __init__(
        self, inputs: int, outputs: int, stride: int = 1, shortcut_scale: float = 0.5, residual_scale: float = 0.5
    ) -> None:
        super().__init__(inputs, outputs, stride)
        self.shortcut_scale, self.residual_scale = shortcut_scale, residual_scale

    def joined(self, x: Tensor) -> Tensor:
        return self.residual_scale * self.branch(x) + self.shortcut_scale * self.shortcut_of(x)

    def summed(self, skipped: float) -> float:
        return self.residual_scale**2 + self.shortcut_scale**2 * skipped

    def extra_repr(self) -> str:
        return f"shortcut_scale={self.shortcut_scale}, residual_scale={self.residual_scale}"


class GatedBlock(BasicBlock):
    """ReLU(F(x) + (1 − g(x)) · h(x)), g(x) = sigmoid of a 1×1 convolution with bias, a gate for each value.

    `exclusive`: F is multiplied by g(x), as in highway networks. A gate's bias starts at `gate_bias`: at −6 it
    is closed, g = 0.0025, and the shortcut nearly an identity."""

    def __init__(
        self, inputs: int, outputs: int, stride: int = 1, exclusive: bool = False, gate_bias: float = GATE_BIAS
    ) -> None:
        super().__init__(inputs, outputs, stride)
        self.exclusive, self.gate_bias = exclusive, gate_bias
        self.gate = nn.Conv2d(inputs, outputs, 1, stride)
        self.sigmoid = nn.Sigmoid()

    def joined(self, x: Tensor) -> Tensor:
        gate, y = self.sigmoid(self.gate(x)), self.branch(x)
        return (gate * y if self.exclusive else y) + (1 - gate) * self.shortcut_of(x)

    def extra_repr(self) -> str:
        return f"exclusive={self.exclusive}"


def constant_scaling(
    num_classes: int = 10, depth: int = DEPTH, *, shortcut_scale: float = 0.5, residual_scale: float = 0.5
) -> nn.Module:
    """Both paths multiplied by constants in every unit."""
    block = partial(ScaledBlock, shortcut_scale=shortcut_scale, residual_scale=residual_scale)
    return CifarResNet(num_classes, depth, block)


def gating(
    num_classes: int = 10, depth: int = DEPTH, exclusive: bool = False, *, gate_bias: float = GATE_BIAS
) -> nn.Module:
    """A gate on the shortcut of every unit; `exclusive`: its complement gates the residual."""
    net = CifarResNet(num_classes, depth, partial(GatedBlock, exclusive=exclusive, gate_bias=gate_bias))
    for module in net.modules():  # after the network's own initialisation, which zeroes biases
        if isinstance(module, GatedBlock):
            assert module.gate.bias is not None
            nn.init.constant_(module.gate.bias, module.gate_bias)
    return net


def conv_shortcut(num_classes: int = 10, depth: int = DEPTH) -> nn.Module:
    """A 1×1 convolution without bias on the shortcut of every unit, also where the shape stays."""
    path = partial(nn.Conv2d, kernel_size=1, bias=False)
    return CifarResNet(num_classes, depth, partial(BasicBlock, shortcut=lambda i, o, s: path(i, o, stride=s)))


def dropout_shortcut(num_classes: int = 10, depth: int = DEPTH, *, dropout: float = 0.5) -> nn.Module:
    """Dropout on the shortcut of every unit. Raises BadInput unless 0 <= dropout < 1."""
    require_rate("dropout", dropout)

    def path(inputs: int, outputs: int, stride: int) -> nn.Module:
        return nn.Sequential(option_a(inputs, outputs, stride), nn.Dropout(dropout))

    return CifarResNet(num_classes, depth, partial(BasicBlock, shortcut=path))


def _add(name: str, title: str, builder: Callable[..., nn.Module], published: str, note: str) -> None:
    add(
        Architecture(
            name=f"resnet110_{name}",
            title=f"ResNet-110, {title} (CIFAR)",
            family="CIFAR ResNet",
            builder=builder,
            preprocessing=Preprocessing((32, 32), mean=CIFAR_MEAN, std=CIFAR_STD),
            classes=10,
            labels="cifar10",
            source="He et al., ECCV 2016, section 3",
            year=2016,
            published=f"{published}, CIFAR-10 with flips and crops; 6.61 % with identity shortcuts",
            note=note,
        )
    )


_add(
    "constant_scaling",
    "scaled shortcuts",
    partial(constant_scaling, depth=DEPTH),
    published="12.35 % error",
    note="Shortcut and residual times 0.5; with residual_scale=1 training fails.",
)
_add(
    "exclusive_gating",
    "exclusive gating",
    partial(gating, depth=DEPTH, exclusive=True),
    published="8.70 % error",
    note="Gate biases start at −6; with 0 to −5 training fails.",
)
_add(
    "shortcut_gating",
    "gated shortcuts",
    partial(gating, depth=DEPTH, exclusive=False),
    published="6.91 % error",
    note="Gate biases start at −6; with 0 the error is 12.86 %.",
)
_add(
    "conv_shortcut",
    "1×1 convolutions as shortcuts",
    partial(conv_shortcut, depth=DEPTH),
    published="12.22 % error",
    note="The convolutions have neither bias nor batch norm.",
)
_add(
    "dropout_shortcut",
    "dropout on shortcuts",
    partial(dropout_shortcut, depth=DEPTH),
    published="over 20 % error",
    note="Half of the values of every shortcut are dropped in training.",
)
