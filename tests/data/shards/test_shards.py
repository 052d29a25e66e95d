"""WebDataset shards: what webdataset wrote and what it reads, and none of the tricks that archives know."""

import io
import json
import os
import pickle
import tarfile
import threading

import braceexpand
import numpy as np
import pytest
import webdataset
from made_pictures import picture, pixels, png, tree
from made_shards import jpeg, plain, shard

from cnnviz.data.images import open_image
from cnnviz.data.open import corpus
from cnnviz.data.shards import shard_index
from cnnviz.data.shards.shards import ShardCorpus, expand_braces
from cnnviz.errors import BadImage, BadInput


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "shards"


def three(folder):
    for number in range(3):
        samples = {f"{number}-{i}": {"jpg": jpeg(10 * number + i), "cls": 5 * number + i} for i in range(4)}
        shard(folder / f"train-{number:04d}.tar", samples)
    return folder


def test_the_images_and_labels_are_those_that_webdataset_reads(tmp_path):
    three(tmp_path / "s")
    pattern = str(tmp_path / "s" / "train-{0000..0002}.tar")
    found = corpus(pattern)
    read = list(webdataset.WebDataset(pattern, shardshuffle=False).decode("pil"))
    assert found.ids == [f"{os.path.basename(sample['__url__'])}/{sample['__key__']}" for sample in read]
    assert found.labels == [str(sample["cls"]) for sample in read] and len(found) == 12
    assert found.classes == sorted(set(found.labels), key=int)
    for index, sample in enumerate(read):
        np.testing.assert_array_equal(pixels(found, index), np.asarray(sample["jpg"].convert("RGB")))
    assert not found.skipped


def test_a_pattern_a_folder_and_a_list_are_the_same_corpus(tmp_path):
    folder = three(tmp_path / "s")
    paths = sorted(folder.glob("*.tar"))
    kinds = [corpus(str(folder / "train-{0000..0002}.tar")), corpus(folder), corpus(paths)]
    assert len({found.fingerprint for found in kinds}) == 1 and kinds[0].ids == kinds[1].ids == kinds[2].ids
    assert corpus(paths[1]).ids == [f"train-0001.tar/1-{i}" for i in range(4)]
    three(tmp_path / "deep" / "a"), three(tmp_path / "deep" / "b")
    assert corpus(tmp_path / "deep").ids[0] == "a/train-0000.tar/0-0" and len(set(corpus(tmp_path / "deep").ids)) == 24


def test_labels_are_names_or_numbers_of_cls_or_json(tmp_path):
    samples = {
        "a": {"png": png(0), "cls": b"tabby cat\n"},
        "b": {"jpeg": jpeg(1), "json": {"label": 7, "caption": "x"}},
        "c": {"webp": png(2), "json": {"label": "dog"}, "cls": b"3"},
    }
    found = corpus(shard(tmp_path / "x.tar", samples))
    assert found.labels == ["tabby cat", "7", "3"] and found.classes == ["3", "7", "tabby cat"]
    samples["d"] = {"png": png(3), "json": b"{broken"}
    partly = corpus(shard(tmp_path / "y.tar", samples))
    assert len(partly) == 4 and partly.labels is None
    assert "cannot be read" in partly.skipped[0][1]
    assert partly.skipped[1] == ("y.tar", "1 of 4 images have no label, so none is used.")
    unlabelled = corpus(shard(tmp_path / "z.tar", {"a": {"png": png(0), "json": {"width": 6}}}))
    assert unlabelled.labels is None and not unlabelled.skipped


@pytest.mark.parametrize(
    "pattern",
    ["a-{000..012}.tar", "{a,b}/{1..3}.tar", "x{8..11}y", "x{3..1}", "{0..9..4}", "none", "{one}", "{a,{b,c}}d"],
)
def test_braces_expand_as_webdataset_expands_them(pattern):
    assert sorted(expand_braces(pattern)) == sorted(braceexpand.braceexpand(pattern))


def test_missing_shards_and_too_many_are_refused(tmp_path):
    three(tmp_path)
    with pytest.raises(BadInput, match=r"names 6 shards, but train-0003.tar, .* do not exist"):
        corpus(str(tmp_path / "train-{0000..0005}.tar"))
    with pytest.raises(BadInput, match="more than 100,000 shards"):
        corpus(str(tmp_path / "train-{0..999999999999}.tar"))


def test_a_shard_is_swept_once_and_again_when_it_has_changed(tmp_path, cache, monkeypatch):
    path = shard(tmp_path / "x.tar", {"a": {"png": png(0)}})
    first, sweeps, real = corpus(path), [], shard_index._sweep
    monkeypatch.setattr(shard_index, "_sweep", lambda *given: sweeps.append(1) or real(*given))
    assert corpus(path).fingerprint == first.fingerprint and not sweeps
    shard(path, {"a": {"png": png(1)}, "b": {"png": png(2)}})
    with pytest.raises(BadImage, match="has changed since it was opened"):
        first.image(0)
    again = corpus(path)
    assert sweeps and again.fingerprint != first.fingerprint and again.ids == ["x.tar/a", "x.tar/b"]
    np.testing.assert_array_equal(pixels(again, 0), picture(1))
    assert [file.suffix for file in cache.iterdir()] == [".npz"]  # nothing half written is left
    next(cache.iterdir()).write_bytes(b"damaged")
    assert corpus(path).ids == again.ids and len(sweeps) == 2


def test_without_a_writable_cache_shards_are_read_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "file"))
    assert corpus(shard(tmp_path / "x.tar", {"a": {"png": png(0)}})).ids == ["x.tar/a"]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_foreign_names_are_read_in_every_form_of_tar(tmp_path, form):
    names = ["d" * 150 + "/" + "x" * 120 + ".png", "./über/ä.png", "a.b/c.d.PNG", "/abs/e.png"]
    found = corpus(plain(tmp_path / "x.tar", [(name, png(seed)) for seed, name in enumerate(names)], form))
    keys = ["d" * 150 + "/" + "x" * 120, "über/ä", "a.b/c", "abs/e"]
    for seed, key in enumerate(keys):
        np.testing.assert_array_equal(pixels(found, found.index(f"x.tar/{key}")), picture(seed))
    assert len(found) == 4 and not found.skipped


def test_other_members_are_passed_over_and_odd_ones_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(shard_index, "MAX_MEMBER", 1000)
    link = tarfile.TarInfo("link.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    folder = tarfile.TarInfo("folder")
    folder.type = tarfile.DIRTYPE
    members = [
        (folder, b""),
        ("fine.png", png(0)),
        ("fine.txt", b"caption"),
        ("._fine.png", b"x"),
        (link, b""),
        ("../up.png", png(1)),
        ("large.png", bytes(1001)),
        (os.fsdecode(b"\xff.png"), png(2)),
        ("fine.mask.png", png(3)),
    ]
    found = corpus(plain(tmp_path / "x.tar", members))
    assert found.ids == ["x.tar/fine", "x.tar/\\xff"]
    np.testing.assert_array_equal(pixels(found, 0), picture(0))
    reasons = dict(found.skipped)
    assert "link or device" in reasons["x.tar/link.png"] and "out of the archive" in reasons["x.tar/../up.png"]
    assert "more than the 0 MiB" in reasons["x.tar/large.png"]
    assert reasons["x.tar"] == "1 image not used: of each sample the first one counts."
    assert not (tmp_path / "up.png").exists() and len(reasons) == 4


def test_of_a_truncated_shard_what_is_there_is_used(tmp_path):
    path = shard(tmp_path / "x.tar", {f"{i}": {"jpg": jpeg(i, 64), "cls": i} for i in range(6)})
    whole = path.read_bytes()
    with tarfile.open(path) as content:
        member = content.getmember("4.jpg")
    for cut, kept in ((member.offset_data + 100, 4), (member.offset, 4), (member.offset + 100, 4)):
        path.write_bytes(whole[:cut])
        found = corpus(path)
        assert found.ids == [f"x.tar/{i}" for i in range(kept)] and found.labels == ["0", "1", "2", "3"]
        assert [open_image(jpeg(i, 64)).tobytes() for i in range(kept)] == [
            found.image(i).tobytes() for i in range(kept)
        ]
        assert len(found.skipped) == 1 and ("ends within" in found.skipped[0][1] or "was cut" in found.skipped[0][1])


def test_behind_a_damaged_header_the_next_sound_one_is_found(tmp_path):
    path = plain(tmp_path / "x.tar", [(f"{i}.png", png(i, 40)) for i in range(5)])
    data = bytearray(path.read_bytes())
    with tarfile.open(path) as content:
        place = content.getmember("2.png").offset
    data[place : place + 512] = b"\xa5" * 512
    path.write_bytes(data)
    found = corpus(path)
    assert found.ids == [f"x.tar/{i}" for i in (0, 1, 3, 4)]
    np.testing.assert_array_equal(pixels(found, 2), picture(3, 40))
    assert found.skipped[0][0] == "x.tar" and f"at byte {place:,}" in found.skipped[0][1]


def test_a_hole_of_zeros_is_no_end(tmp_path):
    path = plain(tmp_path / "x.tar", [(f"{i}.png", png(i, 40)) for i in range(5)])
    with tarfile.open(path) as content:
        hole = content.getmember("1.png").offset, content.getmember("3.png").offset
    data = path.read_bytes()
    path.write_bytes(data[: hole[0]] + bytes(hole[1] - hole[0]) + data[hole[1] :])
    found = corpus(path)
    assert found.ids == [f"x.tar/{i}" for i in (0, 3, 4)]
    assert [reason.startswith(f"Zeros at byte {hole[0]:,}") for _id, reason in found.skipped] == [True]


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_damaged_what_is_lost_is_reported(tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = plain(tmp_path / "x.tar", [(f"{number}.png", png(number)) for number in range(5)])
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    places = rng.integers(0, 5 * 1024, int(rng.integers(0, 60)))
    data[places] = rng.integers(0, 256, len(places))
    path.write_bytes(data.tobytes()[: int(rng.integers(1, len(data) + 1))])
    found = ShardCorpus([path], "damaged")
    read = [np.asarray(image) for _index, _id, image in found.iterate()]
    assert len(read) == 5 or found.skipped
    assert {f"x.tar/{number}" for number in range(5)} >= set(found.ids)


def test_members_that_are_no_images_are_reported_when_they_are_read(tmp_path):
    found = corpus(shard(tmp_path / "x.tar", {"a": {"jpg": b"text"}, "b": {"png": png(1)}, "c": {"png": b""}}))
    assert [image_id for _index, image_id, _image in found.iterate()] == ["x.tar/b"]
    assert [image_id for image_id, _reason in found.skipped] == ["x.tar/a", "x.tar/c"]


def test_what_is_no_shard_says_so(tmp_path):
    (tmp_path / "text.tar").write_text("hello " * 200)
    (tmp_path / "empty.tar").write_bytes(b"")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as content:
        content.addfile(tarfile.TarInfo("a.png"), io.BytesIO())
    for name, reason in (("text.tar", "Damaged header"), ("empty.tar", "was cut"), ("x.tar.gz", "gunzip")):
        with pytest.raises(BadInput, match=f"(?s)holds no images.*{reason}"):
            corpus(tmp_path / name)
    three(tmp_path / "s")
    (tmp_path / "s" / "train-0001.tar").write_text("damaged")
    found = corpus(str(tmp_path / "s" / "train-{0000..0002}.tar"))
    assert len(found) == 8 and found.skipped[0][0] == "train-0001.tar"


def test_archives_among_images_are_reported_not_mixed_in(tmp_path):
    shard(tree(tmp_path, ["a/1.png"]) / "x.tar", {"a": {"png": png(0)}})
    found = corpus(tmp_path)
    assert found.ids == ["a/1.png"] and found.skipped[0][0] == "x.tar"


def test_eight_threads_and_a_pickled_copy_read_the_same(tmp_path):
    for number in range(3):
        shard(tmp_path / f"{number}.tar", {f"{i:02d}": {"png": png(10 * number + i, 30)} for i in range(10)})
    found = pickle.loads(pickle.dumps(corpus(tmp_path)))
    assert found.fingerprint == corpus(tmp_path).fingerprint
    wrong = []

    def read(start):
        for step in range(60):
            index = (start + 7 * step) % 30
            if not np.array_equal(pixels(found, index), picture(index, 30)):
                wrong.append(index)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and not found.skipped


def test_progress_counts_images_and_its_exception_ends_the_sweep(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(shard_index, "TELL_EVERY", 2)
    three(tmp_path / "s")
    seen = []
    corpus(tmp_path / "s", progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _total in seen] == list(range(1, 13)) and not any(total for _done, total in seen)
    for kept in cache.iterdir():
        kept.unlink()

    def stop(done, _total):
        if done > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corpus(tmp_path / "s", progress=stop)
    assert len(list(cache.iterdir())) == 1  # the first shard is known


def test_json_of_odd_kinds_gives_no_label(tmp_path):
    odd = [[1, 2], {"label": None}, {"label": True}, {"label": {"a": 1}}, "text"]
    samples = {f"{i}": {"png": png(i), "json": json.dumps(value).encode()} for i, value in enumerate(odd)}
    assert corpus(shard(tmp_path / "x.tar", samples)).labels is None
