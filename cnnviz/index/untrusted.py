"""Opening index files from untrusted sources: nothing is unpickled, sizes are checked before reading, all parts fit."""

from __future__ import annotations

import zipfile
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.errors import BadInput
from cnnviz.index.records import LayerTop
from cnnviz.index.result import PatchIndex

if TYPE_CHECKING:
    from cnnviz.index.crops.crops import LayerCrops
    from cnnviz.models.model import LoadedModel

LARGEST = 200 << 20  # bytes of a file
_TEXTS = ("model", "model_fingerprint", "corpus", "corpus_fingerprint")
_NUMBERS = ("images", "k", "next")


def open_index(path: str | Path, model: LoadedModel | None = None, largest: int = LARGEST) -> PatchIndex:
    """The index in a file of at most `largest` bytes, of which nothing is trusted.

    Raises BadInput if the file is missing, larger, compressed, damaged or no index of this version, if its arrays
    do not fit each other, or if it is of another network than `model`, which is told by the hash of the weights."""
    path = Path(path)
    try:
        _survey(path, largest)
        index = PatchIndex.load(path)
        _check(index)
    except BadInput:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(
            f"{path.name} is damaged or no index of cnnviz ({error}). Make it again: `cnnviz index`."
        ) from error
    except OSError as error:
        raise BadInput(f"Could not read {path.name}: {error.strerror or error}.") from error
    if model is not None and index.meta["model_fingerprint"] != model.fingerprint:
        weights = index.meta.get("weights")
        raise BadInput(
            f"{path.name} is an index of {index.meta['model']}{f' with {weights} weights' if weights else ''}, and the "
            f"network chosen is {model.name} with {model.origin} weights. Choose the network it was made of."
        )
    return index


def _survey(path: Path, largest: int) -> None:
    """Refuse what would need more memory than the file is large, before any of it is read."""
    size = path.stat().st_size
    if size > largest:
        raise BadInput(f"{path.name} has {size >> 20} MB; index files of at most {largest >> 20} MB are opened.")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(e.compress_type != zipfile.ZIP_STORED for e in entries) or sum(e.file_size for e in entries) > size:
            raise ValueError("its entries are compressed")
        for entry in entries:
            if entry.filename.endswith(".npy"):
                _check_header(archive, entry)


def _check_header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _columns_first, kind = read(file)
        if kind.hasobject or min(shape, default=0) < 0 or prod(shape) * kind.itemsize != entry.file_size - file.tell():
            raise ValueError(f"array {entry.filename} is not as large as it says")


def _check(index: PatchIndex) -> None:
    """Raise ValueError or KeyError unless everything that a picture is drawn from is there and fits."""
    meta = index.meta
    if not all(isinstance(meta[name], str) for name in _TEXTS) or not all(_is_count(meta[name]) for name in _NUMBERS):
        raise ValueError("its description is incomplete")
    if not all(isinstance(name, str) for name in index.ids.values()):
        raise ValueError("its image ids are no text")
    labels = meta.get("labels", {})
    if not all(isinstance(name, str) for name in labels.values()):
        raise ValueError("its labels are no text")
    meta["skipped"] = [(str(name), str(why)) for name, why in meta.get("skipped", [])]
    known = np.array([-1, *index.ids], np.int64)
    for layer, top in index.tops.items():
        _check_layer(layer, top, known)
        found = index.statistics.get(layer)
        if found is not None and not (len(found.maximum) == len(found.histogram) == len(top.values)):
            raise ValueError(f"the statistics of {layer} are of other channels")
        if layer in index.embedded:
            _check_crops(layer, index.embedded[layer], top.values.shape)


def _check_layer(layer: str, top: LayerTop, known: np.ndarray) -> None:
    shape = top.values.shape
    if len(shape) != 2 or not shape[1] or top.values.dtype.kind != "f":
        raise ValueError(f"the values of {layer} are no table")
    for name, array in top.arrays().items():
        wanted = (*shape, 4) if name.endswith("boxes") else shape
        if array.shape != wanted or (name != "values" and array.dtype.kind != "i"):
            raise ValueError(f"{name} of {layer} has the shape {array.shape}, expected {wanted}")
    if not np.isin(top.images, known).all():
        raise ValueError(f"winners of {layer} have no image id")


def _check_crops(layer: str, crops: LayerCrops, shape: tuple[int, ...]) -> None:
    pixels, sizes, at = crops.pixels, crops.sizes, crops.at
    fits = pixels.ndim == 4 and pixels.dtype == np.uint8 and at.dtype.kind == sizes.dtype.kind == "i"
    fits = fits and at.shape == shape and sizes.shape == (len(pixels), 2)
    fits = fits and bool(((at >= -1) & (at < len(pixels))).all())
    if not fits or not bool(((sizes > 0) & (sizes <= pixels.shape[1:3])).all()):
        raise ValueError(f"the crops of {layer} do not fit")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
