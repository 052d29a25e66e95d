"""Whole networks as torch.save(model) keeps them: their tensors by name, their modules with classes and settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.stubs import Stub, StubClass

Setting = int | float | str | bool | tuple[Any, ...]
WRAPPERS = ("DataParallel", "DistributedDataParallel", "OptimizedModule", "AveragedModel", "FullyShardedDataParallel")
_DEEPEST, _MOST = 100, 20_000  # modules within modules, modules in all
_LONGEST = 64  # entries of a tuple


@dataclass(frozen=True, slots=True)
class SavedModule:
    """A module of a saved network. `path`: its name in the network, "" for the root, e.g. "features.0". `kind`: its
    class in full, e.g. "torch.nn.modules.conv.Conv2d". `settings`: its public attributes that are plain, e.g.
    {"kernel_size": (3, 3)}; functions and classes by their names in full; None is left out."""

    path: str
    kind: str
    settings: dict[str, Setting]


class SavedState(dict[str, Any]):
    """The state_dict of a saved network, with its `modules` in order of definition, the root first."""

    modules: tuple[SavedModule, ...] = ()


def read_state(root: Stub) -> SavedState:
    """The tensors of a saved network under the names of its state_dict, and its modules; what wraps it for several
    devices or for compilation is taken off.

    Raises BadCheckpoint, a phrase without the file's name, for modules within one another without end."""
    root, state, modules = _unwrap(root), SavedState(), []
    for path, module in _walk(root):
        before = f"{path}." if path else ""
        modules.append(SavedModule(path, module.kind, _read_settings(module)))
        hidden = module.state.get("_non_persistent_buffers_set")
        skipped = hidden if isinstance(hidden, set) else ()
        for name, value in (*_items(module, "_parameters"), *_items(module, "_buffers")):
            if value is not None and name not in skipped:
                state[before + name] = value
    state.modules = tuple(modules)
    return state


def _walk(root: Stub) -> Iterator[tuple[str, Stub]]:
    """(name, module), parents before children, in order of definition."""
    waiting, count = [("", root, 0)], 0
    while waiting:
        path, module, depth = waiting.pop()
        count += 1
        if count > _MOST or depth > _DEEPEST:
            raise BadCheckpoint(
                f"holds modules within modules without end (more than {_MOST:,}, or {_DEEPEST} levels): refused. "
                "In the program that made it, write torch.save(model.state_dict(), 'weights.pt') instead."
            )
        yield path, module
        inner = [(name, child) for name, child in _items(module, "_modules") if isinstance(child, Stub)]
        waiting += [(f"{path}.{name}" if path else name, child, depth + 1) for name, child in reversed(inner)]


def _unwrap(root: Stub) -> Stub:
    for _ in range(_DEEPEST):
        inner = [child for _, child in _items(root, "_modules") if isinstance(child, Stub)]
        if len(inner) != 1 or root.kind.rpartition(".")[2] not in WRAPPERS:
            break
        root = inner[0]
    return root


def _items(module: Stub, kind: str) -> list[tuple[str, Any]]:
    kept = module.state.get(kind)
    return [(k, v) for k, v in kept.items() if isinstance(k, str)] if isinstance(kept, Mapping) else []


def _read_settings(module: Stub) -> dict[str, Setting]:
    read = {key: _read_setting(value) for key, value in module.state.items() if isinstance(key, str) and key[:1] != "_"}
    return {key: value for key, value in read.items() if value is not None and key != "training"}


def _read_setting(value: Any, depth: int = 0) -> Setting | None:
    if isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else None
    if isinstance(value, StubClass):
        return value.name
    if isinstance(value, list | tuple) and len(value) <= _LONGEST and depth < 2:
        parts = tuple(_read_setting(part, depth + 1) for part in value)
        lost = any(part is None and given is not None for part, given in zip(parts, value, strict=True))
        return None if lost else parts
    return None
