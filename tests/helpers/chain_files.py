"""Weights files of chains of layers that no catalogue has, and of a network that is none."""

import torch
from own_weights import saved
from torch import nn

from cnnviz.data.samples import digits
from cnnviz.models.chains.chain import parse_chain
from cnnviz.models.chains.network import build_chain

TANH = "chain:1x28x28-conv5k5-tanh-avg2-conv9k5-tanh-avg2-flatten-linear30-tanh-linear10"
NATURAL = "chain:1x28x28-conv5k5-relu-max2-conv9k5-relu-max2-flatten-linear30-relu-linear10"  # of the same tensors
THREE = "chain:3x32x32-conv4k3-relu-max2-conv6k3-relu-max2-flatten-linear3"
LONG = "chain:3x32x32-" + "conv4k3p1-bn-relu-" * 14 + "max2-flatten-linear9-relu-linear2"  # more than 255 letters


def named(name: str, seed: int = 0) -> dict:
    """A state_dict of a chain, with random weights, under names that say no layer's kind."""
    torch.manual_seed(seed)
    state = build_chain(parse_chain(name)).state_dict()
    return {f"net.{key}": value for key, value in state.items()}


def trained(name: str = TANH, steps: int = 60) -> dict:
    """The same, after a few steps on the drawn digits: inputs with mean 0.5 and std 0.5."""
    import numpy as np

    torch.manual_seed(0)
    module, corpus = build_chain(parse_chain(name)), digits()
    pixels = np.stack([np.asarray(corpus.image(i)).mean(-1) for i in range(len(corpus))])
    images = nn.functional.interpolate(torch.tensor(pixels[:, None]).float() / 255, (28, 28), mode="area") * 2 - 1
    labels = torch.tensor([int(label) for label in corpus.labels])
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(images), labels).backward()
        optimizer.step()
    return {f"net.{key}": value for key, value in module.state_dict().items()}


class TwoWays(nn.Module):
    """Two convolutions that are added to what they read: no chain."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 7, 3, padding=1)
        self.first, self.second = nn.Conv2d(7, 7, 3, padding=1), nn.Conv2d(7, 11, 3, padding=1)
        self.short = nn.Conv2d(7, 11, 1)
        self.head = nn.Linear(11, 5)


def residual() -> bytes:
    """A file of TwoWays."""
    torch.manual_seed(0)
    return saved(TwoWays().state_dict())
