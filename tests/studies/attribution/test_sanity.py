"""The sanity check of Adebayo et al.: rank correlation by a slow formula, fresh weights where they are asked for."""

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import Cancelled
from cnnviz.models.model import LoadedModel
from cnnviz.studies.attribution.sanity import cascade, randomise, rank_correlation, sanity_check


def model() -> LoadedModel:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 5, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(20, 3),
    )
    net[1].running_mean.fill_(0.3)
    nn.init.uniform_(net[1].weight, 0.5, 1.5)
    expects = Preprocessing((8, 8), None, (0.0,) * 3, (1.0,) * 3)
    return LoadedModel(net, "small", expects, list("abc"), torch.device("cpu"))


def image(seed: int = 0) -> torch.Tensor:
    return torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(seed))


def slow_spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Ranks by counting, then Pearson's r, value by value."""

    def ranks(values):
        return [sum(w < v for w in values) + (sum(w == v for w in values) + 1) / 2 for v in values]

    x, y = ranks(a.ravel().tolist()), ranks(b.ravel().tolist())
    mx, my = sum(x) / len(x), sum(y) / len(y)
    top = sum((p - mx) * (q - my) for p, q in zip(x, y, strict=True))
    return top / (sum((p - mx) ** 2 for p in x) * sum((q - my) ** 2 for q in y)) ** 0.5


@pytest.mark.parametrize("levels", [3, 1000])  # with many ties, and hardly any
def test_rank_correlation_is_that_of_the_counted_ranks(levels):
    random = np.random.default_rng(levels)
    a, b = (random.integers(0, levels, (6, 7)) for _ in range(2))
    assert rank_correlation(a, b) == pytest.approx(slow_spearman(a, b), abs=1e-12)
    assert rank_correlation(a, a**3) == pytest.approx(1) and rank_correlation(a, -a) == pytest.approx(-1)
    assert np.isnan(rank_correlation(a, np.zeros((6, 7))))


def test_only_the_asked_layers_and_their_norms_get_fresh_weights_and_the_model_keeps_its_own():
    trained = model()
    before = {key: value.clone() for key, value in trained.module.state_dict().items()}
    some = randomise(trained, ["0"]).module.state_dict()
    same = {key for key, value in some.items() if torch.equal(value, before[key])}
    assert same == {"3.weight", "3.bias", "7.weight", "7.bias", "1.num_batches_tracked", "1.running_var", "1.bias"}
    assert not some["1.running_mean"].any() and (some["1.weight"] == 1).all()
    every = randomise(trained).module.state_dict()
    assert torch.equal(every["0.weight"], some["0.weight"])  # nested: the same layer, the same draw
    assert not torch.equal(every["0.weight"], randomise(trained, seed=1).module.state_dict()["0.weight"])
    assert all(torch.equal(value, before[key]) for key, value in trained.module.state_dict().items())
    assert randomise(trained).origin == "random"


def test_fresh_kernels_have_the_spread_of_he():
    wide = LoadedModel(
        nn.Sequential(nn.Conv2d(8, 64, 5), nn.Flatten(), nn.Linear(1024, 2)),
        "wide",
        Preprocessing((8, 8), None, (0.0,) * 8, (1.0,) * 8),
        ["a", "b"],
        torch.device("cpu"),
    )
    weights = randomise(wide).module[0].weight
    assert float(weights.std()) == pytest.approx((2 / 200) ** 0.5, rel=0.03) and abs(float(weights.mean())) < 0.003


def test_the_check_compares_the_same_class_and_the_cascade_ends_at_it():
    trained = model()
    check = sanity_check(trained, image(), "saliency", seed=4)
    assert check.trained.target == check.random.target
    assert check.correlation == pytest.approx(slow_spearman(check.trained.map, check.random.map), abs=1e-9)
    seen = []
    found = cascade(trained, image(), "saliency", seed=4, progress=lambda state: seen.append(state.done))
    assert found.layers == ("", "7", "3", "0") and seen == [1, 2, 3, 4]
    assert found.correlation[0] == pytest.approx(1) and found.absolute[-1] == pytest.approx(check.absolute)
    np.testing.assert_array_equal(found.found[-1].map, check.random.map)
    assert cascade(trained, image(), "saliency", points=3).layers == ("", "3", "0")
    with pytest.raises(Cancelled):
        cascade(trained, image(), "saliency", progress=lambda state: False)
