"""BN-Inception: the published widths of each module, and its two modules that halve the map."""

import torch
from layer_costs import map_sides, on_meta, parameters
from torch import nn

from cnnviz.models.families.bn_inception import BNInceptionModule

MODULES = {  # channels and side of each module's output, as in the paper's table
    "3a": (256, 28),
    "3b": (320, 28),
    **dict.fromkeys(("3c", "4a", "4b", "4c", "4d"), (576, 14)),
    **dict.fromkeys(("4e", "5a", "5b"), (1024, 7)),
}
RELEASED = {  # parameters of modules whose widths the release kept, and how many of them convolution biases
    "3a": (219_552, 64 + 64 + 64 + 64 + 96 + 96 + 32),
    "3b": (260_704, 64 + 64 + 96 + 64 + 96 + 96 + 64),
    "3c": (385_632, 128 + 160 + 64 + 96 + 96),
    "4a": (610_848, 224 + 64 + 96 + 96 + 128 + 128 + 128),
    "4b": (666_240, 192 + 96 + 128 + 96 + 128 + 128 + 128),
    "5b": (2_281_248, 352 + 192 + 320 + 192 + 224 + 224 + 128),
}


def outputs(net: nn.Module) -> dict[str, tuple[int, int]]:
    found = {}
    for name in MODULES:
        net.get_submodule(f"inception{name}").register_forward_hook(
            lambda _m, _i, output, name=name: found.update({name: (output.shape[1], output.shape[2])})
        )
    net(torch.zeros(1, 3, 224, 224, device="meta"))
    return found


def test_modules_have_the_published_widths_and_sides():
    assert outputs(on_meta("bn_inception")) == MODULES


def test_modules_have_the_released_parameters_less_the_convolution_biases():
    net = on_meta("bn_inception")
    for name, (released, biases) in RELEASED.items():
        assert parameters(net.get_submodule(f"inception{name}")) == released - biases, name


def test_no_convolution_has_a_bias_and_each_has_its_own_batch_norm_and_relu():
    modules = list(on_meta("bn_inception").modules())
    convolutions = [m for m in modules if isinstance(m, nn.Conv2d)]
    assert all(m.bias is None for m in convolutions)
    for kind in (nn.BatchNorm2d, nn.ReLU):
        assert len({id(m) for m in modules if isinstance(m, kind)}) == len(convolutions) == 69


def test_only_the_last_module_pools_maxima_beside_its_convolutions():
    net = on_meta("bn_inception")
    kinds = {
        name: [type(m).__name__ for m in net.get_submodule(f"inception{name}").branch4.modules()] for name in MODULES
    }
    assert [name for name, found in kinds.items() if "MaxPool2d" in found] == ["3c", "4e", "5b"]
    assert all(("AvgPool2d" in found) != ("MaxPool2d" in found) for found in kinds.values())


def test_a_module_of_stride_two_passes_the_pooled_input_on(seeded):
    module = BNInceptionModule((8, 0, 3, 5, 3, 4), "stride 2", 0).eval()
    x = torch.randn(1, 8, 28, 28, generator=seeded)
    with torch.no_grad():
        found = module(x)
    assert found.shape == (1, 5 + 4 + 8, 14, 14)
    for row in (0, 6, 13):
        for col in (0, 7, 13):
            window = x[:, :, 2 * row : 2 * row + 3, 2 * col : 2 * col + 3]
            torch.testing.assert_close(found[:, 9:, row, col], window.amax((2, 3)))


def test_the_stem_quarters_the_map_and_halves_it_once_more():
    sides = map_sides(on_meta("bn_inception"), (3, 224, 224))
    assert [sides[name] for name in ("conv1", "maxpool1", "conv3", "maxpool2")] == [112, 56, 56, 28]
