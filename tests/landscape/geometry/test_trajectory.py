"""Paths of training runs: coordinates and residuals of paths whose plane is known, PCA against its definition."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import images, tiny
from safetensors.torch import save_file
from torch import nn
from weightfiles import write_snapshot

from cnnviz.errors import BadInput, Cancelled
from cnnviz.landscape.evaluate.evaluator import Evaluator
from cnnviz.landscape.geometry.trajectory import read_snapshots, trajectory
from cnnviz.landscape.results import Trajectory

IMAGES, LABELS = images(10), torch.arange(10) % 3
WEIGHTS = ("0.weight", "4.weight")


def module() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return tiny(module())


def random_direction(model, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(model.module.state_dict()[name].shape, generator=generator) for name in WEIGHTS}


def moved(model, steps: list[float], directions: list[dict], noise: float = 0.0) -> dict[str, torch.Tensor]:
    state = {k: v.clone() for k, v in model.module.state_dict().items()}
    for step, direction in zip(steps, directions, strict=True):
        for name, change in direction.items():
            state[name] += step * change
    return {k: v + noise * torch.randn(v.shape) if k in WEIGHTS else v for k, v in state.items()}


COORDINATES = np.array([[1.5, -0.5], [0.9, 0.4], [0.3, 0.6], [0.1, 0.1], [0.0, 0.0]])


@pytest.fixture
def planar(model):
    """Two directions, neither of length 1 nor at right angles, and a path in their plane."""
    one, other = random_direction(model, 1), random_direction(model, 2)
    oblique = {k: 3 * other[k] + one[k] for k in other}
    path = [(epoch, moved(model, c.tolist(), [one, oblique])) for epoch, c in enumerate(COORDINATES)]
    return [one, oblique], path


def flat(direction: dict[str, torch.Tensor]) -> np.ndarray:
    return np.concatenate([direction[name].numpy().ravel() for name in WEIGHTS]).astype(float)


def test_a_path_in_the_plane_of_given_directions_has_its_own_coordinates_and_no_residual(model, planar):
    directions, path = planar
    found, same, _ = trajectory(model, path, IMAGES, LABELS, directions, precision="float32")
    np.testing.assert_allclose(found.positions, COORDINATES, atol=1e-5)
    np.testing.assert_allclose(found.residual, 0, atol=1e-5)
    np.testing.assert_array_equal(found.epochs, range(5))
    assert flat(same[1]) == pytest.approx(flat(directions[1]))


def test_the_principal_plane_of_a_planar_path_leaves_nothing_out(model, planar):
    _, path = planar
    found, (first, second), explained = trajectory(model, path, IMAGES, LABELS, precision="float32")
    np.testing.assert_allclose(found.residual, 0, atol=1e-5)
    assert explained.sum() == pytest.approx(1, abs=1e-6) and explained[0] > explained[1]
    assert np.linalg.norm(flat(first)) == pytest.approx(1, abs=1e-6)
    assert flat(first) @ flat(second) == pytest.approx(0, abs=1e-6)
    for (_, state), position in zip(path, found.positions, strict=True):  # back from coordinates to weights
        own = model.module.state_dict()
        difference = np.concatenate([(state[n] - own[n]).numpy().ravel() for n in WEIGHTS])
        np.testing.assert_allclose(position[0] * flat(first) + position[1] * flat(second), difference, atol=1e-4)


def test_principal_directions_are_those_of_the_centred_differences(model):
    """Against the singular value decomposition of the whole matrix, with residuals from its definition."""
    torch.manual_seed(3)
    directions = [random_direction(model, s) for s in (1, 2)]
    path = [(e, moved(model, [3 - e, 0.3 * e], directions, noise=0.2)) for e in range(6)]
    path.append((6, moved(model, [0, 0], directions)))
    own = model.module.state_dict()
    matrix = np.stack([np.concatenate([(s[n] - own[n]).numpy().ravel() for n in WEIGHTS]) for _, s in path])
    _, singular, components = np.linalg.svd(matrix.astype(float) - matrix.mean(0), full_matrices=False)
    found, plane, explained = trajectory(model, path, IMAGES, LABELS, precision="float32")
    np.testing.assert_allclose(explained, (singular**2 / (singular**2).sum())[:2], rtol=1e-5)
    for mine, theirs in zip(plane, components[:2], strict=True):
        assert abs(flat(mine) @ theirs) == pytest.approx(1, abs=1e-5)
    inside = matrix @ components[:2].T @ components[:2]
    lengths = np.linalg.norm(matrix, axis=1)
    expected = np.linalg.norm(matrix - inside, axis=1) / np.where(lengths > 0, lengths, 1)
    np.testing.assert_allclose(found.residual, expected, rtol=1e-4)
    np.testing.assert_allclose(found.meta["distance"], np.linalg.norm(matrix, axis=1), rtol=1e-5)


def test_the_loss_is_that_of_the_snapshot_itself_with_its_statistics(model, planar):
    _, path = planar
    path[1][1]["1.running_mean"].fill_(0.7)
    path[1][1]["1.bias"].fill_(-0.3)
    found, *_ = trajectory(model, path, IMAGES, LABELS, precision="float32")
    for index, (_, state) in enumerate(path):
        slow = module().eval()
        slow.load_state_dict(state)
        logits = slow(IMAGES)
        assert found.loss[index] == pytest.approx(F.cross_entropy(logits, LABELS).item(), rel=1e-4)
        assert found.accuracy[index] == pytest.approx((logits.argmax(1) == LABELS).double().mean().item())


def test_the_path_lies_on_the_plane_of_the_returned_directions(model, planar):
    """The surface at a snapshot's position is the snapshot's own loss, when the path is planar."""
    _, path = planar
    found, plane, _ = trajectory(model, path, IMAGES, LABELS, precision="float32")
    surface = Evaluator(model, IMAGES, LABELS, "float32").plane(*plane)
    for position, loss in zip(found.positions, found.loss, strict=True):
        assert surface.at(*position).loss == pytest.approx(loss, rel=1e-3)


def test_over_parameters_biases_and_normalisation_count_too(model):
    base = [
        (e, moved(model, c.tolist(), [random_direction(model, s) for s in (1, 2)])) for e, c in enumerate(COORDINATES)
    ]
    for epoch, state in base:
        state["1.weight"] += 5.0 * (epoch == 2)
    weights, *_ = trajectory(model, base, IMAGES, LABELS, precision="float32")
    everything, plane, _ = trajectory(model, base, IMAGES, LABELS, over="parameters", precision="float32")
    assert weights.residual[2] < 1e-5
    assert everything.meta["distance"][2] == pytest.approx(np.hypot(weights.meta["distance"][2], 10), rel=1e-5)  # 4 × 5
    assert set(plane[0]) == {name for name, _ in model.module.named_parameters()}


def test_snapshots_of_a_run_are_read_in_the_order_of_epochs(model, tmp_path):
    directions = [random_direction(model, s) for s in (1, 2)]
    for epoch in (12, 0, 4, 100):
        at = module()
        at.load_state_dict(moved(model, [(100 - epoch) / 50, (100 - epoch) * epoch / 900], directions))
        write_snapshot(tmp_path, "tiny", epoch, at)
    files = read_snapshots(tmp_path)
    assert [epoch for epoch, _ in files] == [0, 4, 12, 100]
    found, _, explained = trajectory(model, files[::-1], IMAGES, LABELS, precision="float32")
    np.testing.assert_array_equal(found.epochs, [0, 4, 12, 100])
    assert explained.sum() > 0.999
    assert found.residual[-1] == 0 and np.abs(found.positions[-1]).max() < 1e-2  # float16's rounding alone
    found.save(tmp_path / "path.npz")
    np.testing.assert_array_equal(Trajectory.load(tmp_path / "path.npz").positions, found.positions)


def test_folders_without_snapshots_and_snapshots_of_another_network_are_refused(model, tmp_path, planar):
    with pytest.raises(BadInput, match="cnnviz train"):
        read_snapshots(tmp_path)
    state = {k: v.contiguous() for k, v in planar[1][0][1].items()}
    save_file(state, tmp_path / "epoch-001.safetensors", {"cnnviz": json.dumps({"architecture": "resnet20_cifar"})})
    with pytest.raises(BadInput, match="epoch-001.safetensors is a snapshot of resnet20_cifar, the network is tiny"):
        trajectory(model, read_snapshots(tmp_path), IMAGES, LABELS)
    wrong = dict(planar[1][0][1]) | {"0.weight": torch.zeros(4, 3, 5, 5)}
    with pytest.raises(BadInput, match="'0.weight' has shapes"):
        trajectory(model, [(0, wrong)], IMAGES, LABELS)


@pytest.mark.parametrize("half", [False, True])
def test_snapshots_that_end_at_other_weights_are_refused_naming_the_option(model, planar, half):
    path = planar[1]
    if half:
        path = [(epoch, {k: v.half() for k, v in state.items() if v.is_floating_point()}) for epoch, state in path]
    trajectory(model, path, IMAGES, LABELS, precision="float32")
    with pytest.raises(BadInput, match=r"of epoch 3, is .* away from the weights of tiny.*--weights RUN/"):
        trajectory(model, path[:-1], IMAGES, LABELS, precision="float32")


def test_a_straight_path_and_parallel_directions_span_no_plane(model):
    one = random_direction(model, 1)
    straight = [(e, moved(model, [3 - e], [one])) for e in range(4)]
    with pytest.raises(BadInput, match="straight line"):
        trajectory(model, straight, IMAGES, LABELS)
    with pytest.raises(BadInput, match="no plane"):
        trajectory(model, straight, IMAGES, LABELS, [one, {k: -2 * v for k, v in one.items()}])
    with pytest.raises(BadInput, match="got none"):
        trajectory(model, [], IMAGES, LABELS)
    with pytest.raises(BadInput, match='"parameters"'):
        trajectory(model, straight, IMAGES, LABELS, over="biases")


def test_the_network_is_unchanged_to_the_bit_also_when_stopped(model, planar):
    before = {k: v.clone() for k, v in model.module.state_dict().items()}
    trajectory(model, planar[1], IMAGES, LABELS)
    with pytest.raises(Cancelled, match="epoch 1"):
        trajectory(model, planar[1], IMAGES, LABELS, progress=lambda state: state.done < 2)
    assert all(torch.equal(v, before[k]) for k, v in model.module.state_dict().items())
