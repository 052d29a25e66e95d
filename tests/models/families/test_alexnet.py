"""AlexNet of 2012 and its relatives, and local response normalisation against its formulas."""

import pytest
import torch
from layer_costs import map_sides, multiply_adds, on_meta, parameters, run
from torch import Tensor, nn

import cnnviz
from cnnviz.models.families.alexnet import AlexNet
from cnnviz.models.families.blocks import caffe_lrn, paper_lrn

INPUT = (3, 227, 227)
DENSE = [37_752_832, 16_781_312, 4_097_000]
TWO_GROUPS = [34_944, 307_456, 885_120, 663_936, 442_624, *DENSE]
ONE_TOWER = [34_944, 614_656, 885_120, 1_327_488, 884_992, *DENSE]
MACS = [105_415_200, 223_948_800, 149_520_384, 112_140_288, 74_760_192, 37_748_736, 16_777_216, 4_096_000]


def normalised(x: Tensor, k: float, alpha: float, beta: float = 0.75, n: int = 5) -> Tensor:
    """b_i = a_i / (k + alpha · Σ a_j²)^beta, j from i - n/2 to i + n/2 where there are maps. NIPS 2012, 3.3."""
    out = torch.empty_like(x)
    for i in range(x.shape[1]):
        total = torch.zeros_like(x[:, i])
        for j in range(max(0, i - n // 2), min(x.shape[1] - 1, i + n // 2) + 1):
            total += x[:, j] ** 2
        out[:, i] = x[:, i] / (k + alpha * total) ** beta
    return out


def test_local_response_normalisation_is_the_formula_of_the_paper_or_of_caffe():
    x = 30 * torch.randn(2, 9, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(paper_lrn()(x), normalised(x, k=2, alpha=1e-4))
    torch.testing.assert_close(caffe_lrn()(x), normalised(x, k=1, alpha=1e-4 / 5))
    assert (paper_lrn()(x) / caffe_lrn()(x)).max() < 0.7  # 2^-0.75 where the responses are small


@pytest.mark.parametrize(
    "name, first, second, k, alpha",
    [("alexnet_2012", 2, 6, 2, 1e-4), ("alexnet_one_tower", 2, 6, 2, 1e-4), ("caffenet", 3, 7, 1, 1e-4 / 5)],
)
def test_each_network_normalises_with_its_own_constants(name, first, second, k, alpha):
    features = on_meta(name).features
    x = 30 * torch.randn(1, 8, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for place in (first, second):
        torch.testing.assert_close(features[place](x), normalised(x, k, alpha))


@pytest.mark.parametrize(
    "name, rows", [("alexnet_2012", TWO_GROUPS), ("caffenet", TWO_GROUPS), ("alexnet_one_tower", ONE_TOWER)]
)
def test_every_layer_has_the_published_parameters(name, rows):
    layers = [m for m in on_meta(name).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [parameters(layer) for layer in layers] == rows


def test_every_layer_has_the_published_multiply_adds():
    assert list(multiply_adds(on_meta("alexnet_2012"), INPUT).values()) == MACS


def test_the_layers_have_the_paper_s_650_000_units():
    units: list[int] = []
    net = on_meta("alexnet_2012")
    layers = dict(net.named_modules())

    def count(name: str, output: Tensor) -> None:
        if isinstance(layers[name], nn.Conv2d | nn.Linear):
            units.append(output.numel())

    run(net, INPUT, count)
    assert units == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert sum(units) == 659_272


@pytest.mark.parametrize("name", ["alexnet_2012", "caffenet", "alexnet_one_tower"])
def test_maps_shrink_from_55_to_6(name):
    sides = map_sides(on_meta(name), INPUT)
    layers = dict(on_meta(name).named_modules())
    found = [side for layer, side in sides.items() if isinstance(layers[layer], nn.Conv2d | nn.MaxPool2d)]
    assert found == [55, 27, 27, 13, 13, 13, 13, 6]


def test_alexnet_normalises_before_pooling_and_caffenet_after():
    def order(name: str) -> list[str]:
        return [type(m).__name__ for m in on_meta(name).features[:8]]

    first = ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"]
    assert order("alexnet_2012") == order("alexnet_one_tower") == first * 2
    assert order("caffenet") == ["Conv2d", "ReLU", "MaxPool2d", "LocalResponseNorm"] * 2


def test_receptive_fields_are_the_published_ones():
    model = cnnviz.load("alexnet_2012", weights="random", device="cpu")
    layers = [name for name in model.layers() if name.startswith("features")]
    assert [cnnviz.receptive_field(model, name).size[0] for name in layers] == [11, 19, 51, 67, 99, 131, 163, 195]


@pytest.mark.parametrize("conv, inputs, outputs", [("features.4", 96, 256), ("features.10", 384, 384)])
def test_the_second_half_of_the_maps_never_sees_the_first(conv, inputs, outputs):
    with torch.device("meta"):
        meta = AlexNet(2).get_submodule(conv)
    layer = nn.Conv2d(inputs, outputs, meta.kernel_size, padding=meta.padding, groups=meta.groups)
    x = torch.randn(1, inputs, 5, 5, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[:, : inputs // 2] += 1
    same = (layer(x) == layer(changed)).all(dim=(0, 2, 3))
    assert same.tolist() == [False] * (outputs // 2) + [True] * (outputs // 2)


def test_dropout_falls_on_fc6_and_fc7_in_training_alone():
    torch.manual_seed(0)
    net = on_meta("alexnet_2012").classifier
    assert [type(m).__name__ for m in net] == ["Linear", "ReLU", "Dropout"] * 2 + ["Linear"]
    x = torch.ones(1, 4000)
    assert (net[2].train()(x) == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    torch.testing.assert_close(net[2].eval()(x), x)
