import numpy as np
import pytest
import torch
from torch import nn

from cnnviz.errors import BadInput
from cnnviz.studies.convolution.wiring import run_shift_test, shift_row, tie_weights, wire_units

RNG = np.random.default_rng(0)


def test_five_units_have_25_13_and_3_weights_as_in_the_notes():
    dense, local, shared = (wire_units(5, 3, kind) for kind in ("dense", "local", "convolution"))
    assert (dense.weights, local.weights, shared.weights) == (25, 13, 3)
    assert (dense.connections, local.connections, shared.connections) == (25, 13, 13)
    assert shared.read_by(2) == local.read_by(2) == [1, 2, 3] and shared.readers(0) == [0, 1]
    assert dense.readers(0) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("units", [3, 4, 7, 9])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_the_connections_are_those_of_the_formula_and_of_a_layer_of_pytorch(units, kernel):
    wiring = wire_units(units, kernel, "convolution")
    assert wiring.connections == kernel * units - (kernel**2 - 1) // 4
    layer = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False).double()
    taps = np.append(layer.weight.detach().numpy().ravel(), 0.0)
    row = torch.from_numpy(RNG.normal(size=(1, 1, units)))
    want = layer(row).detach().numpy().ravel()
    assert np.allclose(taps[wiring.label] @ row.numpy().ravel(), want)


@pytest.mark.parametrize("bad", [(5, 2, "local"), (5, 11, "local"), (0, 1, "dense"), (5, 3, "sparse")])
def test_another_wiring_is_refused(bad):
    with pytest.raises(BadInput, match="odd kernel"):
        wire_units(*bad)


@pytest.mark.parametrize("shift", [1, 2, -3])
def test_a_free_matrix_fails_the_shift_test_and_the_nearest_convolution_passes(shift):
    free, row = RNG.normal(size=(8, 8)), RNG.normal(size=8)
    tied = tie_weights(free, 3)
    assert run_shift_test(free, row, shift).error > 0.1
    passed = run_shift_test(tied, row, shift)
    assert passed.error < 1e-12
    kernel = torch.from_numpy(tied[1, :3])[None, None]
    padded = torch.from_numpy(np.concatenate([row[-1:], row, row[:1]]))[None, None]
    assert np.allclose(torch.conv1d(padded, kernel).numpy().ravel(), passed.output)


def test_with_zeros_beyond_the_ends_only_the_border_differs():
    tied, row = tie_weights(RNG.normal(size=(8, 8)), 3, "zeros"), RNG.normal(size=8)
    found = run_shift_test(tied, row, 2, "zeros")
    assert np.abs(found.difference[3:-1]).max() < 1e-12 < found.error
    quiet = row * (np.abs(np.arange(8) - 3) <= 1)  # nothing comes near the ends
    assert run_shift_test(tied, quiet, 2, "zeros").error < 1e-12


def test_tying_changes_the_matrix_least():
    free = RNG.normal(size=(6, 6))
    tied = tie_weights(free, 3)
    basis = [np.roll(np.eye(6), tap, axis=1) for tap in (-1, 0, 1)]
    columns = np.stack([one.ravel() for one in basis], 1)
    best, *_ = np.linalg.lstsq(columns, free.ravel(), rcond=None)
    assert np.allclose(tied.ravel(), columns @ best)


def test_a_row_is_shifted_either_way():
    row = np.array([1.0, 2, 3, 4])
    assert shift_row(row, 1, "circular").tolist() == [4, 1, 2, 3]
    assert shift_row(row, 1, "zeros").tolist() == [0, 1, 2, 3]
    assert shift_row(row, -2, "zeros").tolist() == [3, 4, 0, 0]
    assert shift_row(row, 9, "zeros").tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("call", [lambda: tie_weights(np.ones((2, 3)), 1), lambda: tie_weights(np.eye(3), 2)])
def test_a_matrix_that_cannot_be_tied_is_refused(call):
    with pytest.raises(BadInput):
        call()


def test_a_row_that_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="do not fit"):
        run_shift_test(np.eye(3), np.ones(4), 1)
