"""Deeply supervised net: companions on the raw convolutions, which change nothing in the answer."""

import torch
from layer_costs import on_meta, parameters
from torch import nn

import cnnviz
from cnnviz.models.families.dsn import COMPANIONS

IMAGE = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def quiet(classes: int = 10) -> nn.Module:
    """In training mode, without the dropouts that would blur a comparison."""
    torch.manual_seed(0)
    net = cnnviz.build("dsn_cifar10", classes).train()
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return net


def test_the_trunk_has_the_parameters_of_network_in_network_and_the_companions_the_rest():
    net = on_meta("dsn_cifar10")
    assert parameters(net.features) == 966_986
    assert [parameters(net.companions[name]) for name in COMPANIONS] == [1_966_090, 491_530, 122_890]


def test_companions_read_the_convolutions_before_their_relu():
    net = quiet(5)
    with torch.no_grad():
        logits, known = net(IMAGE)
        x, expected = IMAGE, []
        for name, layer in net.features.named_children():
            x = layer(x)
            if name in ("conv1", "conv2", "conv3"):
                assert (x < 0).any()
                weights = net.companions[name]
                expected.append(torch.einsum("nchw,kchw->nk", x, weights.weight.view(5, *x.shape[1:])) + weights.bias)
    torch.testing.assert_close(logits, x.mean((2, 3)))
    torch.testing.assert_close(known, expected, rtol=1e-4, atol=1e-4)


def test_evaluation_returns_the_main_logits_alone_and_companions_can_still_be_captured():
    net = quiet().eval()
    seen = []
    hook = net.companions["conv2"].register_forward_hook(lambda _m, _i, output: seen.append(output))
    with torch.no_grad():
        logits = net(IMAGE)
    hook.remove()
    assert logits.shape == (2, 10) and (logits < 0).any()
    assert [tuple(output.shape) for output in seen] == [(2, 10)]


def test_gradients_reach_the_first_convolution_from_its_companion_alone():
    net = quiet()
    net(IMAGE)[1][0].sum().backward()
    assert net.features.conv1.weight.grad.abs().sum() > 0
    assert net.features.conv2.weight.grad is None


def test_one_step_at_an_ordinary_rate_keeps_the_companions_in_bounds():
    net = quiet()
    labels = torch.tensor([0, 1])
    scale = net.learning_rate_scales["companions"]
    before = [nn.functional.cross_entropy(known, labels) for known in net(IMAGE)[1]]
    sum(before).backward()
    with torch.no_grad():
        for companion in net.companions.values():
            for parameter in companion.parameters():
                parameter -= 0.05 * scale * parameter.grad
        after = [nn.functional.cross_entropy(known, labels) for known in net(IMAGE)[1]]
    assert all(0 < new < old for old, new in zip(before, after, strict=True))
