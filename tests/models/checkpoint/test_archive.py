"""Forged torch archives: refused before anything is unpacked or allocated. More in test_bad_checkpoints.py."""

import pickle
import struct
import tracemalloc
import zipfile

import pytest
import torch
from weightfiles import forged

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.archive import is_intact
from cnnviz.models.checkpoint.read import read_weights


def test_an_archive_with_two_pickles_is_refused(tmp_path):
    """The one that is checked must be the one that is loaded."""
    torch.save({"w": torch.zeros(3)}, tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "w.pt", "a") as archive:
        archive.writestr("other/data.pkl", pickle.dumps({}, 2))
    with pytest.raises(BadCheckpoint, match="several things"):
        read_weights(tmp_path / "w.pt")


def test_entries_that_overlap_are_refused(tmp_path):
    torch.save({"w": torch.zeros(1000)}, tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "w.pt", "a") as archive:
        for i in range(9):  # nine more names for the bytes of one entry
            twin = zipfile.ZipInfo(f"w/data/1{i}")
            original = archive.getinfo("w/data/0")
            twin.header_offset, twin.file_size = original.header_offset, original.file_size
            twin.compress_size, twin.CRC = original.compress_size, original.CRC
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
        archive._didModify = True
    with pytest.raises(BadCheckpoint, match="more data than it holds"):
        read_weights(tmp_path / "w.pt")


FORGERIES = {
    "a reach beyond the storage": dict(size=(2,), stride=(10**9,), declared=4),
    "a negative size": dict(size=(-(10**10), -1), stride=(1, 1), declared=4),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_small_file_that_declares_much_is_refused_without_allocating(tmp_path, forgery):
    forged(tmp_path / "w.pt", **forgery)
    assert (tmp_path / "w.pt").stat().st_size < 2000
    tracemalloc.start()
    with pytest.raises(BadCheckpoint, match="declares|damaged"):
        read_weights(tmp_path / "w.pt")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_the_forger_can_write_honest_files_too(tmp_path):
    forged(tmp_path / "w.pt", size=(2, 2), stride=(2, 1), declared=4)
    (tensor,) = read_weights(tmp_path / "w.pt").tensors.values()
    assert tensor.tolist() == [[0.0, 1.0], [2.0, 3.0]]


def test_an_object_that_would_allocate_when_made_is_refused(tmp_path):
    class Greedy:
        def __reduce__(self):
            return bytearray, (10**11,)

    torch.save({"w": torch.ones(1), "x": Greedy()}, tmp_path / "w.pt")
    with pytest.raises(BadCheckpoint, match="bytearray"):
        read_weights(tmp_path / "w.pt")


def test_a_changed_bit_is_seen_by_the_archives_own_sums(tmp_path):
    torch.save({"w": torch.ones(100)}, tmp_path / "w.pt")
    assert is_intact(tmp_path / "w.pt")
    content = bytearray((tmp_path / "w.pt").read_bytes())
    content[content.index(struct.pack("<f", 1.0) * 20) + 8] ^= 1
    (tmp_path / "w.pt").write_bytes(content)
    assert not is_intact(tmp_path / "w.pt")
