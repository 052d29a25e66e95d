"""Parts of the work side by side: one core each, results in order, and what fails is told."""

import pytest
import torch
from torch import nn

from cnnviz.engine.core_workers import CoreWorkers, copy_sharing_tensors


def test_workers_answer_in_order_on_one_core_each_and_the_caller_keeps_its_own():
    before = torch.get_num_threads()
    workers = CoreWorkers()
    found = workers.map(lambda worker, item: (item, worker, torch.get_num_threads()), range(20))
    assert [item for item, _worker, _cores in found] == list(range(20))
    assert {cores for _item, _worker, cores in found} == {1}
    assert {worker for _item, worker, _cores in found} <= set(range(before))
    assert torch.get_num_threads() == before


def test_what_a_worker_raises_reaches_the_caller():
    def fail(_worker: int, item: int) -> int:
        return 1 // item

    workers = CoreWorkers()
    with pytest.raises(ZeroDivisionError):
        workers.map(fail, [1, 0, 2])
    assert workers.map(fail, [1]) == [1]


def test_a_twin_sees_every_change_of_the_weights_and_keeps_its_own_state():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()
    twin = copy_sharing_tensors(module)
    with torch.no_grad():
        module[0].weight.fill_(3.0)
        module[1].running_mean.fill_(1.0)
    x = torch.ones(4, 2)
    torch.testing.assert_close(twin.eval()(x), module(x))
    twin[0].note = "its own"
    assert not hasattr(module[0], "note")
