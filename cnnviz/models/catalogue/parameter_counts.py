"""Parameter counts of the catalogue's networks, counted once for each version of their code and cached on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from cnnviz.errors import CnnvizError
from cnnviz.models import families
from cnnviz.models.catalogue.architecture import published
from cnnviz.models.catalogue.registry import build
from cnnviz.paths import cache_root
from cnnviz.store import read_json, write_json


def count_parameters(names: Iterable[str], progress: Callable[[int, int], None] | None = None) -> dict[str, int | None]:
    """{name: learnable parameters}, from builds without memory; None where a network cannot be built.

    Published networks take a few seconds the first time, then come from a file below $CNNVIZ_CACHE
    (default ~/.cache/cnnviz) that is valid as long as the code of all families is the same.
    `progress(networks done, networks in all)`."""
    wanted = list(names)
    kept = _read()
    missing = [name for name in wanted if name not in kept]
    for i, name in enumerate(missing):
        if progress:
            progress(i, len(missing))
        kept[name] = _count(name)
    if any(name in published() for name in missing):
        _write({name: count for name, count in kept.items() if name in published() and count is not None})
    return {name: kept[name] for name in wanted}


def weigh(name: str) -> int:
    """Bytes that the tensors of a network take in float32, of a build without memory.

    Raises UnknownName or BadInput for a name that cannot be built."""
    import torch

    with torch.device("meta"):
        module = build(name)
    every = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in every.values())


def format_count(count: int | None) -> str:
    """Three digits and a unit: "61.7 k", "1.25 M", "138 M"; "?" for None."""
    if count is None:
        return "?"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= 0.9995 * size:
            value = count / size
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"
    return str(count)


def _count(name: str) -> int | None:
    import torch

    try:
        with torch.device("meta"):
            module = build(name)
    except CnnvizError:
        return None
    return sum(parameter.numel() for parameter in module.parameters())


def _cache_file() -> Path:
    return cache_root() / "parameters.json"


def hash_families(more: str = "") -> str:
    """The sha256 of the code of all families, and of `more`."""
    digest = hashlib.sha256(more.encode())
    for path in sorted(Path(families.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _version() -> str:
    """Changes with the code of any family, and with torchvision's."""
    from importlib.metadata import version

    return hash_families(version("torchvision"))


def _read() -> dict[str, int | None]:
    try:
        found = read_json(_cache_file())
    except (CnnvizError, OSError, ValueError):
        return {}
    counts = found.get("counts") if isinstance(found, dict) and found.get("version") == _version() else None
    return {k: v for k, v in counts.items() if isinstance(v, int)} if isinstance(counts, dict) else {}


def _write(counts: dict[str, int | None]) -> None:
    try:
        write_json(_cache_file(), {"version": _version(), "counts": counts})
    except CnnvizError:
        pass  # a home that cannot be written: counted anew next time
