"""A rectifier is known by what it computes: the same function in other words sends the same signal back."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import Functional, Written, hooks_left, images, tiny
from torch import nn

from cnnviz.attribution.attribute import attribute
from cnnviz.attribution.reconstruct import find_unjudged, reconstruct
from cnnviz.figures.attribution.words import unjudged_sentence
from cnnviz.interventions.elementwise import classify
from cnnviz.interventions.relu_rules import RULES, RectifierRule


class ReluFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, signal):
        (x,) = ctx.saved_tensors
        return signal * (x > 0)


class SwishFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, signal):
        s = torch.sigmoid(ctx.saved_tensors[0])
        return signal * (s + ctx.saved_tensors[0] * s * (1 - s))


def zero_negative(x):
    x[x < 0] = 0
    return x


def zero_negative_copy(x):
    y = x.clone()
    y[y <= 0] = 0.0
    return y


def swish_in_place(x):
    return x.mul_(torch.sigmoid(x))


def hardswish_in_place(x):
    return x.mul_(F.relu6(x + 3.0, inplace=True).div_(6.0))


RELU = {
    "maximum": lambda x: torch.maximum(x, x.new_zeros(())),
    "max with zeros": lambda x: torch.max(x, torch.zeros_like(x)),
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "where zeros": lambda x: torch.where(x >= 0, x, torch.zeros_like(x)),
    "mask": lambda x: x * (x > 0),
    "float mask": lambda x: (x > 0).float() * x,
    "mask of the same type": lambda x: x * x.gt(0).to(x.dtype),
    "half of the sum with abs": lambda x: (x + x.abs()) / 2,
    "half, the other way round": lambda x: 0.5 * (torch.abs(x) + x),
    "masked fill": lambda x: x.masked_fill(x < 0, 0),
    "masked fill in place": lambda x: x.masked_fill_(x < 0, 0),
    "set": zero_negative,
    "set in a copy": zero_negative_copy,
    "clip": lambda x: x.clip(min=0),
    "clamp in place": lambda x: x.clamp_(min=0),
    "clamp of a tensor": lambda x: torch.clamp(x, min=torch.tensor(0.0)),
    "threshold": lambda x: F.threshold(x, 0.0, 0.0),
    "minus the minimum": lambda x: x - torch.minimum(x, torch.zeros(())),
    "minus minus": lambda x: -torch.minimum(-x, torch.tensor(0.0)),
    "fmax": lambda x: torch.fmax(x, torch.zeros(1)),
    "hypotenuse": lambda x: (x + torch.sqrt(x * x)) / 2,
    "sign": lambda x: x * (torch.sign(x) + 1) / 2,
    "own function": ReluFunction.apply,
    "leaky of slope 0": lambda x: F.leaky_relu(x, 0.0),
    "multiply in place": lambda x: x.mul_(x > 0),
}
OTHERS = {
    "relu6, twice clamped": (F.relu6, lambda x: x.clamp(min=0).clamp(max=6)),
    "relu6, of a relu": (F.relu6, lambda x: torch.minimum(F.relu(x), torch.tensor(6.0))),
    "relu6, a difference": (F.relu6, lambda x: F.relu(x) - F.relu(x - 6)),
    "leaky": (lambda x: F.leaky_relu(x, 0.1), lambda x: torch.maximum(x, 0.1 * x)),
    "leaky, where": (lambda x: F.leaky_relu(x, 0.2), lambda x: torch.where(x > 0, x, 0.2 * x)),
    "silu": (F.silu, lambda x: x * torch.sigmoid(x)),
    "silu, in place": (F.silu, swish_in_place),
    "silu, quotient": (F.silu, lambda x: x / (1 + torch.exp(-x))),
    "silu, own function": (F.silu, SwishFunction.apply),
    "hardswish": (F.hardswish, lambda x: x * F.relu6(x + 3) / 6),
    "hardswish, module": (F.hardswish, lambda x: x * (nn.ReLU6(inplace=True)(x + 3) / 6)),
    "hardswish, in place": (F.hardswish, hardswish_in_place),
    "hardswish, gate": (F.hardswish, lambda x: x * F.hardsigmoid(x)),
    "gelu": (F.gelu, lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5))),
    "gelu, tanh": (
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3))),
    ),
    "mish": (F.mish, lambda x: x * torch.tanh(F.softplus(x))),
    "elu": (F.elu, lambda x: torch.where(x > 0, x, torch.exp(x) - 1)),
    "softplus": (F.softplus, lambda x: torch.log(1 + torch.exp(x))),
    "shifted relu": (lambda x: F.relu(x + 1), lambda x: torch.maximum(x + 1, torch.tensor(0.0))),
    "scaled relu": (lambda x: 0.5 * F.relu(x), lambda x: torch.where(x > 0, x, 0.0) * 0.5),
}


def build(act):
    torch.manual_seed(0)
    first, second = Written(act), Written(act)
    return tiny(
        nn.Sequential(nn.Conv2d(3, 8, 3), first, nn.Conv2d(8, 8, 3), second, nn.Flatten(), nn.Linear(8 * 16, 4))
    )


def signals(model):
    image = images(1)[0] * 3
    methods = ("saliency", "guided_backprop", "deconvolution")
    return [attribute(model, image, 1, method=method).values for method in methods] + [
        reconstruct(model, image, layer, 3, *place, rule)
        for rule in RULES
        for layer, place in (("3", (2, 2)), ("1", (2, 2)), ("5", (0, 0)))
    ]


def assert_same_signals(one, other):
    first, second = build(one), build(other)
    batch = images(2)
    with torch.no_grad():
        torch.testing.assert_close(first.module(batch.clone()), second.module(batch.clone()))
    for a, b in zip(signals(first), signals(second), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5 * np.abs(a).max())
    assert hooks_left(second.module) == 0


@pytest.mark.parametrize("words", RELU)
def test_relu_in_other_words_sends_back_what_relu_does(words):
    assert_same_signals(F.relu, RELU[words])


@pytest.mark.parametrize("words", OTHERS)
def test_other_rectifiers_in_other_words_send_back_the_same(words):
    assert_same_signals(*OTHERS[words])


@pytest.mark.parametrize(
    "gate",
    [lambda x: F.relu6(x + 3) / 6, lambda x: (x + 3).clamp_(0, 6) / 6, lambda x: F.relu6(x + 3, True).mul_(1 / 6)],
)
def test_a_gate_in_other_words_keeps_its_derivative(gate):
    def gated(how):
        torch.manual_seed(0)
        parts = {"a": nn.Conv2d(3, 4, 3), "b": nn.Conv2d(3, 4, 3), "c": nn.Conv2d(4, 4, 1)}
        return tiny(Functional(lambda n, x: n.c(n.a(x) * how(n.b(x))), **parts))

    for rule in RULES:
        want, got = (reconstruct(gated(how), images(1), "out", 2, 3, 3, rule) for how in (F.hardsigmoid, gate))
        plain = reconstruct(gated(gate), images(1), "out", 2, 3, 3, "gradient")
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(got, plain, rtol=1e-4, atol=1e-6)


def test_a_rectifier_before_a_sum_in_place_keeps_its_rule():
    def run(maximum):
        def forward(net, x):
            y = maximum(net.a(x) + 1)
            y += net.b(x)
            return net.c(y)

        torch.manual_seed(0)
        return tiny(Functional(forward, a=nn.Conv2d(3, 4, 3), b=nn.Conv2d(3, 4, 3), c=nn.Conv2d(4, 4, 3)))

    for rule in RULES:
        want, got = (
            reconstruct(run(act), images(1), "out", 2, 1, 1, rule)
            for act in (F.relu, lambda x: torch.maximum(x, torch.tensor(0.0)))
        )
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_what_is_no_known_function_keeps_its_gradient_and_is_named():
    model = build(lambda x: x * x * torch.sigmoid(x))
    plain, deconvnet = (reconstruct(model, images(1), "2", 3, 2, 2, rule) for rule in ("gradient", "deconvnet"))
    np.testing.assert_allclose(plain, deconvnet, rtol=1e-5, atol=1e-6)
    assert model.notes["unjudged"] == ("mul(mul(x, x), sigmoid(x))",)
    assert attribute(model, images(1)[0], 1, method="guided_backprop").unjudged == ("mul(mul(x, x), sigmoid(x))",)
    usual = build(F.relu)
    assert attribute(usual, images(1)[0], 1, method="guided_backprop").unjudged == ()


def test_values_are_those_of_the_network_and_nothing_stays_behind():
    for act in [*RELU.values(), *(other for _, other in OTHERS.values())]:
        model, batch = build(act), images(2)
        with torch.no_grad():
            want = model.module(batch.clone())
        for rule in RULES:
            with RectifierRule(rule) as rules:
                got = rules.resolve(model.module(batch.clone().requires_grad_() * 1))
            torch.testing.assert_close(got, want)


@pytest.mark.parametrize(
    "function, kind",
    [
        (torch.relu, "rectifier"),
        (lambda x: x.clamp(0, 2), "rectifier"),
        (lambda x: 2 * x - 1, "plain"),
        (torch.sigmoid, "plain"),
        (torch.tanh, "plain"),
        (F.hardsigmoid, "plain"),
        (F.softsign, "unknown"),
        (torch.exp, "unknown"),
        (torch.abs, "unknown"),
        (lambda x: x * 0, "plain"),
        (lambda x: -F.relu(-x), "unknown"),
        (lambda x: F.relu(x) ** 2, "unknown"),
    ],
)
def test_functions_are_told_apart_by_their_values(function, kind):
    x = torch.linspace(-20, 20, 801, dtype=torch.float64)
    assert classify(x, function(x)).kind == kind


def test_the_functions_no_rule_reaches_are_found_without_an_image_and_said_in_one_line():
    strange, usual = build(lambda x: x * x * torch.sigmoid(x)), build(F.relu)
    assert find_unjudged(strange, "2") == ("mul(mul(x, x), sigmoid(x))",)
    assert find_unjudged(usual, "2") == find_unjudged(strange, "0") == ()
    said = unjudged_sentence([*find_unjudged(strange, "2")] * 2)
    assert said.startswith("Rectifiers not recognised: mul(mul(x, x), sigmoid(x)); the deconvnet and guided rules")
    assert unjudged_sentence(()) == ""
