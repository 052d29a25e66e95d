"""One pass for both: the maps and the answer of a video frame."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnviz
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import UnknownName
from cnnviz.models.model import LoadedModel
from cnnviz.probes.frame import analyse_frame
from cnnviz.probes.predictions import predict_image

FRAME = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


class Counted(nn.Module):
    """Two convolutions with an in-place ReLU between them, and how often it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu, self.second = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3)
        self.passes = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        return self.second(self.relu(self.first(x))).mean((2, 3))


@pytest.fixture
def model() -> LoadedModel:
    torch.manual_seed(0)
    expects = Preprocessing((16, 16), mean=(0.5,) * 3, std=(0.25,) * 3)
    return LoadedModel(Counted(), "counted", expects, list("abcde"), torch.device("cpu"))


def test_a_look_shows_what_capture_and_answer_say_of_the_same_frame_in_one_pass(model):
    analyse_frame(model, FRAME, "first")  # the first pass of a network is followed
    for layer in ("first", "second"):
        before = model.module.passes
        seen = analyse_frame(model, FRAME, layer)
        assert model.module.passes == before + 1
        np.testing.assert_allclose(seen.maps, cnnviz.capture(model, FRAME, [layer])[layer][0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(seen.answer.logits, predict_image(model, FRAME).logits, rtol=1e-5, atol=1e-6)
        assert seen.answer.class_names == tuple("abcde")
    assert (analyse_frame(model, FRAME, "first").maps < 0).any()  # the values before the in-place ReLU


def test_a_look_leaves_no_hook_and_frees_the_lock_also_when_it_fails(model):
    with pytest.raises(UnknownName, match="first"):
        analyse_frame(model, FRAME, "frist")
    analyse_frame(model, FRAME, "first")
    assert not any(child._forward_hooks or child._forward_pre_hooks for child in model.module.modules())
    assert model.lock.acquire(blocking=False)
    model.lock.release()
