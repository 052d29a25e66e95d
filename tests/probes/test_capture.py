"""Captured feature maps against the layers computed one by one."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import Functional, hooks_left, images, published, tiny
from torch import nn

from cnnviz.errors import BadInput, UnknownName
from cnnviz.probes.capture import as_maps, capture


def test_capture_keeps_the_value_before_an_inplace_relu():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True))
    found = capture(tiny(net), images(2), ["0", "1"])
    expected = net[0](images(2)).numpy()
    assert expected.min() < 0
    np.testing.assert_allclose(found["0"], expected, atol=1e-6)
    np.testing.assert_allclose(found["1"], np.maximum(expected, 0), atol=1e-6)


def test_results_are_copies_that_later_passes_do_not_touch():
    model = tiny(nn.Sequential(nn.Identity(), nn.ReLU(inplace=True)))
    batch = images(1)
    found = capture(model, batch.clone(), "0")["0"]
    found[:] = -7.0
    np.testing.assert_array_equal(capture(model, batch.clone(), "0")["0"], batch.numpy())


def test_layers_come_as_float32_maps_in_the_asked_order():
    model = published("lenet5")
    found = capture(model, images(2, (28, 28), 1), ["fc1", "conv2", "conv1"])
    assert [(name, values.shape) for name, values in found.items()] == [
        ("fc1", (2, 120, 1, 1)),
        ("conv2", (2, 16, 10, 10)),
        ("conv1", (2, 6, 28, 28)),
    ]
    assert all(values.dtype == np.float32 for values in found.values())


def test_a_module_used_three_times_answers_for_each_call():
    conv = nn.Conv2d(3, 3, 3, padding=1)
    model = tiny(Functional(lambda n, x: n.a(F.relu_(n.a(F.relu_(n.a(x))))), a=conv))
    found = capture(model, images(1), ["a:1", "a:2", "a:3", "a"])
    first = conv(images(1))
    second = conv(first.relu())
    third = conv(second.relu())
    for name, expected in {"a:1": first, "a:2": second, "a:3": third, "a": third}.items():
        np.testing.assert_allclose(found[name], expected.numpy(), atol=1e-6)


def test_a_shared_inplace_relu_answers_for_each_call():
    model = tiny(
        Functional(lambda n, x: n.r(n.b(n.r(n.a(x)))), a=nn.Conv2d(3, 4, 3), b=nn.Conv2d(4, 4, 3), r=nn.ReLU(True))
    )
    net, found = model.module, capture(model, images(1), ["r:1", "r"])
    first = net.a(images(1)).relu()
    np.testing.assert_allclose(found["r:1"], first.numpy(), atol=1e-6)
    np.testing.assert_allclose(found["r"], net.b(first).relu().numpy(), atol=1e-6)


def test_two_names_of_one_module_both_answer():
    conv = nn.Conv2d(3, 3, 3)
    model = tiny(Functional(lambda n, x: n.twin(n.a(x)), a=conv, twin=conv))
    found = capture(model, images(1), ["a:1", "twin:2"])
    np.testing.assert_allclose(found["twin:2"], conv(conv(images(1))).numpy(), atol=1e-6)
    np.testing.assert_allclose(found["a:1"], conv(images(1)).numpy(), atol=1e-6)


def test_the_first_tensor_of_a_tuple_or_dict_is_taken():
    class Several(nn.Module):
        def __init__(self, pack):
            super().__init__()
            self.pack = pack

        def forward(self, x):
            return self.pack(x)

    net = Functional(
        lambda n, x: n.b(n.a(x)[1])["map"],
        a=Several(lambda x: (None, x * 2, x)),
        b=Several(lambda x: {"note": "text", "map": x + 1}),
    )
    found = capture(tiny(net), images(1), ["a", "b"])
    np.testing.assert_allclose(found["a"], 2 * images(1).numpy())
    np.testing.assert_allclose(found["b"], 2 * images(1).numpy() + 1)


def test_a_layer_without_a_tensor_is_refused():
    class Nothing(nn.Module):
        def forward(self, x):
            return None

    model = tiny(Functional(lambda n, x: x if n.a(x) is None else n.a(x), a=Nothing()))
    with pytest.raises(BadInput, match="NoneType"):
        capture(model, images(1), "a")


def test_the_pass_ends_after_the_last_wanted_layer():
    runs = []
    late = nn.Conv2d(4, 4, 3)
    model = tiny(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), late))
    late.forward = lambda x: runs.append(1) or x
    capture(model, images(1), "0")  # it has been changed: calls are counted anew
    runs.clear()
    capture(model, images(1), ["1", "0"])
    assert not runs
    capture(model, images(1), ["2"])
    assert runs


def test_an_unknown_layer_names_the_closest():
    with pytest.raises(UnknownName, match="layer3.2.conv2"):
        capture(published("resnet20_cifar"), images(1, (32, 32)), ["conv1", "layer3.2.con2"])
    with pytest.raises(UnknownName):
        capture(published("lenet5"), images(1, (28, 28), 1), "")


@pytest.mark.parametrize("layer", ["unused", "a:2", "a:0"])
def test_a_layer_or_call_that_never_runs_is_refused(layer):
    model = tiny(Functional(lambda n, x: n.a(x), a=nn.Conv2d(3, 4, 3), unused=nn.Conv2d(3, 4, 3)))
    with pytest.raises(BadInput, match=layer):
        capture(model, images(1), layer)


def test_hooks_are_gone_also_after_an_exception():
    broken = []

    def forward(net, x):
        if broken:
            raise RuntimeError("broken network")
        return net.a(x)

    model = tiny(Functional(forward, a=nn.Conv2d(3, 4, 3)))
    capture(model, images(1), "a")
    assert hooks_left(model.module) == 0
    broken.append(True)
    with pytest.raises(RuntimeError, match="broken network"):
        capture(model, images(1), "a")
    assert hooks_left(model.module) == 0


def test_vectors_and_tokens_become_maps():
    assert as_maps(torch.zeros(2, 5)).shape == (2, 5, 1, 1)
    tokens = torch.arange(24.0).reshape(2, 3, 4)
    assert torch.equal(as_maps(tokens)[1, 2, :, 0], tokens[1, :, 2])
