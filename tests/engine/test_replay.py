"""A recorded pass calls the operations of the network, on its tensors, and gives the same to the bit."""

import gc
import threading
import weakref

import numpy as np
import pytest
import torch
from nets import images
from torch.utils._python_dispatch import _get_current_dispatch_mode

import cnnviz
from cnnviz.engine.replay import record_pass
from cnnviz.landscape.evaluate.evaluator import Evaluator

X, Y = images(6, seed=5), torch.arange(6) % 3


def calls(flat):
    return [node for node in flat.graph.nodes if node.op == "call_function"]


@pytest.mark.parametrize("name", ["resnet20_cifar", "lenet5", "squeezenet1_0", "googlenet", "densenet121"])
def test_networks_of_the_catalogue_are_recorded(name):
    model = cnnviz.load(name, "random", "cpu")
    noise = np.random.default_rng(0)
    channels, high, wide = model.input_size
    pixels = noise.integers(0, 256, (4, high, wide, channels), dtype=np.uint8)
    evaluator = Evaluator(model, pixels, np.arange(4), "float32", batch=2)
    runner = evaluator._runner(False)
    flat = []
    with torch.inference_mode():
        for part, labels in runner.images.parts(2):
            flat.append((record_pass(runner._score_part, part, labels), part, labels))
        convolutions = sum(type(child).__name__ == "_PromisingConv" for child in runner.module.modules())
        assert {len(recorded.packings) for recorded, _, _ in flat} == {convolutions} and convolutions > 0
        moved = {key: tensor * 1.1 for key, tensor in runner.tensors.items() if tensor.is_floating_point()}
        runner.set(moved)
        for recorded, part, labels in flat:
            recorded.pack()
            assert torch.equal(recorded(part, labels), runner._score_part(part, labels))


def test_operations_with_several_results_and_tensors_made_on_the_way_are_recorded():
    def run(x, y):
        first, second = x.chunk(2, dim=3)
        best, where = torch.cat([first, second + torch.tensor([0.5])], dim=1).max(dim=1)
        return best.relu_() * where + torch.stack(list(y.float().split(1)), dim=1).mean() + torch.arange(3).sum()

    with torch.inference_mode():
        flat = record_pass(run, X, Y)
        other = X * 2 - 0.1
        assert torch.equal(flat(other, Y.flip(0)), run(other, Y.flip(0)))


def test_tensors_of_the_way_are_let_go_while_it_is_recorded():
    alive = []

    def run(x, y):
        assert [reference for reference in alive if reference() is not None] == []
        step = x * 2
        alive.append(weakref.ref(step))
        step = step + 1
        del y
        gc.collect()
        assert alive[-1]() is None
        return step

    with torch.inference_mode():
        assert record_pass(run, X, Y) is not None


def test_other_threads_are_not_recorded():
    inside, done = threading.Event(), threading.Event()

    def run(x, y):
        x = x + 1
        if _get_current_dispatch_mode() is not None:  # it is being recorded
            inside.set()
            assert done.wait(10)
        return x * y.view(-1, 1, 1, 1)

    def beside():
        assert inside.wait(10)
        with torch.inference_mode():
            for _ in range(50):
                torch.rand(3) + 1
        done.set()

    thread = threading.Thread(target=beside)
    thread.start()
    with torch.inference_mode():
        flat = record_pass(run, X, Y)
    thread.join()
    assert done.is_set() and len(calls(flat)) == 3  # a sum, a view and a product


BRANCHES = {
    "a number of values": lambda x, y: x * torch.nonzero(x[:, 0, 0, 0] > 0).shape[0],
    "where": lambda x, y: x * len(torch.where(x > 0)[0]),
    "a mask": lambda x, y: x * x[x > 0].shape[0],
    "selected by a mask": lambda x, y: torch.masked_select(x, x > 0).mean() * x,
    "different values": lambda x, y: x * len(torch.unique(y)),
    "repeated": lambda x, y: x * len(torch.repeat_interleave(y)),
    "split where values say": lambda x, y: x * len(x.tensor_split(y[:2])[0]),
    "a Python number": lambda x, y: x * float(x.sum()),
    "a list": lambda x, y: x * x.flatten().tolist()[0],
    "NumPy": lambda x, y: x * x.numpy().sum(),
    "a condition": lambda x, y: x if bool(x.mean() > 0) else -x,
}


@pytest.mark.parametrize("branch", BRANCHES.values(), ids=BRANCHES)
def test_what_reads_values_is_not_recorded(branch):
    with torch.inference_mode():
        assert record_pass(branch, X, Y) is None


def test_places_given_as_numbers_are_recorded():
    with torch.inference_mode():
        flat = record_pass(lambda x, y: x[:, torch.tensor([2, 0, 1])] + x[y], X, Y)
        assert torch.equal(flat(-X, Y.flip(0)), -X[:, [2, 0, 1]] - X[Y.flip(0)])


def test_what_cannot_be_written_down_runs_as_it_is():
    def run(x, y):
        return x + torch.randn(1, generator=torch.Generator().manual_seed(1))

    with torch.inference_mode():
        assert record_pass(run, X, Y) is None


def test_running_out_of_memory_is_passed_on():
    def run(x, y):
        if _get_current_dispatch_mode() is not None:
            raise MemoryError
        return x + 1

    with torch.inference_mode(), pytest.raises(MemoryError):
        record_pass(run, X, Y)


def test_a_record_leaves_nothing_behind():
    with torch.inference_mode():
        weights = [torch.rand(X.shape[-1], 3)]
        flat, gone = record_pass(lambda x, y: x @ weights[0], X, Y), weakref.ref(weights[0])
        assert len(calls(flat)) == 1
        weights.clear()
        gc.collect()
        assert gone() is not None  # the record has it
        del flat
        gc.collect()
    assert gone() is None
