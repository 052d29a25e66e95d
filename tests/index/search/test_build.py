"""The patch index against a brute-force search: one image at a time, float32, sorted by NumPy."""

import numpy as np
import pytest
import torch
from nets import Functional, Written, hooks_left, tiny
from same_index import assert_same
from slowindex import branching, memory, noise, run
from torch import nn

import cnnviz
from cnnviz.data.corpus import MemoryCorpus
from cnnviz.errors import BadInput, UnknownName
from cnnviz.index.result import PatchIndex
from cnnviz.index.search.build import index_patches
from cnnviz.index.search.topk import SETTLE, RunningTop
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import capture
from cnnviz.tracing.receptive_field import receptive_field

LAYERS = ["a", "relu", "b", "c"]


def winners_slowly(model: LoadedModel, corpus: MemoryCorpus, layer: str, k: int) -> list[list[tuple]]:
    """For each channel [(position in the corpus, row, col, value), …], strongest first."""
    found: list[list[tuple]] = []
    for position in range(len(corpus)):
        maps = capture(model, corpus.image(position), layer)[layer][0]
        found = found or [[] for _ in maps]
        for channel, values in enumerate(maps):
            row, col = divmod(int(np.argmax(values)), values.shape[1])  # the first of equal maxima
            found[channel].append((position, row, col, float(values[row, col])))
    return [sorted(one, key=lambda winner: (-winner[3], winner[0]))[:k] for one in found]


def assert_equals_slow_search(index: PatchIndex, model: LoadedModel, corpus: MemoryCorpus, layer: str, k: int):
    slow = winners_slowly(model, corpus, layer, k)
    assert index.channels(layer) == len(slow)
    for channel, expected in enumerate(slow):
        found = index.top(layer, channel)
        assert [(w.image, w.row, w.col) for w in found] == [winner[:3] for winner in expected]
        assert [w.value for w in found] == pytest.approx([winner[3] for winner in expected], abs=1e-5)
        assert [w.image_id for w in found] == [corpus.ids[winner[0]] for winner in expected]


def brightness(size: int = 4) -> LoadedModel:
    """One channel, whose map is the gray image itself, exactly."""
    conv = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.ones_(conv.weight)
    return tiny(nn.Sequential(conv), (size, size), 1)


def grays(*levels: int, size: int = 4) -> MemoryCorpus:
    return memory([np.full((size, size), level, np.uint8) for level in levels])


def images_of(index: PatchIndex, layer: str = "0", channel: int = 0) -> list[int]:
    return [winner.image for winner in index.top(layer, channel)]


@pytest.fixture(scope="module")
def unbroken() -> PatchIndex:
    return run(None, memory(noise(60)))


@pytest.mark.parametrize("layer", LAYERS)
def test_every_channel_equals_a_brute_force_search(unbroken, layer):
    assert_equals_slow_search(unbroken, branching(), memory(noise(60)), layer, 3)


def test_all_layers_of_the_network_are_indexed_unless_some_are_named():
    model, corpus = branching(), memory(noise(9))
    index = index_patches(model, corpus, k=2)
    assert index.layers == model.layers()
    for layer in model.layers():
        assert_equals_slow_search(index, model, corpus, layer, 2)


def test_a_value_is_that_before_a_later_inplace_relu(unbroken):
    model = branching()
    model.module.a.bias.fill_(-5.0)  # every unit is negative
    index = index_patches(model, memory(noise(4)), ["a", "relu"], k=2)
    assert (index.tops["a"].values < 0).all()
    assert (index.tops["relu"].values == 0).all()
    assert_equals_slow_search(index, model, memory(noise(4)), "a", 2)


@pytest.mark.parametrize("batch", [1, 7, 60, 64])
def test_the_batch_size_does_not_change_the_winners(unbroken, batch):
    index = index_patches(branching(), memory(noise(60)), LAYERS, k=3, batch=batch)
    for layer in LAYERS:
        np.testing.assert_array_equal(index.tops[layer].images, unbroken.tops[layer].images)
        np.testing.assert_array_equal(index.tops[layer].boxes, unbroken.tops[layer].boxes)
        np.testing.assert_allclose(index.tops[layer].values, unbroken.tops[layer].values, atol=1e-5)


def test_an_image_wins_a_channel_once_even_if_it_holds_all_the_strongest_units():
    corpus = grays(10, 250, 20, 30)
    index = index_patches(brightness(), corpus, ["0"], k=3)
    assert images_of(index) == [1, 3, 2]


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
def test_equal_values_go_to_the_earlier_image_and_the_lowest_position(batch):
    corpus = grays(9, 200, 7, 200, 200, 9, 200)
    index = index_patches(brightness(), corpus, ["0"], k=5, batch=batch)
    assert images_of(index) == [1, 3, 4, 6, 0]
    assert all((w.row, w.col) == (0, 0) for w in index.top("0", 0))


def test_among_equal_maxima_the_first_in_reading_order_is_kept():
    picture = np.zeros((4, 4), np.uint8)
    picture[1, 3] = picture[2, 0] = picture[3, 3] = 90
    (winner,) = index_patches(brightness(), memory([picture]), ["0"]).top("0", 0)
    assert (winner.row, winner.col) == (1, 3)


def test_a_corpus_smaller_than_k_gives_all_its_images():
    index = index_patches(brightness(), grays(3, 9, 6), ["0"], k=9)
    assert images_of(index) == [1, 2, 0]
    assert index.tops["0"].images.tolist() == [[1, 2, 0] + [-1] * 6]


def test_each_call_of_a_module_that_is_used_twice_is_a_layer_of_its_own():
    torch.manual_seed(0)
    net = Functional(
        lambda n, x: n.r(n.b(n.r(n.a(x)))), a=nn.Conv2d(3, 4, 3), b=nn.Conv2d(4, 4, 3), r=nn.ReLU(inplace=True)
    )
    model, corpus = tiny(net, (12, 12)), memory(noise(20))
    index = index_patches(model, corpus, ["r", "r:1", "r:2", "a"], k=3)
    assert index.layers == ["r", "r:1", "r:2", "a"]
    for layer in index.layers:
        assert_equals_slow_search(index, model, corpus, layer, 3)
    np.testing.assert_array_equal(index.tops["r"].values, index.tops["r:2"].values)
    assert index.top("r:1", 0)[0].box != index.top("r", 0)[0].box


def test_layers_and_calls_that_never_run_are_left_out_and_repeats_count_once():
    net = Functional(lambda n, x: n.a(x), a=nn.Conv2d(3, 2, 3), aux=nn.Conv2d(3, 2, 3))
    model, corpus = tiny(net, (12, 12)), memory(noise(3))
    index = index_patches(model, corpus)
    assert index.layers == ["a"] and list(index.meta["left_out"]) == ["aux"]
    assert "'aux' did not run" in index.meta["left_out"]["aux"]
    assert index_patches(model, corpus, ["aux", "a", "a:1", "a:2", "a"]).layers == ["a", "a:1"]
    for never in ("aux", "a:2"):
        with pytest.raises(BadInput, match=f"'{never}' did not run"):
            index_patches(model, corpus, [never])


def test_fully_connected_layers_have_one_unit_a_channel():
    torch.manual_seed(0)
    model = tiny(nn.Sequential(nn.Conv2d(3, 2, 5), nn.Flatten(), nn.Linear(128, 6)), (12, 12))
    corpus = memory(noise(10))
    index = index_patches(model, corpus, ["2"], k=4)
    assert_equals_slow_search(index, model, corpus, "2", 4)
    assert index.top("2", 0)[0].box == (0, 0, 12, 12)


def test_boxes_are_those_of_the_receptive_field(unbroken):
    model = branching()
    for layer in LAYERS:
        field = receptive_field(model, layer)
        for channel in range(unbroken.channels(layer)):
            for w in unbroken.top(layer, channel):
                assert w.box == field.box(w.row, w.col)
                assert w.full_box == field.box(w.row, w.col, clip=False)


def test_each_winner_replayed_gives_its_stored_value(unbroken):
    model, corpus = branching(), memory(noise(60))
    for layer in LAYERS:
        for channel in range(unbroken.channels(layer)):
            for w in unbroken.top(layer, channel):
                maps = capture(model, corpus.image(corpus.index(w.image_id)), layer)[layer]
                assert maps[0, channel, w.row, w.col] == pytest.approx(w.value, abs=1e-4)


def test_unreadable_images_are_skipped_and_reported():
    pixels = list(noise(10))
    pixels[0] = pixels[7] = b"no image"
    corpus, model = memory(pixels), branching()
    index = index_patches(model, corpus, ["a"], k=20, batch=4)
    assert [where for where, _why in index.meta["skipped"]] == ["n/000", "n/007"]
    assert all("text, not an image" in why for _where, why in index.meta["skipped"])
    for channel in range(6):
        assert sorted(images_of(index, "a", channel)) == [1, 2, 3, 4, 5, 6, 8, 9]


def test_a_corpus_of_which_nothing_can_be_read_is_bad_input(tmp_path):
    out = tmp_path / "index.npz"
    with pytest.raises(BadInput, match="No image of noise could be read: .*not an image"):
        index_patches(branching(), memory([b"no image"] * 5), ["a"], out=out)
    assert not out.exists()


def test_a_map_that_is_not_a_number_wins_nothing():
    spoil = Written(lambda x: torch.where(x.mean((1, 2, 3), keepdim=True) > 0.5, torch.nan, x))
    model = tiny(nn.Sequential(spoil), (4, 4), 1)
    index = index_patches(model, grays(10, 250, 30), ["0"], k=3)
    assert images_of(index) == [2, 0]


def test_wrong_settings_are_refused_before_any_image_is_read():
    model, corpus = branching(), memory([b"no image"])
    with pytest.raises(BadInput, match="auto, float32, bfloat16"):
        index_patches(model, corpus, precision="half")
    with pytest.raises(BadInput, match="k=0"):
        index_patches(model, corpus, k=0)
    with pytest.raises(BadInput, match="batch=0"):
        index_patches(model, corpus, batch=0)
    with pytest.raises(UnknownName, match="pool"):
        index_patches(model, corpus, ["a", "pol"])


def test_auto_is_the_exact_search_in_float32(unbroken):
    assert unbroken.meta["precision"] == "float32" and "statistics" not in unbroken.meta
    assert_same(run(None, memory(noise(60)), precision="float32"), unbroken)  # which was built with "auto"


@pytest.mark.usefixtures("bfloat16_everywhere")
def test_bfloat16_finds_mostly_the_same_winners(unbroken):
    fast = run(None, memory(noise(60)), precision="bfloat16")
    both = total = 0
    for layer in LAYERS:
        for mine, exact in zip(fast.tops[layer].images, unbroken.tops[layer].images, strict=True):
            both, total = both + len({*mine} & {*exact}), total + len(exact)
        np.testing.assert_allclose(fast.tops[layer].values, unbroken.tops[layer].values, rtol=0.05, atol=0.05)
    assert both / total > 0.8
    assert fast.meta["precision"] == "bfloat16" and unbroken.meta["precision"] == "float32"


def test_what_is_kept_in_memory_does_not_grow_with_the_corpus():
    top, most = RunningTop(6, 4, 3, torch.device("cpu")), 0
    generator = torch.Generator().manual_seed(0)
    for start in range(0, 4000, 4):
        top.add_maps(torch.rand(4, 6, 4, 4, generator=generator), torch.arange(start, start + 4))
        most = max(most, sum(len(images) for _values, _flat, images in top.waiting))
    assert most < SETTLE
    top.settle()
    assert not top.waiting


def test_few_that_can_enter_among_many_are_found_as_by_sorting_them_all():
    """Some channels get many new records at once, some one, some none, one has too few images for its places."""
    values = np.random.default_rng(3).normal(size=(700, 6)).astype(np.float32).round(2)
    values[:, 1] += np.arange(700) / 100  # always more
    values[:, 2] -= np.arange(700) / 100
    values[20:, 3] = values[:20, 3].max()  # equal ones
    values[3:, 4] = np.nan
    top = RunningTop(6, 700, 5, torch.device("cpu"))
    for part in np.array_split(np.arange(700), 140):
        top.add_peaks(
            torch.from_numpy(values[part]), torch.from_numpy(part)[:, None].expand(-1, 6), torch.from_numpy(part)
        )
    top.settle()
    for channel in range(6):
        real = [i for i in range(700) if not np.isnan(values[i, channel])]
        best = sorted(real, key=lambda i: (-values[i, channel], i))[:5]
        assert top.images[channel].tolist() == best + [-1] * (5 - len(best))
        assert top.flat[channel, : len(best)].tolist() == best


@pytest.mark.parametrize("batch", [1, 3, 50])
def test_equal_values_go_to_the_earlier_image_however_they_come(batch):
    values = np.random.default_rng(1).integers(0, 4, (200, 5)).astype(np.float32)
    top = RunningTop(5, 1, 9, torch.device("cpu"))
    for start in range(0, 200, batch):
        part = torch.from_numpy(values[start : start + batch])
        top.add_maps(part[:, :, None, None], torch.arange(start, start + len(part)))
    top.settle()
    for channel in range(5):
        best = sorted(range(200), key=lambda i: (-values[i, channel], i))[:9]
        assert top.images[channel].tolist() == best


def test_a_map_of_nan_leaves_its_place_free():
    top = RunningTop(2, 2, 3, torch.device("cpu"))
    maps = torch.tensor([[1.0, float("nan")], [2.0, 5.0]])[:, :, None, None].expand(2, 2, 2, 2).contiguous()
    top.add_maps(maps, torch.arange(2))
    top.settle()
    assert top.images.tolist() == [[1, 0, -1], [1, -1, -1]]


def test_hooks_are_gone_also_when_the_network_fails():
    fail = []

    def forward(net, x):
        if fail:
            raise RuntimeError("broken network")
        return net.a(x)

    model = tiny(Functional(forward, a=nn.Conv2d(3, 2, 3)), (12, 12))
    index_patches(model, memory(noise(2)))
    assert hooks_left(model.module) == 0
    fail.append(True)
    with pytest.raises(RuntimeError, match="broken network"):
        index_patches(model, memory(noise(2)))
    assert hooks_left(model.module) == 0


@pytest.mark.slow
def test_all_26_convolutions_of_squeezenet_equal_a_brute_force_search(shared):
    weights = shared / "weights" / "squeezenet1_0-imagenet.pth"
    model = cnnviz.load("squeezenet1_0", weights, device="cpu")
    corpus = cnnviz.corpus(shared / "data" / "imagenet-sample", limit=100)
    layers = model.layers("conv")
    assert len(layers) == 26
    index = index_patches(model, corpus, layers)
    peaks = {layer: [] for layer in layers}
    for position in range(100):
        for layer, maps in capture(model, corpus.image(position), layers).items():
            peaks[layer].append(maps[0].max(axis=(1, 2)))
            top = index.tops[layer]
            won = np.nonzero(top.images == position)  # (channels, ranks)
            replayed = maps[0, won[0], top.rows[won], top.cols[won]]
            np.testing.assert_allclose(replayed, top.values[won], rtol=1e-4, atol=1e-4)
    for layer in layers:
        matrix, top = np.stack(peaks[layer], 1), index.tops[layer]  # (C, images)
        expected = -np.sort(-matrix, axis=1)[:, :9]
        np.testing.assert_allclose(top.values, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(np.take_along_axis(matrix, top.images, 1), expected, rtol=1e-4, atol=1e-4)
        assert all(len(set(images)) == 9 for images in top.images.tolist())


@pytest.mark.gpu
def test_a_gpu_finds_the_winners_of_the_cpu(unbroken):
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        pytest.skip("no CUDA or MPS device here")
    slow = branching()
    device = torch.device("cuda" if torch.cuda.is_available() else "mps")
    model = LoadedModel(slow.module, "tiny", slow.preprocessing, ["a"], device)
    index = index_patches(model, memory(noise(60)), LAYERS, k=3, batch=4)
    for layer in LAYERS:
        np.testing.assert_allclose(index.tops[layer].values, unbroken.tops[layer].values, rtol=1e-2, atol=1e-2)
