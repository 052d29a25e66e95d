"""Partial index files: finding, joining and removing what an unfinished run left, of one process or several ranks."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cnnviz.device import precision_meta
from cnnviz.errors import BadInput
from cnnviz.index.merge import Span, list_seen, merge, refuse_others
from cnnviz.index.result import PatchIndex

_PRECISION = ("precision", "precision_asked")
SCREENING = "screening"  # phase of what earlier versions left of an unfinished search in bfloat16


def rank_file(out: str | Path, rank: int, ranks: int) -> Path:
    """index.npz → index.npz.rank0of2."""
    return Path(out).with_name(f"{Path(out).name}.rank{rank}of{ranks}")


def state_file(out: str | Path) -> Path:
    """index.npz → index.npz.screening, which earlier versions left of an unfinished search in bfloat16."""
    return Path(out).with_name(f"{Path(out).name}.{SCREENING}")


def rank_files(out: str | Path) -> list[Path]:
    """The files that ranks left beside `out`, of any number of ranks."""
    out = Path(out)
    return sorted(out.parent.glob(f"{glob.escape(out.name)}.rank*of*"))


def load_files(out: str | Path | None) -> dict[str, PatchIndex]:
    """{path: index} of what is there of a run to `out`; the index itself comes first.

    What an earlier version found in bfloat16 alone is left out: nothing can be continued from it."""
    if out is None:
        return {}
    own = [Path(out)] if Path(out).exists() else []
    indexes = {str(path): PatchIndex.load(path) for path in own + rank_files(out)}
    return {path: index for path, index in indexes.items() if index.meta.get("phase") != SCREENING}


def choose_disjoint(seen: Mapping[str, list[Span]]) -> list[str]:
    """The names whose spans together are all that any has seen, none twice.

    A rank's file whose images are in the index already was joined before it could be removed: it is left
    out. Raises BadInput for files that overlap in part, which no run of ours leaves."""
    chosen: list[str] = []
    for name, spans in sorted(seen.items(), key=lambda item: -_count_images(item[1])):
        twice = sum(_count_common(spans, seen[other]) for other in chosen)
        if 0 < twice < _count_images(spans):
            raise BadInput(
                f"{name} holds in part the same images as {', '.join(chosen)}. Remove the file that does not belong."
            )
        if spans and not twice:
            chosen.append(name)
    return [name for name in seen if name in chosen]


def _count_images(spans: list[Span]) -> int:
    return sum(high - low for low, high in spans)


def _count_common(some: list[Span], others: list[Span]) -> int:
    return sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a in some for b in others)


def join_files(files: Mapping[str, PatchIndex], settings: dict[str, Any], out: str | Path | None) -> PatchIndex:
    """One index of all that `files` have seen. Raises BadInput if one is not of the run of `settings`."""
    for name, index in files.items():
        refuse_others(settings, [index], f"{name} is an index of something else")
    chosen = choose_disjoint({name: list_seen(index) for name, index in files.items()})
    return merge([files[name] for name in chosen]) if chosen else next(iter(files.values()))


def adopt_precision(settings: dict[str, Any], metas: Iterable[Mapping[str, Any]], asked: str) -> dict[str, Any]:
    """`settings` with the precision of the files that a run goes on from, of which `metas` are the metadata: asked for
    in bfloat16, it goes on as it began, whether this processor is fast in that or the one before was."""
    for meta in metas:
        if asked == "bfloat16" and asked in (meta.get("precision"), meta.get("precision_asked")):
            return set_precision(settings, precision_meta(asked, str(meta["precision"])))
    return settings


def set_precision(settings: dict[str, Any], words: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` with what `words` has of "precision" and "precision_asked", and nothing else of these."""
    kept = {key: value for key, value in settings.items() if key not in _PRECISION}
    return kept | {key: words[key] for key in _PRECISION if key in words}


def remove_rank_files(out: str | Path) -> None:
    """Delete the ranks' files beside `out`."""
    for path in rank_files(out):
        path.unlink(missing_ok=True)
