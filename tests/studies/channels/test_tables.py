"""An index in tables: every figure is that of the index, worked out slowly."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import tiny
from torch import nn

from cnnviz.data.corpus import MemoryCorpus
from cnnviz.errors import BadInput, UnknownName
from cnnviz.index.result import PatchIndex
from cnnviz.index.search.build import index_patches
from cnnviz.studies.channels.tables import channel_table, describe_index, layer_table, winner_table

LABELS = ["cat", "dog", "dog", "cat", "cat", "newt"]


@pytest.fixture(scope="module")
def index() -> PatchIndex:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 4, 3, stride=2))
    net[0].bias.data[3] = -50.0  # never above 0
    corpus = MemoryCorpus("six", [f"{label}/{i}" for i, label in enumerate(LABELS)], pixels, labels=LABELS)
    return index_patches(tiny(net), corpus, ["0", "1", "2"], k=3, batch=2)


def rows(table: list[list[str]]) -> list[dict[str, str]]:
    header, *lines = table
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_a_layer_is_told_by_its_strongest_dead_and_most_selective_channels(index: PatchIndex) -> None:
    first, second, third = rows(layer_table(index))
    assert [row["layer"] for row in (first, second, third)] == ["0", "1", "2"]
    assert [row["channels"] for row in (first, second, third)] == ["5", "5", "4"]
    assert (first["field"], third["field"]) == ("3×3", "5×5")
    peaks = [index.top("0", channel)[0].value for channel in range(5)]
    assert first["dead"] == second["dead"] == str(sum(peak <= 0 for peak in peaks))
    assert first["strongest"] == f"channel {np.argmax(peaks)}" and float(first["its value"]) == pytest.approx(
        max(peaks), rel=1e-3
    )


def test_the_most_selective_channel_has_the_fewest_classes_among_its_winners(index: PatchIndex) -> None:
    kinds = [len({w.image_id.split("/")[0] for w in index.top("2", channel)}) for channel in range(4)]
    row = rows(layer_table(index))[2]
    channel = int(row["most selective"].removeprefix("channel "))
    assert kinds[channel] == min(kinds)
    named = [w.image_id.split("/")[0] for w in index.top("2", channel)]
    assert row["its winners"] == ", ".join(
        f"{c} {named.count(c)}" for c in sorted(set(named), key=lambda c: (-named.count(c), named.index(c)))
    )


def test_a_channel_is_told_by_its_range_and_a_unit_by_its_winners(index: PatchIndex) -> None:
    table = rows(channel_table(index, "2"))
    for channel, row in enumerate(table):
        best = index.top("2", channel)
        assert row["strongest image"] == best[0].image_id and row["channel"] == str(channel)
        assert [float(row[n]) for n in ("strongest", "weakest")] == pytest.approx(
            [best[0].value, best[-1].value], rel=1e-3
        )
        for winner, line in zip(best, rows(winner_table(index, "2", channel)), strict=True):
            assert line["image"] == winner.image_id and line["class"] == winner.image_id.split("/")[0]
            assert line["unit"] == f"({winner.row}, {winner.col})" and float(line["value"]) == pytest.approx(
                winner.value, rel=1e-5
            )
            assert line["pixels"] == str(winner.box)


def test_without_labels_nothing_is_said_of_classes(index: PatchIndex) -> None:
    bare = replace(index, meta={key: value for key, value in index.meta.items() if key != "labels"})
    for table in (layer_table(bare), channel_table(bare, "0"), winner_table(bare, "0", 0)):
        assert not {"class", "classes", "most selective", "its winners"} & set(table[0])
        assert len({len(line) for line in table}) == 1


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ({"complete": False, "next": 2}, "partial, 2 of 6 images seen"),
        ({"precision": "bfloat16"}, "bfloat16, approximate"),
        ({"screening": {"run_again": 4}}, "float32, exact: screened in bfloat16, 4 images run again"),
        ({"precision": "bfloat16", "phase": "screening"}, "the screening pass of an exact search"),
        ({"embedded": 32}, "at most 32 pixels"),
        ({"skipped": [["a", "damaged"]]}, "1 image that could not be read"),
    ],
)
def test_the_state_of_an_index_is_said(index: PatchIndex, meta: dict, said: str) -> None:
    assert said in " ".join(value for _name, value in describe_index(replace(index, meta=index.meta | meta)))


def test_convolutions_before_their_relu_and_ties_are_said(index: PatchIndex) -> None:
    text = str(dict(describe_index(index)))
    assert "before its ReLU" in text and "lowest position on the map, then the earlier image" in text


def test_what_was_not_indexed_is_refused(index: PatchIndex) -> None:
    with pytest.raises(UnknownName):
        channel_table(index, "conv9")
    with pytest.raises(BadInput, match=r"0\.\.3, got 4"):
        winner_table(index, "2", 4)
