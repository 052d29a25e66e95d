"""Products with the Hessian, its extreme eigenvalues and trace, against the dense matrix in float64."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, hessian

from cnnviz.errors import BadInput
from cnnviz.landscape.geometry.hessian import Objective, hutchinson, lanczos


class TwoHeads(nn.Module):
    """Small enough for a dense Hessian: batch normalisation, an auxiliary head, an unused parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)
        self.head, self.aside = nn.Linear(3, 3), nn.Linear(3, 3)
        self.unused = nn.Parameter(torch.ones(2))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled = F.softplus(self.norm(self.conv(x))).mean((2, 3))
        return self.head(pooled), self.aside(pooled.detach())


@pytest.fixture(scope="module")
def material() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    net = TwoHeads().double().eval()
    net.norm.running_mean.normal_()
    net.norm.running_var.uniform_(0.5, 2)
    return net, torch.randn(10, 1, 5, 5, dtype=torch.float64), torch.arange(10) % 3


@pytest.fixture(scope="module")
def dense(material) -> torch.Tensor:
    """The whole matrix, by forward-over-reverse differentiation of the loss of one flat vector."""
    net, images, labels = material
    shapes = {name: p.shape for name, p in net.named_parameters()}

    def loss(flat: torch.Tensor) -> torch.Tensor:
        parts = flat.split([shape.numel() for shape in shapes.values()])
        named = {n: part.view(shape) for (n, shape), part in zip(shapes.items(), parts, strict=True)}
        return F.cross_entropy(functional_call(net, named, (images,))[0], labels)

    flat = torch.cat([p.detach().flatten() for p in net.parameters()])
    return hessian(loss)(flat)


@pytest.fixture
def objective(material) -> Objective:
    net, images, labels = material
    return Objective(net, lambda size: zip(images.split(size), labels.split(size), strict=True), 10, 4)  # 4, 4 and 2


def test_a_product_is_that_of_the_dense_hessian(objective, dense):
    vector = torch.randn(objective.size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(objective.times(vector), dense @ vector, rtol=1e-10, atol=1e-12)


def test_the_gradient_is_that_of_one_pass_over_all_images(material, objective):
    net, images, labels = material
    loss = F.cross_entropy(net(images)[0], labels)
    expected = torch.autograd.grad(loss, list(net.parameters()), materialize_grads=True)
    value, found = objective.gradient()
    assert value == pytest.approx(loss.item(), rel=1e-12)
    torch.testing.assert_close(found, list(expected))


def test_lanczos_finds_both_ends_of_the_dense_spectrum(objective, dense, seeded):
    start = torch.randn(objective.size, dtype=torch.float64, generator=seeded)
    found = lanczos(objective.times, start, count=3, steps=40, tolerance=1e-8)
    exact = np.linalg.eigvalsh(dense.numpy())
    np.testing.assert_allclose(found.largest, exact[::-1][:3], rtol=1e-7)
    assert found.smallest == pytest.approx(exact[0], rel=1e-7)


def test_the_told_residual_bounds_the_distance_to_an_eigenvalue(objective, dense, seeded):
    start = torch.randn(objective.size, dtype=torch.float64, generator=seeded)
    exact = np.linalg.eigvalsh(dense.numpy())
    for steps in (2, 4, 7):
        found = lanczos(objective.times, start, count=2, steps=steps)
        for value, error in zip(found.largest, found.largest_error, strict=True):
            assert np.abs(exact - value).min() <= error + 1e-12
        assert found.products == steps


def test_lanczos_stops_when_nothing_is_left():
    """A matrix of rank 1 has a Krylov space of two dimensions."""
    vector = torch.arange(1.0, 9.0, dtype=torch.float64)
    start = torch.ones(8, dtype=torch.float64)
    found = lanczos(lambda v: vector * (vector @ v), start, count=1, steps=8, tolerance=0.0)
    assert found.products <= 3
    assert found.largest[0] == pytest.approx(float(vector @ vector))


def test_full_reorthogonalisation_lets_no_eigenvalue_appear_twice():
    """Without it, rounding brings a dominant eigenvalue back as a ghost."""
    values = torch.cat([torch.tensor([1e4, 1e3, 1e2]), torch.linspace(0, 1, 197)])
    start = torch.ones(200)
    found = lanczos(lambda v: values * v, start, count=3, steps=60, tolerance=0.0)
    np.testing.assert_allclose(found.largest, [1e4, 1e3, 1e2], rtol=1e-4)


def test_the_trace_is_within_its_standard_error(objective, dense, seeded):
    like = torch.zeros(objective.size, dtype=torch.float64)
    trace, error = hutchinson(objective.times, like, 200, seeded)
    assert abs(trace - float(dense.trace())) < 3 * error
    off_diagonal = dense - torch.diag(dense.diag())
    assert error == pytest.approx(float(off_diagonal.square().sum().mul(2 / 200).sqrt()), rel=0.3)  # its variance


def test_where_memory_is_short_fewer_images_pass_at_once_and_the_numbers_stay(material, objective, monkeypatch):
    net, images, labels = material
    cramped, tried = Objective(net, objective.batches, 10, 10), []
    inside = cramped._parts

    def parts(batch: int):
        tried.append(batch)
        if batch > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 TiB.")
        return inside(batch)

    monkeypatch.setattr(cramped, "_parts", parts)
    vector = torch.randn(objective.size, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(cramped.times(vector), objective.times(vector), rtol=1e-10, atol=1e-12)
    assert cramped.gradient()[0] == pytest.approx(objective.gradient()[0]) and tried == [10, 5, 2, 2]


def test_networks_without_parameters_are_refused():
    with pytest.raises(BadInput, match="parameters"):
        Objective(nn.Flatten(), lambda _size: [], 1, 1)
