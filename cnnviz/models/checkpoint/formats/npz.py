"""Read weights from NumPy's .npz: arrays by name, nothing pickled."""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.archive import AGAIN, cap_bytes
from cnnviz.wording import plural

if TYPE_CHECKING:
    from torch import Tensor

_HOW = "Save them under the names of the state_dict: numpy.savez('weights.npz', **{name: array, …})."
_UNNAMED = re.compile(r"arr_\d+")
_OTHER_AXES = re.compile(r"(^|[./])(kernel|depthwise_kernel|gamma|moving_variance)(:0)?$")


def read_npz(path: Path) -> dict[str, Any]:
    """The arrays of floating point and of whole numbers by name, in the file's order; texts as lists.

    Raises BadCheckpoint for pickled arrays, for arrays without names, for those of TensorFlow and JAX, whose axes
    stand in another order, and for what unpacks beyond the cap."""
    import numpy as np

    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            names = [member.filename[:-4] for member in members]
            _check_names(names, path)
            if sum(member.file_size for member in members) > cap_bytes():
                raise BadCheckpoint(f"{path.name} unpacks to more than CNNVIZ_MAX_WEIGHTS_MB allows: refused unread.")
            found: dict[str, Any] = {}
            for name, member in zip(names, members, strict=True):
                with archive.open(member) as file:
                    _check_header(file, member.file_size, f"{path.name}: {name}")
                with archive.open(member) as file:
                    found[name] = _to_value(np.lib.format.read_array(file, allow_pickle=False))
            return found
    except BadCheckpoint:
        raise
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadCheckpoint(f"{path.name} is cut short or damaged ({str(error)[:100]}). {AGAIN}") from None


def _check_names(names: list[str], path: Path) -> None:
    if all(map(_UNNAMED.fullmatch, names)):
        raise BadCheckpoint(
            f"{path.name} holds {len(names)} arrays without names (arr_0, …), as numpy.savez(file, *arrays) writes "
            f"them, e.g. Keras's get_weights(): what each belongs to is not in the file. {_HOW}"
        )
    if other := [name for name in names if _OTHER_AXES.search(name)]:
        raise BadCheckpoint(
            f"{path.name} holds weights of TensorFlow, Keras or JAX ({other[0][:80]}), whose axes stand in another "
            "order than PyTorch's: (height, width, in, out). Transpose them to (out, in, height, width), dense ones to "
            f"(out, in). {_HOW}"
        )


def _check_header(file: IO[bytes], size: int, where: str) -> None:
    """Before memory is taken for an array: is it one of plain numbers or texts, and as long as it says?"""
    import numpy as np

    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise BadCheckpoint(f"{where} is an array of pickled Python objects, which can run code when opened. {_HOW}")
    if math.prod(shape) * dtype.itemsize > size:
        raise BadCheckpoint(f"{where} declares {plural(math.prod(shape) * dtype.itemsize, 'byte')} and holds {size:,}.")


def _to_value(array: Any) -> Tensor | list[str] | None:
    import torch

    if array.dtype.kind == "U":
        return [str(text) for text in array.ravel()] if array.size < 100_000 else None
    if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
        return None
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
