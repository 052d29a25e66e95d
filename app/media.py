"""A picture that a page has replaced stays for a few seconds. Streamlit removes it as soon as the next run has ended; a
busy browser, which draws one run after the other, asks for it a moment later and would show a broken one."""

from __future__ import annotations

import threading
import time

from streamlit.runtime.media_file_storage import MediaFileKind
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

STAY = 5.0  # seconds


class LastingPictures:
    """Takes over the removal of files from Streamlit's `storage`."""

    def __init__(self, storage: MemoryMediaFileStorage) -> None:
        self._load, self._delete = storage.load_and_get_id, storage.delete_file
        self._lock = threading.Lock()
        self._left: dict[str, float] = {}  # {file: when it was replaced, by time.monotonic()}, the oldest first
        storage.load_and_get_id, storage.delete_file = self._load_again, self._leave  # type: ignore[method-assign, assignment]

    def _load_again(
        self, path_or_data: str | bytes, mimetype: str, kind: MediaFileKind, filename: str | None = None
    ) -> str:
        with self._lock:
            file = self._load(path_or_data, mimetype, kind, filename)
            self._left.pop(file, None)
            return file

    def _leave(self, file: str) -> None:
        with self._lock:
            self._left[file] = time.monotonic()

    def sweep(self) -> None:
        """Remove what was replaced long enough ago."""
        until = time.monotonic() - STAY
        with self._lock:
            for file in [file for file, since in self._left.items() if since <= until]:
                self._left.pop(file)
                self._delete(file)
