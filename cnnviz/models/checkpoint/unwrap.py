"""Find the state_dict inside a training checkpoint, and the plain values beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cnnviz.models.checkpoint.stubs import Array, Settings

if TYPE_CHECKING:
    from torch import Tensor

WRAPPERS = ("state_dict", "model", "net", "model_state_dict", "state_dict_ema", "ema", "model_ema")
NESTED = ("hyper_parameters", "hparams", "args", "config")  # where training frameworks keep their settings
CLASS_KEYS = ("classes", "class_names", "class_to_idx")
_AVERAGED = re.compile(r"ema|swa|averag|shadow|teacher|momentum|target", re.IGNORECASE)
_DEEPEST = 3  # dicts within dicts
_PLAIN_VALUES, _ALL_VALUES = 100_000, 1_000_000  # of one entry of the metadata, of all entries of a dict
Path = tuple[str, ...]  # the keys that lead to a dict; () is the whole content


def unwrap(content: Any, metadata: dict[str, Any], warnings: list[str]) -> dict[str, Tensor]:
    """The weights in `content`; {} if there are none. Plain values on the way to them enter `metadata`.

    What lies under WRAPPERS goes before everything else, in their order; else the dict with the most
    tensors is taken, an average of the weights last, and `warnings` says so if there are several as large."""
    from torch import Tensor

    found = _find_candidates(content)
    if not found:
        return {}
    path = _find_usual(found) or _find_fullest(found, warnings)
    levels = [content]
    for key in path:
        levels.append(levels[-1][key])
    for level, following in zip(reversed(levels), [None, *reversed(path)], strict=True):
        metadata |= _collect_plain({k: v for k, v in level.items() if k != following})
        if following is not None:
            metadata |= {str(k): v.item() for k, v in level.items() if _is_number(v)}
    return {key: v.detach() for key, v in levels[-1].items() if isinstance(v, Tensor) and isinstance(key, str)}


def _find_candidates(content: Any) -> dict[Path, int]:
    """{keys: number of tensors} of the dicts that may be weights; single numbers are none.

    Every dict is looked at once, however often the file names it."""
    from torch import Tensor

    seen: set[int] = set()
    found: dict[Path, int] = {}
    level: list[tuple[Path, Any]] = [((), content)]
    for _ in range(_DEEPEST + 1):
        below: list[tuple[Path, Any]] = []
        for path, part in level:
            value = part.fields if isinstance(part, Settings) else part
            if not isinstance(value, Mapping) or "param_groups" in value or id(value) in seen:
                continue
            seen.add(id(value))
            named = [(key, part) for key, part in value.items() if isinstance(key, str)]
            if count := sum(isinstance(part, Tensor) and part.dim() > 0 for _, part in named):
                found[path] = count
            below += [((*path, key), part) for key, part in named if isinstance(part, Mapping)]
        level = below
    return found


def _find_usual(found: Mapping[Path, int]) -> Path:
    """The first path by the order of WRAPPERS, the deeper before the shallower; () if there is none."""
    usual = [path for path in found if path and all(key in WRAPPERS for key in path)]
    return min(usual, key=lambda path: (*map(WRAPPERS.index, path), len(WRAPPERS)), default=())


def _find_fullest(found: Mapping[Path, int], warnings: list[str]) -> Path:
    best = max(found, key=lambda path: (found[path], not any(map(_AVERAGED.search, path))))
    equal = [".".join(path)[:60] for path in found if path and path != best and found[path] == found[best]]
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
            if not all(isinstance(key, str) for v in parts if isinstance(v, dict) for key in v):
                return False
            level = [part for v in parts for part in (v.values() if isinstance(v, dict) else v)]
        return False
