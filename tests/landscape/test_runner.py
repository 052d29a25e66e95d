"""A pass that is recorded after a few points gives the network's own values, to the bit, at every point."""

import pytest
from nets import Functional, tiny
from planenets import IMAGES, LABELS, plain, residual, slowly
from torch import nn

from cnnviz.landscape.directions import plane_directions
from cnnviz.landscape.evaluating import Evaluator
from cnnviz.landscape.runner import RECORDED

STEPS = [(0.1 * k - 0.7, 0.3 - 0.05 * k) for k in range(RECORDED + 6)]


def surfaces(model, precision="float32", batch=None, pixels=IMAGES, labels=LABELS):
    """(losses with recording, without, the runner that recorded)."""
    directions, found = plane_directions(model), []
    for records in (True, False):
        evaluator = Evaluator(model, pixels, labels, precision, batch=batch)
        plane, runner = evaluator.plane(*directions), evaluator._runner(precision == "bfloat16")
        runner.records = records
        found.append([plane.at(*step) for step in STEPS])
        if records:
            recorder = runner
    return *found, recorder


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("batch", [20, 7])  # parts of one size, and of two
@pytest.mark.parametrize("model", [residual(), plain()], ids=["residual", "without batch norm"])
def test_every_point_is_that_of_the_network_to_the_bit(model, precision, batch):
    have, want, runner = surfaces(model, precision, batch)
    assert have == want
    assert {shape[0] for shape in runner._flat} == ({20} if batch == 20 else {6, 7})
    if precision == "float32":
        moves = list(zip(STEPS[-1], plane_directions(model), strict=True))
        assert have[-1].loss == pytest.approx(slowly(model, moves).loss, rel=1e-4)


def test_what_depends_on_values_is_not_recorded_and_evaluated_as_it_is():
    net = Functional(
        lambda n, x: n.fc(n.conv(x).mean((2, 3)) * (2 if x.mean() > 0 else 3)),
        conv=nn.Conv2d(3, 4, 3), fc=nn.Linear(4, 3),
    )  # fmt: skip
    have, want, runner = surfaces(tiny(net), batch=7)
    assert have == want and runner._flat == {}


def test_a_record_that_holds_what_the_weights_decide_is_dropped():
    """Read by NumPy, a weight leaves no trace among the operations: the record would keep its first value."""

    def forward(n, x):
        return n.fc(n.conv(x).mean((2, 3))) * float(n.fc.weight.detach().numpy()[0, 0])

    have, want, runner = surfaces(tiny(Functional(forward, conv=nn.Conv2d(3, 4, 3), fc=nn.Linear(4, 3))), batch=7)
    assert have == want and runner._flat == {}


def test_another_size_of_a_pass_is_recorded_anew():
    model = residual()
    evaluator = Evaluator(model, IMAGES, LABELS, "float32", batch=20)
    plane = evaluator.plane(*plane_directions(model))
    for step in STEPS:
        plane.at(*step)
    before = plane.at(0.2, 0.2)
    evaluator.fix("float32", 5)
    assert evaluator._runner(False)._flat == {}
    for step in STEPS:
        plane.at(*step)
    assert {shape[0] for shape in evaluator._runner(False)._flat} == {5}
    assert plane.at(0.2, 0.2).loss == pytest.approx(before.loss, rel=1e-6)
