"""Weights of one's own: the answers that belong to each stored file, and which files a session may see and remove.

On a shared server several people may bring the same file, which is stored once, by its hash: nobody's click removes it
or changes its answers for another."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import streamlit as st

from app import access
from app.session import tabs, uploads
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput, CnnvizError
from cnnviz.store import read_json, write_json

_MINE = "own_weights"  # in the session: what this tab has brought


@dataclass(frozen=True, slots=True)
class OwnWeights:
    """A stored file and what its owner said about it.

    `name`: "file-<hash>". `file_name`: as it was uploaded. `classes`: their names. `size`: bytes.
    `stored`: date and time, ISO 8601, local."""

    name: str
    file_name: str
    architecture: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    size: int
    stored: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the side file; cnnviz.load reads architecture, classes and preprocessing there."""
        plain = {name: getattr(self, name) for name in ("file_name", "architecture")}
        plain |= {"classes": list(self.classes), "preprocessing": self.preprocessing.as_dict()}
        return {**plain, "size": self.size, "stored": self.stored}

    @property
    def version(self) -> str:
        """Names these answers in caches: other answers about the same file make another network."""
        return hashlib.sha256(json.dumps(self.as_dict()).encode()).hexdigest()[:8]


def current_minute() -> str:
    """The present date and time to the minute, ISO 8601, local."""
    return datetime.now().isoformat(" ", "minutes")


class _Owner:
    """What one session has brought. `taken`: in use, listed; `asked`: dropped, not answered about yet."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.asked: set[str] = set()


def _me() -> _Owner:
    return st.session_state.setdefault(_MINE, _Owner())


def ask_about(name: str) -> None:
    """This session has dropped the file, and nobody's click removes it until the answer."""
    _me().asked.add(name)
    tabs.bring(name)


def let_go(name: str) -> None:
    """This session asks no more about a file; one that nobody has answered or asks about is removed."""
    with tabs.lock():
        _me().asked.discard(name)
        if name not in _me().taken:
            tabs.let_go(name)
        if find(name) is None and not tabs.is_elsewhere(name):
            uploads.forget_weights(name)


def keep(own: OwnWeights) -> OwnWeights:
    """Write the answers about the file that was dropped; it is in use from now on, and this session's own.

    Returns them as they are kept: under another name where somebody else has given other answers about the same
    file, which stay as they are."""
    with tabs.lock():
        dropped, own = own.name, _apart(own)
        if own.name != dropped:
            uploads.store_again(dropped, own.name)
        if find(own.name) != own:
            write_json(uploads.side_file(own.name), own.as_dict())
        _me().taken.add(own.name)
        tabs.bring(own.name)
        let_go(dropped)
    return own


def _apart(own: OwnWeights) -> OwnWeights:
    before = find(own.name)
    if before is None or not access.is_shared() or (own.name in _me().taken and not tabs.is_elsewhere(own.name)):
        return own
    if replace(before, stored=own.stored) == own:
        return before
    salted = hashlib.sha256(f"{own.name} {access.visitor()}".encode()).hexdigest()[:16]
    return replace(own, name=f"file-{salted}")


def find(name: str) -> OwnWeights | None:
    """What was said about "file-<hash>"; None if there is no such file, or no answers that can be read."""
    try:
        uploads.stored_weights(name)
        said = read_json(uploads.side_file(name))
        file_name, architecture, stored = (str(said[key]) for key in ("file_name", "architecture", "stored"))
        classes, expects = tuple(map(str, said["classes"])), Preprocessing.from_dict(said["preprocessing"])
        return OwnWeights(name, file_name, architecture, classes, expects, int(said["size"]), stored)
    except (CnnvizError, KeyError, TypeError, ValueError):
        return None


def forget(name: str) -> None:
    """Remove the file and its answers from this session, and from the disk once nobody else has it, too."""
    if name not in {own.name for own in list_own()}:
        raise BadInput("Only weights that this session has brought can be removed from here.")
    _me().taken.discard(name)
    tabs.remove(name)


def list_own() -> list[OwnWeights]:
    """The files to list, newest first: all of this computer's where nobody else can open the app, otherwise
    those of this session."""
    if access.is_on_this_computer():
        names = {f"file-{path.stem}" for path in uploads.cache_folder("weights").glob("*.json")}
    else:
        names = set(_me().taken)
    found = [own for own in map(find, names) if own is not None]
    return sorted(found, key=lambda own: (own.stored, own.name), reverse=True)


def label_files(shown: list[OwnWeights]) -> dict[str, str]:
    """{name: how a picker calls it}: files by their own name, told apart by the hash where two share one."""
    names = [own.file_name for own in shown]
    return {
        own.name: f"{own.file_name} ({own.name[5:9]})" if names.count(own.file_name) > 1 else own.file_name
        for own in shown
    }


def clean_file_name(file_name: str) -> str:
    """Return a file's name without what a page would take for style, links or formulas; never used as a path."""
    kept = "".join(c for c in file_name if c.isprintable() and c not in "`*[]<>$|\\")
    return kept[-80:].strip() or "weights"
