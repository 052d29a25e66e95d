"""Bytes that autograd keeps, counted by hand from the shapes of a small network."""

import pytest
import torch
from nets import hooks_left, images
from torch import nn

from cnnviz.probes.saved_tensors import record_saved


def test_what_is_kept_is_counted_once_at_the_layer_that_keeps_it_first():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 2)
    )
    with record_saved(net, list(net.parameters())) as saved:
        net(images(5))
    image, maps, pooled = 5 * 3 * 64 * 4, 5 * 4 * 64 * 4, 5 * 4 * 16
    # the pool keeps the places of its maxima, 8 bytes each; what it reads is the ReLU's, the linear layer's is its own
    assert saved == {"0": image, "1": maps, "2": pooled * 8, "4": pooled * 4}
    assert hooks_left(net) == 0


def test_no_hook_is_left_when_the_pass_fails():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(5, 2))
    with pytest.raises(RuntimeError), record_saved(net):
        net(images(1))
    assert hooks_left(net) == 0
    outside: list[torch.Tensor] = []
    leaf = torch.ones(2, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: outside.append(tensor) or tensor, lambda t: t):
        leaf.exp()
    assert len(outside) == 1  # the hooks of others work as before
