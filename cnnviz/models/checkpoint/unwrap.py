"""Find the state_dict inside a training checkpoint, and the plain values beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cnnviz.models.checkpoint.saved_modules import SavedState, read_state
from cnnviz.models.checkpoint.stubs import Array, Settings, Stub

if TYPE_CHECKING:
    from torch import Tensor

WRAPPERS = ("state_dict", "model", "net", "model_state_dict", "state_dict_ema", "ema", "model_ema")
NESTED = ("hyper_parameters", "hparams", "args", "config")  # where training frameworks keep their settings
CLASS_KEYS = (  # under which class names are kept, likeliest first
    *("classes", "class_names", "class_to_idx", "idx_to_class", "id2label", "label2id", "label_names", "labels"),
    *("classnames", "class_labels", "categories", "idx2label", "label_map", "idx_to_label", "label_to_idx", "names"),
)
_AVERAGED = re.compile(r"ema|swa|averag|shadow|teacher|momentum|target", re.IGNORECASE)
_DEEPEST = 3  # dicts within dicts
_FEW = 100  # parts of a list that are looked into
_PLAIN_VALUES, _ALL_VALUES = 100_000, 1_000_000  # of one entry of the metadata, of all entries of a dict
Path = tuple[str, ...]  # the keys that lead to a dict; () is the whole content


def unwrap(content: Any, metadata: dict[str, Any], warnings: list[str]) -> dict[str, Tensor]:
    """The weights in `content`; {} if there are none. Plain values on the way to them enter `metadata`. Those of a
    whole network (`saved_modules`) come as a SavedState.

    What lies under WRAPPERS goes before everything else, in their order; else the dict with the most
    tensors is taken, an average of the weights last, and `warnings` says so if there are several as large. Arrays of
    NumPy are taken for tensors where there are no others."""
    for read in (_read_tensor, _read_array):
        opened = _Opened(read)
        if found := _find_candidates(content, opened):
            break
    else:
        return {}
    path = _find_usual(found, warnings) or _find_fullest(found, warnings)
    levels = [opened(content)]
    for key in path:
        levels.append(opened(levels[-1][key]))
    for level, following in zip(reversed(levels), [None, *reversed(path)], strict=True):
        metadata |= _collect_plain({k: v for k, v in level.items() if k != following})
        if following is not None:
            metadata |= {str(k): v.item() for k, v in level.items() if _is_number(v)}
    weights = levels[-1]
    tensors = {key: read(value) for key, value in weights.items() if isinstance(key, str)}
    state = SavedState({key: tensor for key, tensor in tensors.items() if tensor is not None})
    state.modules = weights.modules if isinstance(weights, SavedState) else ()
    return state


def _read_tensor(value: Any) -> Tensor | None:
    from torch import Tensor

    return value if isinstance(value, Tensor) else None


def _read_array(value: Any) -> Tensor | None:
    return value.tensor() if isinstance(value, Array) else None


class _Opened:
    """Asked about a value: the dict that it is or keeps, {} for anything else. `read`: what is a tensor.

    Of lists the parts, of settings their fields, of a module its state_dict, of other objects their attributes."""

    def __init__(self, read: Callable[[Any], Tensor | None]) -> None:
        self.read = read
        self._states: dict[int, SavedState] = {}

    def __call__(self, value: Any) -> Mapping[Any, Any]:
        if isinstance(value, Settings):
            return value.fields
        if isinstance(value, Stub) and value.is_module:
            if id(value) not in self._states:
                self._states[id(value)] = read_state(value)
            return self._states[id(value)]
        if isinstance(value, Stub):
            return value.entries or value.state
        if isinstance(value, list | tuple):
            return {str(i): v for i, v in enumerate(value[:_FEW]) if isinstance(v, Mapping | Stub)}
        return value if isinstance(value, Mapping) else {}


def _find_candidates(content: Any, opened: _Opened) -> dict[Path, int]:
    """{keys: number of tensors} of the dicts that may be weights; single numbers are none.

    Every dict is looked at once, however often the file names it."""
    seen: set[int] = set()
    found: dict[Path, int] = {}
    level: list[tuple[Path, Any]] = [((), content)]
    for _ in range(_DEEPEST + 1):
        below: list[tuple[Path, Any]] = []
        for path, part in level:
            value = opened(part)
            one = id(part if isinstance(part, list | tuple) else value)
            if not value or "param_groups" in value or one in seen:
                continue
            seen.add(one)
            named = [(key, inner) for key, inner in value.items() if isinstance(key, str)]
            tensors = [opened.read(inner) for _, inner in named]
            if count := sum(tensor is not None and tensor.dim() > 0 for tensor in tensors):
                found[path] = count
            below += [((*path, key), inner) for key, inner in named if isinstance(inner, Mapping | Stub | list | tuple)]
        level = below
    return found


def _find_usual(found: Mapping[Path, int], warnings: list[str]) -> Path:
    """The first path by the order of WRAPPERS, the deeper before the shallower; () if there is none."""
    usual = [path for path in found if path and all(key in WRAPPERS for key in path)]
    best = min(usual, key=lambda path: (*map(WRAPPERS.index, path), len(WRAPPERS)), default=())
    return _say_others(best, found, warnings)


def _find_fullest(found: Mapping[Path, int], warnings: list[str]) -> Path:
    best = max(found, key=lambda path: (found[path], not any(map(_AVERAGED.search, path))))
    return _say_others(best, found, warnings)


def _say_others(best: Path, found: Mapping[Path, int], warnings: list[str]) -> Path:
    equal = [".".join(path)[:60] for path in found if path and path != best and found[path] == found.get(best)]
    if best and equal:
        taken = ".".join(best)[:60]
        warnings.append(f"The file holds several sets of weights; {taken!r} was taken, and {equal[0]!r} was not.")
    return best


def _is_number(value: Any) -> bool:
    return getattr(value, "shape", None) == () and hasattr(value, "item") and not getattr(value, "is_meta", False)


def _collect_plain(level: Mapping[Any, Any]) -> dict[str, Any]:
    """The plain entries of a dict; of settings, those of their entries that are plain."""
    opened = {key: v.fields if isinstance(v, Settings) else v for key, v in level.items()}
    opened |= {key: v.texts() for key, v in opened.items() if key in CLASS_KEYS and isinstance(v, Array)}
    opened |= {
        key: {"a set": None} for key, v in opened.items() if key in CLASS_KEYS and isinstance(v, set | frozenset)
    }
    is_plain = _IsPlain()
    found = {str(key): v for key, v in opened.items() if v is not None and is_plain(v)}
    for key in NESTED:
        if key not in found and isinstance(opened.get(key), Mapping):
            found[key] = {k: v for k, v in opened[key].items() if isinstance(k, str) and is_plain(v)}
    return found


class _IsPlain:
    """Asked about a value: True for text, numbers, None and lists and dicts of them, _PLAIN_VALUES at most, four levels
    deep.

    A list that holds another one many times over is small in the file and endless to walk through: each value is
    looked into once, and after _ALL_VALUES the others are taken for not plain."""

    def __init__(self) -> None:
        self._known: dict[int, bool] = {}
        self._left = _ALL_VALUES

    def __call__(self, value: Any) -> bool:
        if id(value) not in self._known:
            self._known[id(value)] = self._look(value)
        return self._known[id(value)]

    def _look(self, value: Any) -> bool:
        level = [value]
        for _ in range(5):
            inner = [v for v in level if not isinstance(v, str | int | float | bool | None)]
            if not inner:
                return True
            if not all(isinstance(v, list | tuple | dict | Settings) for v in inner):
                return False
            parts = [v.fields if isinstance(v, Settings) else v for v in inner]
            count = sum(map(len, parts))
            self._left -= count
            if count > _PLAIN_VALUES or self._left < 0:
                return False
            if not all(isinstance(key, str | int) for v in parts if isinstance(v, dict) for key in v):
                return False
            level = [part for v in parts for part in (v.values() if isinstance(v, dict) else v)]
        return False
