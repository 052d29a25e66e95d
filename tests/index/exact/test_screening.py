"""Screening in bfloat16 and deciding in float32 against the plain float32 search."""

import numpy as np
import pytest
import torch
from nets import Functional, tiny
from slowindex import branching, memory, noise
from torch import nn

from cnnviz.data.corpus import MemoryCorpus
from cnnviz.errors import BadInput
from cnnviz.index.exact import screening
from cnnviz.index.exact.bfloat16 import Margin, Sample
from cnnviz.index.exact.candidates import Candidates
from cnnviz.index.exact.screening import Plan, planned, screened
from cnnviz.index.result import PatchIndex
from cnnviz.index.search import build as topk
from cnnviz.index.search.build import index_patches, prepared
from cnnviz.models.model import LoadedModel

LAYERS, K, BATCH, COUNT = ["a", "relu", "b", "c"], 3, 4, 300


@pytest.fixture(scope="module")
def corpus() -> MemoryCorpus:
    return memory(noise(COUNT))


@pytest.fixture(scope="module")
def exact(corpus) -> PatchIndex:
    return index_patches(branching(), corpus, LAYERS, K, batch=BATCH, precision="float32")


def by_screening(model: LoadedModel, corpus: MemoryCorpus, layers=LAYERS, kept: int = 24, **more) -> PatchIndex:
    settings = prepared(model, corpus, layers, K, "auto", BATCH)
    found = screened(model, corpus, settings, plan=Plan(dict.fromkeys(layers, kept), 0.0), **more)
    assert found is not None
    return found


def assert_same(found: PatchIndex, expected: PatchIndex):
    assert found.layers == expected.layers and found.ids == expected.ids and found.complete
    for layer, top in expected.tops.items():
        for name, part in top.arrays().items():
            np.testing.assert_array_equal(getattr(found.tops[layer], name), part, err_msg=f"{layer} {name}")


def two_layers(first: np.ndarray, second: np.ndarray, side: int) -> LoadedModel:
    """Two 1×1 convolutions without bias, on gray images; layers `one` and `two`."""
    net = Functional(
        lambda n, x: n.two(n.one(x)), one=nn.Conv2d(1, 2, 1, bias=False), two=nn.Conv2d(2, 1, 1, bias=False)
    )
    with torch.no_grad():
        net.one.weight.copy_(torch.tensor(first).view(2, 1, 1, 1))
        net.two.weight.copy_(torch.tensor(second).view(1, 2, 1, 1))
    return tiny(net, (side, side), 1)


@pytest.mark.usefixtures("bfloat16_everywhere")
def test_screening_finds_what_float32_finds_where_bfloat16_alone_does_not(corpus, exact):
    rough = index_patches(branching(), corpus, LAYERS, K, batch=BATCH, precision="bfloat16")
    assert any((rough.tops[layer].images != exact.tops[layer].images).any() for layer in LAYERS)
    found = by_screening(branching(), corpus)
    assert_same(found, exact)
    how = found.meta["screening"]
    assert how["searched_again"] == [] and how["run_again"] < COUNT / 2
    assert found.meta["precision"] == "float32" and found.meta["statistics"] == "bfloat16"


@pytest.mark.usefixtures("bfloat16_everywhere")
def test_the_maximum_is_exact_and_the_other_statistics_are_those_of_bfloat16(corpus, exact):
    found = by_screening(branching(), corpus)
    rough = index_patches(branching(), corpus, LAYERS, K, batch=BATCH, precision="bfloat16")
    for layer in LAYERS:
        np.testing.assert_array_equal(found.statistics[layer].maximum, exact.statistics[layer].maximum)
        np.testing.assert_array_equal(found.statistics[layer].histogram, rough.statistics[layer].histogram)


@pytest.mark.parametrize("tight", [0.2, 0.02])
def test_a_margin_that_is_too_small_is_found_out_and_widened(corpus, exact, tight):
    found = by_screening(branching(), corpus, tight=tight)
    assert found.meta["screening"]["widened"] > 0
    assert_same(found, exact)


def test_where_the_lists_are_too_short_a_layer_is_searched_again_in_full(corpus, exact):
    found = by_screening(branching(), corpus, kept=K)
    assert found.meta["screening"]["searched_again"]
    assert_same(found, exact)
    for layer in found.meta["screening"]["searched_again"]:
        np.testing.assert_array_equal(found.statistics[layer].histogram, exact.statistics[layer].histogram)


@pytest.mark.usefixtures("bfloat16_everywhere")
def test_errors_larger_than_the_values_still_give_the_exact_winners():
    """1000 x - 999.9 x: in bfloat16 the small difference of two large numbers is noise."""
    model = two_layers(np.float32([1000, -999.9]), np.float32([1, 1]), 12)
    corpus = memory(noise(COUNT)[..., 0])
    expected = index_patches(model, corpus, ["one", "two"], K, batch=BATCH, precision="float32")
    rough = index_patches(model, corpus, ["one", "two"], K, batch=BATCH, precision="bfloat16")
    assert (rough.tops["two"].images != expected.tops["two"].images).any()
    assert_same(by_screening(model, corpus, ["one", "two"]), expected)


def test_values_closer_than_bfloat16_can_tell_still_give_the_exact_winners():
    """Gray levels 0.9 to 1.0 of one unit, 26 of them over 300 images: many equal, all nearly so."""
    levels = np.random.default_rng(0).integers(230, 256, COUNT, dtype=np.uint8)
    corpus = memory(np.broadcast_to(levels[:, None, None], (COUNT, 4, 4)).copy())
    model = two_layers(np.float32([1.2345, 0.5]), np.float32([0.777, 0.1]), 4)
    exact = index_patches(model, corpus, ["one", "two"], K, batch=BATCH, precision="float32")
    for kept in (K, 24, 150, 512):
        found = by_screening(model, corpus, ["one", "two"], kept)
        assert_same(found, exact)
        best = np.argsort(-levels.astype(int), kind="stable")[:K]  # of equal images the first
        assert found.tops["two"].images[0].tolist() == best.tolist()


def test_equal_images_go_to_the_earliest_though_they_are_run_again_in_any_order():
    pixels = noise(40)[np.random.default_rng(1).integers(0, 40, COUNT)]
    model, corpus = branching(), memory(pixels)
    expected = index_patches(model, corpus, LAYERS, K, batch=BATCH, precision="float32")
    assert_same(by_screening(model, corpus, kept=60), expected)


def test_a_dead_channel_does_not_spoil_the_exactness(corpus):
    model = branching()
    with torch.no_grad():
        model.module.a.bias[2] = -50.0
    found = by_screening(model, corpus)
    assert_same(found, index_patches(model, corpus, LAYERS, K, batch=BATCH, precision="float32"))
    assert found.statistics["relu"].dead[2] and "relu" in found.meta["screening"]["searched_again"]


def test_images_that_cannot_be_read_are_told_once_and_change_nothing_else(corpus):
    items = [b"no image" if i % 50 == 7 else pixels for i, pixels in enumerate(corpus.items)]
    faulty = MemoryCorpus("noise", corpus.ids, items)
    expected = index_patches(branching(), faulty, LAYERS, K, batch=BATCH, precision="float32")
    found = by_screening(branching(), faulty)
    assert_same(found, expected)
    assert found.meta["skipped"] == expected.meta["skipped"] and len(found.meta["skipped"]) == 6


@pytest.mark.parametrize("stop", [40, COUNT + 8])
def test_a_run_that_is_stopped_goes_on_and_finds_the_same(corpus, exact, tmp_path, stop):
    out, seen = tmp_path / "index.npz", []

    def until(state) -> bool:
        seen.append(state.done)
        return state.done < stop

    partial = by_screening(branching(), corpus, out=out, progress=until)
    assert not partial.complete and partial.tops["c"].values.shape == (7, K)
    assert (tmp_path / "index.npz.screening").exists()
    again = []
    found = by_screening(branching(), corpus, out=out, progress=lambda state: again.append(state.done))
    assert_same(found, exact)
    assert again[0] == min(stop, COUNT) + BATCH


def test_a_run_that_breaks_off_goes_on_from_what_was_saved_last(corpus, exact, tmp_path, monkeypatch):
    monkeypatch.setattr("cnnviz.index.search.run.FIRST_SAVE", 0.0)
    monkeypatch.setattr("cnnviz.index.search.run.SAVE_EVERY", 0.0)
    out, again = tmp_path / "index.npz", []

    def breaks(state) -> None:
        if state.done >= 100:
            raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError, match="power"):
        by_screening(branching(), corpus, out=out, progress=breaks)
    found = by_screening(branching(), corpus, out=out, progress=lambda state: again.append(state.done))
    assert again[0] == 100  # the batch of the break was lost, no other
    assert_same(found, exact)


def test_the_state_of_another_run_is_refused(corpus, tmp_path):
    out = tmp_path / "index.npz"
    by_screening(branching(), corpus, out=out, progress=lambda state: state.done < 20)
    with pytest.raises(BadInput, match="screening is the state of something else.*corpus"):
        by_screening(branching(), memory(noise(COUNT, seed=1)), out=out)


@pytest.mark.usefixtures("bfloat16_everywhere")
def test_auto_screens_saves_and_keeps_the_index_if_it_is_expected_to_pay(corpus, exact, tmp_path, monkeypatch):
    monkeypatch.setattr(screening, "LEAST", 1)
    monkeypatch.setattr(screening, "fast_bfloat16", lambda device: True)
    monkeypatch.setattr(screening, "planned", lambda *_: Plan(dict.fromkeys(LAYERS, 24), 0.1))
    out, model = tmp_path / "index.npz", branching()
    part = index_patches(model, corpus, LAYERS, K, out, batch=BATCH, progress=lambda state: state.done < 100)
    shown = PatchIndex.load(out)
    assert not part.complete and not shown.complete and shown.meta["precision"] == "bfloat16"
    rough = index_patches(model, corpus, LAYERS, K, batch=BATCH, precision="bfloat16",
                          progress=lambda state: state.done < 100)  # fmt: skip
    for layer, top in rough.tops.items():  # OUT is meanwhile a bfloat16 search of the images seen
        np.testing.assert_array_equal(shown.tops[layer].images, top.images)
        np.testing.assert_array_equal(shown.tops[layer].values, top.values)
    assert shown.ids == rough.ids and shown.meta["next"] == rough.meta["next"] == 100
    assert_same(index_patches(model, corpus, LAYERS, K, out, batch=BATCH), exact)
    for precision in ("auto", "float32"):
        kept = index_patches(model, corpus, LAYERS, K, out, batch=BATCH, precision=precision)
        assert kept.meta["screening"]["run_again"] > 0 and kept.meta["statistics"] == "bfloat16"
        assert_same(kept, exact)
    assert [path.name for path in tmp_path.iterdir()] == ["index.npz"]


def test_a_small_corpus_is_not_screened(corpus, exact):
    found = index_patches(branching(), corpus, LAYERS, K, batch=BATCH)
    assert "screening" not in found.meta and "statistics" not in found.meta
    assert_same(found, exact)
    assert topk.PRECISIONS[0] == "auto"


def sampled(slow: float, fast: float, seed: int = 0) -> tuple[Sample, dict[str, Margin]]:
    """128 images of a layer with 20 channels: peaks are 5 and an exponential of mean 1, errors at most 1 %."""
    peaks = 5 + np.random.default_rng(seed).exponential(size=(128, 20)).astype(np.float32)
    margin = Margin(np.full(20, 6.0), np.full(20, 0.001), bound=10.0, seen=3.0)
    return Sample({"a": peaks}, {"a": peaks}, 128, 0.0, slow, fast), {"a": margin}


def test_the_expected_number_of_candidates_is_that_of_a_simulation():
    both, found = sampled(1.0, 0.2)
    plan = planned(both, found, 9, 20_000)
    grain, reached = np.random.default_rng(1), set()
    for _channel in range(20):
        values = np.sort(5 + grain.exponential(size=20_000))[::-1]
        bar = values[8]
        near = values[values + 0.01 * values >= bar]
        reached |= set(grain.choice(20_000, len(near), replace=False).tolist())
        assert len(near) <= plan.kept["a"]
    assert plan.share == pytest.approx(len(reached) / 20_000, rel=0.15)


def test_screening_is_chosen_only_where_it_is_expected_to_be_faster():
    assert planned(*sampled(1.0, 0.2), 9, 20_000) is not None
    assert planned(*sampled(1.0, 0.95), 9, 20_000) is None  # bfloat16 is hardly faster
    assert planned(*sampled(1.0, 0.2), 9, 50) is None  # every image is a winner somewhere
    assert planned(*sampled(1.0, 0.2), 9000, 20_000) is None  # too many winners


def test_screening_is_not_chosen_for_a_layer_with_unknown_errors():
    both, found = sampled(1.0, 0.2)
    silent = Margin(np.append(np.ones(19), 0.0), np.full(20, 0.001), 10.0, 3.0)
    assert not silent.sound and planned(both, {"a": silent}, 9, 20_000) is None
    assert planned(both, {}, 9, 20_000) is None


def test_an_image_outside_the_list_that_turns_out_stronger_widens_the_margin():
    margin = Margin(np.ones(1), np.full(1, 0.01), bound=4.0, seen=2.0)
    lists = Candidates(np.array([[9.0, 8.0]]), np.array([[3, 5]]), margin, 1)
    lists.take(np.array([7, 3]), np.array([[8.2], [9.1]]))  # image 7 was dropped, so bfloat16 gave it 8 at most
    lists.audit()
    assert lists.widened == 0 and lists.surprise.tolist() == [np.float64(8.2)]
    lists.take(np.array([6]), np.array([[8.8]]))  # 10 % above: z = 0.8 / (8 × 0.01)
    lists.audit()
    assert lists.widened == 1 and lists.margin.seen == pytest.approx(10.0) and lists.margin.bound == pytest.approx(20.0)
