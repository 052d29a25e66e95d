"""A loaded network: eval mode, frozen, batches from whatever is handed over, probabilities that add up."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput
from cnnviz.models.catalogue.registry import build
from cnnviz.models.model import BATCH, LoadedModel, layer_kinds

SIZE = Preprocessing((8, 8))


def small(**changes) -> LoadedModel:
    torch.manual_seed(0)
    features = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()
    net = nn.Sequential(*features, nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 5))
    parts = dict(module=net, name="small", preprocessing=SIZE, class_names=list("abcde"), device=torch.device("cpu"))
    return LoadedModel(**(parts | changes))


def pixels(count: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


def test_the_network_is_in_eval_mode_with_frozen_parameters():
    module = small().module
    assert not any(m.training for m in module.modules())
    assert not any(p.requires_grad for p in module.parameters())


def test_probabilities_are_the_softmax_of_the_scores_and_add_up_to_one():
    model = small()
    scores = model.logits(pixels()).astype(np.float64)
    found = model.predict(pixels())
    assert found.shape == (3, 5) and found.dtype == np.float32
    for row, probabilities in zip(scores, found, strict=True):
        total = sum(np.exp(s) for s in row)
        assert probabilities == pytest.approx([np.exp(s) / total for s in row], abs=1e-6)
    assert found.sum(axis=1) == pytest.approx([1, 1, 1])


def test_huge_scores_do_not_overflow():
    model = small()
    model.module[-1].weight *= 1e5
    found = model.predict(pixels())
    assert np.isfinite(found).all() and found.sum(axis=1) == pytest.approx([1, 1, 1])


def test_every_way_to_hand_over_images_gives_the_same_answer():
    model, images = small(), pixels()
    expected = model.predict(images)
    pictures = [Image.fromarray(p) for p in images]
    tensor = torch.stack([model.preprocess(p) for p in pictures])
    for given in (list(images), pictures, tuple(pictures), tensor, tensor.double()):
        np.testing.assert_allclose(model.predict(given), expected, atol=1e-6)
    for one in (images[0], pictures[0], tensor[0]):
        np.testing.assert_allclose(model.predict(one), expected[:1], atol=1e-6)


def test_preprocess_normalises_what_receive_shows():
    model, (image,) = small(), pixels(1)
    found = model.preprocess(image)
    assert found.shape == model.input_size == (3, 8, 8) and found.dtype == torch.float32
    assert torch.equal(found, SIZE.normalise(torch.from_numpy(model.receive(image))))


def test_any_number_of_images_is_answered_in_parts_of_bounded_size():
    model, images = small(), pixels(BATCH + 3)
    together = model.logits(images)
    assert together.shape == (BATCH + 3, 5)
    for number in (0, BATCH - 1, BATCH, BATCH + 2):
        np.testing.assert_allclose(together[number], model.logits(images[number])[0], atol=1e-5)
    assert [len(part) for part in model.batches(images)] == [BATCH, 3]
    assert [len(part) for part in model.batches(images[0])] == [1]
    assert [len(part) for part in model.batches(model.batch(list(images)), size=40)] == [40, BATCH - 37]


@pytest.mark.parametrize("wrong, said", [([], "at least one image"), (torch.zeros(1, 1, 8, 8), r"\(N, 3, H, W\)")])
def test_batches_that_do_not_fit_are_refused(wrong, said):
    with pytest.raises(BadInput, match=said):
        small().batch(wrong)


def test_networks_that_answer_with_several_outputs_are_read_by_their_first():
    class Two(nn.Module):
        def forward(self, x):
            return x.mean((2, 3)), x

    model = small(module=Two())
    np.testing.assert_allclose(model.logits(pixels()), model.batch(pixels()).mean((2, 3)).numpy(), atol=1e-6)


def test_the_fingerprint_follows_name_weights_and_preprocessing():
    known = small().fingerprint
    assert known == small().fingerprint == small(origin="elsewhere.pt").fingerprint
    changed = small()
    changed.module[0].bias[2] += 1e-3
    resized = small(preprocessing=Preprocessing((8, 8), resize=9))
    others = {changed.fingerprint, small(name="other").fingerprint, resized.fingerprint}
    assert len(others | {known}) == 4


def test_buffers_count_for_the_fingerprint():
    changed = small()
    changed.module[1].running_mean += 1
    assert changed.fingerprint != small().fingerprint


def test_kinds_of_layers_are_told_apart_and_containers_left_out():
    kinds = layer_kinds(build("resnet20_cifar"))
    assert kinds["conv1"] == "conv" and kinds["layer2.1"] == "block" and "layer2" not in kinds
    assert [k for k, v in kinds.items() if v == "linear"] == list(kinds)[-1:]
    assert "bn1" not in kinds


def test_layers_come_in_the_order_of_definition_and_by_kind():
    model = small(module=build("lenet5"), preprocessing=Preprocessing((28, 28), mean=(0.0,), std=(1.0,)))
    assert model.layers() == ["conv1", "pool1", "conv2", "pool2", "fc1", "fc2", "fc3"]
    assert model.layers("conv") == ["conv1", "conv2"] and model.layers("linear") == ["fc1", "fc2", "fc3"]
    assert model.layers("pool") == ["pool1", "pool2"] and model.layers("block") == []


def test_whoever_holds_the_lock_keeps_others_from_computing():
    model, done = small(), threading.Event()
    with model.lock:
        thread = threading.Thread(target=lambda: (model.predict(pixels()), done.set()))
        thread.start()
        assert not done.wait(0.2)
        model.predict(pixels())  # the holder itself may
    thread.join(60)
    assert done.is_set()


def test_a_network_with_one_output_answers_with_its_logistic_function():
    torch.manual_seed(0)
    model = small(module=nn.Sequential(nn.Flatten(), nn.Linear(192, 1)), class_names=["yes"])
    scores, found = model.logits(pixels()).astype(np.float64), model.predict(pixels())
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-scores)), rtol=1e-6)
    assert found.shape == (3, 1) and len(set(found.ravel().tolist())) == 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_network_on_cuda_is_computed_in_float32_and_not_in_tf32():
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 64, 3)
    wide = Preprocessing((32, 32), mean=(0.0,) * 64, std=(1.0,) * 64)
    model = LoadedModel(conv, "wide", wide, ["a"], torch.device("cuda"))
    batch = torch.randn(4, 64, 32, 32)
    exact = nn.functional.conv2d(batch.double(), conv.weight.double().cpu(), conv.bias.double().cpu()).flatten(1)
    np.testing.assert_allclose(model.logits(batch), exact.numpy(), atol=1e-5)
