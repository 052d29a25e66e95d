"""Reading HDF5 files of tomgoldstein/loss-landscape, the reference tool: directions and surfaces.

Its direction files hold one group a direction, in it one data set a tensor, numbered in the network's order;
its surface files hold coordinates, losses and accuracies. Reading them needs the extra package h5py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cnnviz.errors import BadInput, CnnvizError, import_package
from cnnviz.landscape.results import Line, Surface
from cnnviz.models.checkpoint.prefixes import is_bookkeeping
from cnnviz.models.model import LoadedModel
from cnnviz.wording import plural

if TYPE_CHECKING:
    import h5py

GROUPS = ("xdirection", "ydirection")
LARGEST = 2**28  # values of one array


def read_directions(path: str | Path, model: LoadedModel) -> list[dict[str, Tensor]]:
    """The directions of a file, one or two, as {name in `model`: tensor}, float32, on the CPU.

    The file knows its tensors by their order alone: that of the network's parameters (`dir_type` weights) or of
    its state, running statistics included (`dir_type` states, of which counters are left out). Directions are
    taken as they are, normalised or not. Raises BadInput for a file of another kind or network, naming the first
    tensor that differs; CnnvizError with the command if h5py is not installed."""
    name = Path(path).name
    with model.lock:
        weights = {key: tuple(p.shape) for key, p in model.module.named_parameters()}
        state = {key: tuple(t.shape) for key, t in model.module.state_dict().items()}
    with _open(path) as file:
        groups = [group for group in GROUPS if group in file]
        if not groups:
            raise BadInput(f"{name} holds no {GROUPS[0]}: is it a direction file? It holds {_list_keys(file)}.")
        found = [(_read_numbered(file[group], group), f"{group} of {name}") for group in groups]
    return [_name_tensors(tensors, weights, state, what) for tensors, what in found]


def read_surface(path: str | Path, split: str = "train") -> Surface | Line:
    """The losses of a surface file: a Surface, or a Line if it has no `ycoordinates`.

    `split`: "train" or "test". Accuracies, in percent there, become 0..1; points that were not computed
    (negative there) become NaN, losses that are NaN there become inf; standard errors are not in the file: NaN.
    The file's arrays run over y first, then x, whatever their shape says, since the tool numbers its points by
    `meshgrid`; here alpha, its x, comes first. Raises BadInput and CnnvizError as `read_directions`."""
    with _open(path) as file:
        keys = (f"{split}_loss", f"{split}_acc")
        missing = [key for key in ("xcoordinates", *keys) if key not in file]
        if missing:
            name, held = Path(path).name, _list_keys(file)
            raise BadInput(f"{name} holds no {missing[0]}: is it a surface file? It holds {held}.")
        axes = [_read_array(file, key) for key in ("xcoordinates", "ycoordinates") if key in file]
        loss, accuracy = (_read_array(file, key) for key in keys)
        meta = {"made_by": "tomgoldstein/loss-landscape", "file": Path(path).name, "split": split}
        if "dir_file" in file:
            meta["directions"] = Path(_decode(file["dir_file"][()])).name
    if any(axis.ndim != 1 for axis in axes) or any(v.size != np.prod([len(a) for a in axes]) for v in (loss, accuracy)):
        raise BadInput(
            f"{Path(path).name} is no whole surface: {[len(a) for a in axes]} coordinates but {loss.size} losses and "
            f"{accuracy.size} accuracies."
        )
    absent = (loss < 0) | (accuracy < 0)
    loss = np.where(absent, np.nan, np.where(np.isnan(loss), np.inf, loss))
    accuracy = np.where(absent, np.nan, accuracy / 100)
    values = [v.reshape([len(axis) for axis in reversed(axes)]).T for v in (loss, accuracy)]
    unknown = np.full(values[0].shape, np.nan)
    if len(axes) == 2:
        return Surface(axes[0], axes[1], values[0], values[1], unknown, unknown.copy(), meta)
    return Line(axes[0], values[0], values[1], unknown, unknown.copy(), meta | {"kind of line": "direction"})


@contextmanager
def _open(path: str | Path) -> Iterator[h5py.File]:
    if find_spec("h5py") is None:
        raise CnnvizError(
            "Files of the reference tool (.h5) need the package h5py, which is not installed. Use pip "
            'install "cnnviz[reference]", or pip install h5py.'
        )
    h5py = import_package("h5py", "Files of the reference tool (.h5) are read by h5py")
    if not Path(path).is_file():
        raise BadInput(f"There is no file {path}.")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise BadInput(f"{Path(path).name} is damaged or no HDF5 file ({str(error)[:200]}).") from error
    with file:
        yield file


def _read_array(holder: Any, key: str) -> np.ndarray:
    try:
        if holder[key].size > LARGEST:  # a small file may declare a huge array
            raise ValueError(f"it declares {plural(holder[key].size, 'value')}, {LARGEST:,} are allowed")
        return np.array(holder[key], np.float64)
    except (OSError, TypeError, ValueError, AttributeError, KeyError) as error:
        raise BadInput(f"{key} of this file cannot be read as numbers ({str(error)[:200]}). Make it again.") from error


def _read_numbered(group: Any, name: str) -> list[np.ndarray]:
    """The data sets "0", "1", … of a group, in that order."""
    if not hasattr(group, "keys") or sorted(group) != sorted(str(i) for i in range(len(group))):
        raise BadInput(f"{name} needs data sets named 0, 1, 2, …, one a tensor; it is another kind of file.")
    return [_read_array(group, str(i)) for i in range(len(group))]


def _name_tensors(
    tensors: Sequence[np.ndarray],
    weights: dict[str, tuple[int, ...]],
    state: dict[str, tuple[int, ...]],
    what: str,
) -> dict[str, Tensor]:
    without_counters = {name: shape for name, shape in state.items() if not is_bookkeeping(name)}
    candidates = (weights, state, without_counters)  # the last: files of PyTorch before 0.4.1
    order = next((names for names in candidates if len(names) == len(tensors)), None)
    if order is None:
        raise BadInput(
            f"{what} has {plural(len(tensors), 'tensor')}; this network has "
            f"{plural(len(weights), 'parameter')}, and a state of "
            f"{plural(len(state), 'tensor')}. It was made for another network."
        )
    for number, ((name, shape), tensor) in enumerate(zip(order.items(), tensors, strict=True)):
        if tensor.shape != shape:
            raise BadInput(
                f"{what}: tensor {number} has shape {tensor.shape}, but {name} of this network has {shape}. It was "
                "made for another network."
            )
    found = zip(order, tensors, strict=True)
    return {name: torch.from_numpy(t).float() for name, t in found if not is_bookkeeping(name)}


def _list_keys(file: Any) -> str:
    return ", ".join(list(file)[:8]) or "nothing"


def _decode(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
