"""Read weights files safely (.pt, .pth, .ckpt, .safetensors): nothing pickled in them is ever run."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.archive import AGAIN, INSTEAD, PICKLE_BYTES, cap_bytes, survey_legacy, survey_zip
from cnnviz.models.checkpoint.prefixes import drop_average, strip_prefixes
from cnnviz.models.checkpoint.reparametrised import join_parts
from cnnviz.models.checkpoint.sniff import LEGACY_MAGIC, ZIP_MAGIC, describe_content, describe_first_bytes
from cnnviz.models.checkpoint.stubs import STAND_INS
from cnnviz.models.checkpoint.unwrap import CLASS_KEYS, unwrap

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".pt", ".pth", ".th", ".ckpt", ".safetensors")
KNOWN_METADATA = tuple(
    "architecture classes class_names class_to_idx preprocessing recipe accuracy data made_by".split()
)
_STRUCTURED = (*CLASS_KEYS, "preprocessing")  # of no use as text
_SIDE_FILE_BYTES = 2**22
_ONE_AT_A_TIME = threading.Lock()  # torch keeps one list for all threads of what it may make


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a weights file holds.

    `tensors`: in the file's order, common prefixes removed. `metadata`: plain values stored beside them.
    `sha256`: of the file, hex. `kind`: "safetensors", "torch" or "torch, before 1.6". `warnings`:
    sentences for the user."""

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]
    sha256: str
    kind: str
    warnings: list[str] = field(default_factory=list)


def read_weights(path: str | Path) -> Checkpoint:
    """Read a `.pt .pth .th .ckpt .safetensors` file, recognised by its content, onto the CPU.

    The weights may be bare or in a dict within, as `unwrap.unwrap` finds them; PREFIXES that all keys
    share are removed. A side file `<path>.json` or `<stem>.json` adds metadata that the file itself lacks. Files
    over $CNNVIZ_MAX_WEIGHTS_MB (default 4096) are refused. Raises BadCheckpoint: reason and way out."""
    path = Path(path)
    kind = find_kind(path)
    metadata: dict[str, Any] = {}
    if kind == "safetensors":
        content = _read_safetensors(path, metadata)
    else:
        (survey_zip if kind == "torch" else survey_legacy)(path)
        content = _read_torch(path)
    warnings: list[str] = []
    tensors = unwrap(content, metadata, warnings)
    if not tensors:
        raise BadCheckpoint(f"{path.name} {describe_content(content)}. {INSTEAD}")
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if total > cap_bytes():  # in a smaller file: many names for one storage
        raise BadCheckpoint(
            f"{path.name} declares {total:,} bytes of tensors, which share their storage; {cap_bytes():,} are "
            f"allowed. {INSTEAD}"
        )
    for key, tensor in tensors.items():
        _check_tensor(key, tensor, path)
    if not any(tensor.is_floating_point() for tensor in tensors.values()):
        raise BadCheckpoint(f"{path.name} holds whole numbers only; weights are fractions (float32). {INSTEAD}")
    tensors = join_parts(drop_average(strip_prefixes(tensors), warnings), warnings)
    warnings += _warn_not_finite(tensors)
    metadata = _read_side_file(path, warnings) | _parse_metadata(metadata, warnings)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Checkpoint(tensors, metadata, digest, kind, warnings)


def find_kind(path: Path) -> str:
    """One of "safetensors", "torch" and "torch, before 1.6", by the first bytes. Raises BadCheckpoint for
    anything else, a missing, empty or too large file, or a folder."""
    if path.is_dir():
        raise BadCheckpoint(f"{path} is a folder. Give the weights file inside it ({' '.join(SUFFIXES)}).")
    if not path.is_file():
        raise BadCheckpoint(f"There is no file {path}. Check the path.")
    size = path.stat().st_size
    cap = cap_bytes()
    if size == 0:
        raise BadCheckpoint(f"{path.name} is empty (0 bytes). {AGAIN}")
    if size > cap:
        raise BadCheckpoint(
            f"{path.name} has {size / 2**20:,.1f} MiB, the limit is {cap / 2**20:,.1f} MiB. "
            "Set CNNVIZ_MAX_WEIGHTS_MB higher if you trust the file."
        )
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise BadCheckpoint(f"{path} cannot be read: {error.strerror}. Check its permissions.") from None
    if head.startswith(ZIP_MAGIC):
        return "torch"
    if head.startswith(LEGACY_MAGIC):
        return "torch, before 1.6"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**40:  # length of the header, header
        return "safetensors"
    raise BadCheckpoint(f"{path.name} {describe_first_bytes(head)}")


def _read_safetensors(path: Path, metadata: dict[str, Any]) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > min(PICKLE_BYTES, path.stat().st_size - 8):
        raise BadCheckpoint(
            f"{path.name} is cut short or damaged (it declares a header of {header:,} bytes, in a file of "
            f"{path.stat().st_size:,}; {PICKLE_BYTES:,} are allowed). {AGAIN}"
        )
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata |= file.metadata() or {}
            return {key: file.get_tensor(key) for key in sorted(file.keys(), key=_natural)}
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError) as error:
        raise BadCheckpoint(f"{path.name} is cut short or damaged ({str(error)[:200]}). {AGAIN}") from None


def _natural(key: str) -> list[tuple[int, str]]:
    """Sort key that puts layer2 before layer10; safetensors keep no order of definition."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", key)]


def _read_torch(path: Path) -> Any:
    import torch

    stand_ins: list[Any] = [(made, name) for name, made in STAND_INS.items()]
    try:
        # an open file, since a path would be judged by its suffix
        with _ONE_AT_A_TIME, torch.serialization.safe_globals(stand_ins), path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, ValueError, TypeError) as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise BadCheckpoint(f"{path.name} could not be read safely ({reason}). {INSTEAD}") from None
    except (AttributeError, KeyError, IndexError, EOFError, AssertionError, MemoryError) as error:
        raise BadCheckpoint(f"{path.name} is damaged ({type(error).__name__}: {error}). {AGAIN}") from None


def _check_tensor(key: str, tensor: Tensor, path: Path) -> None:
    import torch

    odd = tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu"
    if tensor.is_complex():
        raise BadCheckpoint(f"{path.name}: {key} holds complex numbers; weights are real (float32). {INSTEAD}")
    if not tensor.numel() and key.endswith((".weight", ".bias")):
        raise BadCheckpoint(
            f"{path.name}: {key} is empty, its shape is {tuple(tensor.shape)}: a layer without outputs, or a head "
            f"with 0 classes. {INSTEAD}"
        )
    if odd or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise BadCheckpoint(
            f"{path.name}: {key} is no plain tensor stored in full (sparse, quantised, meta or expanded). "
            "Convert the network to float32 and save its state_dict again."
        )


def _warn_not_finite(tensors: dict[str, Tensor]) -> list[str]:
    import torch

    bad = [k for k, v in tensors.items() if v.is_floating_point() and not torch.isfinite(v.float()).all()]
    if not bad:
        return []
    return [f"{len(bad)} tensors hold NaN or infinite values: {', '.join(bad[:3])}. Predictions will be off."]


def _parse_metadata(metadata: dict[str, Any], warnings: list[str]) -> dict[str, Any]:
    """Plain metadata; JSON in text is unfolded, since a safetensors file holds nothing but text."""
    for key in ("cnnviz", "identity"):
        if isinstance(metadata.get(key), str):
            inner = _parse_json(metadata[key])
            if not isinstance(inner, dict):
                warnings.append(f"The metadata {key!r} are no JSON object and were ignored.")
                continue
            metadata = {k: v for k, v in metadata.items() if k != key} | inner
    for key in KNOWN_METADATA:
        text = metadata.get(key)
        if not isinstance(text, str) or not (text.lstrip().startswith(("{", "[")) or key in _STRUCTURED):
            continue
        inner = _parse_json(text)
        if isinstance(inner, dict | list):
            metadata = {**metadata, key: inner}
        elif key in _STRUCTURED:
            metadata = {k: v for k, v in metadata.items() if k != key}
            warnings.append(f"The metadata {key!r} are no JSON list or object and were ignored: {text[:60]!r}.")
    return metadata


def _parse_json(text: str) -> Any:
    """What a JSON text says; None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _read_side_file(path: Path, warnings: list[str]) -> dict[str, Any]:
    for side in (path.with_name(path.name + ".json"), path.with_suffix(".json")):
        if side == path or not side.is_file() or side.stat().st_size > _SIDE_FILE_BYTES:
            continue
        try:
            values = json.loads(side.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            warnings.append(f"The side file {side.name} is no JSON and was ignored ({error}).")
            continue
        if isinstance(values, dict) and any(key in values for key in KNOWN_METADATA):
            return {key: values[key] for key in KNOWN_METADATA if key in values}
    return {}
