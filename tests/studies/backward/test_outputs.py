"""Outputs and losses, against PyTorch's and against numbers of the notes."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cnnviz.errors import BadInput
from cnnviz.studies.backward.outputs import KINDS, output_loss

Z = np.array([1.5, -2.0, 0.3, 4.0])


def by_torch(kind: str, temperature: float) -> float:
    a, y = torch.tensor(Z) / temperature, torch.tensor([0.0, 0, 1, 0], dtype=torch.float64)
    if kind == "softmax":
        return float(F.nll_loss(F.log_softmax(a[None], 1), torch.tensor([2])))
    if kind == "sigmoid":
        return float(F.binary_cross_entropy(torch.sigmoid(a), y, reduction="sum"))
    return float(((a - y) ** 2).sum() / 2)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_pytorchs_and_its_gradient_is_that_of_differences(kind, temperature):
    found = output_loss(Z, 2, kind, temperature)
    assert found.loss == pytest.approx(by_torch(kind, temperature), rel=1e-12)
    assert found.error < 1e-12
    for k in range(len(Z)):
        step = np.eye(len(Z))[k] * 1e-6
        slope = (
            output_loss(Z + step, 2, kind, temperature).loss - output_loss(Z - step, 2, kind, temperature).loss
        ) / 2e-6
        assert found.gradient[k] == pytest.approx(slope, abs=1e-8)


def test_minus_log_of_0_8_is_0_2231_and_the_gradient_sums_to_0():
    found = output_loss(np.log([16.0, 1, 1, 1, 1]), 0)
    assert (
        found.outputs[0] == pytest.approx(0.8)
        and round(found.loss, 4) == 0.2231
        and found.loss == pytest.approx(-math.log(0.8))
    )
    assert found.gradient.tolist() == pytest.approx([-0.2, 0.05, 0.05, 0.05, 0.05])


def test_huge_scores_have_finite_losses():
    for kind in KINDS:
        found = output_loss(np.array([1000.0, -1000.0]), 1, kind)
        assert np.isfinite(found.loss) and np.isfinite(found.gradient).all()
    assert output_loss(np.array([1000.0, -1000.0]), 1).loss == 2000


@pytest.mark.parametrize(
    "wrong", [(Z, 4, "softmax", 1.0), (Z, 0, "other", 1.0), (Z, 0, "softmax", 0.0), (Z[None], 0, "softmax", 1.0)]
)
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(BadInput):
        output_loss(*wrong)
