"""What layers cost, against PyTorch's own parameters and the lecture's numbers."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnnviz.errors import BadInput
from cnnviz.models.families.stochastic_depth import survival_probabilities
from cnnviz.studies.anatomy.anatomy import anatomy
from cnnviz.studies.convolution.cost import conv_cost, dense_cost, inception_cost
from cnnviz.studies.convolution.lecture_errors import list_errors
from cnnviz.studies.convolution.lecture_questions import find_question, list_questions

RIGHT = {
    "dense-500": 750_000_000,
    "dense-12mp": 3_600_000_000,
    "kernel": 28,
    "kernels-100": 2_800,
    "alexnet-conv1": 34_944,
    "ten-5x5": 760,
    "six-5x5": 450,
    "one-by-one": 2_048,
    "one-5x5": 25,
    "two-3x3": 18,
    "one-7x7": 3_211_264,
    "three-3x3": 1_769_472,
    "wide-3x3": 589_824,
    "bottleneck": 69_632,
    "naive-inception": 854_196_224,
    "reduced-inception": 271_351_808,
    "inception-pool": 256,
    "size-32-5": 28,
    "size-7-3": 5,
    "size-7-3-2": 3,
    "size-7-3-3": 2,
    "size-padded": 7,
    "size-alexnet": 55,
    "size-alexnet-pool": 27,
    "toeplitz-row": 13,
    "dense-block": 15,
    "alexnet-units": 813_859,
    "googlenet-conv1": 9_408,
    "dropout-masks": 1233,
    "stochastic-depth": 40.25,
}
NEARLY = {
    "dense-500-memory": 2.794,
    "alexnet-memory": 232.6,
    "nin-memory": 28.97,
    "vgg16-activations": 60.95,
    "alexnet-lenet": 760,
    "cross-entropy": 0.2231,
}
WRONG = {"reduced-inception", "size-32-5", "size-padded", "vgg16-activations", "alexnet-lenet", "googlenet-conv1"}


def test_every_question_of_the_lecture_has_its_right_answer():
    found = {q.key: q.value for q in list_questions()}
    assert {key: found[key] for key in RIGHT} == RIGHT
    for key, value in NEARLY.items():
        assert found[key] == pytest.approx(value, rel=1e-3)
    assert set(found) == set(RIGHT) | set(NEARLY)


def test_where_the_notes_are_wrong_the_question_says_so():
    assert {q.key for q in list_questions() if not q.notes_right} == WRONG
    assert all(q.remark for q in list_questions() if not q.notes_right)
    assert find_question("reduced-inception").notes_say == 358e6 and find_question("nothing") is None
    for q in list_questions():
        agrees = q.notes_say is None or q.value == pytest.approx(q.notes_say, rel=0.02)
        assert agrees or not q.notes_right, q.key


@pytest.mark.parametrize("groups, bias, stride", [(1, True, 1), (2, False, 2), (4, True, 3)])
def test_a_convolution_costs_what_pytorch_says(groups, bias, stride):
    layer = nn.Conv2d(4, 8, 3, stride, 1, groups=groups, bias=bias)
    found = conv_cost(4, 8, 3, 10, 12, stride, 1, groups, bias)
    assert found.parameters == sum(p.numel() for p in layer.parameters()) and found.weights == layer.weight.numel()
    assert found.output == (8, (10 - 1) // stride + 1, (12 - 1) // stride + 1)
    assert found.macs == layer.weight.numel() * found.output[1] * found.output[2]
    assert found.parameter_bytes == 4 * found.parameters and found.activation_bytes == 4 * found.activations


def test_ten_filters_on_a_cifar_image():
    found = conv_cost(3, 10, 5, 32, 32)
    assert (found.parameters, found.macs, found.output) == (760, 768_000, (10, 32, 32))
    assert conv_cost(64, 32, 1, 56, 56).parameters == 2_080
    assert dense_cost(750_000, 1_000).parameters == 750_001_000


def test_the_weights_of_lenet_layer_by_layer():
    layers = [conv_cost(1, 6, 5), conv_cost(6, 16, 5), dense_cost(400, 120), dense_cost(120, 84), dense_cost(84, 10)]
    assert [layer.weights for layer in layers] == [150, 2_400, 48_000, 10_080, 840]
    assert sum(layer.parameters for layer in layers) == 61_706


def test_inception_modules_branch_by_branch():
    naive, reduced = inception_cost(), inception_cost(reduce=(64, 64, 64))
    assert [cost.macs for _, cost in naive.branches] == [25_690_112, 346_816_512, 481_689_600, 0]
    assert (naive.depth, naive.weights, reduced.depth, reduced.weights) == (672, 1_089_536, 480, 346_112)
    assert reduced.macs + 86_704_128 == 358_055_936  # what the notes add up: the 3×3 branch twice


def test_counts_that_do_not_fit_are_refused():
    with pytest.raises(BadInput, match="groups"):
        conv_cost(3, 4, 3, groups=2)
    with pytest.raises(BadInput, match="fully connected"):
        dense_cost(0, 5)


def test_what_the_counting_questions_say_of_networks_is_what_the_networks_have():
    alexnet, googlenet = anatomy("alexnet_2012"), anatomy("googlenet_2014")
    weighted = [row for row in alexnet.rows if row.parameters]
    units = [math.prod(alexnet.input_size), *(math.prod(row.output) for row in weighted)]
    assert find_question("alexnet-units").working == " + ".join(f"{n:,}" for n in units)
    assert sum(units) == 813_859 and f"{sum(units[1:]):,}" in find_question("alexnet-units").remark
    first = next(row for row in googlenet.rows if row.parameters)
    assert first.macs == 118_013_952 and first.weights == 9_408
    survival = survival_probabilities(54)
    assert sum(survival) == pytest.approx(find_question("stochastic-depth").value)
    assert (survival[0] > 0.99, survival[-1]) == (
        True,
        0.5,
    )
    assert 10**1233 < 2**4096 < 10**1234


def test_each_error_of_the_notes_comes_with_what_holds_and_why():
    found = list_errors()
    assert len({error.notes_say for error in found}) == len(found) >= 30
    assert all(e.topic and e.notes_say and e.correct and e.reason and e.correct != e.notes_say for e in found)


def test_what_is_said_in_place_of_the_notes_holds():
    x = torch.randn(8, 5, dtype=torch.double)
    batch, layer = F.batch_norm(x, None, None, training=True), F.layer_norm(x, (5,))
    assert batch.mean(0).abs().max() < 1e-9 and batch.mean(1).abs().max() > 1e-3  # D means, over N
    assert layer.mean(1).abs().max() < 1e-9 and layer.mean(0).abs().max() > 1e-3
    z = torch.randn(6, requires_grad=True)
    torch.tanh(z).sum().backward()
    torch.testing.assert_close(z.grad, 1 - torch.tanh(z.detach()) ** 2)
    logit = torch.tensor(0.3, requires_grad=True)
    F.binary_cross_entropy_with_logits(logit, torch.tensor(1.0)).backward()
    torch.testing.assert_close(logit.grad, torch.sigmoid(logit.detach()) - 1)  # ŷ − y
    ones = torch.ones(100_000)
    kept = F.dropout(ones, 0.3, training=True)
    assert kept.unique().tolist() == pytest.approx([0.0, 1 / 0.7])  # activations, scaled by 1 / (1 − p)
    assert 1024 * 1000 + 1000 == 1_025_000 and 2048 * 1000 + 1000 == 2_049_000
