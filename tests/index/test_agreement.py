"""Measured agreement of bfloat16 with float32, re-derived one value at a time."""

import numpy as np
import pytest
import torch
from nets import tiny
from slowindex import branching, memory, noise
from torch import nn

from cnnviz.index import agreement as agreement_module
from cnnviz.index.agreement import AgreementMonitor, compare_peaks, measure_agreement, measure_peaks, spread_positions
from cnnviz.index.result import PatchIndex
from cnnviz.index.search import build as topk
from cnnviz.index.search.build import index_patches
from cnnviz.index.search.loader import Batch
from cnnviz.index.search.search import Search
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import capture

LAYERS, COUNT = ["a", "relu", "c"], 300


def peaks_slowly(model: LoadedModel, positions, layer: str, rounded: bool) -> np.ndarray:
    """(images, C) maxima, one image at a time."""
    corpus, found = memory(noise(COUNT)), []
    for position in positions:
        with torch.autocast("cpu", torch.bfloat16, enabled=rounded):
            found.append(capture(model, corpus.image(position), layer)[layer][0].max(axis=(1, 2)))
    return np.array(found, dtype=np.float64)


def test_the_sample_is_spread_evenly_and_seen_in_both_precisions():
    model = branching()
    found = measure_peaks(model, LAYERS, memory(noise(COUNT)), 5, 4)
    positions = [0, 75, 150, 224, 299]
    assert found.images == 5
    for layer in LAYERS:
        np.testing.assert_allclose(found.exact[layer], peaks_slowly(model, positions, layer, False), atol=1e-5)
        np.testing.assert_allclose(found.rounded[layer], peaks_slowly(model, positions, layer, True), atol=2e-2)
        assert (found.exact[layer] != found.rounded[layer]).any()


@pytest.mark.parametrize(
    "images, count, together",
    [(300, 16, 3), (1000, 18, 3), (5, 16, 3), (1, 16, 3), (2, 1, 3), (300, 5, 1), (40, 40, 1), (41, 40, 3)],
)
def test_positions_are_distinct_inside_and_reach_both_ends(images, count, together):
    found = spread_positions(images, count, together)
    assert found == sorted(set(found)) and 0 <= found[0] and found[-1] < images
    assert min(images, count) - together < len(found) <= min(images, count)
    if count > together:
        assert found[0] == 0 and found[-1] >= images - together


@pytest.mark.usefixtures("bfloat16_everywhere")
def test_a_bfloat16_index_states_its_agreement_on_a_sample():
    model, corpus = branching(), memory(noise(COUNT))
    index = index_patches(model, corpus, LAYERS, k=3, batch=4, precision="bfloat16")
    stated = index.meta["agreement"]
    assert stated["images"] == 16  # of six places three that lie side by side, less two
    positions = [round(place * (COUNT - 3) / 5) + i for place in range(6) for i in range(3)][:16]
    same, places, worst = 0, 0, 0.0
    for layer in LAYERS:
        exact, rounded = (peaks_slowly(model, positions, layer, way) for way in (False, True))
        for one, other in zip(exact.T, rounded.T, strict=True):
            best = sorted(range(16), key=lambda i: -one[i])[:3]
            others = sorted(range(16), key=lambda i: -other[i])[:3]
            same, places = same + len(set(best) & set(others)), places + 3
            for i, j in zip(best, others, strict=True):
                worst = max(worst, abs(one[i] - other[j]) / max(abs(one[b]) for b in best))
    assert same < places and stated["winners"] == pytest.approx(same / places, abs=0.02)
    assert 1e-3 < worst < 0.2 and stated["values"] == pytest.approx(worst, rel=0.1)
    assert "agreement" not in index_patches(model, corpus, LAYERS, k=3, batch=4, precision="float32").meta


def mostly_silent() -> tuple[LoadedModel, np.ndarray]:
    """A network whose channels reach above 0 for one image in five, and images of it."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    pixels = (noise(COUNT) * generator.random((COUNT, 1, 1, 1))).astype(np.uint8)
    model = tiny(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3)), (12, 12))
    with torch.inference_mode():
        peaks = torch.cat([model.module[0](model.preprocess(image)[None]).amax((2, 3)) for image in pixels])
    with torch.no_grad():
        model.module[0].bias -= peaks.quantile(0.8, 0)
    return model, pixels


@pytest.mark.usefixtures("bfloat16_everywhere")
def test_what_a_search_shows_of_the_sample_is_what_passes_of_their_own_show(monkeypatch):
    (model, pixels), asked = mostly_silent(), []
    corpus = memory(pixels)
    monkeypatch.setattr(topk, "measure_agreement", lambda *how: asked.append(how))
    index = index_patches(model, corpus, ["0", "2"], k=8, batch=4, precision="bfloat16")
    assert not asked
    assert index.meta["agreement"] == measure_agreement(model, corpus, index.meta)
    assert index.meta["agreement"]["images"] == 16 and index.meta["agreement"]["values"] > 0


@pytest.mark.usefixtures("bfloat16_everywhere")
def test_parts_of_an_index_and_layers_that_are_not_always_called_are_measured_afterwards(tmp_path):
    model, pixels = mostly_silent()
    out, corpus = tmp_path / "index.npz", memory(pixels)
    how = dict(k=3, batch=4, precision="bfloat16", out=out)
    index_patches(model, corpus, ["0", "2"], progress=lambda p: p.done < 100, **how)
    resumed = index_patches(model, corpus, ["0", "2"], **how)
    assert resumed.meta["agreement"] == measure_agreement(model, corpus, resumed.meta)
    search = Search(model, ["0", "2"], 3, 4, True)
    witness = AgreementMonitor.attach(search, COUNT)
    for start in range(0, COUNT, 4):
        found = Batch(torch.from_numpy(pixels[start : start + 4]), list(range(start, start + 4)), [], start + 4)
        search.add(found)
        if start == 0:
            search.tops["2"].newest = None  # as if it had not been called
        witness.observe(found)
    assert witness.measure() is None


@pytest.mark.usefixtures("bfloat16_everywhere")
@pytest.mark.parametrize("witnessed", [True, False])
def test_where_memory_is_short_the_sample_is_passed_in_smaller_batches(witnessed, monkeypatch):
    (model, pixels), sizes = mostly_silent(), []
    want = index_patches(model, memory(pixels), ["0"], k=3, batch=8, precision="bfloat16").meta["agreement"]

    class Short(agreement_module._PeakSearch):
        def add(self, found):
            sizes.append(len(found.positions))
            if len(found.positions) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            super().add(found)

    monkeypatch.setattr(agreement_module, "_PeakSearch", Short)
    if not witnessed:
        monkeypatch.setattr(agreement_module, "CHUNK_BYTES", 100)
    index = index_patches(model, memory(pixels), ["0"], k=3, batch=8, precision="bfloat16")
    assert index.meta["agreement"] == want and sizes[:2] == [8, 4] and max(sizes[2:]) == 2
    assert len(sizes) == 2 + (8 if witnessed else 16)  # its bfloat16 passes are those of the search


@pytest.mark.usefixtures("bfloat16_everywhere")
def test_what_goes_wrong_after_the_search_costs_no_file(tmp_path, monkeypatch):
    model, pixels = mostly_silent()
    monkeypatch.setattr(AgreementMonitor, "measure", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        index_patches(model, memory(pixels), ["0"], k=3, batch=8, precision="bfloat16", out=tmp_path / "index.npz")
    assert PatchIndex.load(tmp_path / "index.npz").complete


def test_identical_peaks_agree_fully_and_reversed_ones_by_chance_alone():
    found = measure_peaks(branching(), LAYERS, memory(noise(20)), 20, 4)
    same = compare_peaks(type(found)(found.exact, found.exact, 20), 9)
    assert same == {"images": 20, "winners": 1.0, "values": 0.0}
    turned = {layer: -peaks for layer, peaks in found.exact.items()}
    assert compare_peaks(type(found)(found.exact, turned, 20), 9)["winners"] == 0.0
