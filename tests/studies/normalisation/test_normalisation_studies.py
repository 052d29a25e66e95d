"""Studies of normalisation, against loops, PyTorch's own layers, and numbers worked out by hand."""

import copy
import math

import numpy as np
import pytest
import torch
from nets import hooks_left, tiny
from torch import nn

import cnnviz
from cnnviz.errors import BadInput, UnknownName
from cnnviz.studies.normalisation.axes import (
    capture_batch,
    largest_groups,
    means_over_batches,
    norm_statistics,
)
from cnnviz.studies.normalisation.channel import capture_norm_input, channel_statistics, find_batch_norms
from cnnviz.studies.normalisation.company import answers_in_company, company_spread, draw_companions
from cnnviz.studies.normalisation.descent import (
    descend,
    descend_batches,
    gradient_noise,
    least_squares,
    made_problems,
)
from cnnviz.studies.normalisation.memory import activation_memory, measure_saved
from cnnviz.studies.normalisation.preprocessing import mean_image
from cnnviz.studies.normalisation.response import local_response

RECEIVED = list(np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8))


def normed(*more: nn.Module) -> nn.Sequential:
    """A convolution, a batch norm with statistics of its own, ReLU, and `more` in place of means over places."""
    torch.manual_seed(1)
    end = more or (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=0.3), nn.ReLU(), *end)
    with torch.no_grad():
        net[1].running_mean.copy_(torch.tensor([0.1, -0.2, 0.3, 0.0]))
        net[1].running_var.copy_(torch.tensor([0.5, 1.0, 2.0, 0.1]))
        net[1].weight.copy_(torch.tensor([1.5, 0.5, 1.0, 2.0]))
    return net.eval()


# --- one image in growing company --------------------------------------------------------------------------


def test_answers_are_those_of_training_mode_for_each_batch_and_of_evaluation_without():
    net = normed()
    model = tiny(copy.deepcopy(net))
    model.class_names[:] = ["a", "b", "c"]
    before = copy.deepcopy(model.module.state_dict())
    found = answers_in_company(model, RECEIVED, (0, 1, 3, 7))
    x = torch.from_numpy(np.stack(RECEIVED)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        np.testing.assert_allclose(found.evaluation, net(x[:1]).softmax(1)[0], rtol=1e-5)
        for count, row in zip((0, 1, 3, 7), found.training, strict=True):
            np.testing.assert_allclose(row, net.train()(x[: count + 1]).softmax(1)[0], rtol=1e-5)
    assert found.problems == ("", "", "", "")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.module.state_dict().items())
    assert not any(child.training for child in model.module.modules())


def test_a_batch_of_one_without_location_is_told_and_larger_ones_are_answered():
    vectors = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 3))
    found = answers_in_company(tiny(normed(*vectors)), RECEIVED, (0, 1))
    assert "more than 1 value per channel" in found.problems[0] and found.problems[1] == ""
    assert np.isnan(found.training[0]).all() and found.training[1].sum() == pytest.approx(1)


def test_a_network_without_batch_norm_and_too_few_images_are_refused_in_words():
    plain = tiny(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 3)))
    with pytest.raises(BadInput, match="no batch norm"):
        answers_in_company(plain, RECEIVED, (0, 1))
    with pytest.raises(BadInput, match="9 companions at least, got 7"):
        answers_in_company(tiny(normed()), RECEIVED, (0, 9))


def test_a_smaller_company_is_the_beginning_of_a_larger_one_and_another_seed_draws_another():
    assert draw_companions(20, 12, 3)[:5].tolist() == draw_companions(20, 5, 3).tolist()
    assert sorted(draw_companions(20, 20, 3)) == list(range(20))
    assert draw_companions(20, 20, 3).tolist() != draw_companions(20, 20, 4).tolist()


def test_the_spread_is_that_of_its_draws_one_by_one():
    model = tiny(normed())
    found = company_spread(model, RECEIVED, (1, 3), draws=4)
    for seed in range(4):
        drawn = [RECEIVED[1:][at] for at in draw_companions(7, 3, seed)]
        one = answers_in_company(model, [RECEIVED[0], *drawn], (1, 3))
        assert found.winners[seed].tolist() == one.training.argmax(1).tolist()
        np.testing.assert_allclose(found.probability[seed], one.training[:, found.usual], rtol=1e-5)
    slow = [sum(found.winners[:, at] != found.usual) / 4 for at in range(2)]
    assert found.changed.tolist() == slow


def test_resnet20_calls_the_cat_a_deer_or_a_frog_by_the_statistics_of_its_batch_and_the_company_decides():
    """The draw that the page opens on, and one in which nothing changes."""
    model, samples = cnnviz.load("resnet20_cifar", "bundled", "cpu"), cnnviz.corpus("samples")
    pool = [at for at, name in enumerate(samples.ids[:64]) if not name.startswith("chelsea")]
    cat = model.receive(samples.image(samples.index("chelsea")))

    def answer(seed: int) -> list[str]:
        drawn = [model.received_from(samples, pool[at]) for at in draw_companions(len(pool), 31, seed)]
        found = answers_in_company(model, [cat, *drawn], (0, 1, 3, 7, 15, 31))
        assert model.class_names[found.evaluation.argmax()] == "cat" and found.evaluation.max() > 0.99
        assert found.training[0].max() < 0.5  # alone, by its own statistics
        return [model.class_names[row.argmax()] for row in found.training]

    assert answer(32) == ["cat", "deer", "deer", "frog", "cat", "cat"]
    assert answer(0) == ["cat"] * 6


# --- a channel ---------------------------------------------------------------------------------------------


def test_a_channel_has_the_statistics_that_the_layer_normalises_by_in_training_and_in_evaluation():
    net = normed()
    model = tiny(copy.deepcopy(net))
    given = capture_norm_input(model, RECEIVED, "1")
    x = torch.from_numpy(np.stack(RECEIVED)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        enters, evaluation = net[0](x), net[:2](x)
        trained = net.train()[:2](x)
    np.testing.assert_allclose(given, enters.flatten(2), rtol=1e-5)
    for channel in range(4):
        found = channel_statistics(model, "1", channel, given)
        for running, expected in ((False, trained), (True, evaluation)):
            after = found.gamma * found.normalise(running) + found.beta
            np.testing.assert_allclose(after, expected[:, channel].flatten(1), atol=1e-5)
        # the copy in training mode has taken one step
        np.testing.assert_allclose(found.update()[0], net[1].running_mean[channel], rtol=1e-5)
        np.testing.assert_allclose(found.update()[1], net[1].running_var[channel], rtol=1e-5)


@pytest.mark.parametrize("running", [False, True])
def test_gamma_and_beta_of_the_identity_give_back_what_entered(running):
    model = tiny(normed())
    found = channel_statistics(model, "1", 2, capture_norm_input(model, RECEIVED, "1"))
    gamma, beta = found.identity(running)
    np.testing.assert_allclose(gamma * found.normalise(running) + beta, found.values, atol=1e-12)
    assert gamma == math.sqrt((found.running_var if running else found.var) + 1e-5)


def test_batch_norms_are_found_in_order_with_their_channels_and_others_are_refused():
    model = tiny(normed())
    assert find_batch_norms(model) == {"1": 4} and hooks_left(model.module) == 0
    given = capture_norm_input(model, RECEIVED, "1")
    with pytest.raises(BadInput, match="'0' is Conv2d, no batch norm. Choose one of: 1"):
        channel_statistics(model, "0", 0, given)
    with pytest.raises(BadInput, match="channels 0 to 3, got 4"):
        channel_statistics(model, "1", 4, given)
    with pytest.raises(UnknownName):
        capture_norm_input(model, RECEIVED, "none")


def test_a_norm_without_running_statistics_and_scale_says_so_with_nan_and_the_identity():
    net = normed()
    net[1] = nn.BatchNorm2d(4, affine=False, track_running_stats=False).eval()
    model = tiny(net)
    found = channel_statistics(model, "1", 0, capture_norm_input(model, RECEIVED, "1"))
    assert math.isnan(found.running_mean) and math.isnan(found.running_var)
    assert (found.gamma, found.beta) == (1.0, 0.0)


# --- axes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["batch", "layer", "instance", "group"])
def test_each_norm_averages_over_the_axes_of_pytorchs_own_layer(kind):
    x = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1
    found = norm_statistics(x.flatten(2).numpy(), kind, groups=2)
    layer = {
        "batch": nn.BatchNorm2d(4, eps=1e-15, affine=False, track_running_stats=False),
        "layer": nn.LayerNorm((4, 5, 6), eps=0, elementwise_affine=False),
        "instance": nn.InstanceNorm2d(4, eps=0),
        "group": nn.GroupNorm(2, 4, eps=0, affine=False),
    }[kind]
    shape = {"batch": (1, 4, 1), "layer": (3, 1, 1), "instance": (3, 4, 1), "group": (3, 2, 1)}[kind]
    mean, var = (part.reshape(shape) for part in (found.mean, found.var))
    if kind == "group":
        mean, var = (part.repeat(2, axis=1) for part in (mean, var))
    np.testing.assert_allclose((x.flatten(2).numpy() - mean) / np.sqrt(var), layer.double()(x).flatten(2), atol=1e-10)
    assert found.averaged == {"batch": 90, "layer": 120, "instance": 30, "group": 60}[kind]


def test_of_vectors_batch_norm_has_a_mean_a_feature_and_layer_norm_a_mean_an_image():
    table = np.array([[1.0, 2.0, 6.0], [3.0, 4.0, 8.0]])
    assert norm_statistics(table, "batch").mean.tolist() == [2.0, 3.0, 7.0]  # D of them, each over N
    assert norm_statistics(table, "layer").mean.tolist() == [3.0, 5.0]  # N of them, each over D


def test_only_the_mean_of_batch_norm_depends_on_who_joins_the_batch():
    values = np.random.default_rng(0).standard_normal((5, 4, 9))
    found = means_over_batches(values, [1, 3, 5], groups=2)
    assert found["batch"] == pytest.approx([values[:n, 3].mean() for n in (1, 3, 5)])
    for kind, expected in (("layer", values[0]), ("instance", values[0, 3]), ("group", values[0, 2:])):
        assert found[kind] == pytest.approx([expected.mean()] * 3)
    assert set(means_over_batches(values[..., 0], [1, 2])) == {"batch", "layer"}


def test_groups_divide_the_channels_and_other_numbers_are_refused():
    assert [largest_groups(channels) for channels in (64, 96, 16, 6, 7, 1)] == [32, 32, 8, 3, 1, 1]
    with pytest.raises(BadInput, match="got 3 and 4"):
        norm_statistics(np.zeros((2, 4, 3)), "group", 3)
    with pytest.raises(BadInput, match="Choose one of: batch, layer"):
        norm_statistics(np.zeros((2, 4, 3)), "weight")


def test_the_output_of_a_layer_is_that_of_each_image_alone():
    model = tiny(normed())
    found = capture_batch(model, RECEIVED[:3], "2")
    alone = [cnnviz.capture(model, image, ["2"])["2"][0] for image in RECEIVED[:3]]
    np.testing.assert_allclose(found, alone, atol=1e-5)


# --- memory ------------------------------------------------------------------------------------------------


def test_bytes_are_those_of_the_shapes_and_linear_in_the_number_of_images():
    model = tiny(normed(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)))
    found = activation_memory(model, RECEIVED[0])
    each = dict(zip(found.layers, found.per_image, strict=True))
    # float32: the image, the maps of 6×6 before the norm and behind the ReLU, and the four means
    assert each == {"0": 3 * 64 * 4, "1": 4 * 36 * 4, "2": 4 * 36 * 4, "5": 4 * 4}
    assert dict(zip(found.layers, found.per_batch, strict=True)) == {"0": 0, "1": 2 * 4 * 4, "2": 0, "5": 0}  # μ, 1/σ
    assert sum(measure_saved(model, RECEIVED[0], 7).values()) == found.held(7).sum()
    assert not any(p.requires_grad or p.grad is not None for p in model.module.parameters())
    assert hooks_left(model.module) == 0


def test_resnet20_keeps_less_than_the_outputs_of_all_its_layers():
    model = cnnviz.load("resnet20_cifar", "random", "cpu")
    found = activation_memory(model, np.zeros((32, 32, 3), np.uint8))
    # the image; what enters 7 + 6 + 6 batch norms and leaves as many ReLUs; and 64 means, 4 bytes each
    assert found.per_image.sum() == 4 * (3 * 1024 + 14 * 16 * 1024 + 12 * 32 * 256 + 12 * 64 * 64 + 64)
    assert found.per_image.sum() < sum(row.activation_bytes for row in cnnviz.anatomy(model))


# --- local response ----------------------------------------------------------------------------------------


def test_local_response_is_the_papers_formula_channel_by_channel_and_pytorchs_divides_alpha():
    a = np.abs(np.random.default_rng(0).standard_normal(9)) * 10
    n, alpha, beta, k = 5, 0.02, 0.75, 2.0
    found = local_response(a, n, alpha, beta, k)
    for i in range(9):
        neighbours = [j for j in range(9) if max(0, i - 2) <= j <= min(8, i + 2)]
        assert (found.first[i], found.last[i]) == (neighbours[0], neighbours[-1])
        assert found.sums[i] == pytest.approx(sum(a[j] ** 2 for j in neighbours))
        assert found.after[i] == pytest.approx(a[i] / (k + alpha * sum(a[j] ** 2 for j in neighbours)) ** beta)
    given = torch.from_numpy(a)[None, :, None, None]
    torchs = nn.LocalResponseNorm(n, alpha=n * alpha, beta=beta, k=k)(given).flatten().numpy()
    np.testing.assert_allclose(found.after, torchs, rtol=1e-12)
    np.testing.assert_allclose(found.by_torch, local_response(a, n, alpha / n, beta, k).after, rtol=1e-12)


@pytest.mark.parametrize("numbers", [(4, 1.0, 1.0, 1.0), (0, 1.0, 1.0, 1.0), (5, -1.0, 1.0, 1.0), (5, 0.0, 1.0, 0.0)])
def test_numbers_without_a_meaning_are_refused(numbers):
    with pytest.raises(BadInput, match="odd n"):
        local_response(np.ones(6), *numbers)


# --- preprocessing and scaling -----------------------------------------------------------------------------


def test_the_mean_image_and_the_channel_means_are_those_of_a_slow_loop():
    found = mean_image(RECEIVED)
    slow = [[[sum(int(p[i, j, c]) for p in RECEIVED) / 8 for c in range(3)] for j in range(8)] for i in range(8)]
    np.testing.assert_allclose(found.image, slow)
    every = np.concatenate([pixels.reshape(-1, 3) for pixels in RECEIVED]).astype(float)
    np.testing.assert_allclose(found.channels, every.mean(0))
    assert found.deviation == pytest.approx(math.sqrt(((every - every.mean(0)) ** 2).mean()))
    assert found.spread == pytest.approx(math.sqrt(((np.array(slow) - every.mean(0)) ** 2).mean()))
    assert (found.image.size, found.channels.size, found.count) == (192, 3, 8)
    with pytest.raises(BadInput, match="at least one"):
        mean_image([])
    with pytest.raises(BadInput, match="Resize"):
        mean_image([RECEIVED[0], RECEIVED[1][:4]])


def test_descent_is_that_of_autograd_and_the_bowl_is_that_of_its_hessian():
    problem, _ = made_problems(5, seed=2)
    rate, start = 0.5 * problem.largest_rate, np.array((-2.0, 1.0))
    path = descend(problem, rate, start, 6)
    x, y = torch.from_numpy(problem.features), torch.from_numpy(problem.targets)
    weights = torch.from_numpy(start.copy()).requires_grad_()
    for step in range(7):
        loss = ((x @ weights - y) ** 2).mean() / 2
        np.testing.assert_allclose(path[step], weights.detach(), atol=1e-10)
        assert float(problem.loss(path[step])) == pytest.approx(loss.item())
        (gradient,) = torch.autograd.grad(loss, weights)
        weights = (weights - rate * gradient).detach().requires_grad_()
    np.testing.assert_allclose(problem.best, np.linalg.lstsq(problem.features, problem.targets, rcond=None)[0])


def test_the_largest_stable_rate_parts_paths_that_arrive_from_paths_that_leave():
    for problem in made_problems(5, seed=0):
        start = problem.best + np.array((-4.0, 3.0))
        near, far = (descend(problem, share * problem.largest_rate, start, 400) for share in (0.97, 1.03))
        assert problem.loss(near[-1]) - problem.loss(problem.best) < 1e-3
        assert problem.loss(far[-1]) > problem.loss(far[0])


def test_standardised_features_make_the_bowl_nearly_round_and_dependent_ones_are_refused():
    plain, scaled = made_problems(10, seed=0)
    np.testing.assert_allclose(scaled.features.std(0), 1)
    np.testing.assert_allclose(scaled.features.mean(0), 0, atol=1e-12)
    assert plain.condition > 50 and scaled.condition < 2
    assert plain.condition == pytest.approx(np.linalg.cond(plain.features.T @ plain.features))
    with pytest.raises(BadInput, match="a multiple of the other"):
        least_squares(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]), np.zeros(3))


def test_the_noise_of_a_batch_is_that_of_its_points_over_its_size():
    problem = made_problems(2.0, 3)[0]
    at, rate = problem.best + np.array((0.5, -0.3)), 0.1
    for batch in (1, 10):
        steps = np.stack([descend_batches(problem, rate, at, 1, batch, seed)[1] for seed in range(4000)])
        gradients = (at - steps) / rate
        mean = problem.hessian @ (at - problem.best)
        np.testing.assert_allclose(gradients.mean(0), mean, atol=5 * np.sqrt(gradients.var(0) / 4000).max())
        want = gradient_noise(problem, at, batch)
        np.testing.assert_allclose(np.cov(gradients.T), want, atol=0.12 * np.abs(want).max())


def test_a_batch_of_all_points_has_no_noise_and_none_may_be_larger():
    problem = made_problems(2.0, 0)[0]
    start = problem.best + 1
    np.testing.assert_array_equal(descend_batches(problem, 0.1, start, 9, 100, 7), descend(problem, 0.1, start, 9))
    with pytest.raises(BadInput, match="1 to 100 points, got 101"):
        descend_batches(problem, 0.1, start, 9, 101, 0)
