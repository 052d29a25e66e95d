"""Multiply-adds and parameters of random networks against counting hooks and formulas."""

import random
from math import prod

import pytest
import torch
import torch.nn.functional as F
from nets import Functional, tiny
from torch import Tensor, nn

import cnnviz

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)


def count_with_hooks(net: nn.Module, x: Tensor) -> int:
    """Weights times places for every call of a convolution, linear, bilinear or attention layer, by plain hooks."""
    total = 0

    def note(layer, inputs, output):
        nonlocal total
        batch = inputs[0].shape[0]
        rank = layer.weight.ndim - 2 if isinstance(layer, CONVOLUTIONS + TRANSPOSED) else 0
        if isinstance(layer, CONVOLUTIONS):
            total += layer.weight.numel() * batch * prod(output.shape[-rank:])
        elif isinstance(layer, TRANSPOSED):
            total += layer.weight.numel() * batch * prod(inputs[0].shape[-rank:])
        elif isinstance(layer, nn.Bilinear | nn.Linear):
            total += layer.weight.numel() * (output.numel() // output.shape[-1])
        elif isinstance(layer, nn.MultiheadAttention):  # its last projection is called as a function: no hook sees it
            query, key, value = inputs[:3]
            tokens = [t.shape[0] * t.shape[1] for t in (query, key, value)]
            width = layer.embed_dim
            total += width * (width * tokens[0] + layer.kdim * tokens[1] + layer.vdim * tokens[2] + width * tokens[0])

    hooks = [layer.register_forward_hook(note) for layer in net.modules()]
    with torch.no_grad():
        net.eval()(x)
    for hook in hooks:
        hook.remove()
    return total


class Own(nn.Module):
    """A layer of one's own; `macs`: its multiply-adds."""

    def __init__(self, run, shape, macs):
        super().__init__()
        self.weight, self.run, self.macs = nn.Parameter(torch.randn(shape)), run, macs

    def forward(self, x):
        return self.run(x, self.weight)


class Attention(nn.Module):
    def __init__(self, channels, first, separate, weights):
        super().__init__()
        more = {"kdim": channels, "vdim": channels} if not separate else {"kdim": 5, "vdim": 3}
        self.layer = nn.MultiheadAttention(channels, 2, batch_first=first, **more)
        self.first, self.separate, self.weights = first, separate, weights

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        if not self.first:
            tokens = tokens.transpose(0, 1)
        key, value = (
            (tokens[..., :1].expand(*tokens.shape[:2], n) for n in (5, 3)) if self.separate else (tokens, tokens)
        )
        seen = self.layer(tokens, key, value, need_weights=self.weights)[0]
        seen = seen if self.first else seen.transpose(0, 1)
        return seen.transpose(1, 2).reshape(x.shape)


class Constant(nn.Module):
    """A branch that does not depend on the image: its convolution runs at every pass."""

    def __init__(self, channels):
        super().__init__()
        self.grid, self.conv = nn.Parameter(torch.randn(1, 2, 5, 5)), nn.Conv2d(2, channels, 3, padding=1)

    def forward(self, x):
        return x + F.interpolate(self.conv(self.grid), x.shape[2:]) + self.conv(torch.ones(1, 2, 1, 1))


def layers(r: random.Random, c: int, h: int, w: int) -> tuple[nn.Module, int]:
    """(a layer for maps (1, c, h, w) that keeps their shape, multiply-adds that no hook sees)."""

    def wrap(run, **parts):
        return Functional(run, **parts)

    signal = wrap(lambda n, x: n.a(x.flatten(2)).view_as(x), a=nn.Conv1d(c, c, 3, padding=1, groups=r.choice([1, 2])))
    volume = wrap(lambda n, x: n.a(x[:, None]).squeeze(1), a=nn.Conv3d(1, 1, 3, padding=1))
    rows = wrap(lambda n, x: n.a(x[0].transpose(0, 1)).transpose(0, 1)[None], a=nn.Conv1d(c, c, 1))  # rows as a batch
    twice = wrap(lambda n, x: n.a(n.a(x)), a=nn.Conv2d(c, c, 3, padding=1))
    tied = nn.Sequential(nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 1, bias=False))
    tied[1].weight = tied[0].weight
    frozen = nn.Conv2d(c, c, 3, padding=1).requires_grad_(False)
    own = [
        Own(lambda x, v: F.conv2d(x, v, padding=1), (c, c, 3, 3), c * c * 9 * h * w),
        Own(lambda x, v: F.linear(x.movedim(1, -1), v).movedim(-1, 1), (c, c), c * c * h * w),
        Own(lambda x, v: (x.flatten(2).transpose(1, 2) @ v).transpose(1, 2).view_as(x), (c, c), c * c * h * w),
        Own(lambda x, v: torch.einsum("nchw,cd->ndhw", x, v), (c, c), c * c * h * w),
        Own(lambda x, v: torch.baddbmm(x[0], v.expand(c, h, h), x[0])[None], (1, h, h), c * h * h * w),
        Own(lambda x, v: (v @ x.flatten(2)).view_as(x), (c, c), c * c * h * w),
        Own(lambda x, v: x * v, (1, c, 1, 1), 0),
    ][r.randrange(7)]
    gram = Own(lambda x, v: x + (x @ x.mT @ x) * v, (1,), 0)  # products of activations are none
    recurrent = wrap(lambda n, x: x + n.a(x.flatten(2).transpose(1, 2))[0].mean(), a=nn.GRU(c, 3, 2, batch_first=True))
    cell = wrap(lambda n, x: x + n.a(x.mean((2, 3)))[0].mean(), a=nn.LSTMCell(c, 4))
    steps = 3 * (c * 3 + 9 + 9 + 9) * h * w
    chosen: list[tuple[nn.Module, int]] = [
        (nn.Conv2d(c, c, r.choice([1, 3, 5]), padding="same", groups=r.choice([1, c])), 0),
        (nn.Sequential(nn.ConvTranspose2d(c, c, 3, 2, 1, 1, groups=r.choice([1, 2])), nn.AvgPool2d(2)), 0),
        (signal, 0),
        (volume, 0),
        (rows, 0),
        (twice, 0),
        (tied, 0),
        (frozen, 0),
        (own, own.macs),
        (gram, 0),
        (wrap(lambda n, x: x + n.a(x.mean((2, 3)), x.amax((2, 3))).mean(), a=nn.Bilinear(c, c, 5)), 0),
        (Attention(c, r.random() < 0.5, r.random() < 0.5, r.random() < 0.5), 0),
        (Constant(c), 0),
        (nn.Sequential(nn.BatchNorm2d(c), nn.ReLU()), 0),
        (recurrent, steps),
        (cell, 4 * 4 * (c + 4)),
    ]
    return r.choice(chosen)


def random_net(seed: int) -> tuple[nn.Module, int]:
    r = random.Random(seed)
    torch.manual_seed(seed)
    c, h, w = r.choice([4, 6]), r.choice([6, 8]), 6
    parts = [layers(r, c, h, w) for _ in range(r.randint(2, 5))]
    net = nn.Sequential(nn.Conv2d(3, c, 3, padding=1), *(part for part, _ in parts), nn.AdaptiveAvgPool2d((h, w)))
    return net, sum(macs for _, macs in parts)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_networks_cost_what_hooks_and_formulas_count(seed):
    for i in range(14):
        net, unseen = random_net(1000 * seed + i)
        height = net[-1].output_size[0]
        table = cnnviz.anatomy(tiny(net.eval(), (height, 6)))
        names = [type(layer).__name__ for layer in net]
        assert table.macs == count_with_hooks(net, torch.zeros(1, 3, height, 6)) + unseen, (i, names)
        different = {id(p): p.numel() for p in net.parameters()}
        assert table.parameters == sum(different.values()), (i, names)
        used = sum(row.parameters for row in table.rows)
        assert used == table.parameters, (i, names)


def test_one_attention_layer_costs_the_same_as_a_module_and_written_out():
    whole, written = cnnviz.anatomy("torchvision:vit_b_16"), cnnviz.anatomy("timm:vit_base_patch16_224")
    width, tokens = 768, 197
    blocks = 12 * tokens * (4 * width**2 + 2 * width * 4 * width)
    assert whole.macs == written.macs == 3 * 16 * 16 * width * 196 + blocks + width * 1000
    assert whole.parameters == written.parameters == 86_567_656
