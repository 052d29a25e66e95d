"""Growth of receptive fields: published sizes, and one pixel changed at a time to see which units notice."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput, Cancelled, UnknownName
from cnnviz.models.catalogue.registry import build
from cnnviz.models.model import LoadedModel
from cnnviz.studies.receptive.growth import find_main_layers, measure_effective_growth, measure_growth, order_layers
from cnnviz.tracing.receptive_field import receptive_field


def wrapped(module: nn.Module, size: tuple[int, int], channels: int = 3) -> LoadedModel:
    expects = Preprocessing(size, mean=(0.0,) * channels, std=(1.0,) * channels)
    return LoadedModel(module, "tiny", expects, ["a"], torch.device("cpu"))


class Branched(nn.Module):
    """A skip past a dilated convolution, a pool, a stride, and a mean over all places."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 3, 3, padding=1)
        self.wide = nn.Conv2d(3, 3, 3, padding=2, dilation=2)
        self.pool = nn.AvgPool2d(2)
        self.down = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.down(self.pool(x + torch.tanh(self.wide(x))))
        return self.head(self.mean(x).flatten(1))


def noticed(model: LoadedModel, layer: str) -> np.ndarray:
    """(rows, cols, H, W) True where changing a pixel changes a unit: one forward pass for every pixel."""
    found = {}
    handle = model.module.get_submodule(layer).register_forward_hook(lambda _m, _i, out: found.update(out=out))
    channels, height, width = model.input_size
    base = torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        model.module(base)
        still, changed = found["out"], []
        for row in range(height):
            for col in range(width):
                other = base.clone()
                other[..., row, col] += 1.0
                model.module(other)
                changed.append((found["out"] != still).any(1)[0].numpy())
    handle.remove()
    return np.stack(changed).reshape(height, width, *changed[0].shape).transpose(2, 3, 0, 1)


@pytest.mark.parametrize("layer", ["stem", "wide", "pool", "down"])
def test_a_unit_notices_a_changed_pixel_up_to_the_edges_of_its_box_and_none_beyond(layer):
    torch.manual_seed(1)
    model = wrapped(Branched().double(), (18, 14), 2)
    seen = noticed(model, layer)
    field = receptive_field(wrapped(model.module.float(), (18, 14), 2), layer)
    assert field.shape == seen.shape[:2]
    for row in range(seen.shape[0]):
        for col in range(seen.shape[1]):
            rows, cols = np.nonzero(seen[row, col])
            assert field.box(row, col) == (rows.min(), cols.min(), rows.max() + 1, cols.max() + 1)
    middle = seen[seen.shape[0] // 2, seen.shape[1] // 2]
    found = measure_growth(model, [layer]).rows[0]
    if found.size[0] <= 9:  # the field of the unit in the middle lies inside: what it notices is its size
        assert found.size == tuple(np.ptp(np.nonzero(middle), axis=1) + 1)


PUBLISHED = [
    ("zfnet", {f"features.{at}": size for at, size in ((0, 7), (4, 27), (8, 75), (10, 107), (12, 139), (14, 171))}),
    ("alexnet", {"features.12": 195}),
    ("vgg16", {"features.2": 5, "features.4": 6, "features.30": 212}),
    ("resnet18", {"conv1": 7, "layer4.1": 435}),
]


def without_weights(name: str) -> nn.Module:
    """A published network whose tensors hold nothing of worth, without its classifier: no memory and no time."""
    with torch.device("meta"):
        net = build(name)
    if hasattr(net, "features"):
        net = nn.Sequential(OrderedDict(features=net.features))
    return net.to_empty(device="cpu")


@pytest.mark.parametrize("name, expected", PUBLISHED)
def test_the_published_sizes_stand_on_the_curve(name, expected):
    found = measure_growth(wrapped(without_weights(name), (65, 64)))
    assert {layer: found[layer].size[0] for layer in expected} == expected
    sizes = [row.size[0] for row in found.spatial]
    assert sizes == sorted(sizes)


def test_a_chain_grows_by_the_formula_and_tells_where_it_exceeds_the_image():
    layers = [(3, 1, 1), (2, 2, 1), (3, 1, 2), (3, 2, 1)]
    net = nn.Sequential(
        *(
            nn.Conv2d(3 if not at else 2, 2, k, stride=s, dilation=d, padding=k // 2)
            for at, (k, s, d) in enumerate(layers)
        )
    )
    found = measure_growth(wrapped(net, (12, 15)))
    size, jump, expected = 1, 1, []
    for k, s, d in layers:
        size, jump = size + d * (k - 1) * jump, jump * s
        expected.append((size, jump))
    assert [(row.size[0], row.stride[0]) for row in found.rows] == expected == [(3, 1), (4, 2), (12, 2), (16, 4)]
    assert found.exceeding.layer == "3" and found.image == (12, 15)
    assert [row.kind for row in found.rows] == ["conv"] * 4


def test_blocks_stand_where_they_end_and_global_pooling_ends_the_places():
    model = wrapped(build("resnet20_cifar"), (32, 32))
    names = find_main_layers(model)
    assert names[:2] == ["conv1", "layer1.0"] and names[-2:] == ["avgpool", "fc"] and len(names) == 12
    order = order_layers(model, ["layer1.0", "layer1.0.conv2", "layer1.0.conv1", "conv1"])
    assert order == ["conv1", "layer1.0.conv1", "layer1.0.conv2", "layer1.0"]
    found = measure_growth(model)
    assert [row.layer for row in found.rows if row.whole] == ["avgpool", "fc"]
    assert found["avgpool"].size == (32, 32) and found["layer3.2"].size == (81, 81)
    with pytest.raises(BadInput, match="conv1"):
        found["conv9"]
    with pytest.raises(UnknownName):
        measure_growth(model, ["conv9"])


def test_a_network_in_one_wrapper_shows_all_its_layers_and_unused_ones_are_left_out():
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = Branched()
            self.unused = nn.Conv2d(2, 2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.body(x)

    names = find_main_layers(wrapped(Wrapper(), (16, 16), 2))
    assert "body.stem" in names and "unused" not in names and names[-1] == "body"


def test_equal_kernels_have_an_effective_size_that_grows_with_the_root_of_the_depth():
    depth, model = 9, nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1, bias=False) for _ in range(9)))
    for conv in model:
        conv.weight.data.fill_(1.0)
    rows = measure_effective_growth(
        wrapped(model, (41, 41), 1), torch.zeros(2, 1, 41, 41), [str(n) for n in range(depth)]
    )
    for n, row in enumerate(rows, 1):
        np.testing.assert_allclose(row.sigma, np.sqrt(n * 8 / 12), rtol=1e-5)
        assert row.half[0] <= row.most[0] <= 2 * n + 1
    assert rows[0].half == (3, 3) and rows[0].layer == "0"  # 1/9 in the middle is no half
    told = []
    with pytest.raises(Cancelled):
        measure_effective_growth(
            wrapped(model, (41, 41), 1),
            torch.zeros(1, 1, 41, 41),
            ["0", "1", "2"],
            lambda state: told.append((state.done, state.total)) or len(told) < 2,
        )
    assert told == [(1, 3), (2, 3)]


def test_a_silent_layer_has_the_effective_size_zero():
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.Conv2d(1, 1, 3, padding=1))
    net[0].weight.data.fill_(0.0)
    net[0].bias.data.fill_(-1.0)
    (row,) = measure_effective_growth(wrapped(net, (8, 8), 1), torch.zeros(1, 1, 8, 8), ["2"])
    assert (row.half, row.most, row.sigma) == ((0, 0), (0, 0), (0.0, 0.0))
