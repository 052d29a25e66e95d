"""The index as a value: records in order, a file that gives them back, refusals that say what there is."""

import numpy as np
import pytest

from cnnviz.errors import BadInput, UnknownName
from cnnviz.index.records import LayerTop, Winner
from cnnviz.index.result import PatchIndex
from cnnviz.store import load_arrays, save_arrays


def layer_top(channels: int, k: int, seed: int, missing: int = 0) -> LayerTop:
    rng = np.random.default_rng(seed)
    values = -np.sort(-rng.normal(size=(channels, k)).astype(np.float32), axis=1)
    images = np.stack([rng.permutation(20)[:k] for _ in range(channels)])
    images[:, k - missing :] = -1
    rows, cols = rng.integers(0, 5, (2, channels, k))
    full = np.stack([rows - 1, cols - 2, rows + 3, cols + 4], 2)
    return LayerTop(values, images, rows, cols, np.maximum(full, 0), full)


@pytest.fixture
def index() -> PatchIndex:
    tops = {"conv1": layer_top(4, 3, 0), "block.conv2": layer_top(2, 3, 1, missing=1)}
    used = sorted({int(i) for top in tops.values() for i in top.images.ravel() if i >= 0})
    meta = {"model": "tiny", "complete": False, "next": 12, "skipped": [["a/ü.png", "damaged"]]}
    return PatchIndex(tops, {i: f"photo/{i}" for i in used}, meta)


def test_winners_come_strongest_first_with_every_field(index):
    top = index.tops["conv1"]
    for channel in range(4):
        expected = [
            Winner(
                top.images[channel, i],
                f"photo/{top.images[channel, i]}",
                top.rows[channel, i],
                top.cols[channel, i],
                float(top.values[channel, i]),
                tuple(top.boxes[channel, i]),
                tuple(top.full_boxes[channel, i]),
            )
            for i in range(3)
        ]
        assert index.top("conv1", channel) == expected
        assert index.strength("conv1")[channel] == max(w.value for w in expected)


def test_records_hold_plain_numbers(index):
    winner = index.top("conv1", 0)[0]
    assert {type(v) for v in (winner.image, winner.row, winner.col, *winner.box, *winner.full_box)} == {int}
    assert type(winner.value) is float


def test_places_that_no_image_filled_give_no_record(index):
    assert [len(index.top("block.conv2", channel)) for channel in range(2)] == [2, 2]


def test_a_saved_index_comes_back_the_same(index, tmp_path):
    back = PatchIndex.load(index.save(tmp_path / "deep" / "index.npz"))
    assert back.layers == ["conv1", "block.conv2"]
    assert back.ids == index.ids and back.meta == index.meta and not back.complete
    for layer in index.layers:
        for name, array in index.tops[layer].arrays().items():
            found = back.tops[layer].arrays()[name]
            np.testing.assert_array_equal(found, array)
            assert found.dtype == array.dtype
    assert back.top("conv1", 2) == index.top("conv1", 2)


def test_an_unknown_layer_names_the_closest_and_a_channel_its_range(index):
    with pytest.raises(UnknownName, match="block.conv2"):
        index.top("block.conv", 0)
    for channel in (-1, 4):
        with pytest.raises(BadInput, match=rf"0\.\.3, got {channel}"):
            index.top("conv1", channel)
    assert index.channels("conv1") == 4


@pytest.mark.parametrize("change", [{"kind": "surface"}, {"format": 0}])
def test_a_file_of_another_kind_or_format_is_refused(index, tmp_path, change):
    arrays, meta = load_arrays(index.save(tmp_path / "index.npz"))
    save_arrays(tmp_path / "other.npz", arrays, meta | change)
    with pytest.raises(BadInput, match="not a patch index of this version"):
        PatchIndex.load(tmp_path / "other.npz")


def test_a_damaged_or_missing_file_is_refused(index, tmp_path):
    data = index.save(tmp_path / "index.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadInput, match="half.npz is damaged"):
        PatchIndex.load(tmp_path / "half.npz")
    with pytest.raises(BadInput, match="There is no file"):
        PatchIndex.load(tmp_path / "nowhere.npz")
