import copy

import numpy as np
import pytest
import torch
from made_runs import record_run
from safetensors.torch import save_file
from torch import nn

import cnnviz
from cnnviz.data.corpus import MemoryCorpus
from cnnviz.errors import BadInput, Cancelled
from cnnviz.studies.learning.convergence import (
    Convergence,
    correlate_ranks,
    describe_convergence,
    find_layer_order,
    measure_convergence,
)
from cnnviz.studies.learning.evolution import choose_channels, choose_moments, follow_channels
from cnnviz.training.record.bundled_runs import bundled_runs
from cnnviz.training.record.result import read_run


def make_states(moments=4, seed=0):
    """Tensors of a made network over time, in float16: two convolutions, a linear layer, and what has no filters."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"b.10.weight": (5, 3, 3, 3), "b.9.weight": (4, 5, 1, 1), "fc.weight": (2, 4), "b.9.bias": (4,)}
    return [
        {name: torch.randn(shape, generator=generator).half() for name, shape in shapes.items()}
        | {"count": torch.tensor(n)}
        for n in range(moments)
    ]


def write(folder, states):
    folder.mkdir(exist_ok=True)
    files = {10 * n: folder / f"step-{10 * n:08}.safetensors" for n in range(len(states))}
    for path, state in zip(files.values(), states, strict=True):
        save_file(state, path)
    return files


def slow_cosines(first, last):
    found = []
    for one, other in zip(first, last, strict=True):
        a, b = one.double().flatten().tolist(), other.double().flatten().tolist()
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        found.append(dot / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5)
    return found


def test_cosines_are_those_of_a_slow_loop_and_layers_stand_in_their_order(tmp_path):
    states = make_states()
    found = measure_convergence(write(tmp_path, states))
    assert found.layers == ("b.9", "b.10", "fc") and found.filters.tolist() == [4, 5, 2]
    assert found.steps.tolist() == [0, 10, 20, 30]
    for row, state in enumerate(states):
        for column, name in enumerate(found.layers):
            values = slow_cosines(state[f"{name}.weight"], states[-1][f"{name}.weight"])
            assert found.mean[row, column] == pytest.approx(np.mean(values))
            assert found.low[row, column] == pytest.approx(np.percentile(values, 25))
            assert found.high[row, column] == pytest.approx(np.percentile(values, 75))
    told = measure_convergence(write(tmp_path, states), ["fc.weight", "b.10.weight", "b.9.weight"])
    assert told.layers == ("fc", "b.10", "b.9")


def test_filters_without_a_direction_are_left_out(tmp_path):
    states = make_states()
    states[1]["b.10.weight"][2] = 0
    states[1]["b.10.weight"][3] = torch.inf
    states[2]["fc.weight"][:] = torch.nan
    found = measure_convergence(write(tmp_path, states))
    some = [0, 1, 4]
    kept = slow_cosines(states[1]["b.10.weight"][some], states[-1]["b.10.weight"][some])
    assert found.mean[1, 1] == pytest.approx(np.mean(kept))
    assert np.isnan(found.mean[2, 2]) and np.isfinite(found.mean[3]).all()
    assert "`fc`" not in " ".join(describe_convergence(found, str))


def test_what_cannot_be_compared_is_refused_in_words(tmp_path):
    states = make_states()
    with pytest.raises(BadInput, match="kept of 1 moment"):
        measure_convergence(write(tmp_path / "one", states[:1]))
    other = [*states[:3], {**states[3], "fc.weight": torch.zeros(3, 4).half()}]
    with pytest.raises(BadInput, match="another network"):
        measure_convergence(write(tmp_path / "other", other))
    with pytest.raises(BadInput, match="no layer with filters"):
        measure_convergence(write(tmp_path / "flat", [{"a": torch.zeros(3)}] * 2))
    files = write(tmp_path / "broken", states)
    files[10].write_bytes(b"nothing")
    with pytest.raises(BadInput):
        measure_convergence(files)
    with pytest.raises(Cancelled):
        measure_convergence(write(tmp_path / "stop", states), progress=lambda _progress: False)


def made(mean):
    mean = np.array(mean, float)
    layers = tuple(f"l{n}" for n in range(mean.shape[1]))
    return Convergence(layers, np.ones(len(layers), int), np.arange(len(mean)), mean, mean, mean)


def test_arrivals_count_from_where_a_layer_stays():
    found = made([[0, 0.95, 0.95], [0.95, 0.2, 0.95], [0.5, 0.95, 0.95], [1, 1, 1]])
    assert found.find_arrivals(0.9).tolist() == [3, 2, 0]


def test_sentences_tell_an_order_only_where_it_shows():
    late = np.linspace(0.85, 0.1, 8)
    ordered = [0 * late, late, np.maximum(late, 0.9 + 0.001 * late), 0 * late + 1]
    lines = describe_convergence(made(ordered), lambda step: f"epoch {step}")
    assert "`l0` 0.85" in lines[0] and "epoch 1" in lines[0]
    told = " ".join(describe_convergence(made([0 * late, [*[0.95] * 3, *[0.1] * 5], 0 * late + 1]), str))
    assert "`l0` is the first, at 1" in told and "before the deep ones" in told
    shuffled = np.array([0.85, 0.1, 0.6, 0.2, 0.8, 0.3, 0.7, 0.4])
    told = " ".join(describe_convergence(made([0 * late, shuffled, 0 * late + 1]), str))
    assert "No order of depth shows" in told
    told = " ".join(describe_convergence(made([0 * late + 0.95, 0 * late + 1]), str))
    assert "from the first kept moment on" in told
    assert "same kept moment, 1" in " ".join(describe_convergence(made([[0.1, 0.2], [1, 1]]), str))


def test_rank_correlation_shares_ranks_among_equals():
    assert correlate_ranks(np.arange(4), np.array([1, 1, 3, 9])) == pytest.approx(0.9486833)
    assert correlate_ranks(np.arange(5), -np.arange(5)) == pytest.approx(-1)


def test_bundled_trainings_converge_as_was_measured():
    run = next(one for one in bundled_runs() if one.name == "bundled:resnet56_cifar")
    found = measure_convergence(run.snapshots, find_layer_order(run))
    early = found.mean[found.steps.tolist().index(10)]
    assert (found.layers[0], found.layers[-1]) == ("conv1", "fc") and early[0] == pytest.approx(0.78, abs=0.005)
    assert "before the deep ones" in describe_convergence(found, str)[-1]


# --- channels that are followed ------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path):
    record_run(tmp_path / "mine", [0.9, 0.4])
    return read_run(tmp_path / "mine")


@pytest.fixture
def drawn():
    images = np.random.default_rng(0).integers(0, 255, (5, 28, 28, 3), np.uint8)
    return MemoryCorpus("noise", [f"n{n}" for n in range(5)], list(images))


def test_the_strongest_activations_are_those_of_plain_hooks_at_every_moment(run, drawn):
    found = follow_channels(run, "conv2", [3, 0, 11], drawn, device="cpu")
    assert found.steps.tolist() == sorted(run.snapshots) and found.channels.tolist() == [3, 0, 11]
    for row, step in enumerate(found.steps.tolist()):
        model = cnnviz.load("lenet5", run.snapshots[step], "cpu")
        for column, channel in enumerate((3, 0, 11)):
            best = (-float("inf"), 0, 0, 0)
            for image in range(5):
                seen = []
                hook = model.module.conv2.register_forward_hook(lambda _m, _i, out, seen=seen: seen.append(out.clone()))
                with torch.no_grad():
                    model.module(model.preprocess(drawn.image(image))[None])
                hook.remove()
                for y, line in enumerate(seen[0][0, channel].tolist()):
                    for x, value in enumerate(line):
                        best = max(best, (value, image, y, x), key=lambda one: one[0])
            assert found.values[row, column] == pytest.approx(best[0], rel=1e-5)
            assert (found.images[row, column], found.rows[row, column], found.cols[row, column]) == best[1:]
            field = cnnviz.receptive_field(model, "conv2")
            assert tuple(found.boxes[row, column]) == field.box(best[2], best[3])
            top, left, bottom, right = (edge + 16 for edge in field.box(best[2], best[3], clip=False))
            received = np.pad(model.received_from(drawn, best[1]), ((16, 16), (16, 16), (0, 0)), constant_values=128)
            np.testing.assert_array_equal(found.patches[row][column], received[top:bottom, left:right])
            sent = cnnviz.reconstruct(model, drawn.image(best[1]), "conv2", channel, best[2], best[3])
            sent = np.pad(sent, ((0, 0), (16, 16), (16, 16)))[:, top:bottom, left:right]
            np.testing.assert_allclose(found.projections[row][column], sent, atol=1e-6)


def test_a_channel_that_answers_everything_alike_has_no_strongest_patch(tmp_path, drawn):
    net = copy.deepcopy(cnnviz.build("lenet5"))
    with torch.no_grad():
        net.conv2.weight[4] = 0
    with cnnviz.record(tmp_path / "flat", net, about={"architecture": "lenet5"}) as recorded:
        recorded.step(loss=1.0)
    found = follow_channels(read_run(tmp_path / "flat"), "conv2", [4, 5], drawn, device="cpu")
    assert found.images[0].tolist()[0] == -1 and np.isnan(found.values[0, 0]) and found.patches[0][0] is None
    assert found.images[0, 1] >= 0 and found.projections[0][1] is not None


def test_without_a_choice_the_strongest_channels_of_different_images_are_followed():
    values = np.array([[9.0, 8.0, 1.0, 5.0], [0.0, 7.0, 3.0, 5.0]])
    least = np.zeros((2, 4))
    least[:, 3] = 5
    assert choose_channels(values, least, 2) == [0, 2]  # the strongest on each image
    assert choose_channels(values, least, 3) == [0, 1, 2]
    assert choose_channels(values, least, 9) == [0, 1, 2, 3]


def test_moments_are_spread_with_both_ends():
    assert choose_moments(range(5), 12) == [0, 1, 2, 3, 4] and choose_moments([], 3) == []
    assert choose_moments([0, 1, 2, 4, 8, 16, 32], 4) == [0, 2, 8, 32]


def test_following_stops_and_refuses_in_words(run, drawn):
    with pytest.raises(BadInput, match="16 channels, got channel 16"):
        follow_channels(run, "conv2", [16], drawn, device="cpu")
    with pytest.raises(Cancelled):
        follow_channels(run, "conv2", [1], drawn, device="cpu", progress=lambda _progress: False)
    empty = next(one for one in bundled_runs() if one.name == "bundled:lenet5")
    object.__setattr__(empty, "snapshots", {})
    with pytest.raises(BadInput, match="keeps no weights"):
        follow_channels(empty, "conv2", [1], drawn, device="cpu")


def test_networks_of_strangers_are_compared_without_being_known(tmp_path):
    chain = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    record_run(tmp_path / "chain", module=chain)
    found = read_run(tmp_path / "chain")
    assert measure_convergence(found.snapshots, find_layer_order(found)).layers == ("0", "4")
