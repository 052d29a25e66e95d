"""Recognise files that are no weights by their first bytes or content, and say what they are instead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cnnviz.models.checkpoint.archive import AGAIN, INSTEAD
from cnnviz.models.checkpoint.stubs import Dropped

LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how torch.save began before 1.6
ZIP_MAGIC = b"PK\x03\x04"
_FOREIGN = (
    (b"\x89HDF", "is an HDF5 (Keras) file. Convert it to a PyTorch state_dict first."),
    (b"version https://git-lfs", "is a Git LFS pointer, not the weights. Run `git lfs pull`, or download the file."),
    (b"\xff\xd8\xff", "is a JPEG image, not weights."),
    (b"\x89PNG", "is a PNG image, not weights."),
    (b"\x1f\x8b", "is packed with gzip. Unpack it first, and give the weights file inside."),
    (b"GGUF", "is a GGUF file of a language model, not a PyTorch state_dict."),
    (b"%PDF", "is a PDF document, not weights."),
)  # first bytes and what they are
# pickle's oldest form is readable text: a function's module and name, or a marked dict or list
_PICKLE_TEXT = re.compile(rb"[(\]})]*c[\w.]+\n[\w.]+\n(p\d+\n|\()|\([dl]p?\d*\n")


def describe_first_bytes(head: bytes) -> str:
    """What a file is that begins like no weights file, and what to do."""
    if LEGACY_MAGIC.startswith(head) or ZIP_MAGIC.startswith(head):
        return f"is cut short. {AGAIN}"
    if (head[0] == 0x80 and head[1] in (2, 3, 4, 5)) or _PICKLE_TEXT.match(head):
        return f"is a pickled Python object, which can run code when opened. {INSTEAD}"
    if known := next((words for magic, words in _FOREIGN if head.startswith(magic)), None):
        return known
    try:
        text = head.decode("utf-8", "strict" if len(head) < 4096 else "ignore")
    except UnicodeDecodeError:
        text = "\0"
    if re.match(r"\s*<(!doctype html|html|head|body|\?xml)", text, re.IGNORECASE):
        return "is a text file, the web page of a download (HTML). Download the weights themselves."
    if "\0" not in text:
        return "is a text file, not weights. Download the weights themselves."
    return f"is neither a torch nor a safetensors file, or its beginning is damaged. {AGAIN}"


def describe_content(content: Any) -> str:
    """Describe, as a phrase for messages, what the file holds in place of weights."""
    if not isinstance(content, Mapping):
        return f"holds no weights by name, but a {type(content).__name__}"
    if any(map(_is_optimizer, (content, *content.values()))):
        return "holds the state of an optimizer and no weights by name"
    if any("_packed_params" in str(key) for key in content):
        return "holds the packed weights of a quantised network; only those of the network in float32 can be read"
    if any(isinstance(value, Dropped) for value in content.values()):
        return "holds no tensors by name, but NumPy arrays or other objects"
    return f"holds no weights by name, but a dict with {', '.join(str(key) for key in list(content)[:8]) or 'nothing'}"


def _is_optimizer(value: Any) -> bool:
    return isinstance(value, Mapping) and "param_groups" in value
