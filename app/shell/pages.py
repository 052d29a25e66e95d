"""The pages of the app, found in pages/: each file says its title, address and icon in a line of its own."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cnnviz.paths import project

FOLDER = project() / "pages"


@dataclass(frozen=True, slots=True)
class PageEntry:
    """A page as the sidebar lists it. `file`: below pages/; `address`: "" for Home; `icon`: of Material Symbols;
    `place`: the order in the sidebar; `group`: the heading above it, "" for none."""

    file: str
    title: str
    address: str
    icon: str
    place: int
    group: str = ""


@cache
def list_pages() -> tuple[PageEntry, ...]:
    """All pages in the order of the sidebar.

    A page's file holds `PAGE = {"title": …, "address": …, "icon": …, "place": …, "group": …}`, which is read without
    running the file. Raises ValueError for a page without it, and where two pages have one address."""
    found = sorted((_read_entry(path) for path in FOLDER.glob("*.py")), key=lambda entry: (entry.place, entry.file))
    if len({entry.address for entry in found}) < len(found):
        raise ValueError(f"Two pages have one address: {sorted(entry.address for entry in found)}.")
    return tuple(found)


def _read_entry(path: Path) -> PageEntry:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PAGE":
            return PageEntry(path.name, **ast.literal_eval(node.value))
    raise ValueError(f'{path.name} needs a line PAGE = {{"title": …, "address": …, "icon": …, "place": …}}.')
