"""GoogLeNet as published: the rows of its table, its heads, and what the reductions of a module save."""

import pytest
import torch
from layer_costs import map_sides, multiply_adds, on_meta, parameters
from torch import nn

import cnnviz
from cnnviz.models.families.googlenet import AuxiliaryHead

IMAGE = (3, 224, 224)
ROWS = {  # row of table 1: parameters with biases, multiply-adds
    "conv1": (9_472, 118_013_952),
    "conv2+3": (114_944, 359_661_568),
    "inception3a": (163_696, 128_049_152),
    "inception3b": (388_736, 304_267_264),
    "inception4a": (376_176, 73_608_192),
    "inception4b": (449_160, 87_908_352),
    "inception4c": (510_104, 99_850_240),
    "inception4d": (605_376, 118_515_712),
    "inception4e": (868_352, 169_996_288),
    "inception5a": (1_043_456, 51_079_168),
    "inception5b": (1_444_080, 70_697_984),
    "fc": (1_025_000, 1_024_000),
}


def test_each_row_has_the_published_parameters_and_multiply_adds():
    net = on_meta("googlenet_2014")
    costs = multiply_adds(net, IMAGE)
    found = {}
    for name, child in net.named_children():
        macs = sum(count for layer, count in costs.items() if layer.split(".")[0] == name)
        row = "conv2+3" if name in ("conv2", "conv3") else name
        before = found.get(row, (0, 0))
        found[row] = (before[0] + parameters(child), before[1] + macs)
    assert {row: cost for row, cost in found.items() if cost != (0, 0)} == ROWS


def test_pools_round_the_map_size_up():
    sides = map_sides(on_meta("googlenet_2014"), IMAGE)
    assert [sides[name] for name in ("conv1", "maxpool1", "maxpool2", "maxpool3", "maxpool4")] == [112, 56, 28, 14, 7]


def test_the_third_branch_has_real_five_by_five_kernels():
    modules = [m for name, m in on_meta("googlenet_2014").named_modules() if name.endswith("branch3.1.conv")]
    assert [m.kernel_size for m in modules] == [(5, 5)] * 9


def test_heads_come_on_request_and_cost_what_is_published():
    net = on_meta("googlenet_2014", aux=True)
    assert (parameters(net.aux1), parameters(net.aux2)) == (3_188_840, 3_190_888)
    assert parameters(net) == 13_378_280
    assert sum(multiply_adds(net, IMAGE).values()) == 1_591_044_096


def test_training_with_heads_returns_the_main_logits_then_those_of_4d_and_4a():
    net = on_meta("googlenet_2014", aux=True, num_classes=7).train()
    inputs = {}
    for name in ("aux1", "aux2"):
        head = net.get_submodule(name)
        head.register_forward_hook(lambda _m, taken, output, name=name: inputs.update({name: (taken[0], output)}))
    logits, late, early = net(torch.zeros(2, *IMAGE, device="meta"))
    assert [tuple(output.shape) for output in (logits, late, early)] == [(2, 7)] * 3
    assert late is inputs["aux2"][1] and inputs["aux2"][0].shape[1] == 528  # 4d
    assert early is inputs["aux1"][1] and inputs["aux1"][0].shape[1] == 512  # 4a
    assert tuple(net.eval()(torch.zeros(2, *IMAGE, device="meta")).shape) == (2, 7)


def test_training_without_heads_returns_logits():
    net = on_meta("googlenet_2014").train()
    assert tuple(net(torch.zeros(2, *IMAGE, device="meta")).shape) == (2, 1000)


def test_a_head_averages_windows_of_five_at_steps_of_three(seeded):
    head = AuxiliaryHead(4, 3).eval()
    x = torch.randn(1, 4, 14, 14, generator=seeded)
    starts = (0, 3, 6, 9)
    means = [[x[:, :, r : r + 5, c : c + 5].mean((2, 3)) for c in starts] for r in starts]
    pooled = torch.stack([torch.stack(row, -1) for row in means], -2)
    with torch.no_grad():
        torch.testing.assert_close(head.avgpool(x), pooled)
        hidden = head.conv(pooled).flatten(1)
        torch.testing.assert_close(head(x), head.fc2(head.fc1(hidden).clamp_min(0)))


def test_a_module_is_its_four_branches_side_by_side(seeded):
    torch.manual_seed(0)
    module = cnnviz.build("reduced_inception").eval()
    x = torch.randn(1, 256, 6, 5, generator=seeded)

    def conv(layer: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
        weight = layer.conv.weight
        return torch.conv2d(x, weight, layer.conv.bias, padding=weight.shape[2] // 2).clamp_min(0)

    with torch.no_grad():
        parts = [
            conv(module.branch1, x),
            conv(module.branch2[1], conv(module.branch2[0], x)),
            conv(module.branch3[1], conv(module.branch3[0], x)),
            conv(module.branch4[1], torch.max_pool2d(x, 3, 1, 1)),
        ]
        torch.testing.assert_close(module(x), torch.cat(parts, 1))
    assert [part.shape[1] for part in parts] == [128, 192, 96, 64]
    assert [part.shape[2:] for part in parts] == [x.shape[2:]] * 4


@pytest.mark.parametrize(
    "name, branches",
    [
        ("naive_inception", [25_690_112, 346_816_512, 481_689_600]),
        ("reduced_inception", [25_690_112, 12_845_056, 86_704_128, 12_845_056, 120_422_400, 12_845_056]),
    ],
)
def test_reductions_save_multiplications_in_the_branches_where_the_figure_says(name, branches):
    assert list(multiply_adds(on_meta(name), (256, 28, 28)).values()) == branches


def test_the_naive_module_passes_its_pool_on_with_all_channels(seeded):
    module = cnnviz.build("naive_inception").eval()
    x = torch.randn(1, 256, 5, 5, generator=seeded)
    with torch.no_grad():
        found = module(x)
    assert found.shape == (1, 672, 5, 5)
    torch.testing.assert_close(found[:, -256:], torch.max_pool2d(x, 3, 1, 1))


def test_activations_keep_their_size_through_the_freshly_initialised_network():
    torch.manual_seed(0)
    net = cnnviz.build("googlenet_2014").eval()
    with torch.no_grad():
        x = net.maxpool2(net.norm2(net.conv3(net.conv2(net.norm1(net.maxpool1(net.conv1(torch.randn(1, *IMAGE))))))))
        early = net.inception3a(x)
        late = net.maxpool3(net.inception3b(early))
        for name in ("4a", "4b", "4c", "4d", "4e"):
            late = net.get_submodule(f"inception{name}")(late)
    assert 0.1 < float(late.std() / early.std()) < 10
