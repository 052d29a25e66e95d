"""Surfaces: the right points in the right places, coarse to fine, kept cell by cell, never mixed."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from planenets import IMAGES, LABELS, assert_untouched, plain, residual, slowly, state_of

import cnnviz
from cnnviz.errors import BadInput, Cancelled
from cnnviz.landscape.plane.checkpoint import CellFile, name_file, read_cells, read_header
from cnnviz.landscape.plane.directions import cosine, filter_directions, plane_directions
from cnnviz.landscape.plane.grid import coarse_to_fine, space_points
from cnnviz.landscape.plane.surface import loss_surface
from cnnviz.landscape.results import Measured, Surface

ROOT = Path(__file__).resolve().parents[3]
ARRAYS = ("alphas", "betas", "loss", "accuracy", "loss_error", "accuracy_error")


def compute(steps: int = 5, model=None, **more) -> Surface:
    settings = {"precision": "float32", "batch": 8} | more
    return loss_surface(model or residual(), IMAGES, LABELS, steps, **settings)


def assert_same(one: Surface, other: Surface) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.meta == other.meta


@pytest.fixture(scope="module")
def whole() -> Surface:
    return compute()


def test_every_cell_is_the_plain_network_at_its_coordinates(whole):
    model, directions = residual(), plane_directions(residual(), 0)
    for i, alpha in enumerate(whole.alphas):
        for j, beta in enumerate(whole.betas):
            want = slowly(model, [(alpha, directions[0]), (beta, directions[1])])
            assert whole.loss[i, j] == pytest.approx(want.loss, rel=1e-4)
            assert whole.accuracy[i, j] == pytest.approx(want.accuracy)
    assert whole.complete and whole.alphas.tolist() == [-1, -0.5, 0, 0.5, 1]
    assert whole.meta["cosine"] == cosine(*directions) and whole.meta["images"] == 20


@pytest.mark.usefixtures("bfloat16_everywhere")
def test_the_centre_is_told_in_float32_whatever_the_points_are_measured_in():
    want = slowly(residual(), [])
    for precision in ("float32", "bfloat16"):
        loss, accuracy = compute(2, precision=precision).meta["centre"]  # two steps pass the network itself by
        assert loss == pytest.approx(want.loss, rel=1e-3) and accuracy == pytest.approx(want.accuracy)


def test_directions_of_ones_own_and_other_spans():
    model = residual()
    directions = (filter_directions(model, 7), filter_directions(model, 9))
    found = compute(3, model, directions=directions, span=(0, 0.5))
    assert found.alphas.tolist() == [0, 0.25, 0.5] and found.meta["seed"] is None
    want = slowly(model, [(0.5, directions[0]), (0.25, directions[1])])
    assert found.loss[2, 1] == pytest.approx(want.loss, rel=1e-4)


def test_coarse_grids_come_first_and_every_cell_once():
    order = coarse_to_fine(51)
    assert len(order) == len(set(order)) == 51**2 and order[0] == (25, 25)
    for side, stride in ((3, 16), (7, 8), (13, 4), (25, 2), (51, 1)):
        rows = [25 + stride * k for k in range(-(side // 2), side // 2 + 1)]
        assert {(i, j) for i in rows for j in rows} == set(order[: side**2])
    for steps in (1, 2, 3, 4, 10, 25):
        assert sorted(coarse_to_fine(steps)) == [(i, j) for i in range(steps) for j in range(steps)]


def test_the_grid_is_linspace_with_the_network_itself_in_the_middle():
    np.testing.assert_allclose(space_points(51, 1.0), np.linspace(-1, 1, 51), atol=1e-15)
    assert all(space_points(steps, span)[steps // 2] == 0 for steps in (1, 3, 51, 101) for span in (0.3, 1.0, 7.0))
    assert space_points(4, 1.0).tolist() == pytest.approx([-1, -1 / 3, 1 / 3, 1])
    assert space_points(3, (0, 1)).tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("steps", [1, 2])
def test_one_step_is_the_network_itself_and_even_steps_pass_it_by(steps):
    found = compute(steps)
    assert found.loss.shape == (steps, steps) and found.complete
    if steps == 1:
        assert found.loss[0, 0] == pytest.approx(slowly(residual(), []).loss, rel=1e-5)


@pytest.mark.parametrize(
    "more, said",
    [
        ({"span": 0}, "span must be a number above 0"),
        ({"span": -1.0}, "span"),
        ({"span": math.nan}, "span"),
        ({"span": (1, 0)}, "low < high"),
        ({"span": "far"}, "span"),
        ({"steps": 0}, "steps must be"),
        ({"steps": 2.5}, "steps must be"),
        ({"seed": -1}, "seed"),
        ({"directions": [{}]}, "two directions, got 1"),
    ],
)
def test_a_plane_that_is_none_is_refused_in_words(more, said):
    with pytest.raises(BadInput, match=said):
        compute(**more)


def test_a_network_whose_own_loss_is_not_finite_is_refused_in_words(tmp_path):
    model = residual()
    model.module.fc.weight.data[0, 0] = math.nan
    with pytest.raises(BadInput, match="loss of tiny itself is not finite"):
        compute(2, model, out=tmp_path / "s.npz")
    assert not list(tmp_path.iterdir())


def test_points_that_overflow_are_infinite_and_count_as_finished():
    model = plain()
    huge = {name: torch.full_like(p, 1e38) for name, p in model.module.named_parameters()}
    found = compute(3, model, directions=(huge, huge), span=1e3)
    assert found.complete and np.isinf(found.loss[0, 0]) and np.isfinite(found.loss[1, 1])
    assert not np.isnan(found.loss).any()


def test_progress_counts_and_shows_what_is_known():
    seen = []
    found = compute(progress=seen.append)
    assert [state.done for state in seen] == list(range(26)) and {state.total for state in seen} == {25}
    assert [state.surface.done for state in seen] == list(range(26))
    assert seen[1].surface.loss[2, 2] == found.loss[2, 2] and np.isnan(seen[1].surface.loss[0, 0])
    assert seen[-1].seconds_left == 0


def test_after_a_cancel_the_network_is_as_it_was_and_the_same_call_goes_on(whole, tmp_path):
    model, out, seen = residual(), tmp_path / "s.npz", []
    before = state_of(model)
    with pytest.raises(Cancelled, match="Stopped after 10 of 25 points. They are kept"):
        compute(model=model, out=out, progress=lambda state: state.done < 10)
    assert_untouched(model, before)
    assert [path.name for path in tmp_path.iterdir()] == ["s.npz.cells"]
    assert_same(compute(model=model, out=out, progress=lambda state: seen.append(state.done)), whole)
    assert seen == list(range(10, 26))
    assert [path.name for path in tmp_path.iterdir()] == ["s.npz"]
    assert_same(Surface.load(out), whole)


def test_without_a_file_a_cancel_says_that_nothing_is_kept():
    with pytest.raises(Cancelled, match="lost, since there was no file"):
        compute(progress=lambda state: False)


def test_after_an_exception_the_network_is_as_it_was(tmp_path):
    model = residual()
    before = state_of(model)

    def broken(state):
        if state.done == 3:
            raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        compute(model=model, progress=broken, out=tmp_path / "s.npz")
    assert_untouched(model, before)
    assert len(read_cells(name_file(tmp_path / "s.npz"), 5)) == 3


def test_a_finished_surface_is_not_computed_again(whole, tmp_path):
    whole.save(tmp_path / "s.npz")
    assert_same(compute(out=tmp_path / "s.npz", progress=lambda state: pytest.fail("computed")), whole)
    assert_same(compute(out=tmp_path / "s.npz", precision="auto", batch=None), whole)


def test_cells_of_nan_are_not_finished_and_are_evaluated(whole, tmp_path):
    loss = whole.loss.copy()
    loss[0, 1] = loss[3, 4] = math.nan
    holes = Surface(whole.alphas, whole.betas, loss, whole.accuracy, whole.loss_error, whole.accuracy_error, whole.meta)
    holes.save(tmp_path / "s.npz")
    assert holes.done == 23 and not holes.complete
    seen = []
    assert_same(compute(out=tmp_path / "s.npz", progress=lambda state: seen.append(state.done)), whole)
    assert seen == [23, 24, 25]
    with CellFile(tmp_path / "c", {"a": 1}) as file:
        file.add((0, 0), Measured(math.nan, 0, 0, 0))
        file.add((0, 1), Measured(math.inf, 0, math.inf, 0))
    assert read_cells(tmp_path / "c", 2) == {(0, 1): Measured(math.inf, 0, math.inf, 0)}


@pytest.mark.parametrize(
    "more, said",
    [
        ({"steps": 3}, "steps"),
        ({"seed": 1}, "seed"),
        ({"span": 0.5}, "span"),
        ({"statistics": "recalibrated"}, "statistics"),
        ({"precision": "bfloat16"}, "precision"),
        ({"batch": 9}, "batch"),
        ({"model": residual(4)}, "weights"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_cells_of_another_surface_are_never_mixed_in(whole, tmp_path, more, said, finished):
    out = tmp_path / "s.npz"
    if finished:
        whole.save(out)
    else:
        CellFile(name_file(out), whole.meta).close()
    with pytest.raises(BadInput, match=f"of a surface with another {said}"):
        compute(out=out, **more)


def test_other_images_or_labels_are_another_surface(whole, tmp_path):
    whole.save(tmp_path / "s.npz")
    for images, labels in ((IMAGES + 0.1, LABELS), (IMAGES, LABELS.flip(0))):
        with pytest.raises(BadInput, match="another data"):
            loss_surface(residual(), images, labels, 5, precision="float32", out=tmp_path / "s.npz")


@pytest.mark.usefixtures("bfloat16_everywhere")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_header_of_cells_says_the_batch_that_was_found_so_that_resuming_keeps_it(precision, tmp_path, monkeypatch):
    out, settings = tmp_path / "s.npz", {"precision": precision, "batch": None}
    with pytest.raises(Cancelled):
        compute(out=out, progress=lambda state: state.done < 3, **settings)
    found = read_header(name_file(out))["batch"]
    assert found in (16, 20)  # the smallest size that is tried, or all images
    monkeypatch.setattr(
        "cnnviz.landscape.evaluate.runner.Runner._find_fastest", lambda _self: 7
    )  # what another hour would find
    assert compute(out=out, **settings).meta["batch"] == found


def test_torn_and_damaged_records_are_evaluated_again(whole, tmp_path):
    out = tmp_path / "s.npz"
    with pytest.raises(Cancelled):
        compute(out=out, progress=lambda state: state.done < 6)
    path = name_file(out)
    data = bytearray(path.read_bytes())
    data[-60] ^= 1  # within the last but one record
    path.write_bytes(bytes(data[:-3]))  # and the last is torn
    assert len(read_cells(path, 5)) == 4 and read_header(path) is not None
    seen = []
    assert_same(compute(out=out, progress=lambda state: seen.append(state.done)), whole)
    assert seen[0] == 4


@pytest.mark.parametrize("data", [b"", b"no cells", b"[1]\n", b"\xff\xfe\n"])
def test_a_file_that_holds_no_cells_is_named(tmp_path, data):
    out = tmp_path / "s.npz"
    name_file(out).write_bytes(data)
    with pytest.raises(BadInput, match=r"s.npz.cells is damaged or holds no cells"):
        compute(out=out)


def test_a_kill_costs_the_cell_under_way(whole, tmp_path):
    out = tmp_path / "s.npz"
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "helpers")))
    script = str(ROOT / "tests" / "helpers" / "planenets.py")
    process = subprocess.Popen(
        [sys.executable, script, str(out), str(torch.get_num_threads()), "0.05", "5"],
        env=os.environ | {"PYTHONPATH": paths},
        text=True,
        stdout=subprocess.PIPE,
    )
    end = time.monotonic() + 60
    told = ""
    while not told.startswith("done 6 ") and time.monotonic() < end:
        told = process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = len(read_cells(name_file(out), 5))
    assert 6 <= kept < 25
    seen = []
    assert_same(compute(out=out, progress=lambda state: seen.append(state.done)), whole)
    assert seen[0] == kept


def test_the_public_name_takes_pixels_and_labels_alone():
    model = cnnviz.load("lenet5", "random", "cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (4, *model.input_size[1:], 1), dtype=np.uint8)
    found = cnnviz.loss_surface(model, pixels, [0, 1, 2, 3], steps=3)
    assert found.alphas.shape == (3,) and found.betas.shape == (3,)
    assert np.isfinite(found.loss).all() and found.accuracy.shape == (3, 3)
