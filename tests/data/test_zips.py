"""Zip archives: the same images as the unpacked folder, and none of the tricks that archives know."""

import struct
import threading
import zipfile

import numpy as np
import pytest
from made_pictures import archive, picture, pixels, png, tree

from cnnviz.data import folders
from cnnviz.data.open import corpus
from cnnviz.errors import BadImage, BadInput


def test_a_zip_gives_what_the_unpacked_folder_gives(tmp_path):
    paths = ["b/1.png", "a.png", "b/c/2.png"]
    tree(tmp_path / "folder", paths)
    entries = {path: png(seed) for seed, path in enumerate(paths)}
    entries |= {
        "__MACOSX/b/._1.png": b"x",
        ".DS_Store": b"x",
        "b/.x.png": b"x",
        "in.zip": b"PK",
        "read.me": b"x",
    }
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        found = corpus(archive(tmp_path / "x.zip", entries, method))
        plain = corpus(tmp_path / "folder")
        assert found.ids == plain.ids and found.name == "x" and not found.skipped
        for index in range(3):
            np.testing.assert_array_equal(pixels(found, index), pixels(plain, index))
    data = (tmp_path / "x.zip").read_bytes()
    assert corpus(data).ids == corpus([("photos.zip", data)]).ids == found.ids
    (tmp_path / "renamed.bin").write_bytes(b"stub" + data)  # zips may follow other bytes
    assert pixels(folders.ZipCorpus(tmp_path / "renamed.bin"), 0).shape == (6, 6, 3)


def test_zip_paths_that_lead_out_are_left_out(tmp_path):
    bad = ["../up.png", "a/../../up.png", "/abs.png", "C:\\x.png", "..\\down.png"]
    found = corpus(archive(tmp_path / "x.zip", {"ok\\fine.png": png(0), **dict.fromkeys(bad, png(1))}))
    assert found.ids == ["ok/fine.png"]
    np.testing.assert_array_equal(pixels(found, 0), picture(0))
    assert sorted(name for name, _ in found.skipped) == sorted(name.replace("\\", "/") for name in bad)
    assert all("out of the archive" in reason for _, reason in found.skipped)


def test_zip_bombs_are_refused(tmp_path, monkeypatch):
    bomb = b"P6 9000 9000 255\n" + bytes(30 << 20)
    found = corpus(archive(tmp_path / "one.zip", {"ok.png": png(0), "bomb.ppm": bomb}))
    assert found.ids == ["ok.png"] and "times its size" in found.skipped[0][1]
    monkeypatch.setattr(folders, "MAX_ENTRY", 1 << 20)
    with pytest.raises(BadInput, match="at most 150 times"):
        corpus(tmp_path / "one.zip")
    stored = archive(tmp_path / "large.zip", {"ok.png": png(0), "large.ppm": bytes(2 << 20)}, zipfile.ZIP_STORED)
    assert "more than the 1 MiB" in corpus(stored).skipped[0][1]
    monkeypatch.setattr(folders, "MAX_TOTAL", 1 << 20)
    with pytest.raises(BadInput, match="Unpack it and give the folder"):
        corpus(stored)


def test_an_entry_larger_than_it_says_is_caught_while_unpacking(tmp_path):
    path = archive(tmp_path / "x.zip", {"a.ppm": b"P6 300 300 255\n" + bytes(270_000), "b.png": png(0)})
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")  # the first directory entry: its unpacked size is at +24
    assert struct.unpack_from("<I", data, place + 24)[0] == 270_015
    struct.pack_into("<I", data, place + 24, 100)
    path.write_bytes(data)
    found = corpus(path)
    assert [image_id for _i, image_id, _image in found.iterate()] == ["b.png"]
    assert "differ" in found.skipped[0][1]


def test_damaged_and_unusual_zips_say_so(tmp_path):
    whole = archive(tmp_path / "x.zip", {"a.png": png(0)}).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:-10])
    with pytest.raises(BadInput, match="Pack it again"):
        corpus(tmp_path / "cut.zip")
    with pytest.raises(BadInput, match="ordinary zip"):
        corpus(archive(tmp_path / "lzma.zip", {"a.png": png(0)}, zipfile.ZIP_LZMA))
    flipped = bytearray(whole)
    flipped[45] ^= 0xFF
    (tmp_path / "x.zip").write_bytes(flipped)
    with pytest.raises(BadImage, match="'a.png' is damaged"):
        corpus(tmp_path / "x.zip").image(0)


def test_eight_threads_read_one_zip(tmp_path):
    path = archive(tmp_path / "x.zip", {f"{i:02d}.png": png(i, 40) for i in range(30)})
    found, wrong = corpus(path), []

    def read(start):
        for step in range(60):
            index = (start + 7 * step) % 30
            if not np.array_equal(pixels(found, index), picture(index, 40)):
                wrong.append(index)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and not found.skipped
