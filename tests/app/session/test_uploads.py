"""What users bring is kept by its hash; names decide nothing."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app import limits
from app.markdown import escape_markdown
from app.session import networks, shared, uploads
from app.session.networks import Choice
from app.weights.owners import OwnWeights
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadImage, BadInput, CnnvizError
from cnnviz.store import write_json


def encoded(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_photograph_is_kept_with_its_pixels(seeded):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    name = uploads.store_photo(encoded(pixels))
    assert uploads.is_stored_photo(name)
    kept = uploads.cache_folder("uploads") / f"{name.removeprefix('upload-')}.png"
    assert np.array_equal(np.asarray(Image.open(kept)), pixels)


def test_a_large_photograph_is_reduced():
    name = uploads.store_photo(encoded(np.zeros((2000, 3000, 3), np.uint8)))
    kept = Image.open(uploads.cache_folder("uploads") / f"{name.removeprefix('upload-')}.png")
    assert max(kept.size) == uploads.UPLOAD_SIDE and kept.size[0] / kept.size[1] == pytest.approx(1.5, abs=0.01)


def test_the_same_file_gets_the_same_name_and_another_file_another():
    black, white = encoded(np.zeros((4, 4, 3), np.uint8)), encoded(np.full((4, 4, 3), 255, np.uint8))
    assert uploads.store_photo(black) == uploads.store_photo(black) != uploads.store_photo(white)


def test_what_is_no_image_is_refused_and_nothing_is_kept():
    with pytest.raises(BadImage):
        uploads.store_photo(b"hello")
    assert list(uploads.cache_folder("uploads").iterdir()) == []


def test_the_oldest_photographs_go_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(limits, "STORED_PHOTOS", 3)
    names = [uploads.store_photo(encoded(np.full((4, 4, 3), shade, np.uint8))) for shade in range(5)]
    assert uploads.is_stored_photo(names[-1])
    assert len(list(uploads.cache_folder("uploads").glob("*.png"))) == 3


def test_a_photograph_in_use_stays_however_many_come_after_it(monkeypatch):
    monkeypatch.setattr(limits, "STORED_PHOTOS", 2)
    mine = uploads.store_photo(encoded(np.full((4, 4, 3), 99, np.uint8)))
    for shade in range(5):
        assert uploads.is_stored_photo(mine)
        uploads.store_photo(encoded(np.full((4, 4, 3), shade, np.uint8)))
    assert uploads.is_stored_photo(mine)


def test_the_use_of_an_upload_is_noted_and_does_not_make_it_another_file():
    path = uploads.store_zip(b"PK")
    before = path.stat().st_mtime_ns
    assert uploads.use(path) and path.stat().st_mtime_ns == before
    path.unlink()
    assert not uploads.use(path)


def test_messages_name_no_folder_of_this_computer_to_those_who_may_not_see_its_disk(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("CNNVIZ_DATA", str(tmp_path / "cache" / "inside"))
    text = (
        f"Could not write {cache / 'indexes' / 'a.npz'}, {tmp_path / 'cache' / 'inside' / 'b'} or {Path.home() / 'c'}"
    )
    assert escape_markdown(text) == text
    monkeypatch.setenv("CNNVIZ_CLASS_TOKEN", "token")
    names = [name.replace("\\", "/") for name in escape_markdown(text).split()]
    assert names == ["Could", "not", "write", "…/indexes/a.npz,", "…/b", "or", "…/c"]


@pytest.mark.parametrize("name", ["upload-../../secret", "upload-", "chelsea", "upload-a/b", "", "upload-abc"])
def test_only_stored_photographs_are_stored_photographs(name):
    assert not uploads.is_stored_photo(name)


def test_weights_are_kept_byte_for_byte():
    name = uploads.store_weights(b"weights")
    assert uploads.stored_weights(name).read_bytes() == b"weights"


@pytest.mark.parametrize("name", ["file-../../etc/passwd", "file-", "file-abc", "file-."])
def test_a_weights_name_never_leads_out_of_the_store(name):
    uploads.store_weights(b"weights")
    with pytest.raises(BadInput, match="no longer on this machine"):
        uploads.stored_weights(name)


def test_messages_call_an_upload_by_the_name_of_its_file_and_not_by_its_hash(cache):
    stored = uploads.store_weights(b"no weights")
    expects = Preprocessing((28, 28), mean=(0.5,), std=(0.25,))
    own = OwnWeights(stored, "holiday net.pth", "lenet5", tuple("0123456789"), expects, 10, "2026-01-01 10:00")
    write_json(uploads.side_file(stored), own.as_dict())
    with pytest.raises(CnnvizError, match=r"holiday net\.pth") as told:
        networks.load(Choice("lenet5", stored, "cpu"))
    assert stored.removeprefix("file-") not in str(told.value)
    broken = b"PK\x03\x04 no archive"
    with pytest.raises(CnnvizError, match=r"my holiday\.zip") as told:
        shared.uploaded_corpus(("broken",), [("my holiday.zip", broken)])
    assert uploads.store_zip(broken).stem not in str(told.value)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.png", encoded(np.zeros((4, 4, 3), np.uint8)))
    assert shared.uploaded_corpus(("good",), [("my holiday.zip", content.getvalue())]).name == "my holiday.zip"
