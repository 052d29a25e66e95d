"""Weights in a zip, a tar or a gzip: the one file in it is read, several are listed, nothing leads anywhere else."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from hostile_files import memory
from weightfiles import filled

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.read import read_weights
from cnnviz.models.load import load

STATE = {"conv.weight": torch.arange(54.0).view(2, 3, 3, 3), "conv.bias": torch.tensor([1.0, 2.0])}


def saved(content=STATE, old: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not old)
    return file.getvalue()


def packed(path: Path, files: dict[str, bytes]) -> Path:
    """An archive of the kind that the suffix says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    mode = {".tar": "w", ".gz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}[path.suffix]
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


KINDS = ["w.zip", "w.tar", "w.tar.gz", "w.tar.xz", "w.tar.bz2"]


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_one_weights_file_in_an_archive_is_read(tmp_path, kind, old):
    files = {
        "run/best.pth": saved({"state_dict": STATE, "epoch": 3}, old),
        "run/readme.md": b"# hello",
        "run/a.jpg": b"",
    }
    files |= {"__MACOSX/run/._best.pth": b"\0", "run/best.pth.json": json.dumps({"classes": ["a", "b"]}).encode()}
    found = read_weights(packed(tmp_path / kind, files))
    for key, tensor in STATE.items():
        torch.testing.assert_close(found.tensors[key], tensor, rtol=0, atol=0)
    assert found.metadata == {"epoch": 3, "classes": ["a", "b"]}
    assert [path.name for path in tmp_path.iterdir()] == [kind]


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_a_file_that_is_packed_alone_is_read(tmp_path, module):
    (tmp_path / "w.pth.z").write_bytes(module.compress(saved()))
    assert read_weights(tmp_path / "w.pth.z").tensors.keys() == STATE.keys()


@pytest.mark.parametrize("name", ["weights.pth.tar", "model.zip", "model.tar.gz"])
def test_weights_under_the_suffix_of_an_archive_are_weights(tmp_path, name):
    (tmp_path / name).write_bytes(saved())
    assert read_weights(tmp_path / name).tensors.keys() == STATE.keys()


def test_weights_without_a_suffix_are_known_by_their_first_bytes(tmp_path):
    for i, data in enumerate((saved(), saved(old=True))):
        path = packed(tmp_path / f"{i}.tar", {"run/model": data, "run/notes": b"x" * 99})
        assert read_weights(path).tensors.keys() == STATE.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_several_are_listed(tmp_path, kind):
    path = packed(tmp_path / kind, {"a/best.pth": saved(), "a/last.pth": saved()})
    with pytest.raises(BadCheckpoint, match=f"{kind} holds 2 weights files: a/best.pth, a/last.pth. Give the one"):
        read_weights(path)


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_lead_out_lead_nowhere(tmp_path, kind):
    (tmp_path / "in").mkdir()
    for name in ("../../evil.pth", f"{tmp_path}/evil.pth", "..\\evil.pth", ".../evil.pth"):
        assert read_weights(packed(tmp_path / "in" / kind, {name: saved()})).tensors.keys() == STATE.keys()
    assert [path.name for path in tmp_path.rglob("*")] == ["in", kind]


def test_a_link_in_a_tar_is_followed_nowhere(tmp_path):
    (tmp_path / "secret.pth").write_bytes(saved())
    with tarfile.open(tmp_path / "w.tar", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo(f"link{kind!r}.pth")
            info.type, info.linkname = kind, str(tmp_path / "secret.pth")
            tar.addfile(info)
    with pytest.raises(BadCheckpoint, match="w.tar is a tar archive without weights"):
        read_weights(tmp_path / "w.tar")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wrong_with_the_file_inside_is_said(tmp_path, kind):
    path = packed(tmp_path / kind, {"w.pth": b"<!DOCTYPE html><html>404 not found</html>"})
    with pytest.raises(BadCheckpoint, match=f"{kind}: w.pth is a text file, the web page"):
        read_weights(path)


def test_archives_are_unpacked_once(tmp_path):
    inner = packed(tmp_path / "inner.zip", {"w.pth": saved()}).read_bytes()
    path = packed(tmp_path / "outer.zip", {"w.tar": packed(tmp_path / "w.tar", {"w.pth": saved()}).read_bytes()})
    with pytest.raises(BadCheckpoint, match="outer.zip: w.tar is an archive within an archive"):
        read_weights(path)
    with pytest.raises(BadCheckpoint, match="gz: .* is an archive within an archive"):
        (tmp_path / "w.gz").write_bytes(gzip.compress(inner))
        read_weights(tmp_path / "w.gz")


@pytest.mark.parametrize("kind", ["w.zip", "w.tar.gz", "w.gz"])
def test_what_unpacks_beyond_the_cap_is_refused(tmp_path, kind, monkeypatch):
    zeros = bytes(30_000_000)
    if kind == "w.gz":
        (tmp_path / kind).write_bytes(gzip.compress(zeros))
    else:
        packed(tmp_path / kind, {"w.pth": zeros})
    monkeypatch.setenv("CNNVIZ_MAX_WEIGHTS_MB", "8")
    with memory(64 * 2**20), pytest.raises(BadCheckpoint, match="unpacks to more than 8 MiB"):
        read_weights(tmp_path / kind)


@pytest.mark.parametrize("kind", KINDS[:3])
@pytest.mark.parametrize("share", [0.2, 0.4])
def test_an_archive_that_is_cut_short_says_so(tmp_path, kind, share):
    path = packed(tmp_path / kind, {"w.pth": saved({"w": torch.rand(1000)})})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(BadCheckpoint, match=f"{kind}.*cut short or damaged"):
        read_weights(path)


def test_a_file_of_the_first_torch_is_named(tmp_path):
    files = dict.fromkeys(("sys_info", "pickle", "storages", "tensors"), b"")
    with pytest.raises(BadCheckpoint, match="w.tar is a file of torch 0.1"):
        read_weights(packed(tmp_path / "w.tar", files))


def test_a_folder_with_one_weights_file_is_that_file(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.txt").write_text("epoch 1")
    with pytest.raises(BadCheckpoint, match="run is a folder without weights"):
        read_weights(tmp_path / "run")
    torch.save(filled("lenet5").state_dict(), tmp_path / "run" / "best.pth")
    assert load(None, tmp_path / "run", "cpu").name == "lenet5"
    torch.save(STATE, tmp_path / "run" / "last.pth")
    with pytest.raises(BadCheckpoint, match=r"run is a folder with 2 weights files \(best.pth, last.pth\)"):
        read_weights(tmp_path / "run")
