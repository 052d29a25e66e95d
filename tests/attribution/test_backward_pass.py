"""One backward pass: gradients are those of `loss.backward()`, and the network is left as it was."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnnviz.attribution.backward_pass import run_backward
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel


def make_net(classes: int = 3, *end: nn.Module) -> LoadedModel:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(144, classes),
        *end,
    )
    names = [str(n) for n in range(classes)]
    return LoadedModel(net, "small", Preprocessing((8, 8)), names, torch.device("cpu"))


def batch(count: int = 5) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


LABELS = torch.tensor([0, 1, 2, 0, 1])


@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_gradients_of_weights_and_activations_are_those_of_backward(statistics):
    model = make_net()
    twin = copy.deepcopy(model.module).requires_grad_()
    twin[1].train(statistics == "batch")
    h = twin[0](batch())
    h.retain_grad()
    loss = F.cross_entropy(twin[1:](h.clone()), LABELS)
    loss.backward()
    with run_backward(model, batch(), LABELS, ["0", "1"], statistics) as found:
        weight, out, enters = found.gradients([found.weights["0.weight"], found.outputs["0"], found.inputs["1"]])
    torch.testing.assert_close(found.loss, loss)
    torch.testing.assert_close(weight, twin[0].weight.grad)
    torch.testing.assert_close(out, h.grad)
    torch.testing.assert_close(enters, h.grad)
    assert found.outputs["0"].min() < 0  # not what the in-place ReLU has made of it


def untouched(model: LoadedModel, before: dict[str, torch.Tensor]) -> None:
    for name, tensor in model.module.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not any(p.requires_grad or p.grad is not None for p in model.module.parameters())
    assert not any(
        child.training or child._forward_hooks or child._forward_pre_hooks for child in model.module.modules()
    )


def test_the_network_is_as_it_was_afterwards_also_after_an_exception():
    model = make_net()
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    with run_backward(model, batch(), LABELS, ["0"], "batch") as found:
        found.gradients(list(found.weights.values()))
    untouched(model, before)
    with pytest.raises(RuntimeError, match="on purpose"), run_backward(model, batch(), LABELS, ["0"], "batch"):
        raise RuntimeError("on purpose")
    untouched(model, before)
    with pytest.raises(RuntimeError), run_backward(model, batch()[:, :2], LABELS, ["0"], "batch"):
        pass
    untouched(model, before)


def test_one_output_and_a_sigmoid_at_the_end_have_the_binary_cross_entropy():
    for model, labels in ((make_net(1), LABELS % 2), (make_net(3, nn.Sigmoid()), LABELS)):
        with torch.no_grad():
            p = model.module(batch())
            p = p if model.trial.ending else torch.sigmoid(p)
        truth = labels[:, None].float() if p.shape[1] == 1 else F.one_hot(labels, 3).float()
        by_hand = -(truth * p.log() + (1 - truth) * (1 - p).log()).mean()
        with run_backward(model, batch(), labels) as found:
            torch.testing.assert_close(found.loss.detach(), by_hand)


@pytest.mark.parametrize(
    ("labels", "statistics", "says"),
    [
        (torch.tensor([0, 1, 3, 0, 1]), "running", "labels from 0 to 2"),
        (torch.tensor([0, 1]), "running", "needs 5 labels"),
        (LABELS, "other", "statistics is"),
    ],
)
def test_what_does_not_fit_is_said_in_words(labels, statistics, says):
    with pytest.raises(BadInput, match=says), run_backward(make_net(), batch(), labels, [], statistics):
        pass


def test_a_batch_norm_with_one_value_a_channel_is_refused_in_words():
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 2))
    model = LoadedModel(net, "tiny", Preprocessing((8, 8)), ["a", "b"], torch.device("cpu"))
    with pytest.raises(BadInput, match="more images"), run_backward(model, batch(1), LABELS[:1], [], "batch"):
        pass
