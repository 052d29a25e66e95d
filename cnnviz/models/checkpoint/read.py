"""Read weights files safely, of PyTorch and of others (safetensors, ONNX, .npz): nothing pickled is ever run."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.archive import AGAIN, INSTEAD, cap_bytes, read_legacy, read_zip
from cnnviz.models.checkpoint.formats.foreign import describe_zip
from cnnviz.models.checkpoint.formats.hf_folder import MODELS, SETTINGS, list_parts, read_json, read_metadata
from cnnviz.models.checkpoint.formats.hf_names import rename
from cnnviz.models.checkpoint.formats.npz import read_npz
from cnnviz.models.checkpoint.formats.onnx_layers import read_onnx
from cnnviz.models.checkpoint.formats.packed import unpack_weights
from cnnviz.models.checkpoint.pickled import PICKLE_BYTES
from cnnviz.models.checkpoint.prefixes import drop_average, strip_prefixes
from cnnviz.models.checkpoint.reparametrised import join_parts
from cnnviz.models.checkpoint.saved_modules import SavedModule, SavedState
from cnnviz.models.checkpoint.sniff import describe_content, find_kind
from cnnviz.models.checkpoint.unwrap import CLASS_KEYS, unwrap
from cnnviz.wording import plural

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = tuple(".pt .pth .th .ckpt .safetensors .bin .onnx .npz .zip .tar .gz .tgz .t7 .pkl .pickle".split())
KNOWN_METADATA = tuple(
    "architecture classes class_names class_to_idx preprocessing recipe accuracy data made_by".split()
)
_STRUCTURED = (*CLASS_KEYS, "preprocessing")  # of no use as text
_SIDE_FILE_BYTES = 2**22


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a weights file holds.

    `tensors`: in the file's order, common prefixes removed. `metadata`: plain values stored beside them.
    `sha256`: of the file, hex. `kind`: as in `sniff.find_kind`. `warnings`: sentences for the user.
    `modules`: of a whole network that was saved, its modules in order of definition, the root
    first; the names of tensors are as they are there."""

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]
    sha256: str
    kind: str
    warnings: list[str] = field(default_factory=list)
    modules: tuple[SavedModule, ...] = ()


def read_weights(path: str | Path) -> Checkpoint:
    """Read weights onto the CPU: a file, recognised by its content, or a folder as HuggingFace's libraries save it.

    Files of torch.save (a state_dict, a training checkpoint, a whole network), safetensors, ONNX, NumPy's .npz, and a
    zip, tar or gzip that holds one of them. The weights may be bare or in a dict within, as `unwrap.unwrap` finds them;
    PREFIXES that all keys share are removed, HuggingFace's names become torchvision's. A side file `<path>.json` or
    `<stem>.json` adds metadata that the file itself lacks. Files over $CNNVIZ_MAX_WEIGHTS_MB (default 4096) are
    refused. Raises BadCheckpoint: reason and way out."""
    return _read(Path(path), may_unpack=True)


def _read(path: Path, may_unpack: bool) -> Checkpoint:
    if path.is_dir():
        return _read_folder(path)
    kind = find_kind(path)
    if kind != "packed":
        return _read_parts([path], kind, read_json(path.with_name(SETTINGS[0])) if path.name in MODELS else {}, {})
    if not may_unpack:
        raise BadCheckpoint(f"{path.name} is an archive within an archive. Unpack it, and give the weights file.")
    with unpack_weights(path) as inner:
        try:
            found = _read(inner, may_unpack=False)
        except BadCheckpoint as error:
            raise BadCheckpoint(f"{path.name}: {error}") from None
    side = _read_side_file(path, found.warnings)
    return replace(found, sha256=_hash([path]), metadata=side | found.metadata)


def _read_folder(folder: Path) -> Checkpoint:
    """HuggingFace's folder, or the one weights file in another one."""
    try:
        parts = list_parts(folder)
        others = [path for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES and path.is_file()]
        names = [str(path.relative_to(folder)) for path in folder.iterdir()]
    except OSError as error:
        raise BadCheckpoint(f"{folder} cannot be read: {error.strerror}. Check its permissions.") from None
    if parts:
        config, processor = (read_json(folder / name) for name in SETTINGS)
        return _read_parts(parts, find_kind(parts[0]), config, processor)
    if known := describe_zip(names):
        raise BadCheckpoint(f"{folder.name} {known}")
    if len(others) == 1:
        return _read(others[0], may_unpack=True)
    what = (
        f"with {plural(len(others), 'weights file')} ({', '.join(path.name for path in others[:5])})"
        if others
        else "without weights"
    )
    raise BadCheckpoint(f"{folder} is a folder {what}. Give the weights file inside it ({' '.join(SUFFIXES)}).")


def _read_parts(paths: list[Path], kind: str, config: dict[str, Any], processor: dict[str, Any]) -> Checkpoint:
    """One file, or the shards of one set of weights; `config` and `processor` as in HuggingFace's folder."""
    metadata: dict[str, Any] = {}
    warnings: list[str] = []
    tensors: dict[str, Tensor] = {}
    modules: tuple[SavedModule, ...] = ()
    for path in paths:
        found = _read_tensors(path, find_kind(path) if len(paths) > 1 else kind, metadata, warnings)
        tensors |= found
        modules = found.modules if isinstance(found, SavedState) else ()
    path = paths[0]
    if not any(tensor.is_floating_point() for tensor in tensors.values()):
        raise BadCheckpoint(f"{path.name} holds whole numbers only; weights are fractions (float32). {INSTEAD}")
    if not modules:  # the names of a whole network are its modules'
        tensors = drop_average(strip_prefixes(tensors), warnings)
    tensors = join_parts(tensors, warnings)
    if renamed := rename(tensors, config):
        tensors = renamed.tensors
        warnings += renamed.warnings
        if renamed.architecture:
            metadata.setdefault("architecture", renamed.architecture)
    warnings += _warn_not_finite(tensors)
    told = read_metadata(config, processor) | _read_side_file(path, warnings)
    return Checkpoint(tensors, told | _parse_metadata(metadata, warnings), _hash(paths), kind, warnings, modules)


def _read_tensors(path: Path, kind: str, metadata: dict[str, Any], warnings: list[str]) -> dict[str, Tensor]:
    """The checked tensors of one file under the names in it. Plain values beside them enter `metadata`."""
    if kind == "onnx":
        tensors: dict[str, Tensor] = read_onnx(path, metadata, warnings)
        content: Any = tensors
    else:
        content = _read_safetensors(path, metadata) if kind == "safetensors" else _READERS[kind](path)
        try:
            tensors = unwrap(content, metadata, warnings)
        except BadCheckpoint as error:
            raise BadCheckpoint(f"{path.name} {error}") from None
    if not tensors:
        raise BadCheckpoint(f"{path.name} {describe_content(content)}. {INSTEAD}")
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if total > cap_bytes():  # in a smaller file: many names for one storage
        raise BadCheckpoint(
            f"{path.name} declares {plural(total, 'byte')} of tensors, which share their storage; {cap_bytes():,} are "
            f"allowed. {INSTEAD}"
        )
    for key, tensor in tensors.items():
        _check_tensor(key, tensor, path)
    return tensors


_READERS: dict[str, Callable[[Path], Any]] = {"torch": read_zip, "torch, before 1.6": read_legacy, "npz": read_npz}


def _hash(paths: list[Path]) -> str:
    """SHA-256 of a file, or of several as if they were one, hex."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()


def _read_safetensors(path: Path, metadata: dict[str, Any]) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > min(PICKLE_BYTES, path.stat().st_size - 8):
        raise BadCheckpoint(
            f"{path.name} is cut short or damaged (it declares a header of {plural(header, 'byte')}, in a file of "
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


def _check_tensor(key: str, tensor: Tensor, path: Path) -> None:
    import torch

    odd = tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu"
    if odd or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise BadCheckpoint(
            f"{path.name}: {key} is no plain tensor stored in full (sparse, quantised, meta or expanded). "
            "Convert the network to float32 and save its state_dict again."
        )
    if tensor.is_complex():
        raise BadCheckpoint(f"{path.name}: {key} holds complex numbers; weights are real (float32). {INSTEAD}")
    if not tensor.numel() and key.endswith((".weight", ".bias")):
        raise BadCheckpoint(
            f"{path.name}: {key} is empty, its shape is {tuple(tensor.shape)}: a layer without outputs, or a head "
            f"with 0 classes. {INSTEAD}"
        )


def _warn_not_finite(tensors: dict[str, Tensor]) -> list[str]:
    import torch

    bad = [k for k, v in tensors.items() if v.is_floating_point() and not torch.isfinite(v.float()).all()]
    if not bad:
        return []
    return [f"{plural(len(bad), 'tensor')} hold NaN or infinite values: {', '.join(bad[:3])}. Predictions will be off."]


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
