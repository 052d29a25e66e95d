"""Tell what kind of file holds the weights, by its contents alone; and what is in one that holds none."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.archive import AGAIN, cap_bytes
from cnnviz.models.checkpoint.formats.foreign import describe_file, describe_zip
from cnnviz.models.checkpoint.formats.onnx_graph import looks_like_onnx
from cnnviz.models.checkpoint.formats.packed import SINGLE, is_tar
from cnnviz.models.checkpoint.stubs import Dropped, Stub

LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how torch.save began before 1.6
_HEAD = 4096  # bytes
_SCRIPT = "torch.save(torch.{}.load({!r}).state_dict(), 'weights.pth')"  # what the user may do; nothing here loads one


def find_kind(path: Path) -> str:
    """One of "safetensors", "torch", "torch, before 1.6", "onnx", "npz" and "packed" (zip, tar, gzip), whatever the
    file is called. Raises BadCheckpoint for anything else, and for a missing, empty or too large file."""
    if not path.is_file():
        raise BadCheckpoint(f"There is no file {path}. Check the path.")
    size, cap = path.stat().st_size, cap_bytes()
    if size == 0:
        raise BadCheckpoint(f"{path.name} is empty (0 bytes). {AGAIN}")
    if size > cap:
        raise BadCheckpoint(
            f"{path.name} has {size / 2**20:,.1f} MiB, the limit is {cap / 2**20:,.1f} MiB. "
            "Set CNNVIZ_MAX_WEIGHTS_MB higher if you trust the file."
        )
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise BadCheckpoint(f"{path} cannot be read: {error.strerror}. Check its permissions.") from None
    if head.startswith(b"PK\x03\x04"):
        return _find_zip_kind(path)
    if head.startswith(LEGACY_MAGIC):
        return "torch, before 1.6"
    if LEGACY_MAGIC.startswith(head):
        raise BadCheckpoint(f"{path.name} is cut short. {AGAIN}")
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**40:  # length of the header, header
        return "safetensors"
    if head.startswith(tuple(SINGLE)) or is_tar(path):
        return "packed"
    if looks_like_onnx(head):
        return "onnx"
    raise BadCheckpoint(f"{path.name} {describe_file(path, head)}")


def _find_zip_kind(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadCheckpoint(f"{path.name} is cut short or damaged ({error}). {AGAIN}") from None
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        raise BadCheckpoint(
            f"{path.name} is a TorchScript archive, which is a program, not weights. Where you trust it: "
            f"{_SCRIPT.format('jit', path.name)}"
        )
    if known := describe_zip(names):
        raise BadCheckpoint(f"{path.name} {known}")
    if "data.pkl" in inner:
        return "torch"
    return "npz" if names and all(name.endswith(".npy") for name in names) else "packed"


def describe_content(content: Any) -> str:
    """Describe, as a phrase for messages, what the file holds in place of weights."""
    if not isinstance(content, Mapping):
        kind = content.kind if isinstance(content, Stub) else type(content).__name__
        return f"holds no weights by name, but a {kind[:80]}"
    if any(map(_is_optimizer, (content, *content.values()))):
        return "holds the state of an optimizer and no weights by name"
    if any("_packed_params" in str(key) for key in content):
        return "holds the packed weights of a quantised network; only those of the network in float32 can be read"
    if any(isinstance(value, Dropped) for value in content.values()):
        return "holds no tensors by name, but NumPy arrays or other objects"
    return f"holds no weights by name, but a dict with {', '.join(str(key) for key in list(content)[:8]) or 'nothing'}"


def _is_optimizer(value: Any) -> bool:
    return isinstance(value, Mapping) and "param_groups" in value
