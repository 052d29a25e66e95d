"""Folders of any number of files: one sweep, told about as it goes, that remembers what the fingerprint needs."""

import hashlib
import os
import pickle
import tracemalloc

import numpy as np
import pytest
from made_pictures import tree

from cnnviz.data import listing
from cnnviz.data.folders import FileCorpus
from cnnviz.data.open import corpus


def many(root, folders, files):
    for name in range(folders):
        (root / f"class-{name:03d}").mkdir(parents=True)
        for number in range(files):
            (root / f"class-{name:03d}" / f"{number:05d}.JPEG").touch()
    return root


def test_the_sweep_finds_sizes_and_times_as_asking_each_file_does(tmp_path):
    paths = ["b/2.png", "b-c/1.png", "b/1.png", "ü/ä.png", "a.png"]
    tree(tmp_path, paths)
    (tmp_path / "b" / "gone.png").symlink_to(tmp_path / "nothing.png")
    found = corpus(tmp_path)
    asked = FileCorpus(found.name, tmp_path, found.paths)
    assert asked.facts is None and found.fingerprint == asked.fingerprint
    assert found.ids == sorted([*paths, "b/gone.png"], key=str.encode)
    for path, (size, time) in zip(found.paths, found.facts.tolist(), strict=True):
        real = (tmp_path / path).stat() if (tmp_path / path).exists() else None
        assert (size, time) == ((real.st_size, real.st_mtime_ns) if real else (-1, -1))


def test_the_fingerprint_of_many_ids_is_the_hash_of_all_of_them(tmp_path):
    found = corpus(many(tmp_path, 3, 4100))
    contents = "".join(f"{size},{time};" for size, time in found.facts.tolist())
    assert found.fingerprint == hashlib.sha256(("\n".join(found.ids) + contents).encode()).hexdigest()


def test_no_file_is_asked_for_again_after_the_sweep(tmp_path, monkeypatch):
    found = corpus(many(tmp_path, 2, 20))
    asked = []
    monkeypatch.setattr(os, "stat", lambda path, **_more: asked.append(path))
    assert len(found.fingerprint) == 64 and not asked
    copy = pickle.loads(pickle.dumps(found))
    assert copy.fingerprint == found.fingerprint and copy.labels == found.labels


def test_progress_counts_the_files_found_and_its_exception_ends_the_sweep(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "TELL_EVERY", 10)
    many(tmp_path, 4, 20)
    told, listed = [], []
    assert len(corpus(tmp_path, progress=lambda done, total: told.append((done, total)))) == 80
    assert told == [(done, 0) for done in range(10, 81, 10)]
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or real(path))

    def stop(done, _total):
        if done >= 30:
            raise RuntimeError(f"enough after {done}")

    with pytest.raises(RuntimeError, match="enough after 30"):
        corpus(tmp_path, progress=stop)
    assert len(listed) == 3  # the folder itself and two classes


def test_memory_is_the_paths_and_little_more(tmp_path):
    many(tmp_path, 20, 1000)
    tracemalloc.start()
    found = corpus(tmp_path)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 20_000 and kept < 20_000 * 160 and peak < 20_000 * 260  # bytes; a path is 70 of them
    assert len({id(label) for label in found.labels}) == 20  # one str a class
    assert found.facts.dtype == np.int64 and found.facts.nbytes == 20_000 * 16
