"""VGG-11, 13, 16 and 19 for CIFAR-10: batch norm after each convolution, and one linear layer 512 → classes.

Source: github.com/kuangliu/pytorch-cifar; Simonyan and Zisserman, ICLR 2015, table 1."""

from functools import partial

from torch import Tensor, nn

from cnnviz.models.families.blocks import he_normal
from cnnviz.models.families.cifar_zoo import add_zoo

COUNTS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # convolutions a stage
WIDTHS = (64, 128, 256, 512, 512)


class SmallImageVgg(nn.Module):
    """(N, 3, 32, 32) → (N, num_classes) logits: five stages of padded 3×3 convolutions, each halved by a max pool.

    `counts`: convolutions of each stage."""

    def __init__(self, num_classes: int = 10, counts: tuple[int, ...] = COUNTS[16]) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        inputs = 3
        for count, maps in zip(counts, WIDTHS, strict=True):
            for _ in range(count):
                steps += [nn.Conv2d(inputs, maps, 3, padding=1), nn.BatchNorm2d(maps), nn.ReLU(inplace=True)]
                inputs = maps
            steps.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*steps)
        self.classifier = nn.Linear(inputs, num_classes)
        he_normal(self, "fan_in")

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


for _depth, _counts in COUNTS.items():
    add_zoo(
        f"vgg{_depth}_cifar",
        f"VGG-{_depth}",
        partial(SmallImageVgg, counts=_counts),
        paper="Simonyan and Zisserman, ICLR 2015",
        accuracy="92.64 %" if _depth == 16 else "",
        note=f"The convolutions of vgg{_depth}_bn; at 32×32 the last map is 1×1, and one linear layer follows.",
    )
