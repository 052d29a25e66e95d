"""Prepared tours of the app: YAML files of stops, each a page, its choices, a title and a note.

They lie in $CNNVIZ_TOURS (a folder of one's own, which comes first) and in assets/tours. A file:

    title: A first look
    stops:
      - page: filters
        query: {net: resnet20_cifar, unit: 3}
        title: Sixteen kernels
        notes: Ask what the kernel looks for before you show its map.

`page` is the page's address ("home" for Home), `query` what the browser's address bar shows behind the "?"."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from cnnviz.errors import BadInput, UnknownName
from cnnviz.models.bundled import assets
from cnnviz.wording import plural

LARGEST, MOST = 256 << 10, 200  # bytes of a file, stops of a tour
TITLE, NOTES = 120, 600  # characters
LONGEST = 600  # minutes of a tour
RESERVED = frozenset({"tour", "stop", "present"})  # choices of the app's frame, which a stop cannot make
_NAME = re.compile(r"[A-Za-z0-9][\w-]{0,63}")
_FIELDS = ("page", "query", "title", "notes")


@dataclass(frozen=True, slots=True)
class Stop:
    """One view: `page` is its address ("" is Home), `query` its choices as text."""

    page: str
    query: dict[str, str]
    title: str
    notes: str


@dataclass(frozen=True, slots=True)
class Tour:
    """Stops in their order; at least one."""

    name: str
    title: str
    stops: tuple[Stop, ...]
    minutes: int = 0  # that it takes, as its author estimates; 0: not stated


def folders() -> list[Path]:
    """Where tours are looked for, first come first served."""
    own = os.environ.get("CNNVIZ_TOURS")
    return [*([Path(own).expanduser()] if own else []), assets() / "tours"]


def tour_files() -> dict[str, Path]:
    """{name: file} of all tours, sorted by name; a file of one's own hides the bundled one of its name."""
    found: dict[str, Path] = {}
    for folder in reversed(folders()):
        found |= {path.stem: path for path in folder.glob("*.yaml") if _NAME.fullmatch(path.stem)}
    return dict(sorted(found.items()))


def load_tour(name: str, pages: Container[str] | None = None) -> Tour:
    """The tour of this name. `pages`: the addresses a stop may name, "" for Home; None: any.

    Raises UnknownName for a name without a file, BadInput for a file that is no tour: with file and stop, what
    was found and what was expected."""
    files = tour_files()
    if name not in files:
        near = get_close_matches(name, files, n=3, cutoff=0.5)
        hint = f" Closest: {', '.join(near)}." if near else ""
        there = ", ".join(files) or "none"
        raise UnknownName(f"No tour named {name[:80]!r}.{hint} Tours here: {there}. Own ones: CNNVIZ_TOURS=folder.")
    return read_tour(files[name], pages)


def read_tour(path: Path, pages: Container[str] | None = None) -> Tour:
    """The tour in a file; see `load_tour`."""
    content = _parse(path, _stamp(path))
    if not isinstance(content, dict):
        _refuse(path, 'expected "title:" and "stops:" at the top', content)
    _check_fields(path, content, ("title", "stops", "minutes"))
    title, stops = _read_text(path, content, "title", TITLE), content.get("stops")
    if not isinstance(stops, list) or not stops:
        _refuse(path, '"stops" must be a list with at least one stop, each beginning with "- page: …"', stops)
    if len(stops) > MOST:
        _refuse(path, f"a tour has at most {MOST} stops", plural(len(stops), "stop"))
    minutes = content.get("minutes", 0)
    if not isinstance(minutes, int) or isinstance(minutes, bool) or not 0 <= minutes <= LONGEST:
        _refuse(path, f'"minutes", if given, must be a whole number, at most {LONGEST}', minutes)
    read = tuple(_read_stop(f"{path}, stop {n}", s, pages) for n, s in enumerate(stops, 1))
    return Tour(path.stem, title, read, minutes)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Time of its last change and bytes of a file, by which it is known again; None for one that cannot be asked."""
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size


@lru_cache(16)
def _parse(path: Path, stamp: tuple[int, int] | None) -> Any:
    """What the YAML says, of plain types only; read anew when the file has another `stamp`. Not to be changed."""
    import yaml

    try:
        data = path.read_bytes()
        if len(data) <= LARGEST:
            return yaml.safe_load(data.decode("utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or type(error).__name__}).") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is no text in UTF-8. Save it as UTF-8.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        why = getattr(error, "problem", None) or type(error).__name__
        raise BadInput(
            f"{path}{line}: is not valid YAML ({why}). Put text that holds “: ” or “#” in quotes."
        ) from error
    except (RecursionError, ValueError) as error:  # nested too deep; dates and numbers that do not exist
        raise BadInput(f"{path}: is not valid YAML ({type(error).__name__}). Compare it with assets/tours.") from error
    _refuse(path, f"a tour has at most {LARGEST >> 10} KiB", f"{len(data) >> 10} KiB")


def _read_stop(where: str, content: Any, pages: Container[str] | None) -> Stop:
    if not isinstance(content, dict):
        _refuse(where, "expected page, query, title, notes", content)
    _check_fields(where, content, _FIELDS)
    page = _read_text(where, content, "page", 64)
    page = "" if page == "home" else page
    if pages is not None and page not in pages:
        known = [*(p for p in pages if p), "home"] if isinstance(pages, Iterable) else []
        _refuse(where, f'"page" must be one of {", ".join(known)}', page)
    notes = _read_text(where, content, "notes", NOTES) if content.get("notes") is not None else ""
    return Stop(page, _read_query(where, content.get("query")), _read_text(where, content, "title", TITLE), notes)


def _read_query(where: str, content: Any) -> dict[str, str]:
    """The choices as the address bar would hold them."""
    if content is None:
        return {}
    if not isinstance(content, dict):
        _refuse(where, '"query" must hold choices, e.g. {net: lenet5, unit: 3}', content)
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, str | int | float):
            _refuse(where, f'"query" must hold names with a text or a number each; see {_describe(key)}', value)
        if key in RESERVED:
            _refuse(where, f'"query" cannot hold {", ".join(sorted(RESERVED))}', key)
    return {key: str(value) for key, value in content.items()}


def _read_text(where: Path | str, content: dict[str, Any], field: str, most: int) -> str:
    value = content.get(field)
    if not isinstance(value, str) or not value.strip():
        _refuse(where, f'"{field}" must be text', value)
    text = " ".join(value.split())
    if len(text) > most:
        _refuse(where, f'"{field}" has at most {most} characters', f"{len(text)} characters")
    return text


def _check_fields(where: Path | str, content: dict[Any, Any], known: tuple[str, ...]) -> None:
    """A misspelt field must not vanish silently."""
    for field in content:
        if field not in known:
            _refuse(where, f"expected only {', '.join(known)}", field)


def _refuse(where: Path | str, expected: str, found: Any) -> NoReturn:
    raise BadInput(f"{where}: {expected}; found {_describe(found)}.")


def _describe(value: Any) -> str:
    """A value in an error. Containers by their kind alone: with YAML's aliases they can be exponentially long."""
    if value is None:
        return "nothing"
    return repr(value)[:60] if isinstance(value, str | int | float | bool) else f"a {type(value).__name__}"
