"""How rectifiers send a signal back: each rule against loops and against numerical derivatives."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import Functional, Written, images, strongest, tiny
from torch import nn

from cnnviz.attribution.reconstruct import reconstruct
from cnnviz.errors import BadInput
from cnnviz.interventions.relu_rules import REDIRECTED, RULES, RectifierRule


class ReluMethod(nn.Module):
    """Runs x.relu_() and returns x, so the rule must hold for whoever keeps the tensor."""

    def forward(self, x):
        x.relu_()
        return x


RECTIFIERS = {
    "module": nn.ReLU(),
    "module in place": nn.ReLU(inplace=True),
    "F.relu": Written(F.relu),
    "F.relu in place": Written(lambda x: F.relu(x, True)),
    "keyword": Written(lambda x: F.relu(input=x)),
    "torch.relu": Written(torch.relu),
    "Tensor.relu": Written(lambda x: x.relu()),
    "Tensor.relu_": ReluMethod(),
    "slice in place": Written(lambda x: (x[:, :1].relu_(), x[:, 1:].relu_(), x)[-1]),
    "clamp": Written(lambda x: x.clamp(min=0)),
    "clamp_": Written(lambda x: x.clamp_(0)),
    "clamp_min": Written(lambda x: torch.clamp_min(x, 0.0)),
    "relu6 far from 6": nn.ReLU6(inplace=True),
    "hardtanh": Written(lambda x: F.hardtanh(x, 0.0, 50.0)),
    "threshold": nn.Threshold(0, 0),
}


def correlate(x, weight):
    """Valid cross-correlation with loops. x (C, H, W), weight (F, C, k, k)."""
    filters, _, k, _ = weight.shape
    out = np.zeros((filters, x.shape[1] - k + 1, x.shape[2] - k + 1))
    for f, i, j in np.ndindex(out.shape):
        out[f, i, j] = (weight[f] * x[:, i : i + k, j : j + k]).sum()
    return out


def transpose(signal, weight, shape):
    """The transposed filters: every unit of `signal` adds its filter at its place in (C, H, W)."""
    k, out = weight.shape[-1], np.zeros(shape)
    for f, i, j in np.ndindex(signal.shape):
        out[:, i : i + k, j : j + k] += signal[f, i, j] * weight[f]
    return out


def through_relu(signal, before, rule):
    if rule != "deconvnet":
        signal = signal * (before > 0)
    return signal if rule == "gradient" else np.maximum(signal, 0)


def two_layers(rectifier):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), rectifier, nn.Conv2d(3, 4, 2), rectifier, nn.Conv2d(4, 2, 1))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", RECTIFIERS)
def test_two_rectified_layers_equal_the_loops(kind, rule):
    net = two_layers(RECTIFIERS[kind])
    image = images(1, (6, 6), 2)[0]
    first, second, third = (net[i] for i in (0, 2, 4))
    weights = [m.weight.detach().double().numpy() for m in (first, second, third)]
    biases = [m.bias.detach().double().numpy()[:, None, None] for m in (first, second, third)]
    a = correlate(image.double().numpy(), weights[0]) + biases[0]
    b = correlate(np.maximum(a, 0), weights[1]) + biases[1]
    seed = np.zeros((2, 3, 3))
    seed[1, 2, 0] = 1
    signal = through_relu(transpose(seed, weights[2], b.shape), b, rule)
    signal = through_relu(transpose(signal, weights[1], a.shape), a, rule)
    expected = transpose(signal, weights[0], (2, 6, 6))

    found = reconstruct(tiny(net, (6, 6), 2), image, "4", 1, 2, 0, rule)
    assert found.dtype == np.float32 and found.shape == (2, 6, 6)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(expected).max() > 0


def test_the_rules_differ_on_the_hand_computed_network():
    model, image = tiny(two_layers(nn.ReLU()), (6, 6), 2), images(1, (6, 6), 2)[0]
    found = [reconstruct(model, image, "4", 1, 2, 0, rule) for rule in RULES]
    assert not any(np.allclose(found[i], found[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("kind", RECTIFIERS)
def test_forward_values_are_those_without_the_rule(kind):
    net, image = two_layers(RECTIFIERS[kind]), images(1, (6, 6), 2)
    with torch.no_grad():
        expected = net(image.clone())
    for rule in RULES:
        with RectifierRule(rule):
            found = net(image.clone().requires_grad_() * 1)
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_an_inplace_relu_changes_the_tensor_that_others_hold():
    def forward(net, x):
        y = net.a(x)
        rectified = F.relu(y, inplace=True)
        return y + rectified  # y is rectified by now: twice the same tensor

    model = tiny(Functional(forward, a=nn.Conv2d(3, 4, 3)))
    image = images(1)
    channel, row, col = strongest(model, image, "a")
    expected = 2 * model.module.a.weight[channel].numpy()
    for rule in RULES:
        found = reconstruct(model, image, "out", channel, row, col, rule)
        np.testing.assert_allclose(found[:, row : row + 3, col : col + 3], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "activation", [F.hardswish, F.silu, F.gelu, F.elu, F.leaky_relu, F.selu, F.mish, nn.PReLU(), F.softplus]
)
def test_smooth_rectifiers_keep_their_true_derivative(activation):
    net = nn.Sequential(Written(activation), nn.Conv2d(1, 1, 2, bias=False))
    net[1].weight.data = torch.tensor([[[[1.0, -2.0], [3.0, -0.5]]]])
    x = torch.tensor([[[[0.7, -1.3], [-0.2, 2.1]]]])
    step = 1e-3
    high, low = (
        activation((x + d).double() if not isinstance(activation, nn.Module) else x + d) for d in (step, -step)
    )
    slope = ((high - low) / (2 * step)).detach().float().numpy()[0]
    down = np.array([[[1.0, -2.0], [3.0, -0.5]]])
    expected = {"gradient": down * slope, "deconvnet": np.maximum(down, 0), "guided": np.maximum(down, 0) * slope}
    model = tiny(net, (2, 2), 1)
    for rule in RULES:
        np.testing.assert_allclose(reconstruct(model, x, "1", 0, 0, 0, rule), expected[rule], atol=2e-3)


def test_relu6_passes_no_guided_signal_above_six():
    model = tiny(nn.Sequential(nn.ReLU6(), nn.Conv2d(1, 1, 1, bias=False)), (1, 3), 1)
    model.module[1].weight.data.fill_(2.0)
    x = torch.tensor([[[-1.0, 3.0, 8.0]]])
    signals = {rule: [float(reconstruct(model, x, "1", 0, 0, j, rule)[0, 0, j]) for j in range(3)] for rule in RULES}
    assert signals == {"gradient": [0, 2, 0], "deconvnet": [2, 2, 2], "guided": [0, 2, 0]}


@pytest.mark.parametrize("gate", [torch.sigmoid, F.hardsigmoid, torch.tanh, F.hardtanh, lambda x: x.clamp(-1, 1)])
def test_gates_and_symmetric_clamps_are_not_rectifiers(gate):
    model = tiny(nn.Sequential(nn.Conv2d(3, 4, 3), Written(gate), nn.Conv2d(4, 2, 1)))
    plain, deconvnet, guided = (reconstruct(model, images(1), "2", 0, 3, 3, rule) for rule in RULES)
    np.testing.assert_array_equal(plain, deconvnet)
    np.testing.assert_array_equal(plain, guided)


def test_a_redirected_signal_passes_where_a_whole_rectifier_is_silent_and_only_upwards():
    x = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, 2.0, -3.0]], requires_grad=True)
    signal = torch.tensor([[1.0, -1.0, 2.0], [1.0, 3.0, -1.0]])
    with RectifierRule(REDIRECTED) as rule:
        output = rule.resolve(torch.relu(x))
    (found,) = torch.autograd.grad(output, x, signal)
    assert found.tolist() == [[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]  # the second image has a unit that speaks


def test_redirecting_is_no_rule_of_reconstructions():
    model = tiny(nn.Sequential(nn.ReLU()), (2, 2), 1)
    with pytest.raises(BadInput, match="gradient, deconvnet, guided"):
        reconstruct(model, images(1, (2, 2), 1), "0", 0, rule=REDIRECTED)
