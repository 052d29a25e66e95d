"""DenseNet-264 and the CIFAR DenseNets, with torchvision's names of the layers.

Source: Huang, Liu, van der Maaten, Weinberger, CVPR 2017, section 3, tables 1 and 2."""

from collections import OrderedDict
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn

from cnnviz.data.preprocessing import CIFAR_MEAN, CIFAR_STD, Preprocessing
from cnnviz.errors import BadInput
from cnnviz.models.catalogue.architecture import Architecture, add
from cnnviz.models.families.blocks import he_normal
from cnnviz.wording import plural


class DenseLayer(nn.Module):
    """(N, inputs, H, W) → `growth` new maps (N, growth, H, W).

    Batch norm, ReLU, 3×3 convolution; `bottleneck` puts norm, ReLU and a 1×1 convolution to 4 · growth
    maps before. `drop`: rate of the dropout after each convolution; no such layer at 0."""

    def __init__(self, inputs: int, growth: int, bottleneck: bool, drop: float) -> None:
        super().__init__()
        steps = [(inputs, 4 * growth, 1), (4 * growth, growth, 3)] if bottleneck else [(inputs, growth, 3)]
        for number, (maps, outputs, kernel) in enumerate(steps, 1):
            self.add_module(f"norm{number}", nn.BatchNorm2d(maps))
            self.add_module(f"relu{number}", nn.ReLU(inplace=True))
            self.add_module(f"conv{number}", nn.Conv2d(maps, outputs, kernel, padding=kernel // 2, bias=False))
            if drop:
                self.add_module(f"drop{number}", nn.Dropout(drop))

    def forward(self, x: Tensor) -> Tensor:
        for step in self.children():
            x = step(x)
        return x


class DenseBlock(nn.Module):
    """Layers each of which sees the block's input and the maps of all layers before it; so does the output."""

    def __init__(self, layers: Iterable[DenseLayer]) -> None:
        super().__init__()
        for number, layer in enumerate(layers, 1):
            self.add_module(f"denselayer{number}", layer)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.children():
            maps.append(layer(torch.cat(maps, 1)))
        return torch.cat(maps, 1)


class DenseNet(nn.Module):
    """(N, 3, H, W) → (N, num_classes) logits.

    `blocks`: layers of each dense block. `growth`: k, new maps a layer. `stem`: maps of the first
    convolution. `bottleneck`: the B of -BC; `compression`: θ, share of the maps that a transition keeps,
    0.5 in -BC, 1 else. `large`: the ImageNet stem, 7×7 with stride 2 and a max pool, instead of one 3×3
    convolution. `drop`: rate of dropout after each convolution but the first; the paper uses 0.2 on data
    without augmentation. Raises BadInput for a rate outside 0 <= drop < 1."""

    def __init__(
        self,
        num_classes: int = 10,
        blocks: tuple[int, ...] = (12, 12, 12),
        growth: int = 12,
        stem: int = 16,
        bottleneck: bool = False,
        compression: float = 1.0,
        large: bool = False,
        *,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= drop < 1:
            raise BadInput(f"drop is a rate, 0 <= drop < 1, got {drop}. The paper uses 0.2 without augmentation.")
        self.features = _stem(stem, large)
        maps = stem
        for number, count in enumerate(blocks, 1):
            layers = [DenseLayer(maps + i * growth, growth, bottleneck, drop) for i in range(count)]
            self.features.add_module(f"denseblock{number}", DenseBlock(layers))
            maps += count * growth
            if number < len(blocks):
                kept = int(maps * compression)
                self.features.add_module(f"transition{number}", _transition(maps, kept, drop))
                maps = kept
        self.features.add_module(f"norm{len(blocks) + 1}", nn.BatchNorm2d(maps))
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(maps, num_classes)
        he_normal(self, "fan_in")

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.relu(self.features(x)))
        return self.classifier(x.flatten(1))


def _stem(maps: int, large: bool) -> nn.Sequential:
    if not large:
        return nn.Sequential(OrderedDict(conv0=nn.Conv2d(3, maps, 3, padding=1, bias=False)))
    return nn.Sequential(
        OrderedDict(
            conv0=nn.Conv2d(3, maps, 7, 2, 3, bias=False),
            norm0=nn.BatchNorm2d(maps),
            relu0=nn.ReLU(inplace=True),
            pool0=nn.MaxPool2d(3, 2, 1),
        )
    )


def _transition(inputs: int, outputs: int, drop: float) -> nn.Sequential:
    steps: OrderedDict[str, nn.Module] = OrderedDict(
        norm=nn.BatchNorm2d(inputs),
        relu=nn.ReLU(inplace=True),
        conv=nn.Conv2d(inputs, outputs, 1, bias=False),
    )
    if drop:
        steps["drop"] = nn.Dropout(drop)
    steps["pool"] = nn.AvgPool2d(2)
    return nn.Sequential(steps)


_SOURCE = "Huang et al., CVPR 2017"
add(
    Architecture(
        name="densenet264",
        title="DenseNet-264",
        family="DenseNet",
        builder=partial(
            DenseNet, blocks=(6, 12, 64, 48), growth=32, stem=64, bottleneck=True, compression=0.5, large=True
        ),
        preprocessing=Preprocessing((224, 224), resize=256),
        classes=1000,
        labels="imagenet",
        source=_SOURCE,
        year=2017,
        published="22.15 % top-1 and 6.12 % top-5 error, ILSVRC-2012 validation, one network, one crop",
        note="Growth 32 as in the paper's table 1; timm's densenet264d is another network (growth 48, deep stem).",
    )
)

_NON_BC = "Transitions keep all maps. pytorchcv's network of this name halves them: its weights do not fit."
for _depth, _growth, _bc, _published in (
    (40, 12, False, "7.00 % error, 5.24 % with flips and crops, CIFAR-10"),
    (100, 12, False, "5.77 % error, 4.10 % with flips and crops, CIFAR-10"),
    (100, 24, False, "5.83 % error, 3.74 % with flips and crops, CIFAR-10"),
    (100, 12, True, "5.92 % error, 4.51 % with flips and crops, CIFAR-10"),
    (250, 24, True, "5.19 % error, 3.62 % with flips and crops, CIFAR-10"),
    (190, 40, True, "3.46 % error, CIFAR-10 with flips and crops"),
):
    _layers = (_depth - 4) // (6 if _bc else 3)  # of a block; with bottleneck each has two convolutions
    add(
        Architecture(
            name=f"densenet{'_bc' if _bc else ''}_{_depth}_k{_growth}",
            title=f"DenseNet{'-BC' if _bc else ''}, {plural(_depth, 'layer')}, growth {_growth} (CIFAR)",
            family="CIFAR DenseNet",
            builder=partial(
                DenseNet,
                blocks=(_layers,) * 3,
                growth=_growth,
                stem=2 * _growth if _bc else 16,
                bottleneck=_bc,
                compression=0.5 if _bc else 1.0,
                large=False,
            ),
            preprocessing=Preprocessing((32, 32), mean=CIFAR_MEAN, std=CIFAR_STD),
            classes=10,
            labels="cifar10",
            source=_SOURCE,
            year=2017,
            published=_published,
            note="" if _bc else _NON_BC,
        )
    )
