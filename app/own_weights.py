"""Weights of one's own: the answers that belong to each stored file, and which files a session may see."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import streamlit as st

from app import stores
from cnnviz.errors import BadInput, CnnvizError
from cnnviz.models.preprocessing import Preprocessing
from cnnviz.store import read_json, write_json

_MINE = "own_weights"  # in the session: what this tab has taken into use


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
        return {
            "file_name": self.file_name, "architecture": self.architecture, "classes": list(self.classes),
            "preprocessing": self.preprocessing.as_dict(), "size": self.size, "stored": self.stored,
        }  # fmt: skip

    @property
    def version(self) -> str:
        """Names these answers in caches: other answers about the same file make another network."""
        return hashlib.sha256(json.dumps(self.as_dict()).encode()).hexdigest()[:8]


def now() -> str:
    """The present minute, ISO 8601."""
    return datetime.now().isoformat(" ", "minutes")


def on_this_computer() -> bool:
    """True if only this computer can open the app. Only then paths on its disk and everybody's files are
    offered."""
    return st.get_option("server.address") in ("127.0.0.1", "localhost", "::1")


def keep(own: OwnWeights) -> None:
    """Write the side file; the file is in use from now on, and this session's own."""
    write_json(stores.side_file(own.name), own.as_dict())
    st.session_state.setdefault(_MINE, set()).add(own.name)


def find(name: str) -> OwnWeights | None:
    """What was said about "file-<hash>"; None if there is no such file, or no answers that can be read."""
    try:
        stores.stored_weights(name)
        said = read_json(stores.side_file(name))
        return OwnWeights(
            name, str(said["file_name"]), str(said["architecture"]), tuple(map(str, said["classes"])),
            Preprocessing.from_dict(said["preprocessing"]), int(said["size"]), str(said["stored"]),
        )  # fmt: skip
    except (CnnvizError, KeyError, TypeError, ValueError):
        return None


def forget(name: str) -> None:
    """Remove the file, its answers, and it from this session."""
    if name not in {own.name for own in mine()}:
        raise BadInput("Only weights that this session has brought can be removed from here.")
    stores.forget_weights(name)
    st.session_state.setdefault(_MINE, set()).discard(name)


def drop_answers(name: str) -> None:
    """Forget what was said about a file; the file itself stays."""
    stores.side_file(name).unlink(missing_ok=True)
    st.session_state.setdefault(_MINE, set()).discard(name)


def mine() -> list[OwnWeights]:
    """The files to list, newest first: all of this computer's where nobody else can open the app, otherwise
    those of this session."""
    if on_this_computer():
        names = {f"file-{path.stem}" for path in stores.cache_folder("weights").glob("*.json")}
    else:
        names = set(st.session_state.get(_MINE, ()))
    found = [own for own in map(find, names) if own is not None]
    return sorted(found, key=lambda own: (own.stored, own.name), reverse=True)


def labels(shown: list[OwnWeights]) -> dict[str, str]:
    """{name: how a picker calls it}: files by their own name, told apart by the hash where two share one."""
    names = [own.file_name for own in shown]
    return {
        own.name: f"{own.file_name} ({own.name[5:9]})" if names.count(own.file_name) > 1 else own.file_name
        for own in shown
    }


def tidy(file_name: str) -> str:
    """A file's name without what a page would take for style, links or formulas; never used as a path."""
    kept = "".join(c for c in file_name if c.isprintable() and c not in "`*[]<>$|\\")
    return kept[-80:].strip() or "weights"
