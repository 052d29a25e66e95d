"""Max-pooling of a recorded pass, moved and compared as whole numbers: the same to the bit, or left alone."""

import pytest
import torch
import torch.nn.functional as F
from nets import Functional
from torch import nn

from cnnviz.probes.pooling import pooled_whole
from cnnviz.probes.watched import half_precision, until_seen, watched_pass

WINDOWS = [dict(kernel_size=3, stride=2, ceil_mode=True), dict(kernel_size=3, stride=1, padding=1),
           dict(kernel_size=2), dict(kernel_size=(3, 2), stride=(1, 2), dilation=(2, 1))]  # fmt: skip


def fire(pool, rectified=True, axis=1, read=False, shown=False) -> Functional:
    """Two convolutions side by side, pooled, and a third that reads them."""
    torch.manual_seed(0)
    side = nn.Identity()

    def forward(net, x):
        ends = [net.a(x), net.b(x)]
        together = net.side(torch.cat([end.relu() for end in ends] if rectified else ends, axis))
        pooled = net.pool(together)
        return net.c(pooled + together.mean() if read else pooled)

    return Functional(forward, a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(3, 4 if axis != 1 else 6, 3, padding=1), side=side,
                      pool=nn.MaxPool2d(**pool), c=nn.Conv2d(10 if axis == 1 else 4, 5, 1))  # fmt: skip


def shown(net, batch, bfloat16, calls=("a", "b", "pool", "c")):
    """({call: maps} by the record, by the network's own code, the names of what the record calls)."""
    have, want = {}, {}
    with torch.inference_mode():
        found, own = watched_pass(net, list(calls), torch.randn_like(batch), bfloat16)
        found(batch.clone(), lambda call, maps, _: have.update({call: maps.clone()}))
        with half_precision(batch.device, bfloat16):
            until_seen(net, list(calls), batch, lambda call, maps: want.update({call: maps.clone()}))
    return have, want, [getattr(step.target, "__name__", str(step.target)) for step in found._steps]


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("pool", WINDOWS, ids=str)
def test_parts_are_pooled_before_they_are_laid_side_by_side(pool, bfloat16):
    batch = torch.randn(2, 3, 13, 12).contiguous(memory_format=torch.channels_last)
    have, want, steps = shown(fire(pool), batch, bfloat16)
    pools = [i for i, step in enumerate(steps) if "pool" in step]
    assert len(pools) == 2 and [i for i, step in enumerate(steps) if step.startswith("cat")] == [pools[-1] + 1]
    assert all("whole" in steps[i] for i in pools)
    rectified = torch.cat([have["a"].relu(), have["b"].relu()], 1)
    assert torch.equal(have["pool"], F.max_pool2d(rectified, **pool))
    for call, maps in want.items():  # oneDNN may add up in another order; such a record would be refused
        assert torch.allclose(have[call].float(), maps.float(), rtol=0.02 if bfloat16 else 1e-5, atol=1e-5)


@pytest.mark.parametrize("how, calls", [
    (dict(read=True), ("pool", "c")), ({}, ("side", "pool", "c")), (dict(axis=2), ("pool", "c")),
], ids=["read elsewhere", "shown", "one below the other"])  # fmt: skip
def test_what_others_read_too_or_lies_below_each_other_stays(how, calls):
    batch = torch.randn(2, 3, 12, 12).contiguous(memory_format=torch.channels_last)
    have, want, steps = shown(fire(WINDOWS[0], **how), batch, False, calls)
    assert sum("pool" in step for step in steps) == 1
    for call, maps in want.items():
        assert torch.allclose(have[call], maps, rtol=0, atol=1e-5)


def test_maps_that_can_be_below_zero_are_not_compared_as_whole_numbers():
    batch = torch.randn(2, 3, 12, 12).contiguous(memory_format=torch.channels_last)
    net = fire(WINDOWS[2], rectified=False)
    nn.init.constant_(net.a.bias, -100.0)  # all of its maps are: as whole numbers their order is the other way round
    have, want, steps = shown(net, batch, True)
    assert not any("whole" in step for step in steps) and torch.equal(have["pool"], want["pool"])


def test_a_network_that_may_make_nan_is_compared_as_it_does_itself():
    net = Functional(lambda n, x: n.c(n.pool((n.a(x) / n.a(x).relu().mean()).relu())),
                     a=nn.Conv2d(3, 4, 1), pool=nn.MaxPool2d(2), c=nn.Conv2d(4, 2, 1))  # fmt: skip
    batch = torch.randn(2, 3, 12, 12).contiguous(memory_format=torch.channels_last)
    have, want, steps = shown(net, batch, True, ("pool", "c"))
    assert not any("whole" in step for step in steps) and torch.equal(have["pool"], want["pool"])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_whole_numbers_have_the_order_of_what_is_not_below_zero(dtype, layout):
    maps = torch.randn(3, 20, 13, 17).mul(100).relu().to(dtype).contiguous(memory_format=layout)
    maps[0, 0] = 0.0  # a map that nothing reaches
    maps[1, 1, 4, 4] = float("inf")
    have = pooled_whole(maps, [3, 3], [2, 2], [1, 1], [1, 1], True)
    assert have.dtype == dtype and torch.equal(have, F.max_pool2d(maps.double(), 3, 2, 1, 1, True).to(dtype))
