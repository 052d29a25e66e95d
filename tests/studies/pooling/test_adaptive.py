import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput, UnknownName
from cnnviz.models.model import LoadedModel
from cnnviz.studies.pooling.adaptive import adaptive_bins, adaptive_pool
from cnnviz.studies.pooling.global_pooling import maps_at_sizes


@pytest.mark.parametrize("bins", [1, 2, 3, 5, 8, 11])
@pytest.mark.parametrize("shape", [(6, 6), (8, 5), (12, 12)])
def test_bins_hold_what_pytorch_pools(bins, shape):
    maps = np.random.default_rng(bins).normal(size=(3, *shape))
    tensor = torch.from_numpy(maps)[None]
    assert np.allclose(adaptive_pool(maps, bins), functional.adaptive_avg_pool2d(tensor, bins)[0].numpy())
    assert np.allclose(adaptive_pool(maps, bins, "max"), functional.adaptive_max_pool2d(tensor, bins)[0].numpy())


def test_bins_cover_every_unit_and_overlap_where_they_do_not_divide():
    assert adaptive_bins(6, 3) == [(0, 2), (2, 4), (4, 6)]
    assert adaptive_bins(8, 3) == [(0, 3), (2, 6), (5, 8)]
    for size in range(1, 12):
        covered = {unit for start, end in adaptive_bins(size, 5) for unit in range(start, end)}
        assert covered == set(range(size))


def test_bins_below_one_are_refused():
    with pytest.raises(BadInput):
        adaptive_bins(4, 0)
    with pytest.raises(BadInput, match="average or max"):
        adaptive_pool(np.ones((4, 4)), 2, "median")


def test_maps_grow_with_the_image_though_the_head_takes_one_size():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 2)).eval()
    model = LoadedModel(net, "headed", Preprocessing((8, 8)), ["a", "b"], torch.device("cpu"))
    image = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    small, usual, large = maps_at_sizes(model, image, "0", [6, 8, 16])
    assert [one.shape for one in (small, usual, large)] == [(4, 6, 6), (4, 8, 8), (4, 16, 16)]
    with torch.no_grad():
        assert np.allclose(usual, net[0](model.preprocess(image)[None])[0].numpy(), atol=1e-6)
    assert not net[0]._forward_hooks
    with pytest.raises(UnknownName):
        maps_at_sizes(model, image, "9", [8])
    with pytest.raises(BadInput, match="1 pixel"):
        maps_at_sizes(model, image, "0", [0])
