"""Indexes of parts make the index of the whole, in any order and grouping; what does not belong is refused."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from same_index import assert_same
from slowindex import branching, memory, noise

from cnnviz.data.corpus import MemoryCorpus
from cnnviz.errors import BadInput
from cnnviz.index.crops.cut import cut, window
from cnnviz.index.files import rank_file
from cnnviz.index.merge import find_unseen, merge, share
from cnnviz.index.result import PatchIndex
from cnnviz.index.search.build import index_patches

LAYERS = ["a", "relu", "b", "c"]


def corpus() -> MemoryCorpus:
    """60 images, three of them unreadable and some of them twice, so that there are ties across parts."""
    pixels = list(noise(60))
    pixels[30:34], pixels[57] = pixels[2:6], pixels[11]
    for broken in (1, 29, 58):
        pixels[broken] = b"no image"
    labels = ["odd" if i % 2 else "even" for i in range(60)]
    return MemoryCorpus("noise", [f"n/{59 - i:03d}" for i in range(60)], pixels, labels=labels)


def part(i: int, of: int, **more) -> PatchIndex:
    return index_patches(branching(), corpus(), LAYERS, k=5, batch=4, part=(i, of), **more)


@pytest.fixture(scope="module")
def whole() -> PatchIndex:
    return index_patches(branching(), corpus(), LAYERS, k=5, batch=4)


@pytest.mark.parametrize("of", [1, 2, 3, 7, 20])
def test_merged_parts_are_the_index_of_one_run(whole, of):
    assert_same(merge([part(i, of) for i in range(of)]), whole)


def test_the_order_and_the_grouping_of_the_parts_do_not_matter(whole):
    parts = [part(i, 3) for i in range(3)]
    for one, two, three in permutations(parts):
        assert_same(merge([one, two, three]), whole)
        assert_same(merge([merge([one, two]), three]), whole)
        assert_same(merge([one, merge([two, three])]), whole)


def test_a_part_says_what_it_has_seen_and_that_it_is_not_complete():
    found = part(1, 4)
    assert found.meta["seen"] == [[12, 28]] and not found.complete and found.meta["next"] == 16
    both = merge([part(3, 4), found])
    assert both.meta["seen"] == [[12, 28], [44, 60]] and not both.complete
    assert both.meta["skipped"] == [["n/001", both.meta["skipped"][0][1]]]


def test_parts_of_nothing_but_faults_are_merged_too():
    pixels = [b"no image"] * 8 + list(noise(8))
    both = [index_patches(branching(), memory(pixels), ["a"], k=3, batch=4, part=(i, 2)) for i in range(2)]
    assert both[0].layers == []
    assert_same(merge(both), index_patches(branching(), memory(pixels), ["a"], k=3, batch=4))


def test_a_part_without_images_changes_nothing_of_the_others(whole):
    marked = replace(whole, meta=whole.meta | {"statistics": "bfloat16"})
    empty = part(5, 100)
    assert empty.meta["seen"] == []
    assert_same(merge([empty, marked]), marked)
    assert_same(merge([marked, empty]), marked)


def test_parts_that_overlap_are_refused_naming_the_images():
    with pytest.raises(BadInput, match="images 12 to 19"):
        merge([part(0, 3), part(1, 5)])
    with pytest.raises(BadInput, match="at least one"):
        merge([])


@pytest.mark.usefixtures("bfloat16_everywhere")
@pytest.mark.parametrize("named", ["model fingerprint", "corpus fingerprint", "k", "batch", "precision"])
def test_indexes_of_different_things_are_refused_naming_what_differs(named):
    model, images, more = branching(), corpus(), {"k": 5, "batch": 4}
    if named == "model fingerprint":
        model = branching()
        model.module.a.weight += 0.1
    elif named == "corpus fingerprint":
        images = memory(noise(60, seed=1))
    else:
        more |= {"k": {"k": 4}, "batch": {"batch": 8}, "precision": {"precision": "bfloat16"}}[named]
    other = index_patches(model, images, LAYERS, part=(1, 2), **more)
    with pytest.raises(BadInput, match=f"different.* {named}\\b"):
        merge([part(0, 2), other])


def test_a_run_goes_on_from_whatever_was_seen_also_when_it_is_in_the_middle(whole, tmp_path):
    out = tmp_path / "index.npz"
    part(2, 5).save(out)
    resumed = index_patches(branching(), corpus(), LAYERS, k=5, out=out)
    assert_same(resumed, whole)
    assert_same(PatchIndex.load(out), whole)


def test_files_of_ranks_are_joined_by_one_process_and_removed(whole, tmp_path):
    out, steps = tmp_path / "index.npz", []
    part(0, 6).save(out)
    part(2, 3).save(rank_file(out, 2, 3))
    part(1, 6).save(rank_file(out, 1, 6))
    rank_file(out, 0, 6).write_bytes(out.read_bytes())  # joined before, but a kill came before its removal
    found = index_patches(branching(), corpus(), LAYERS, k=5, out=out, progress=lambda p: steps.append(p.done))
    assert_same(found, whole)
    assert steps[0] == 8 + 12 + 20 + 4  # six ranks: 0 to 7 and 8 to 19; three ranks: 40 to 59
    assert [path.name for path in tmp_path.iterdir()] == ["index.npz"]


def test_a_file_of_a_rank_of_another_run_is_refused_by_name_and_left_alone(tmp_path):
    out = tmp_path / "index.npz"
    part(0, 2).save(rank_file(out, 0, 2))
    with pytest.raises(BadInput, match=r"index.npz.rank0of2 is an index of something else \(different k\)"):
        index_patches(branching(), corpus(), LAYERS, k=6, batch=4, out=out)
    assert rank_file(out, 0, 2).exists() and not out.exists()


def test_a_part_without_a_batch_size_for_all_is_refused():
    with pytest.raises(BadInput, match="needs a batch for all parts"):
        index_patches(branching(), corpus(), LAYERS, part=(0, 2))


@pytest.mark.parametrize("total,parts", [(60, 1), (60, 7), (3, 5), (129, 8)])
def test_shares_are_neighbours_of_like_length_and_together_everything(total, parts):
    spans = find_unseen([], total, 4)
    shares = [share(spans, i, parts) for i in range(parts)]
    assert [image for some in shares for low, high in some for image in range(low, high)] == list(range(total))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


# --- crops ----------------------------------------------------------------------------------------------


def test_crops_are_what_the_network_received_of_each_winner(whole, tmp_path: Path):
    images, model, out = corpus(), branching(), tmp_path / "index.npz"
    found = index_patches(model, images, LAYERS, k=5, batch=4, embed=64, out=out)
    again = PatchIndex.load(out)
    for layer in LAYERS:
        for channel in range(found.channels(layer)):
            expected = [
                cut(model.receive(images.image(w.image)), window(w.full_box, (12, 12)))
                for w in found.top(layer, channel)
            ]
            for index in (found, again):
                crops = index.crops(layer, channel)
                assert len(crops) == len(expected)
                assert all(np.array_equal(crop, patch) for crop, patch in zip(crops, expected, strict=True))
    assert whole.crops("a", 0) is None


def test_a_crop_larger_than_asked_for_is_reduced_to_the_mean_of_its_pixels():
    model, images = branching(), memory(noise(6))
    found = index_patches(model, images, ["c"], k=2, batch=4, embed=4)  # the field of c is 12 or more: the whole image
    winner, crop = found.top("c", 0)[0], found.crops("c", 0)[0]
    pixels = images.image(winner.image)
    means = np.asarray(pixels, float).reshape(4, 3, 4, 3, 3).mean(axis=(1, 3))
    assert crop.shape == (4, 4, 3) and np.abs(crop - means).max() <= 1


def test_windows_that_several_channels_share_are_stored_once(whole):
    found = index_patches(branching(), corpus(), LAYERS, k=5, batch=4, embed=64).embedded["c"]
    winners = {tuple(row) for row in whole.tops["c"].images[..., None].reshape(-1, 1)}
    assert len(found.pixels) < found.at.size and len(found.pixels) >= len(winners)


def test_crops_of_parts_are_merged_like_the_winners_they_show():
    from cnnviz.index.crops.embed import embed

    model, images = branching(), corpus()
    parts = [embed(part(i, 3), model, images) for i in range(3)]
    expected = index_patches(model, images, LAYERS, k=5, batch=4, embed=64)
    for order in ([0, 1, 2], [2, 0, 1]):
        found = merge([parts[i] for i in order])
        assert_same(found, expected)
        for layer in LAYERS:
            for name in ("pixels", "sizes", "at"):
                np.testing.assert_array_equal(
                    getattr(found.embedded[layer], name), getattr(expected.embedded[layer], name)
                )


def test_crops_join_a_finished_index_without_searching_again(tmp_path):
    out, steps = tmp_path / "index.npz", []
    index_patches(branching(), corpus(), ["a"], k=5, batch=4, out=out)
    found = index_patches(branching(), corpus(), ["a"], k=5, out=out, embed=16, progress=steps.append)
    assert not steps and found.crops("a", 0)
    assert PatchIndex.load(out).meta["embedded"] == 16


@pytest.mark.parametrize("side", [0, 65])
def test_sizes_of_crops_outside_1_to_64_are_refused(side):
    with pytest.raises(BadInput, match="1 to 64"):
        index_patches(branching(), memory(noise(3)), ["a"], k=1, batch=4, embed=side)


def test_a_winner_that_cannot_be_read_again_costs_the_crops_and_not_the_index(tmp_path):
    images, out = MemoryCorpus("noise", list("abcdef"), list(noise(6))), tmp_path / "index.npz"

    def damage(state):
        if state.done == 6:
            images.items[:] = [b"no image"] * 6

    with pytest.raises(BadInput, match="a is a winner and can no longer be read.*The index itself is complete"):
        index_patches(branching(), images, ["a"], k=6, batch=4, out=out, embed=16, progress=damage)
    assert PatchIndex.load(out).complete and PatchIndex.load(out).crops("a", 0) is None
