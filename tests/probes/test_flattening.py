"""A recorded pass calls the operations of the network, on its tensors, and gives the same to the bit."""

import gc
import threading
import weakref

import numpy as np
import pytest
import torch
from nets import images

import cnnviz
from cnnviz.landscape.evaluating import Evaluator
from cnnviz.probes.flattening import flattened

X, Y = images(6, seed=5), torch.arange(6) % 3


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
            flat.append((flattened(runner._plain, part, labels), part, labels))
        moved = {key: tensor * 1.1 for key, tensor in runner.tensors.items() if tensor.is_floating_point()}
        runner.set(moved)
        for recorded, part, labels in flat:
            recorded.pack()
            assert torch.equal(recorded(part, labels), runner._plain(part, labels))


def test_operations_with_several_results_and_tensors_made_on_the_way_are_recorded():
    def run(x, y):
        first, second = x.chunk(2, dim=3)
        best, where = torch.cat([first, second + torch.tensor([0.5])], dim=1).max(dim=1)
        return best.relu_() * where + torch.stack(list(y.float().split(1)), dim=1).mean() + torch.arange(3).sum()

    with torch.inference_mode():
        flat = flattened(run, X, Y)
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
        assert flattened(run, X, Y) is not None


def test_other_threads_are_not_recorded():
    inside, done = threading.Event(), threading.Event()

    def run(x, y):
        x = x + 1
        inside.set()
        assert done.wait(10)
        return x * y.view(-1, 1, 1, 1)

    def beside():
        with torch.inference_mode():
            while not inside.wait(0):
                pass
            for _ in range(50):
                torch.rand(3) + 1
        done.set()

    thread = threading.Thread(target=beside)
    thread.start()
    with torch.inference_mode():
        flat = flattened(run, X, Y)
    thread.join()
    calls = [node for node in flat._run.__self__.graph.nodes if node.op == "call_function"]
    assert len(calls) == 3  # a sum, a view and a product
