"""Lines along one direction, and the spread over planes of several seeds."""

import math

import numpy as np
import pytest
from planenets import IMAGES, LABELS, assert_untouched, residual, slowly, state_of

from cnnviz.errors import BadInput, Cancelled
from cnnviz.landscape.plane.directions import filter_directions, plane_directions
from cnnviz.landscape.plane.line import loss_line
from cnnviz.landscape.plane.seeds import summarise_planes
from cnnviz.landscape.plane.surface import loss_surface
from cnnviz.landscape.results import Line, Surface

SETTINGS = {"precision": "float32", "batch": 8}


def test_a_line_is_the_row_of_the_surface_and_the_plain_network(tmp_path):
    model = residual()
    before = state_of(model)
    line = loss_line(model, IMAGES, LABELS, 5, seed=2, **SETTINGS)
    surface = loss_surface(model, IMAGES, LABELS, 5, seed=2, **SETTINGS)
    np.testing.assert_array_equal(line.loss, surface.loss[:, 2])
    np.testing.assert_array_equal(line.accuracy_error, surface.accuracy_error[:, 2])
    want = slowly(model, [(-0.5, plane_directions(model, 2)[0])])
    assert line.loss[1] == pytest.approx(want.loss, rel=1e-4)
    assert_untouched(model, before)
    line.save(tmp_path / "line.npz")
    assert Line.load(tmp_path / "line.npz").meta == line.meta and line.meta["kind of line"] == "direction"


def test_a_line_may_start_at_the_network_and_take_any_direction():
    model = residual()
    way = filter_directions(model, 11)
    line = loss_line(model, IMAGES, LABELS, 3, span=(0, 2), direction=way, **SETTINGS)
    assert line.steps.tolist() == [0, 1, 2] and line.meta["seed"] is None
    assert line.loss[2] == pytest.approx(slowly(model, [(2.0, way)]).loss, rel=1e-4)


def test_a_line_tells_how_far_it_is_and_can_be_stopped():
    seen = []
    loss_line(residual(), IMAGES, LABELS, 3, progress=seen.append, **SETTINGS)
    assert [state.done for state in seen] == [1, 2, 3] and np.isnan(seen[0].line.loss[1:]).all()
    with pytest.raises(Cancelled, match="after 2 of 3"):
        loss_line(residual(), IMAGES, LABELS, 3, progress=lambda state: state.done < 2, **SETTINGS)


def test_a_line_through_a_broken_network_is_refused_in_words():
    model = residual()
    model.module.fc.bias.data[0] = math.inf
    with pytest.raises(BadInput, match="itself is not finite"):
        loss_line(model, IMAGES, LABELS, 3, **SETTINGS)


def surface(values, weights="w") -> Surface:
    loss = np.full((2, 2), float(values))
    return Surface(np.arange(2.0), np.arange(2.0), loss, loss / 10, loss, loss, {"weights": weights})


def test_median_and_quartiles_are_numpys_cell_by_cell():
    values = [3, 1, 4, 1, 5]
    spread = summarise_planes([surface(v) for v in values])
    for have, share in ((spread.lower, 0.25), (spread.median, 0.5), (spread.upper, 0.75)):
        np.testing.assert_allclose(have, np.quantile(values, share))
    np.testing.assert_allclose(spread.accuracy, 0.3)
    assert spread.planes == 5


def test_an_overflow_is_larger_than_any_loss_and_an_unevaluated_cell_stays_unknown():
    spread = summarise_planes([surface(1), surface(math.inf), surface(2)])
    assert spread.median[0, 0] == 2 and spread.upper[0, 0] == math.inf and spread.lower[0, 0] == 1.5
    both = summarise_planes([surface(math.inf), surface(math.inf)])
    assert both.median[0, 0] == both.lower[0, 0] == math.inf
    assert np.isnan(summarise_planes([surface(1), surface(math.nan)]).median).all()


def test_surfaces_that_do_not_belong_together_have_no_median():
    with pytest.raises(BadInput, match="at least one"):
        summarise_planes([])
    with pytest.raises(BadInput, match="differ in weights"):
        summarise_planes([surface(1), surface(1, "other")])
    moved = surface(1)
    other = Surface(moved.alphas + 1, moved.betas, moved.loss, moved.loss, moved.loss, moved.loss, moved.meta)
    with pytest.raises(BadInput, match="different alphas"):
        summarise_planes([moved, other])
