"""Text as strangers write it to have it read as something else, and the search for what a page would make of it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
MARKS = "**evilb** _evile_ `evilc` $evilm$ ~~evils~~ :red[evilr]"
LINKS = "[evill](http://evil.example) ![evilp](http://evil.example/p.png) <http://evil.example>"
FOUND_LATER = "http://evil.example www.evil.example evil@evil.example :material/evil: :evil: evil->evil--evil"
TAGS = '<img src=x onerror="alert(1)"> <a href="http://evil.example">evila</a>'
POISON = f"{MARKS} {LINKS} {FOUND_LATER} {TAGS}"
PARTS = [*MARKS.split(), *FOUND_LATER.split(), "[evill](http://evil.example)", TAGS[:30], TAGS[31:]]

_SYNTAX = re.compile(
    r"\*\*evilb|_evile_|\$evilm|~~evils|:red\[evil|\]\(\s*<?http://evil|<http://evil|<img src=x|<a href"
)
_LATER = re.compile(r"https?://evil|www\.evil|evil@evil|:material/evil|:evil:|evil->|evil--", re.IGNORECASE)
_CODE = re.compile(r"(?<![`\\])(`+)(?!`).+?(?<!`)\1(?!`)")
_READ = frozenset("label help body text caption captions title content element_label options".split())
_PLAIN_OPTIONS = frozenset({"selectbox", "multiselect", "select_slider"})
_PLAIN = frozenset({"code", "text", "bidi_component", "plotly_chart"})  # the last two are looked into by themselves


def list_choices() -> list[str]:
    """The keys of every choice that stands in an address, as the app's source binds them."""
    keys: set[str] = set()
    for path in (*(_ROOT / "app").rglob("*.py"), *(_ROOT / "pages").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if name in ("bind", "bind_choice", "bind_several", "keep", "read", "whole", "decimal", "prepare", "record"):
                texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                keys |= {text for text in texts if re.fullmatch("[a-z][a-z0-9_]*", text)}
    return sorted(keys)


def is_read(text: str) -> bool:
    """Whether Streamlit's Markdown would read any of the poison as more than text."""
    spans = [span.group() for span in _CODE.finditer(text)]
    rest = _CODE.sub("", text)
    if "`evilc`" in spans:
        return True
    return bool(_SYNTAX.search(re.sub(r"\\.", "\0", rest)) or _LATER.search(re.sub(r"\\(.)", r"\1", rest)))


def find_read(at: Any) -> list[str]:
    """Texts of a page of which something would be read."""
    return list(_search(at))


def _search(at: Any) -> Iterator[str]:
    for node in _nodes(at._tree):
        proto = getattr(node, "proto", None)
        if node.type in ("bidi_component", "plotly_chart"):
            yield from (f"{node.type} {text[:200]}" for text in _drawn(proto) if re.search("<img src=x|<a href", text))
        elif node.type not in _PLAIN:
            for field, text in (*_strings(proto), *_cells(node)):
                plain = field == "options" and node.type in _PLAIN_OPTIONS
                if not plain and is_read(text):
                    yield f"{node.type}.{field}: {text[:300]}"


def _nodes(block: Any) -> Iterator[Any]:
    for child in getattr(block, "children", {}).values():
        yield child
        yield from _nodes(child)


def _cells(node: Any) -> Iterator[tuple[str, str]]:
    """The cells of a table, which Streamlit reads as Markdown; those of a dataframe it does not."""
    if node.type in ("arrow_table", "table"):
        for cell in node.value.to_numpy().ravel().tolist():
            yield "cell", str(cell)


def _strings(message: Any) -> Iterator[tuple[str, str]]:
    """(field, text) of every text in a message of Streamlit's protocol that is read as Markdown, to the last."""
    for field, value in message.ListFields() if hasattr(message, "ListFields") else ():
        for one in [value] if not hasattr(value, "__iter__") or isinstance(value, str | bytes) else value:
            if isinstance(one, str) and field.name in _READ:
                yield field.name, one
            elif hasattr(one, "ListFields"):
                yield from _strings(one)


def _drawn(proto: Any) -> Iterator[str]:
    """SVG and Plotly's texts, which may hold tags: as they are in a component's data."""
    if spec := getattr(proto, "spec", "") or getattr(getattr(proto, "figure", None), "spec", ""):
        yield from _texts(json.loads(spec))
    if getattr(proto, "json", ""):
        for name, text in _named(json.loads(proto.json)):
            if name in ("svg", "html"):
                yield text
            elif name == "figure":
                yield from _texts(json.loads(text))


def _named(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _named(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from _named(one, name)
    elif isinstance(value, str):
        yield name, value


def _texts(value: Any) -> Iterator[str]:
    yield from (text for _, text in _named(value))
