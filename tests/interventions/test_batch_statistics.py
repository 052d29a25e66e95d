"""Batch norm by the statistics of the batch, against PyTorch's own training mode on a copy."""

import copy

import pytest
import torch
import torch.nn.functional as F
from nets import images
from torch import nn

from cnnviz.interventions.batch_statistics import BatchStatisticsMode


def with_norms() -> nn.Module:
    """A convolution, a batch norm whose running statistics fit nothing, dropout, and a batch norm of vectors."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.BatchNorm1d(4 * 36)
    )
    net[1].running_mean.fill_(5.0)
    net[1].running_var.fill_(3.0)
    return net.eval().requires_grad_(False)


def test_it_computes_what_training_mode_computes_and_changes_nothing_of_the_network():
    net, x = with_norms(), images(5)
    reference = copy.deepcopy(net).train()
    reference[3].eval()  # dropout stays off
    before = copy.deepcopy(net.state_dict())
    plain = net(x)
    with BatchStatisticsMode() as mode:
        found = net(x)
    torch.testing.assert_close(found, reference(x))
    assert mode.calls == 2 and not torch.allclose(found, plain)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert torch.equal(net(x), plain)  # nothing of it is left behind


def test_it_reaches_batch_norm_that_is_called_as_a_function():
    x = images(3)
    with BatchStatisticsMode():
        found = F.batch_norm(x, torch.zeros(3), torch.ones(3), eps=0.1)
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(found, (x - mean) / (var + 0.1).sqrt())


def test_a_single_value_a_channel_is_refused_as_pytorch_refuses_it():
    norm = nn.BatchNorm1d(4).eval()
    with BatchStatisticsMode(), pytest.raises(ValueError, match="more than 1 value per channel"):
        norm(torch.zeros(1, 4))
