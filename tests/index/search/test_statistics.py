"""Statistics of the channels against NumPy over all feature maps."""

import numpy as np
import pytest
import torch
from slowindex import branching, memory, noise
from torch import nn

from cnnviz.index.result import PatchIndex
from cnnviz.index.search.build import index_patches
from cnnviz.index.search.search import SAMPLE_EVERY
from cnnviz.index.search.topk import BINS, RunningTop, bin_edges
from cnnviz.probes.capture import capture

BATCH = 4


@pytest.fixture(scope="module")
def index() -> PatchIndex:
    return index_patches(branching(), memory(noise(140)), ["a", "relu", "c"], k=3, batch=BATCH)


def maps_of(layer: str, positions) -> np.ndarray:
    corpus, model = memory(noise(140)), branching()
    return np.stack([capture(model, corpus.image(i), layer)[layer][0] for i in positions])


@pytest.mark.parametrize("layer", ["a", "relu", "c"])
def test_maximum_and_histogram_are_those_of_every_image(index, layer):
    peaks = maps_of(layer, range(140)).max(axis=(2, 3))  # (N, C)
    found = index.statistics[layer]
    np.testing.assert_allclose(found.maximum, peaks.max(axis=0), rtol=1e-5, atol=1e-6)
    edges = np.array([-np.inf, *bin_edges(), np.inf])
    for channel, values in enumerate(peaks.T):
        counts = [np.sum((values > low) & (values <= high)) for low, high in zip(edges, edges[1:], strict=False)]
        assert found.histogram[channel].tolist() == counts


@pytest.mark.parametrize("layer", ["a", "relu", "c"])
def test_mean_and_density_are_those_of_every_32nd_batch(index, layer):
    sampled = [i for i in range(140) if i // BATCH % SAMPLE_EVERY == 0]
    maps, found = maps_of(layer, sampled), index.statistics[layer]
    assert found.sampled == len(sampled) and found.units == len(sampled) * maps[0, 0].size
    np.testing.assert_allclose(found.mean, maps.mean(axis=(0, 2, 3)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.density, (maps > 0).mean(axis=(0, 2, 3)), atol=1e-3)


def test_a_channel_that_is_never_above_zero_is_dead():
    model = branching()
    with torch.no_grad():
        nn.init.zeros_(model.module.a.weight[2])
        model.module.a.bias[2] = -1.0
    found = index_patches(model, memory(noise(5)), ["a", "relu"], k=2)
    assert found.statistics["relu"].dead.tolist() == [False, False, True, False, False, False]
    assert found.statistics["a"].maximum[2] == -1.0 and found.statistics["a"].dead[2]


def test_a_file_keeps_the_statistics(index, tmp_path):
    again = PatchIndex.load(index.save(tmp_path / "index.npz"))
    for layer, found in index.statistics.items():
        np.testing.assert_array_equal(found.histogram, again.statistics[layer].histogram)
        assert (found.units, found.sampled) == (again.statistics[layer].units, again.statistics[layer].sampled)


def test_values_on_an_edge_belong_to_the_lower_bin_and_nothing_falls_outside():
    top = RunningTop(1, 1, 1, torch.device("cpu"))
    values = torch.tensor([0.0, -3.0, 1e-9, 1.0, 1.0001, 2.0**0.5, 1e30])
    top.add_maps(values.view(-1, 1, 1, 1), torch.arange(len(values)))
    top.settle()
    edges = bin_edges()
    assert len(edges) == BINS - 1 and int(top.histogram.sum()) == len(values)
    expected = np.zeros(BINS, int)
    for place in (0, 0, 1, edges.index(1.0), edges.index(1.0) + 1, edges.index(1.0) + 1, BINS - 1):
        expected[place] += 1
    assert top.histogram[0].tolist() == expected.tolist()
