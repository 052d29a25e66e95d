"""A cache that cannot be written, or is nowhere, takes away saving and not looking."""

import io
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from app_pages import errors, pictures, stop_jobs, turned
from PIL import Image
from source_tree import ROOT

from app.session import storage, uploads
from cnnviz.errors import CnnvizError
from cnnviz.paths import cache_root


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    stop_jobs()
    storage.clear()


def encoded() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file may become larger than `room` bytes: writing fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def notes(at) -> list[str]:
    return [one.value for one in at.warning if "Nothing" in one.value and "saved" in one.value]


PAGES = ("home", "first_layer_filters", "anatomy", "training", "top9")


def test_pages_open_and_say_once_which_folder_and_which_variable(opened, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "file" / "cache"))
    at = opened(net="lenet5")
    for page in PAGES:
        at = at if page == "home" else turned(at, page)
        assert errors(at) == [], page
        (note,) = notes(at)
        assert "Not a directory" in note and "CNNVIZ_CACHE" in note and "file/cache" in note.replace("\\", "")
    assert (tmp_path / "file").read_bytes() == b""


def test_without_a_home_folder_what_is_brought_lasts_as_long_as_the_app(opened, monkeypatch):
    monkeypatch.setenv("CNNVIZ_CACHE", "~nobody-of-this-name/cache")  # whose home nobody knows, as one's own may be
    name = uploads.store_photo(encoded())
    at = opened("feature_maps", net="lenet5", image=name)
    assert errors(at) == [] and "no home folder" in notes(at)[0] and pictures(at)
    kept = storage.root()
    assert uploads.is_stored_photo(name) and kept.is_dir() and kept != cache_root()
    storage.clear()
    assert not kept.exists()


def test_a_full_disk_takes_no_uploads_and_shows_its_pages(opened, tmp_path):
    with full_disk(500_000):
        at = opened("feature_maps", net="lenet5")
        assert errors(at) == [] and "File too large" in notes(at)[0] and pictures(at)
        assert "Uploads are not taken" in notes(at)[0]
    with full_disk(10), pytest.raises(CnnvizError, match="Could not write"):
        uploads.store_photo(encoded())


def test_a_cache_that_can_be_written_is_not_spoken_of(opened):
    at = opened("feature_maps", net="lenet5")
    assert notes(at) == [] and storage.root() == cache_root()


NOBODY = """
import os, sys
import numpy, PIL.Image, PIL.PngImagePlugin, cnnviz.data.images, shutil, tempfile, fnmatch
from app.session import storage, uploads
PIL.Image.init()
os.setgroups([])
os.setuid(54321)
assert uploads.is_stored_photo(sys.argv[1]) and storage.root() != storage.cache_root()
other = uploads.store_photo(sys.stdin.buffer.read())
assert uploads.is_stored_photo(other) and other != sys.argv[1]
storage.clear()
"""


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody else")
def test_a_cache_for_reading_alone_is_read_and_left_as_it_is(cache):
    old = uploads.store_photo(encoded())
    for folder in (cache, *cache.parents[:-2]):
        folder.chmod(0o755)
    before = sorted(cache.rglob("*"))
    other = io.BytesIO()
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(other, "PNG")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": "/tmp"}
    command = [sys.executable, "-c", NOBODY, old]
    done = subprocess.run(command, env=environment, input=other.getvalue(), capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr.decode()
    assert sorted(cache.rglob("*")) == before
