"""Which normalisations may be folded, and which sums and rectifiers may join a convolution."""

import pytest
import torch
from nets import Functional, tiny
from planenets import IMAGES, LABELS, residual, settled
from torch import nn

from cnnviz.engine.fold_batchnorm import copy_folded, find_foldable, fold, try_trace
from cnnviz.engine.fuse_relu import Fusion, find_fusable
from cnnviz.landscape.evaluate.evaluator import Evaluator
from cnnviz.landscape.evaluate.runner import named_tensors
from cnnviz.landscape.plane.directions import plane_directions

SIZE = (3, 8, 8)


def conv() -> nn.Conv2d:
    return nn.Conv2d(3, 3, 3, padding=1)


def found(module: nn.Module) -> list[tuple[str, str]]:
    module = settled(module).eval()
    return [(pair.conv, pair.norm) for pair in find_foldable(module, try_trace(module, SIZE))]


def test_each_normalisation_of_a_residual_network_is_folded_into_the_layer_before_it():
    net = residual().module
    assert found(net) == [("a", "bn1"), ("b", "bn2"), ("c", "bn3")]
    twin = copy_folded(net, folds := find_foldable(net, try_trace(net, SIZE)))
    with torch.no_grad():
        for name, tensor in fold(named_tensors(net), folds).items():
            named_tensors(twin)[name].copy_(tensor)
        torch.testing.assert_close(twin(IMAGES), net(IMAGES))
    assert not any(isinstance(child, nn.BatchNorm2d) for child in twin.modules())


@pytest.mark.parametrize(
    "net",
    [
        Functional(lambda n, x: n.bn(y := n.a(x)) + y, a=conv(), bn=nn.BatchNorm2d(3)),
        Functional(lambda n, x: n.bn(n.a(n.a(x))), a=conv(), bn=nn.BatchNorm2d(3)),
        Functional(lambda n, x: n.bn(n.a(x)) + n.bn(n.b(x)), a=conv(), b=conv(), bn=nn.BatchNorm2d(3)),
        Functional(lambda n, x: n.bn(n.a(x).relu()), a=conv(), bn=nn.BatchNorm2d(3)),
        Functional(lambda n, x: n.bn(n.a(x) + x), a=conv(), bn=nn.BatchNorm2d(3)),
        Functional(lambda n, x: n.bn(n.a(x).transpose(1, 2)), a=nn.Conv2d(3, 8, 3, padding=1), bn=nn.BatchNorm2d(8)),
        Functional(lambda n, x: n.bn(n.a(x)), a=conv(), bn=nn.BatchNorm2d(3, track_running_stats=False)),
        Functional(lambda n, x: n.bn(n.a(x)), a=nn.ConvTranspose2d(3, 3, 3), bn=nn.BatchNorm2d(3)),
    ],
    ids="two-readers called-twice norm-shared relu-between sum-between axes-swapped no-statistics transposed".split(),
)
def test_what_cannot_be_folded_is_evaluated_as_it_is(net):
    if "transpose" not in str(net.fn.__code__.co_names):  # there pairs() may be fooled; the evaluator checks
        assert not found(net)
    head = Functional(lambda n, x: n.net(x).mean((2, 3))[:, :3], net=settled(net))
    model = tiny(head)
    evaluator = Evaluator(model, IMAGES, LABELS, "float32", batch=20)
    want = nn.functional.cross_entropy(model.module(IMAGES), LABELS)
    assert evaluator.at().loss == pytest.approx(want.item(), rel=1e-5)


def test_shared_weights_are_left_unfolded():
    a, b = conv(), conv()
    b.weight = a.weight
    assert not found(nn.Sequential(a, nn.BatchNorm2d(3), b, nn.BatchNorm2d(3)))


def test_a_network_that_cannot_be_followed_is_evaluated_all_the_same(monkeypatch):
    def refuse(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("cnnviz.engine.fold_batchnorm.trace_graph", refuse)
    evaluator = Evaluator(residual(), IMAGES, LABELS, "float32")
    assert evaluator.folds == () and evaluator.fused == ()
    monkeypatch.undo()
    assert evaluator.at().loss == pytest.approx(Evaluator(residual(), IMAGES, LABELS, "float32").at().loss, rel=1e-5)


def test_a_fold_that_changes_the_answers_is_not_trusted(monkeypatch):
    wrong = lambda state, folds: {n: t + 0.1 for n, t in fold(state, folds).items()}  # noqa: E731
    monkeypatch.setattr("cnnviz.landscape.evaluate.evaluator.fold", wrong)
    assert Evaluator(residual(), IMAGES, LABELS, "float32").folds == ()


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="oneDNN is not in this build")
def test_sums_and_rectifiers_join_the_convolutions_of_a_residual_network():
    net = residual().module
    graph = try_trace(net, SIZE)
    assert find_fusable(net, graph, find_foldable(net, graph)) == tuple(Fusion(n, n == "c") for n in "abc")
    assert find_fusable(net, None, ()) == ()


def read_after(n: Functional, x: torch.Tensor) -> torch.Tensor:
    q = torch.relu(n.b(x))
    return (n.a(q) + q) * q


def read_by_a_later_layer(n: Functional, x: torch.Tensor) -> torch.Tensor:
    q = torch.relu(n.b(x))
    return n.c(q * 1 + (n.a(q) + q).relu()) + n.c(q)


def read_by_a_promise(n: Functional, x: torch.Tensor) -> torch.Tensor:
    q = torch.relu(n.b(x))
    late = n.c(q)
    return torch.relu(n.a(q) + q) + torch.relu(late)


def read_before(n: Functional, x: torch.Tensor) -> torch.Tensor:
    q = torch.relu(n.b(x))
    return torch.relu(n.a(torch.relu(n.c(q))) + q)


@pytest.mark.parametrize(
    "code",
    [
        read_after,
        read_by_a_later_layer,
        read_by_a_promise,
        read_before,
        lambda n, x: torch.relu(n.a(x)),
        lambda n, x: n.a(x).relu(),
        lambda n, x: n.a(x) + x,
        lambda n, x: x + n.a(x),
        lambda n, x: torch.add(n.a(x), x),
        lambda n, x: torch.add(n.a(x), x, alpha=2),
        lambda n, x: n.a(x).add(x),
        lambda n, x: n.a(x) + n.b(x),
        lambda n, x: (n.a(x) + n.b(x)) + x,
        lambda n, x: n.a(x) + 1,
        lambda n, x: x.clone().add_(n.a(x)),
        lambda n, x: n.a(x) + x[:, :, :1, :1],
        lambda n, x: (n.a(x) + x).relu_(),
        lambda n, x: nn.functional.relu(x + n.a(x), inplace=True),
        lambda n, x: torch.cat([n.a(x), n.b(x)])[: len(x)],
        lambda n, x: n.relu(n.a(x) + n.relu(n.b(x))),
    ],
)
@pytest.mark.usefixtures("bfloat16_everywhere")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_promise_keeps_what_the_convolution_would_have_said(code, precision):
    torch.manual_seed(0)
    net = Functional(lambda n, x: code(n, x).mean((2, 3)), a=conv(), b=conv(), c=conv(), relu=nn.ReLU(inplace=True))
    model = tiny(net)
    directions = plane_directions(model)
    evaluator = Evaluator(model, IMAGES, LABELS, precision)
    if code in (read_after, read_by_a_later_layer, read_by_a_promise, read_before):
        assert {f.conv: f.overwrites for f in evaluator.fused}.get("a", False) == (code is read_before)
    have = evaluator.plane(*directions).at(0.0, 0.0)
    want = nn.functional.cross_entropy(model.module(IMAGES), LABELS).item()
    assert have.loss == pytest.approx(want, rel=1e-5 if precision == "float32" else 0.02)
