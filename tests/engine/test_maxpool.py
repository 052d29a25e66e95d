"""Max-pooling of a recorded pass, moved and compared as whole numbers: the same to the bit, or left alone."""

import pytest
import torch
import torch.nn.functional as F
from nets import Functional
from torch import nn

from cnnviz.engine.maxpool import pooled_whole
from cnnviz.engine.observed_pass import half_precision, until_seen, watched_pass
from cnnviz.index.search.topk import WHOLE_NUMBERS, peaks

SMALLER = [dict(kernel_size=3, stride=2, ceil_mode=True), dict(kernel_size=2),
           dict(kernel_size=(3, 2), stride=(1, 2), dilation=(2, 1))]  # fmt: skip


def fire(forward, first=16, second=24, **more) -> Functional:
    """Two convolutions and what is made of them."""
    torch.manual_seed(0)
    return Functional(forward, a=nn.Conv2d(3, first, 1), b=nn.Conv2d(3, second, 3, padding=1), pool=nn.MaxPool2d(2),
                      side=nn.Identity(), **more)  # fmt: skip


def seen(net, calls, bfloat16=False, size=(12, 12)):
    """({call: maps} by the record, the same with rectifiers within convolutions, by the network's own code, steps)."""
    plain, joined, want = {}, {}, {}
    batch = torch.randn(2, 3, *size).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        found, _ = watched_pass(net, calls, torch.randn_like(batch), bfloat16)
        found(batch.clone(), lambda call, maps, _: plain.update({call: maps.clone()}))
        found(batch.clone(), lambda call, maps, _: joined.update({call: maps.clone()}), set(calls))
        with half_precision(batch.device, bfloat16):
            until_seen(net, calls, batch, lambda call, maps: want.update({call: maps.clone()}))
    return plain, joined, want, found._steps


def pools(steps):
    return [i for i, step in enumerate(steps) if "pool" in str(step.target)]


def assert_close(have, want):
    for call, maps in want.items():  # oneDNN may add up in another order on one core; such a record would be refused
        rtol = 0.02 if maps.dtype == torch.bfloat16 else 1e-5
        assert torch.allclose(have[call].float(), maps.float(), rtol=rtol, atol=1e-4), call


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("window", SMALLER, ids=str)
def test_parts_are_pooled_before_they_are_laid_side_by_side(window, bfloat16):
    net = fire(lambda n, x: n.c(n.pool(torch.cat([n.a(x).relu(), n.b(x).relu()], 1))), c=nn.Conv2d(40, 5, 1))
    net.pool = nn.MaxPool2d(**window)
    plain, joined, want, steps = seen(net, ["a", "b", "pool", "c"], bfloat16, (13, 12))
    at = pools(steps)
    assert len(at) == 2 and [i for i, step in enumerate(steps) if "cat" in str(step.target)] == [at[-1] + 1]
    assert all(steps[i].pools for i in at)
    for found in (plain, joined):
        rectified = torch.cat([found["a"].relu(), found["b"].relu()], 1)
        assert torch.equal(found["pool"], F.max_pool2d(rectified, **window))
    assert_close(plain, want)


def test_of_two_poolings_in_a_row_the_first_is_moved_also_where_it_is_shown():
    net = fire(lambda n, x: n.c(n.more(n.pool(torch.cat([n.a(x), n.b(x)], 1)))), more=nn.MaxPool2d(2),
               c=nn.Conv2d(40, 5, 1))  # fmt: skip
    plain, _, want, steps = seen(net, ["a", "pool", "more", "c"])
    assert len(pools(steps)) == 3
    assert_close(plain, want)


def changed_between(n, x):
    a, b = n.a(x), n.b(x)
    together = torch.cat([a, b], 1)
    F.relu(a, inplace=True)  # what is laid side by side is a copy, which this does not change
    return n.pool(together)


def rows(n, x):
    return n.pool(torch.cat([n.a(x).mean(1), n.b(x).mean(1)], 1)).unsqueeze(1)


def read_twice(n, x):
    together = torch.cat([n.a(x), n.b(x)], 1)
    return n.pool(together + together.mean())


STAYS = {
    "changed between": changed_between, "three dimensions": rows, "read twice": read_twice,
    "shown": lambda n, x: n.pool(n.side(torch.cat([n.a(x), n.b(x)], 1))),
    "one below the other": lambda n, x: n.pool(torch.cat([n.a(x), n.b(x)[:, :16]], 2)),
    "twice the same": lambda n, x: n.pool(torch.cat([a := n.a(x), n.b(x), a], 1)),
    "not smaller": lambda n, x: F.max_pool2d(torch.cat([n.a(x), n.b(x)], 1), 3, 1, 1),
    "few channels": lambda n, x: n.pool(torch.cat([n.a(x), n.b(x)[:, :8]], 1)),
    "no pixels": lambda n, x: n.pool(torch.cat([n.a(x), n.b(x), torch.empty(0)], 1)),
    "other numbers": lambda n, x: n.pool(torch.cat([n.a(x), n.b(x).half()], 1)),
}  # fmt: skip


@pytest.mark.parametrize("how", STAYS)
def test_what_would_not_be_the_same_or_not_pay_stays(how):
    net = fire(lambda n, x: n.out(STAYS[how](n, x)), out=nn.Identity())
    plain, _, want, steps = seen(net, ["side", "out"] if how == "shown" else ["out"])
    assert len(pools(steps)) == 1
    assert_close(plain, want)


def negative(n, x):
    return n.pool(n.a(x))


def written_through_a_view(n, x):
    maps = n.a(x).relu()
    maps.chunk(2, 1)[0].add_(-3.0)
    return n.pool(maps)


def divided(n, x):
    return n.pool((n.a(x) / n.b(x).relu().mean()).relu())


@pytest.mark.parametrize("how", [negative, written_through_a_view, divided])
def test_what_can_be_below_zero_or_no_number_is_not_compared_as_whole_numbers(how):
    net = fire(lambda n, x: n.out(how(n, x)), out=nn.Identity())
    nn.init.constant_(net.a.bias, -2.0)
    _, joined, want, steps = seen(net, ["out"], True)
    assert not any(step.pools for step in steps)
    assert_close(joined, want)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_whole_numbers_have_the_order_of_what_is_not_below_zero(dtype, layout):
    maps = torch.randn(3, 20, 13, 17).mul(100).relu().to(dtype).contiguous(memory_format=layout)
    maps[0, 0] = 0.0  # a map that nothing reaches
    maps[1, 1, 4, 4] = float("inf")
    have = pooled_whole(maps, [3, 3], [2, 2], [1, 1], [1, 1], True)
    assert have.dtype == dtype and torch.equal(have, F.max_pool2d(maps.double(), 3, 2, 1, 1, True).to(dtype))


@pytest.mark.parametrize("wide", [181, 182, 300])
def test_maps_of_any_size_are_compared(wide):
    """PyTorch's pooling counts units in numbers as long as the values: 181² fit into 16 bits, 181 × 182 do not."""
    maps = torch.rand(2, 3, 181, wide).bfloat16().contiguous(memory_format=torch.channels_last)
    assert (181 * wide <= WHOLE_NUMBERS) == (wide == 181)
    maps[1, 2, 180, wide - 1] = 2.0
    assert torch.equal(pooled_whole(maps, [2, 2]), F.max_pool2d(maps, 2))
    values, flat = peaks(maps, rectified=True)
    assert values[1, 2] == 2.0 and flat[1, 2] == 181 * wide - 1
