"""The training loss of networks with one answer and with several, and layers that learn at their own rate."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_folders import class_folders
from torch import Tensor, nn

from cnnviz.data.labelled import load_labelled
from cnnviz.errors import BadInput
from cnnviz.models.catalogue import architecture, registry
from cnnviz.models.families.googlenet import GoogLeNet
from cnnviz.training.loop import train
from cnnviz.training.loss import cross_entropy, main_logits, total_loss
from cnnviz.training.recipe import Recipe
from cnnviz.training.state import CHECKPOINT

LABELS = torch.tensor([0, 2, 1])
RECIPE = Recipe(epochs=1, batch=4, lr=0.01, weight_decay=0.0, warmup=0.0, schedule="constant", precision="float32")


@pytest.fixture
def logits(seeded) -> list[Tensor]:
    return [torch.randn(3, 4, generator=seeded) for _ in range(4)]


def by_hand(scores: Tensor, smoothing: float = 0.0) -> float:
    """Mean of −Σ q·log softmax, q the smoothed labels."""
    losses = []
    for row, label in zip(scores.double(), LABELS.tolist(), strict=True):
        logs = [float(value - row.exp().sum().log()) for value in row]
        wanted = [smoothing / 4 + (1 - smoothing) * (i == label) for i in range(4)]
        losses.append(-sum(q * log for q, log in zip(wanted, logs, strict=True)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_of_plain_logits_is_their_cross_entropy(logits, smoothing):
    assert float(total_loss(logits[0], LABELS, smoothing)) == pytest.approx(by_hand(logits[0], smoothing))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_auxiliary_losses_are_added_with_their_weight(logits, smoothing):
    main, *others = (by_hand(part, smoothing) for part in logits)
    for output in (tuple(logits), (logits[0], logits[1:]), [logits[0], None, *logits[1:]]):
        assert float(total_loss(output, LABELS, smoothing)) == pytest.approx(main + 0.3 * sum(others))
    assert float(total_loss(tuple(logits), LABELS, smoothing, 0.0)) == pytest.approx(main)


def test_the_main_logits_come_first(logits):
    assert main_logits(logits[2]) is logits[2]
    assert main_logits((logits[1], [logits[0]])) is logits[1]


def test_named_outputs_of_torchvision_are_understood(logits):
    from torchvision.models import GoogLeNetOutputs, InceptionOutputs

    main, late, early = logits[:3]
    both = by_hand(main) + 0.3 * (by_hand(late) + by_hand(early))
    assert float(total_loss(GoogLeNetOutputs(main, late, early), LABELS)) == pytest.approx(both)
    assert float(total_loss(InceptionOutputs(main, None), LABELS)) == pytest.approx(by_hand(main))


def test_half_precision_logits_are_measured_in_float32(logits):
    half = [part.to(torch.bfloat16) for part in logits]
    loss = total_loss(tuple(half), LABELS)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(by_hand(half[0]) + 0.3 * sum(map(by_hand, half[1:])), rel=1e-5)


@pytest.mark.parametrize(
    "output, named",
    [
        (torch.zeros(3, 4, 2, 2), "(3, 4, 2, 2)"),
        ((torch.zeros(3, 4), torch.zeros(3, 7)), "(3, 7)"),
        ({"out": torch.zeros(3, 4)}, "dict"),
        ((None,), "tuple"),
    ],
)
def test_an_output_that_is_not_logits_is_refused_saying_what_it_is(output, named):
    with pytest.raises(BadInput, match="main ones first") as refused:
        total_loss(output, LABELS)
    assert named in str(refused.value)


def test_googlenets_heads_pull_with_the_published_weight():
    assert GoogLeNet.auxiliary_weight == 0.3
    torch.manual_seed(0)
    net = nn.Linear(5, 4)
    x = torch.randn(3, 5)
    total_loss((net(x).detach(), net(x)), LABELS, 0.0, GoogLeNet.auxiliary_weight).backward()
    alone = nn.functional.cross_entropy(net(x), LABELS)
    expected = torch.autograd.grad(alone, net.weight)[0] * 0.3
    torch.testing.assert_close(net.weight.grad, expected)


class TwoHeads(nn.Module):
    """A head behind two convolutions, and one that looks at the first alone."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 5, 2), nn.Conv2d(6, 6, 5, 2)
        self.head, self.early = nn.Linear(6, num_classes), nn.Linear(6, num_classes)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        low = self.first(x).relu()
        logits = self.head(self.second(low).relu().mean((2, 3)))
        return (logits, self.early(low.mean((2, 3)))) if self.training else logits


def trained(
    folder: Path, monkeypatch: pytest.MonkeyPatch, batch: int = 4, folded: bool = False, **attributes: object
) -> tuple[dict, dict]:
    """The weights of TwoHeads before and after one epoch of 8 images; `attributes` are set on the class."""
    entry = replace(registry.find("resnet20_cifar"), name="two_heads", builder=TwoHeads)
    monkeypatch.setitem(architecture._CATALOGUE, "two_heads", entry)
    for name, value in attributes.items():
        monkeypatch.setattr(TwoHeads, name, value, raising=False)
    bars = class_folders(folder / "bars", train=8, test=4)
    train("two_heads", bars, folder / "run", replace(RECIPE, batch=batch, folded_norm=folded), "cpu")
    with torch.random.fork_rng():
        torch.manual_seed(RECIPE.seed)
        before = TwoHeads(2).state_dict()
    return before, torch.load(folder / "run" / CHECKPOINT, weights_only=True)["model"]


@pytest.mark.parametrize("weight", [None, 0.0, 0.5])
def test_a_run_trains_the_auxiliary_heads_unless_their_weight_is_zero(tmp_path, monkeypatch, weight):
    before, after = trained(tmp_path, monkeypatch, **({} if weight is None else {"auxiliary_weight": weight}))
    assert not torch.equal(after["head.weight"], before["head.weight"])
    assert torch.equal(after["early.weight"], before["early.weight"]) == (weight == 0.0)


def test_layers_learn_at_the_scale_their_network_gives_them(tmp_path, monkeypatch):
    before, after = trained(tmp_path, monkeypatch, learning_rate_scales={"early": 0.0, "first": 0.0})
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"second", "head"}


def test_a_scaled_step_is_so_much_smaller(tmp_path, monkeypatch):
    before, full = trained(tmp_path / "full", monkeypatch, batch=8)
    _, tenth = trained(tmp_path / "tenth", monkeypatch, batch=8, learning_rate_scales={"head": 0.1})
    steps = [after["head.weight"] - before["head.weight"] for after in (full, tenth)]
    torch.testing.assert_close(steps[1], steps[0] * 0.1, rtol=1e-3, atol=1e-7)
    assert steps[0].abs().max() > 1e-4
    assert torch.equal(full["second.weight"], tenth["second.weight"])


def test_behind_batch_norm_convolutions_learn_at_the_whole_rate_and_others_at_their_own(tmp_path, monkeypatch):
    before, whole = trained(tmp_path / "whole", monkeypatch, batch=8, folded=True)
    scales = {"second": 0.1, "early": 0.0}
    _, scaled = trained(tmp_path / "scaled", monkeypatch, batch=8, folded=True, learning_rate_scales=scales)
    assert not torch.equal(whole["second.weight"], before["second.weight"])
    assert torch.equal(scaled["second.weight"], whole["second.weight"])
    assert torch.equal(scaled["early.weight"], before["early.weight"])
    assert not torch.equal(whole["early.weight"], before["early.weight"])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("ending", ["sigmoid", "log-sigmoid"])
def test_networks_that_end_in_a_sigmoid_are_trained_with_the_binary_cross_entropy(logits, ending, smoothing):
    """Each output answers yes or no for itself: the mean of −q·log p − (1 − q)·log(1 − p) over the classes."""
    yes = torch.sigmoid(logits[0].double())
    wanted = torch.full((3, 4), smoothing / 4, dtype=torch.float64)
    wanted[torch.arange(3), LABELS] += 1 - smoothing
    by_hand = -(wanted * yes.log() + (1 - wanted) * (1 - yes).log()).mean()
    given = torch.sigmoid(logits[0]) if ending == "sigmoid" else nn.functional.logsigmoid(logits[0])
    assert float(total_loss(given, LABELS, smoothing, ending=ending)) == pytest.approx(float(by_hand), rel=1e-4)
    each = cross_entropy(logits[0], LABELS, ending)
    assert each.shape == (3,) and float(cross_entropy(logits[0], LABELS, ending, reduction="sum")) == pytest.approx(
        float(each.sum())
    )


def test_a_network_that_ends_in_a_sigmoid_is_measured_with_the_loss_that_it_was_trained_with(monkeypatch, tmp_path):
    def builder(classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(784, classes), nn.Sigmoid())

    entry = replace(registry.find("lenet5"), name="yes_or_no", builder=builder)
    monkeypatch.setitem(architecture._CATALOGUE, "yes_or_no", entry)
    data = class_folders(tmp_path / "data", train=20, test=10)
    train("yes_or_no", data, tmp_path / "run", replace(RECIPE, epochs=2), "cpu")
    (_, last) = json.loads((tmp_path / "run" / "history.json").read_text())
    module = builder(2)
    module.load_state_dict(torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)["model"])
    testing = load_labelled(data, "test", entry.preprocessing)
    images = entry.preprocessing.normalise(torch.from_numpy(testing.batch(np.arange(10))))
    answers = nn.functional.one_hot(torch.from_numpy(testing.labels), 2).float()
    with torch.no_grad():
        expected = nn.functional.binary_cross_entropy(module(images), answers)
    assert last["test_loss"] == pytest.approx(float(expected), rel=1e-4)
