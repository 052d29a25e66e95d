"""The guarded forward pass: which layer is visited when, and that nothing stays behind."""

import pytest
import torch
from nets import Functional, hooks_left, images, tiny
from torch import nn

from cnnviz.errors import BadInput, UnknownName
from cnnviz.probes.forward import (
    ForwardStopped,
    count_calls,
    find_modules,
    first_tensor,
    open_partial_pass,
    split_call,
    visit_layers,
)


@pytest.mark.parametrize(
    "layer, parts",
    [("conv", ("conv", None)), ("a.b:2", ("a.b", 2)), ("a:b", ("a:b", None))],
)
def test_a_call_number_is_split_from_the_name(layer, parts):
    assert split_call(layer) == parts


def test_modules_are_found_by_name_with_and_without_a_call():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    assert find_modules(net, ["0", "1:2"]) == {"0": net[0], "1:2": net[1]}
    with pytest.raises(UnknownName, match="model.layers"):
        find_modules(net, ["conv"])


def test_a_bare_name_is_visited_at_every_call_and_a_numbered_one_once():
    net = Functional(lambda n, x: n.a(n.a(n.a(x))), a=nn.ReLU()).eval()
    visits = []
    with visit_layers(net, ["a", "a:2"], lambda layer, _output: visits.append(layer)):
        net(images(1))
        net(images(1))  # counting starts anew with each pass
    assert visits == ["a", "a", "a:2", "a"] * 2
    assert hooks_left(net) == 0


def test_stopping_inside_a_visit_skips_the_rest_and_leaves_no_hook():
    runs = []
    net = Functional(lambda n, x: (n.a(x), runs.append(1)), a=nn.ReLU())

    def stop(_layer, _output):
        raise ForwardStopped

    count_calls(net, images(1))  # the first pass is followed to its end
    runs.clear()
    with pytest.raises(ForwardStopped), visit_layers(net, ["a"], stop):
        net(images(1))
    assert not runs and hooks_left(net) == 0


def test_calls_are_counted_once_a_network_under_every_name():
    passes, relu = [], nn.ReLU()
    net = Functional(lambda n, x: passes.append(1) or n.a(n.a(x)), a=relu, twin=relu, unused=nn.ReLU()).eval()
    expected = {"out": 1, "a": 2, "twin": 2, "unused": 0}
    assert count_calls(net, images(4)) == expected
    assert count_calls(net, images(1)) == expected
    assert len(passes) == 1 and hooks_left(net) == 0


def test_the_first_tensor_of_a_nested_output_is_found():
    x = torch.ones(1)
    assert first_tensor(x, "a") is x
    assert first_tensor((None, x), "a") is x
    assert first_tensor({"k": 1, "v": x}, "a") is x
    with pytest.raises(BadInput, match="'a' returned str"):
        first_tensor("text", "a")


def test_a_tiny_model_keeps_its_parameters_frozen():
    model = tiny(nn.Sequential(nn.Conv2d(3, 4, 3)))
    assert not any(p.requires_grad for p in model.module.parameters()) and not model.module.training


def test_partial_passes_give_the_layers_output_with_its_gradient_and_stop_there():
    seen = []
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    net[3].register_forward_hook(lambda *_: seen.append(1))
    image = images(1)
    with open_partial_pass(net, "1", image) as run:
        seen.clear()
        for size in (8, 6):  # the linear layer behind would refuse the second
            x = images(1, (size, size)).requires_grad_()
            output = run(x)
            torch.testing.assert_close(output, net[1](net[0](x)))
            assert torch.autograd.grad(output.sum(), x)[0].abs().sum() > 0
    assert not seen and hooks_left(net[1]) == 0


def test_partial_passes_go_to_the_call_that_was_asked_for():
    net = Functional(lambda n, x: n.conv(torch.relu(n.conv(x))), conv=nn.Conv2d(3, 3, 3, padding=1))
    x = images(1)
    first = net.conv(x)
    for layer, expected in (("conv:1", first), ("conv:2", net.conv(first.relu())), ("conv", net.conv(first.relu()))):
        with open_partial_pass(net, layer, x) as run:
            torch.testing.assert_close(run(x), expected)
    with pytest.raises(BadInput, match="not as often"), open_partial_pass(net, "conv:3", x):
        pass
    with pytest.raises(UnknownName), open_partial_pass(net, "pool", x):
        pass
