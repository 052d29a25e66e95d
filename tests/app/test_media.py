"""A picture that was replaced is there a few seconds longer, and then gone."""

import pytest
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from app import media
from app.media import LastingPictures


@pytest.fixture
def storage() -> MemoryMediaFileStorage:
    return MemoryMediaFileStorage("/media")


def draw(manager: MediaFileManager, content: bytes) -> str:
    """The address of a picture that takes the place of the one before."""
    manager.clear_session_refs()
    url = manager.add(content, "image/png", "picture")
    manager.remove_orphaned_files()
    return url.rpartition("/")[2]


def test_a_replaced_picture_goes_after_a_moment_and_one_that_came_back_stays(storage, monkeypatch):
    lasting, manager = LastingPictures(storage), MediaFileManager(storage)
    first, second = draw(manager, b"first"), draw(manager, b"second")
    lasting.sweep()
    assert storage.get_file(first).content == b"first"  # asked for late
    assert draw(manager, b"first") == first
    monkeypatch.setattr(media, "STAY", 0)
    lasting.sweep()
    assert storage.get_file(first).content == b"first"
    with pytest.raises(MediaFileStorageError):
        storage.get_file(second)


def test_without_it_the_picture_is_gone_at_once(storage):
    manager = MediaFileManager(storage)
    first, _ = draw(manager, b"first"), draw(manager, b"second")
    with pytest.raises(MediaFileStorageError):
        storage.get_file(first)
