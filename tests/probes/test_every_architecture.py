"""All probes on all networks of the catalogue, and receptive fields of more than forty against the oracle."""

import contextlib
from itertools import product

import numpy as np
import pytest
import torch
from nets import hooks_left, published, tiny
from surrogate import gradient_box, layer_outputs, positive_copy
from torch import nn

import cnnviz
from cnnviz.attribution.reconstruct import find_support, reconstruct
from cnnviz.data.corpus import MemoryCorpus
from cnnviz.index.search.build import index_patches
from cnnviz.models.catalogue.registry import find
from cnnviz.probes.capture import capture, layer_shapes
from cnnviz.probes.filters import first_layer_filters
from cnnviz.tracing.receptive_field import receptive_field

DEEPER = set(  # or wider, of the very blocks of another that is looked at
    "resnet1202_cifar resnet101_cifar resnet152_cifar resnet101 resnet101_v1 resnet152_v1 preact_resnet1001 "
    "stochastic_depth1202 densenet169 densenet201 densenet_100_k24 densenet_bc_250_k24 vgg13 vgg19 vgg13_bn vgg19_bn "
    "cnn_m_1024 cnn_m_2048 alexnet_d2l densenet_bc_190_k40 densenet264 vgg11_lrn resnet152 wrn_28_10 densenet_100_k12 "
    "resnet110_cifar resnet110_cifar_b plain110_cifar resnet34_cifar resnet50_cifar vgg13_cifar vgg16_cifar "
    "vgg19_cifar vgg16 vgg16_bn cnn_m cnn_m_128 zfnet_b resnet56_cifar plain56_cifar".split()
)
EVERY = [name for name in cnnviz.architectures() if name not in DEEPER]


def network(name: str) -> cnnviz.LoadedModel:
    """The network at 64×64 or 128×128 where it takes that in place of more, else at its default input; a large one
    with weights that are cheaper to draw than its own."""
    channels, height, width = find(name).input_size
    size = (height, width)
    with torch.device("meta"):
        skeleton = cnnviz.build(name).eval()
        for side in (128, 64):
            with contextlib.suppress(RuntimeError):
                skeleton(torch.zeros(1, channels, side, side))
                size = (min(height, side), min(width, side))
    if sum(parameter.numel() for parameter in skeleton.parameters()) < 30_000_000:
        return published(name, size)
    module = skeleton.to_empty(device="cpu")
    drawn = torch.rand(1_000_003, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._NormBase):
            child.reset_running_stats()
    for key, parameter in module.named_parameters():
        fan_in = max(parameter[0].numel(), 1) if parameter.ndim > 1 else 0
        if fan_in:
            for part in parameter.data.view(-1).split(len(drawn)):
                part.copy_(drawn[: len(part)]).mul_((6 / fan_in) ** 0.5)
        else:
            parameter.data.fill_(0.1 if key.endswith("bias") else 1.0)
    return tiny(module, size, channels, known=True)


def spread(layers: list[str], count: int) -> list[str]:
    """`count` of the layers, evenly, the first and the last among them."""
    chosen = {layers[i * (len(layers) - 1) // max(count - 1, 1)] for i in range(count)}
    return sorted(chosen, key=layers.index)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_every_probe_works_on(name):
    model = network(name)
    channels, height, width = model.input_size
    pixels = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    shapes = layer_shapes(model)
    layers = spread(list(shapes), 3)

    maps = capture(model, list(pixels), layers)
    assert {layer: found.shape for layer, found in maps.items()} == {layer: (2, *shapes[layer]) for layer in layers}
    assert all(np.isfinite(found).all() for found in maps.values())

    tiles = first_layer_filters(model).tiles
    assert tiles.dtype == np.uint8 and tiles.ndim == 4 and len(tiles) > 0

    index = index_patches(model, MemoryCorpus("noise", list("ab"), pixels), layers, k=2, batch=2)
    for layer in layers:
        best = index.top(layer, 0)[0]
        found = maps[layer][best.image, 0]
        assert best.value == pytest.approx(float(found.max()), rel=1e-3, abs=1e-4)
        assert best.value == pytest.approx(float(found[best.row, best.col]), rel=1e-3, abs=1e-4)
        box = receptive_field(model, layer).box(best.row, best.col)
        assert best.box == box
        middle = layer == layers[len(layers) // 2]  # has rectifiers and convolutions on its way; the others one rule
        for rule in ("deconvnet", "gradient", "guided") if middle else ("deconvnet",):
            back = reconstruct(model, pixels[best.image], layer, 0, best.row, best.col, rule)
            assert back.shape == (channels, height, width)
            top, left, bottom, right = find_support(back)
            inside = box[0] <= top and box[1] <= left and bottom <= box[2] and right <= box[3]
            assert inside or not back.any(), (layer, rule)
    assert hooks_left(model.module) == 0


TINY = (32, 32)
ORACLE_SIZES = {  # input of the comparison: names; odd sizes where the network is free to take them
    (28, 28): "lenet5 maxout_mnist",
    TINY: "lenet5_1998 lenet_cifar maxout_cifar10 dsn_cifar10 resnet110_constant_scaling resnet110_exclusive_gating "
    "resnet110_shortcut_gating resnet110_conv_shortcut resnet110_dropout_shortcut preact_resnet164 "
    "stochastic_depth110 wrn_16_4 highway19_cifar10 fractalnet_c3b5 densenet_40_k12 densenet_bc_100_k12",
    (131, 99): "alexnet_2012 caffenet alexnet_one_tower cnn_f nin_imagenet",
    (107, 91): "zfnet zfnet_b cnn_m cnn_s",
    (67, 51): "vgg11_lrn vgg16_c vgg13_bn",
    (29, 26): "nin_cifar10 all_cnn_a all_cnn_b all_cnn_c plain20_cifar resnet20_cifar_b resnet56_noshort",
    (99, 91): "googlenet_2014 resnet50_v1 resnet18_a resnet34_c plain18 mobilenet_v1 mobilenet_v2 squeezenet1_1 "
    "efficientnet_lite0",
    (95, 63): "bn_inception",
    (11, 9): "naive_inception reduced_inception",
}
ORACLE = {name: size for size, names in ORACLE_SIZES.items() for name in names.split()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ORACLE)
def test_boxes_equal_the_gradient_support_of(name):
    model = published(name, ORACLE[name])
    if hasattr(model.module, "classifier") and any(isinstance(m, nn.Linear) for m in model.module.modules()):
        model.module.classifier = nn.Identity()  # wide linear layers see everything and only cost time
    layers = spread([layer for layer in model.layers() if not layer.startswith("classifier")], 7)
    oracle = positive_copy(model.module)
    image = torch.ones(1, *model.input_size, dtype=torch.float64, requires_grad=True)
    for layer, output in layer_outputs(oracle, image, layers).items():
        field = receptive_field(model, layer)
        rows, cols = output.shape[2:] if output.ndim == 4 else (1, 1)
        assert field.shape == (rows, cols), layer
        for row, col in product({0, rows // 2, rows - 1}, {0, cols // 2, cols - 1}):
            box, expected = field.box(row, col), gradient_box(output, image, row, col)
            area = (box[2] - box[0]) * (box[3] - box[1])
            assert area == 0 if expected is None else box == expected, (layer, row, col, box, expected)
