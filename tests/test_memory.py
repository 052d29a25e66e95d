"""Where memory is short, fewer images go through a network at once: the same answer, and words where nothing helps."""

import gc
import json
import os
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import cnnviz
from cnnviz.data.corpus import MemoryCorpus
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.device import halving, out_of_memory
from cnnviz.errors import DeviceLost
from cnnviz.models.model import LoadedModel

ROOT = Path(__file__).resolve().parents[1]


class Crowded(nn.Sequential):
    """A network whose device has room for `most` images; `tried` are the batches that it was given."""

    def __init__(self, most: int) -> None:
        torch.manual_seed(0)
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
        self.most, self.tried = most, list[int]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tried.append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 TiB.")
        return super().forward(x)


def crowded(most: int) -> LoadedModel:
    return LoadedModel(Crowded(most), "crowded", Preprocessing((8, 8)), ["a", "b", "c"], torch.device("cpu"))


def pixels(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(1).integers(0, 256, (count, 8, 8, 3), np.uint8))


def test_what_memory_errors_say_is_known_and_others_are_not_taken_for_them():
    short = [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    ]
    assert all(map(out_of_memory, short))
    with pytest.raises(RuntimeError) as real:
        torch.empty(2**60, dtype=torch.uint8)
    assert out_of_memory(real.value)
    others = [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("out of memory"), KeyError()]
    assert not any(map(out_of_memory, others))


@pytest.mark.parametrize("most, tried", [(64, [20]), (9, [20, 10, 5, 5, 5, 5]), (1, [20, 10, 5, 2] + [1] * 20)])
def test_answers_are_those_of_one_image_at_a_time(most, tried):
    images, model = pixels(20), crowded(most)
    found = model.logits(images)
    assert model.module.tried == tried
    slow = np.concatenate([crowded(1).logits(image) for image in images])
    np.testing.assert_allclose(found, slow, atol=1e-6)


def test_maps_are_those_of_one_image_at_a_time():
    images, model = pixels(6), crowded(2)
    found = cnnviz.capture(model, images, ["0", "4"])
    for layer, values in found.items():
        slow = [cnnviz.capture(crowded(1), image, [layer])[layer][0] for image in images]
        np.testing.assert_allclose(values, np.stack(slow), atol=1e-6)


def test_no_room_for_one_image_is_said_in_words_with_what_to_do():
    for ask in (lambda m: m.predict(pixels(3)), lambda m: cnnviz.capture(m, pixels(3)[0], ["0"])):
        with pytest.raises(DeviceLost, match=r"out of memory, even with one of the images.*smaller network") as said:
            ask(crowded(0))
        assert "Traceback" not in str(said.value)


def test_other_errors_are_not_tried_again():
    tried = []

    def broken(size: int) -> None:
        tried.append(size)
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="multiplied"):
        halving(broken, 8, "cpu")
    assert tried == [8]


def test_what_filled_the_memory_is_gone_before_the_next_try():
    held: list[weakref.ref] = []

    class Large:
        pass

    def work(size: int) -> int:
        assert all(one() is None for one in held)  # else it would be full again
        large = Large()
        held.append(weakref.ref(large))
        if size > 2:
            raise MemoryError
        return size

    gc.disable()
    try:
        assert halving(work, 16, "cpu") == 2 and len(held) == 4
    finally:
        gc.enable()


def test_an_index_is_that_of_smaller_batches_and_one_that_was_asked_for_is_not_made_smaller(tmp_path):
    images = MemoryCorpus("some", [str(i) for i in range(30)], pixels(30))
    found = cnnviz.index_patches(crowded(2), images, ["0"], k=3, out=tmp_path / "index.npz")
    assert found.meta["batch"] == 2 and found.complete
    expected = cnnviz.index_patches(crowded(64), images, ["0"], k=3, batch=2)
    for channel in range(4):
        assert found.top("0", channel) == expected.top("0", channel)
    with pytest.raises(torch.OutOfMemoryError):
        cnnviz.index_patches(crowded(2), images, ["0"], k=3, batch=8)


def test_a_surface_is_that_of_smaller_batches():
    images, labels = np.stack(pixels(20)), np.arange(20) % 3
    found = cnnviz.loss_surface(crowded(10), images, labels, steps=3, precision="float32", batch=20)
    expected = cnnviz.loss_surface(crowded(64), images, labels, steps=3, precision="float32", batch=20)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)


PLUGIN = """
import cnnviz, torch
from torch import nn

class Endless(nn.Flatten):
    def forward(self, x):
        return super().forward(torch.empty(2**58) if len(x) and x.device.type != "meta" else x)

@cnnviz.register("endless_net", input_size=(3, 8, 8), classes=4, labels=list("abcd"))
def net(num_classes):
    return nn.Sequential(nn.Conv2d(3, 4, 3), Endless(), nn.Linear(144, num_classes))
"""


def test_the_command_line_says_that_memory_is_short(tmp_path):
    (tmp_path / "endless.py").write_text(PLUGIN)
    words = ["index", "endless_net", "--plugin", str(tmp_path / "endless.py"), "--weights", "random", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-m", "cnnviz", *words, "--data", "samples", "--out", str(tmp_path / "i.npz")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1 and "memory" in done.stderr and "smaller network" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "i.npz").exists()


SCRIPT = """
    import json, resource, sys
    import numpy as np, torch
    import cnnviz
    from torch import nn
    from cnnviz.models.model import LoadedModel
    from cnnviz.data.preprocessing import Preprocessing

    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 64, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 3))
    model = LoadedModel(net, "wide", Preprocessing((160, 160)), ["a", "b", "c"], torch.device("cpu"))
    images = list(np.random.default_rng(0).integers(0, 256, (64, 160, 160, 3), np.uint8))
    slow = np.concatenate([model.logits(image) for image in images])
    held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + 300 * 2**20, -1))  # 64 images need 420 MB in the first layer
    sizes, plain = [], type(model)._logits
    def noted(self, images, size):
        sizes.append(size)
        return plain(self, images, size)
    type(model)._logits = noted
    found = model.logits(images)
    print(json.dumps({"sizes": sizes, "error": float(np.abs(found - slow).max())}))
    """


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of address space are Linux's")
def test_a_computer_whose_memory_is_really_full_answers_with_smaller_batches():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["sizes"][0] == 64 and 1 <= found["sizes"][-1] < 64
    assert found["error"] < 1e-4
