"""Receptive fields against the gradient of a positive copy of the network, box by box."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from nets import Functional, published, tiny
from surrogate import gradient_box, layer_outputs, positive_copy
from torch import nn

from cnnviz.tracing.receptive_field import receptive_field


def conv(inputs: int = 3, outputs: int = 4, kernel: int = 3, **options) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, **options)


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def assert_boxes_match_the_gradient(model, layers, all_units=False):
    oracle = positive_copy(model.module)
    image = torch.ones(1, *model.input_size, dtype=torch.float64, requires_grad=True)
    for layer, output in layer_outputs(oracle, image, layers).items():
        field = receptive_field(model, layer)
        rows, cols = output.shape[2:] if output.ndim == 4 else (1, 1)
        assert field.shape == (rows, cols), layer
        units = {(0, 0), (rows // 2, cols // 2), (0, cols - 1), (rows - 1, cols - 1)}
        for row, col in product(range(rows), range(cols)) if all_units else units:
            box, expected = field.box(row, col), gradient_box(output, image, row, col)
            assert area(box) == 0 if expected is None else box == expected, (layer, row, col, box, expected)


def _residual(net, x):
    y = net.a(x)
    return F.relu(y + net.c(F.relu_(net.b(y))))


def _branches(net, x):
    return torch.cat([net.a(x), F.max_pool2d(net.b(x), 3, 2, 1), F.avg_pool2d(x, 2, 2, ceil_mode=True)], 1)


def _gate(net, x):
    y = net.a(x)
    return y * torch.sigmoid(net.b(F.adaptive_avg_pool2d(y, 1)))


def _written(net, x):
    y = torch.zeros(1, 3, 12, 9, dtype=x.dtype)
    y[:, :, ::2] = x[:, :, 1:7]
    y[:, :, 1::2, 2:] += x[:, :, :6, :-2]
    return net.a(y)


def _folded(net, x):  # a linear layer on channels-last pixels, as in ConvNeXt
    return net.b(net.a(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


HAND_MADE = {
    "residual": Functional(
        _residual, a=conv(kernel=5, stride=2), b=conv(4, 4, padding=1), c=conv(4, 4, padding=2, dilation=2)
    ),
    "stride above kernel": Functional(lambda n, x: n.b(n.a(x)), a=conv(kernel=2, stride=5), b=conv(4, 4, 1, stride=2)),
    "ceil mode": Functional(lambda n, x: n.a(F.max_pool2d(x, 3, 2, ceil_mode=True)), a=conv(kernel=2, padding=1)),
    "dilated maximum": Functional(lambda n, x: n.a(F.max_pool2d(x, 3, 1, 1, dilation=2)), a=conv(kernel=2)),
    "adaptive": Functional(lambda n, x: n.b(F.adaptive_avg_pool2d(n.a(x), (5, 7))), a=conv(), b=conv(4, 4, 2)),
    "adaptive enlarging": Functional(lambda n, x: F.adaptive_avg_pool2d(n.a(x), (25, 30)), a=conv(stride=2)),
    "branches": Functional(_branches, a=conv(kernel=5, stride=2, padding=2), b=conv(kernel=3, padding=1)),
    "side by side": Functional(
        lambda n, x: torch.cat([n.a(x), torch.zeros(1, 4, 15, 2, dtype=x.dtype), n.a(x)], 3)[:, :, :, 10:30],
        a=conv(),
    ),
    "gate": Functional(_gate, a=conv(kernel=3, stride=2), b=conv(4, 4, 1)),
    "global pooling": Functional(lambda n, x: n.b(n.a(x).mean((2, 3))), a=conv(stride=2), b=nn.Linear(4, 2)),
    "one axis pooled": Functional(lambda n, x: n.a(x).mean(3, keepdim=True), a=conv(stride=2)),
    "flattened": Functional(lambda n, x: n.b(n.a(x).flatten(1)), a=conv(1, 4, stride=9), b=nn.Linear(16, 2)),
    "grouped": Functional(lambda n, x: n.b(n.a(x)), a=conv(3, 6, groups=3), b=conv(6, 6, 5, groups=6, stride=2)),
    "slices": Functional(lambda n, x: n.a(x)[:, :, 1::2, 3:-1], a=conv(kernel=2)),
    "picked row": Functional(lambda n, x: n.a(x)[:, :, 5:6] + n.a(x)[:, :, :, -2:-1], a=conv()),
    "flipped and turned": Functional(lambda n, x: n.a(x.flip(3).transpose(2, 3)), a=conv(kernel=(2, 4), stride=3)),
    "padded": Functional(lambda n, x: n.a(F.pad(x, (3, 0, 0, 2))), a=conv(stride=2)),
    "cropped": Functional(lambda n, x: n.a(F.pad(x, (-2, 0, 1, -3))), a=conv(stride=2)),
    "reflected": Functional(lambda n, x: n.a(F.pad(x, (3, 2, 4, 3), mode="reflect")), a=conv()),
    "replicated": Functional(lambda n, x: n.a(F.pad(x, (3, 2, 4, 3), mode="replicate")), a=conv()),
    "circular": Functional(lambda n, x: n.a(x), a=conv(padding=2, kernel=5, padding_mode="circular")),
    "same with even kernel": Functional(lambda n, x: n.a(x), a=conv(kernel=4, padding="same")),
    "transposed": Functional(
        lambda n, x: n.b(n.a(x)), a=conv(kernel=2, stride=4), b=nn.ConvTranspose2d(4, 4, 4, 2, 1, dilation=1)
    ),
    "nearest": Functional(lambda n, x: n.b(F.interpolate(n.a(x), scale_factor=2)), a=conv(), b=conv(4, 4, 2)),
    "bilinear": Functional(
        lambda n, x: F.interpolate(n.a(x), (29, 11), mode="bilinear", align_corners=False), a=conv(stride=2)
    ),
    "aligned corners": Functional(
        lambda n, x: F.interpolate(n.a(x), (13, 11), mode="bilinear", align_corners=True), a=conv(stride=2)
    ),
    "pixel shuffle": Functional(lambda n, x: F.pixel_shuffle(n.a(x), 2), a=conv(3, 8, stride=3)),
    "pixel unshuffle": Functional(lambda n, x: F.pixel_unshuffle(n.a(x), 3), a=conv()),
    "rolled": Functional(lambda n, x: torch.roll(n.a(x), (1, -2), (2, 3)), a=conv(stride=2)),
    "split": Functional(lambda n, x: sum(torch.stack(n.a(x).chunk(2, 1), 1).unbind(1)), a=conv(padding=1)),
    "local response": Functional(lambda n, x: F.local_response_norm(n.a(x), 3), a=conv()),
    "channels last linear": Functional(_folded, a=conv(stride=2), b=nn.Linear(4, 5)),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kind", HAND_MADE)
def test_boxes_equal_the_gradient_support_of_hand_made_networks(kind):
    torch.manual_seed(0)
    model = tiny(HAND_MADE[kind], (17, 20), 1 if kind == "flattened" else 3)
    assert_boxes_match_the_gradient(model, ["out"], all_units=True)


def test_boxes_follow_writes_into_slices():
    model = tiny(Functional(_written, a=conv()), (17, 9))
    assert_boxes_match_the_gradient(model, ["out"], all_units=True)


@pytest.mark.parametrize(
    "name, size",
    [
        ("lenet5", (28, 28)),
        ("resnet20_cifar", (32, 32)),
        ("squeezenet1_0", (99, 87)),
        ("resnet18", (107, 90)),
        ("googlenet", (107, 91)),
        ("densenet121", (97, 91)),
        ("mobilenet_v3_small", (107, 91)),
        ("inception_v3", (107, 99)),
        ("alexnet", (103, 91)),
    ],
)
def test_boxes_equal_the_gradient_support_of_published_networks(name, size):
    model = published(name, size)
    if name == "lenet5":
        layers = model.layers()
    else:
        every = model.layers()
        layers = sorted({every[i * (len(every) - 1) // 6] for i in range(7)}, key=every.index)
    assert_boxes_match_the_gradient(model, layers)
