"""Reading weights files that a stranger may have made; nothing pickled in them is ever run."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.errors import BadCheckpoint
from cnnviz.models.archives import AGAIN, INSTEAD, PICKLE_BYTES, cap_bytes, survey_legacy, survey_zip
from cnnviz.models.strangers import LEGACY_MAGIC, ZIP_MAGIC, by_content, by_first_bytes

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".pt", ".pth", ".th", ".ckpt", ".safetensors")
WRAPPERS = ("state_dict", "model", "net", "model_state_dict", "state_dict_ema", "ema", "model_ema")
PREFIXES = ("module.", "model.", "_orig_mod.", "net.")
BOOKKEEPING = ("num_batches_tracked", "n_averaged", "total_ops", "total_params")  # counters, no weights
KNOWN_METADATA = (
    "architecture", "classes", "class_names", "class_to_idx", "preprocessing", "recipe", "accuracy", "data", "made_by",
)  # fmt: skip
_SIDE_FILE_BYTES = 2**22
_PLAIN_VALUES = 100_000  # of one entry of the metadata


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
    """Read a `.pt .pth .th .ckpt .safetensors` file, told apart by content, onto the CPU.

    The weights may be bare or under one of WRAPPERS, nested too; PREFIXES that all keys share are
    removed. A side file `<path>.json` or `<stem>.json` adds metadata that the file itself lacks. Files
    over $CNNVIZ_MAX_WEIGHTS_MB (default 4096) are refused. Raises BadCheckpoint: reason and way out."""
    path = Path(path)
    kind = kind_of(path)
    metadata: dict[str, Any] = {}
    if kind == "safetensors":
        content = _read_safetensors(path, metadata)
    else:
        (survey_zip if kind == "torch" else survey_legacy)(path)
        content = _read_torch(path)
    tensors = _unwrap(content, metadata)
    if not tensors:
        raise BadCheckpoint(f"{path.name} {by_content(content)}. {INSTEAD}")
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
    tensors = strip_prefixes(tensors)
    warnings = _not_finite(tensors)
    metadata = _side_file(path, warnings) | _parsed(metadata, warnings)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Checkpoint(tensors, metadata, digest, kind, warnings)


def kind_of(path: Path) -> str:
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
    raise BadCheckpoint(f"{path.name} {by_first_bytes(head)}")


def strip_prefixes(tensors: dict[str, Any]) -> dict[str, Any]:
    """Remove PREFIXES, repeatedly, as long as all keys but counters share one."""
    while True:
        weights = [key for key in tensors if not is_bookkeeping(key)]
        shared = next((p for p in PREFIXES if weights and all(key.startswith(p) for key in weights)), None)
        if shared is None:
            return tensors
        tensors = {key.removeprefix(shared): value for key, value in tensors.items()}


def is_bookkeeping(key: str) -> bool:
    """True for counters that travel with weights and change no output."""
    return key.rpartition(".")[2] in BOOKKEEPING


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
    import numpy as np
    import torch

    # best accuracies are often saved as NumPy scalars: data, under numpy's old and new name
    scalar = np.float64(0).__reduce__()[0]
    numbers = [np.dtype, *(type(np.dtype(kind)) for kind in ("f8", "f4", "i8", "i4", "?"))]
    numbers += [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar")]
    try:
        # an open file, since a path would be judged by its suffix
        with torch.serialization.safe_globals(numbers), path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, ValueError, TypeError) as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise BadCheckpoint(f"{path.name} could not be read safely ({reason}). {INSTEAD}") from None
    except (AttributeError, KeyError, IndexError, EOFError, AssertionError, MemoryError) as error:
        raise BadCheckpoint(f"{path.name} is damaged ({type(error).__name__}: {error}). {AGAIN}") from None


def _unwrap(content: Any, metadata: dict[str, Any], depth: int = 0) -> dict[str, Tensor]:
    """The dict of tensors inside `content`; plain values passed on the way enter `metadata`."""
    from torch import Tensor

    if not isinstance(content, Mapping) or depth > 3:
        return {}
    for key in WRAPPERS:
        if isinstance(content.get(key), Mapping) and (inner := _unwrap(content[key], metadata, depth + 1)):
            metadata |= {str(k): v for k, v in content.items() if k != key and v is not None and _is_plain(v)}
            metadata |= {str(k): v.item() for k, v in content.items() if _is_number(v)}
            return inner
    tensors = {key: v.detach() for key, v in content.items() if isinstance(v, Tensor) and isinstance(key, str)}
    if tensors:
        metadata |= {str(k): v for k, v in content.items() if v is not None and _is_plain(v)}
    return tensors


def _is_number(value: Any) -> bool:
    return getattr(value, "shape", None) == () and hasattr(value, "item")


def _is_plain(value: Any) -> bool:
    """True for text, numbers, None and lists and dicts of them, _PLAIN_VALUES at most, four levels deep.

    A list that holds another one many times over is small in the file and endless to walk through: only
    so many values are looked at."""
    level = [value]
    for _ in range(5):
        inner = [v for v in level if not isinstance(v, str | int | float | bool | None)]
        if not inner:
            return True
        if not all(isinstance(v, list | tuple | dict) for v in inner) or sum(map(len, inner)) > _PLAIN_VALUES:
            return False
        if not all(isinstance(key, str) for v in inner if isinstance(v, dict) for key in v):
            return False
        level = [part for v in inner for part in (v.values() if isinstance(v, dict) else v)]
    return False


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


def _not_finite(tensors: dict[str, Tensor]) -> list[str]:
    import torch

    bad = [k for k, v in tensors.items() if v.is_floating_point() and not torch.isfinite(v.float()).all()]
    if not bad:
        return []
    return [f"{len(bad)} tensors hold NaN or infinite values: {', '.join(bad[:3])}. Predictions will be off."]


def _parsed(metadata: dict[str, Any], warnings: list[str]) -> dict[str, Any]:
    """Plain metadata; the JSON that our own training stores as one string is unfolded."""
    for key in ("cnnviz", "identity"):
        if isinstance(metadata.get(key), str):
            try:
                inner = json.loads(metadata[key])
            except (ValueError, RecursionError):
                inner = None
            if not isinstance(inner, dict):
                warnings.append(f"The metadata {key!r} are no JSON object and were ignored.")
                continue
            metadata = {k: v for k, v in metadata.items() if k != key} | inner
    return metadata


def _side_file(path: Path, warnings: list[str]) -> dict[str, Any]:
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
