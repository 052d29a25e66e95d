"""Highway network: the gating equation, and gates that at first pass on."""

import torch
from layer_costs import map_sides, on_meta, parameters

import cnnviz
from cnnviz.models.families.highway import HighwayLayer


def test_a_highway_layer_mixes_its_input_and_its_transform_by_the_gate(seeded):
    torch.manual_seed(0)
    layer = HighwayLayer(3)
    x = torch.randn(2, 3, 5, 4, generator=seeded)
    with torch.no_grad():
        h = torch.conv2d(x, layer.transform.weight, layer.transform.bias, padding=1)
        t = torch.conv2d(x, layer.gate.weight, layer.gate.bias, padding=1)
        found = layer(x)
    for place in ((0, 0, 0, 0), (0, 2, 4, 3), (1, 1, 2, 2), (1, 0, 3, 1)):
        gate = 1 / (1 + torch.exp(-t[place]))
        expected = max(float(h[place]), 0.0) * gate + x[place] * (1 - gate)
        torch.testing.assert_close(found[place], expected)


def test_a_closed_gate_passes_the_input_on_and_an_open_one_the_transform(seeded):
    layer = HighwayLayer(2)
    x = torch.randn(1, 2, 4, 4, generator=seeded)
    with torch.no_grad():
        layer.gate.weight.zero_()
        layer.gate.bias.fill_(-100.0)
        torch.testing.assert_close(layer(x), x)
        layer.gate.bias.fill_(100.0)
        torch.testing.assert_close(layer(x), layer.transform(x).clamp_min(0))


def test_all_gates_start_at_minus_two_and_mostly_pass_on():
    torch.manual_seed(0)
    net = cnnviz.build("highway19_cifar10").eval()
    layers = [m for m in net.modules() if isinstance(m, HighwayLayer)]
    assert len(layers) == 14
    assert all((layer.gate.bias == -2).all() and (layer.transform.bias == 0).all() for layer in layers)
    shares = []
    hooks = [layer.sigmoid.register_forward_hook(lambda _m, _i, t: shares.append(float(t.mean()))) for layer in layers]
    with torch.no_grad():
        net(torch.randn(2, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    assert len(shares) == 14 and max(shares) < 0.5


def test_stages_have_the_published_sides_and_parameters():
    net = on_meta("highway19_cifar10")
    sides = map_sides(net, (3, 32, 32))
    stages = [net.features.stage1, net.features.stage2, net.features.stage3]
    assert [sides[f"features.stage{i}.conv"] for i in (1, 2, 3)] == [32, 16, 8]
    assert [parameters(stage) for stage in stages] == [896 + 73_984, 23_120 + 576_800, 92_288 + 1_475_840]
    assert parameters(net.conv) == 12_900 and parameters(net.fc) == 1_010
