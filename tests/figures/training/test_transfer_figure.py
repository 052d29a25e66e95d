"""The figure of the study of transfer: means, spreads, and marks only where a fall shows."""

import numpy as np
import pytest

from cnnviz.figures.training.transfer import WORDS, attempts_figure, efficiency_figure, transfer_figure
from cnnviz.studies.learning.attempts import ATTEMPTS
from cnnviz.studies.learning.efficiency import EfficiencyStudy
from cnnviz.studies.learning.transfer import KINDS, TransferStudy
from cnnviz.training.state import Epoch


@pytest.fixture
def study() -> TransferStudy:
    found = TransferStudy.empty(("conv1", "conv2"), range(3), {})
    found.bases[:] = [[0.7, 0.70], [0.7, 0.72], [0.7, 0.74]]
    for kind in KINDS:
        found.accuracy[kind][:] = found.bases[:, 1:] + [[0.0, 0.0]]
    found.accuracy["BnB"][:, 1] -= 0.1
    found.accuracy["AnB"][:, 1] -= [0.11, 0.09, 0.1]  # as BnB: no features are specific
    return found


def test_each_kind_is_a_curve_of_means_with_its_spread(study):
    figure = transfer_figure(study)
    curves = {trace.name: trace for trace in figure.data}
    assert set(curves) == {"B alone", *WORDS.values()}
    for kind in KINDS:
        values = 100 * study.accuracy[kind]
        np.testing.assert_allclose(curves[WORDS[kind]].y, values.mean(0))
        np.testing.assert_allclose(curves[WORDS[kind]].error_y.array, values.std(0, ddof=1), atol=1e-9)
    assert list(curves["B alone"].y) == pytest.approx([72.0, 72.0])


def test_only_what_falls_beyond_the_spread_is_marked(study):
    marks = transfer_figure(study).layout.annotations
    assert [(mark.text, round(mark.x)) for mark in marks] == [("co-adaptation", 2)]
    study.accuracy["AnB"][:, 1] -= 0.2
    assert {mark.text for mark in transfer_figure(study).layout.annotations} == {"co-adaptation", "specificity"}


def test_attempts_are_drawn_as_far_as_they_are():
    history = [Epoch(n, 1.0, 0.5 + 0.1 * n, 1.0, 0.2 * n, 0.1, 1.0) for n in (1, 2, 3)]
    chosen = [ATTEMPTS["scratch"], ATTEMPTS["head"]]
    figure = attempts_figure(chosen, {"head": history}, 5)
    assert [list(trace.y) for trace in figure.data] == [pytest.approx([20, 40, 60]), pytest.approx([60, 70, 80])]
    assert [trace.name for trace in figure.data if trace.showlegend] == [ATTEMPTS["head"].title]
    assert tuple(figure.layout.xaxis.range) == (0.5, 5.5)


def test_the_curves_of_efficiency_hold_means_and_deviations_of_both_kinds_of_test_images():
    values = np.array([[[0.5, 0.7], [0.7, 0.9]], [[0.2, 0.4], [0.4, 0.4]]])  # (2, S, K)
    study = EfficiencyStudy(("mlp", "lenet5"), (1, 2), (1, 10), (0, 1), {"mlp": values, "lenet5": values})
    figure = efficiency_figure(study)
    curves = {trace.name: trace for trace in figure.data if trace.name}
    assert set(curves) == {"mlp", "mlp, moved", "lenet5", "lenet5, moved"}
    assert np.allclose(curves["mlp"].y, [60, 80]) and np.allclose(curves["mlp, moved"].y, [30, 40])
    assert np.allclose(curves["mlp"].error_y.array, [100 * np.sqrt(0.02), 100 * np.sqrt(0.02)])
    assert curves["mlp, moved"].line.dash == "dot" and figure.layout.xaxis.type == "log"
