"""The pictures of landscapes: both panels on one scale, the right way round, with their errors."""

from dataclasses import replace

import numpy as np
import pytest
from made_surfaces import bowl, path_of

from cnnviz.figures.landscape.lines import LIMIT, slice_surface, slices_figure
from cnnviz.figures.landscape.plots import SurfacePanel, contours_figure, hover_data, surfaces_figure
from cnnviz.figures.landscape.scale import common_scale
from cnnviz.figures.landscape.single import empty_figure, single_figure
from cnnviz.figures.landscape.training import training_figure
from cnnviz.figures.landscape.words import centre_note, point_text, provenance

PAIR = [SurfacePanel("with", bowl(), "note"), SurfacePanel("without", bowl(ripple=5.0))]
SCALE = common_scale([panel.surface.loss for panel in PAIR])


def of_type(figure, kind):
    return [trace for trace in figure.data if trace.type == kind]


def test_two_surfaces_share_heights_colours_and_camera():
    figure = surfaces_figure(PAIR, SCALE, camera=(1.0, 2.0, 3.0))
    first, second = of_type(figure, "surface")
    assert (first.cmin, first.cmax, first.colorscale) == (second.cmin, second.cmax, second.colorscale)
    assert figure.layout.scene.zaxis.range == figure.layout.scene2.zaxis.range
    assert figure.layout.scene.camera == figure.layout.scene2.camera and figure.layout.scene.camera.eye.y == 2.0
    assert figure.layout.scene.domain.x[1] < figure.layout.scene2.domain.x[0]
    widths = [scene.domain.x[1] - scene.domain.x[0] for scene in (figure.layout.scene, figure.layout.scene2)]
    assert widths[0] == pytest.approx(widths[1], abs=2e-4)


def test_direction_one_runs_to_the_right_in_every_picture():
    tilted = bowl()
    tilted.loss[:] = np.linspace(1, 2, 11)[:, None]  # grows with alpha alone
    panel, scale = SurfacePanel("tilted", tilted), common_scale([tilted.loss], log=False)
    for figure, kind in ((surfaces_figure([panel], scale), "surface"), (contours_figure([panel], scale), "heatmap")):
        (trace,) = of_type(figure, kind)
        z = np.asarray(trace.z)
        np.testing.assert_allclose(z[3], np.linspace(1, 2, 11), rtol=1e-6)
        assert np.ptp(z[:, 3]) == 0
        np.testing.assert_allclose(np.asarray(trace.customdata)[3, :, 0], np.linspace(1, 2, 11), rtol=1e-6)


def test_resting_on_a_point_tells_loss_and_accuracy_with_their_errors():
    surface = bowl()
    shown = hover_data(surface)[2, 7]
    expected = (surface.loss[7, 2], 100 * surface.accuracy[7, 2], surface.loss[7, 2] / 10, 10 * surface.accuracy[7, 2])
    np.testing.assert_allclose(shown, expected, rtol=1e-6)


def test_contours_are_those_of_the_paper_and_the_chosen_point_is_marked_on_both():
    figure = contours_figure(PAIR, SCALE, chosen=(0.4, -0.2))
    for trace in of_type(figure, "contour"):
        assert (trace.contours.start, trace.contours.end, trace.contours.size) == (0.1, 10.0, 0.5)
    marks = [trace for trace in of_type(figure, "scatter") if 0.4 in trace.x and -0.2 in trace.y]
    assert len(marks) == 2 and figure.layout.xaxis2.domain[0] > figure.layout.xaxis.domain[1]


def test_dots_stand_where_they_are_asked_for():
    dotted = np.zeros((11, 11), bool)
    dotted[10, 0] = True
    dots = of_type(contours_figure(PAIR[:1], SCALE, dotted=[dotted]), "scatter")[0]
    assert (list(dots.x), list(dots.y)) == ([1.0], [-1.0])


def test_a_slice_runs_through_the_network_itself():
    surface = bowl()
    line, offset = slice_surface(surface, 2)
    assert offset == 0
    np.testing.assert_allclose(line["loss"], 0.02 + 6 * surface.betas**2)
    even, offset = slice_surface(bowl(steps=10), 1)
    assert abs(offset) == pytest.approx(1 / 9) and len(even["loss"]) == 10


def test_slices_are_capped_at_five_with_accuracy_on_an_axis_of_its_own_and_errors_as_bars():
    figure = slices_figure(PAIR, others=[[bowl(seed=1)], []])
    assert figure.layout.yaxis.range == figure.layout.yaxis3.range == (0, LIMIT) and LIMIT == 5
    assert figure.layout.yaxis2.range == (0, 100) and figure.layout.yaxis2.overlaying == "y"
    whole = [trace for trace in figure.data if trace.opacity == 1]
    assert len(whole) == 4 and len(figure.data) == 6
    np.testing.assert_allclose(whole[0].error_y.array, PAIR[0].surface.loss[:, 5] / 10, rtol=1e-6)


def test_each_epoch_is_a_frame_that_moves_the_mark_on_the_path():
    epochs = {e: bowl(steps=5, floor=2.0 - e / 10) for e in (0, 5, 10)}
    scale = common_scale([surface.loss for surface in epochs.values()])
    figure = training_figure("net", epochs, scale, 5, path_of(), bowl())
    assert [frame.name for frame in figure.frames] == ["0", "5", "10"]
    assert figure.layout.sliders[0].active == 1
    np.testing.assert_allclose(figure.data[0].z, scale.height(epochs[5].loss).T)
    np.testing.assert_allclose(figure.frames[2].data[0].z, scale.height(epochs[10].loss).T)
    now = figure.frames[0].traces[1]
    assert (figure.data[now].x[0], figure.data[now].y[0]) == pytest.approx((0.5, 0.25))
    assert (figure.frames[0].data[1].x[0], figure.frames[0].data[1].y[0]) == pytest.approx((1.0, 0.5))


@pytest.mark.parametrize("parts", [("epochs",), ("path",), ("path", "plane"), ("epochs", "path")])
def test_a_training_is_drawn_from_whatever_is_there(parts):
    known = {"path": path_of(), "plane": bowl()}
    epochs = {1: bowl(steps=5)} if "epochs" in parts else {}
    figure = training_figure("net", epochs, SCALE, **{part: known[part] for part in parts if part in known})
    assert len(of_type(figure, "surface")) == len(epochs)
    assert len(of_type(figure, "heatmap")) == ("plane" in parts)
    figure.to_json()


def test_one_surface_is_shown_from_the_side_and_from_above_in_one_colour_scale():
    figure = single_figure(PAIR[0], SCALE)
    (side,), (above,) = of_type(figure, "surface"), of_type(figure, "heatmap")
    assert side.colorscale == above.colorscale and (side.cmin, side.cmax) == (above.zmin, above.zmax)
    np.testing.assert_allclose(side.z, above.z)
    assert figure.layout.scene.domain.x[1] < figure.layout.xaxis.domain[0]


def test_axes_alone_show_no_surface_and_end_where_the_points_will():
    figure = empty_figure(SurfacePanel("net", bowl(), "note"), common_scale([]))
    assert [trace.opacity for trace in figure.data] == [0] * len(figure.data) and of_type(figure, "surface")
    assert list(figure.layout.xaxis.range) == list(bowl().alphas[[0, -1]])
    assert "net" in figure.layout.annotations[0].text and "note" in figure.layout.annotations[0].text


def test_words_tell_the_centre_the_point_and_the_provenance():
    assert centre_note(bowl()) == "centre: loss 0.02 nats, accuracy 98.0 %"
    exact = replace(bowl(), meta={**bowl().meta, "centre": [0.0211, 1.0]})  # float32, beside points in bfloat16
    assert centre_note(exact) == "centre: loss 0.0211 nats, accuracy 100.0 %"
    assert point_text(0.25, -0.1) == "(0.25, −0.10)"
    said = provenance(bowl())
    for part in ("11×11 points", "100 images", "of made", "direction seed 0", "frozen", "float32", "+0.010"):
        assert part in said
    assert provenance(type(bowl())(*[np.zeros(1)] * 2, *[np.zeros((1, 1))] * 4)) == "1×1 points"
