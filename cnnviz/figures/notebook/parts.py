"""HTML parts for notebooks: cards, tables, pictures; no script, no other file, legible on light and on dark paper."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

from cnnviz.figures.base.encode import data_url

CARD = "max-width:900px;font-family:system-ui,'Segoe UI',Arial,sans-serif;font-size:13px;line-height:1.45"
LINE = "1px solid rgba(128,128,128,.35)"  # seen on white and on black
CELL = f"padding:2px 12px 2px 0;border:0;border-bottom:{LINE};background:transparent"
PAPER = "box-sizing:content-box;background:#fff;padding:6px;border-radius:4px;margin:6px 0;max-width:100%;height:auto"
TABLE = "border-collapse:collapse;margin:6px 0;font-size:13px"
MOST_ROWS = 150  # of a table; the rest is counted


def card(title: str, *parts: str) -> str:
    """What a cell shows: a title and parts below each other; empty parts are left out."""
    head = f'<div style="font-size:15px;font-weight:600">{escape(title)}</div>'
    return f'<div style="{CARD}">{head}{"".join(parts)}</div>'


def words(text: str, faint: bool = False) -> str:
    """A sentence or two."""
    return f'<div style="margin:3px 0{";opacity:.7" if faint else ""}">{escape(text)}</div>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values, those that are known."""
    rows = "".join(
        f'<tr style="background:transparent"><td style="{CELL};text-align:left;opacity:.7">{escape(name)}</td>'
        f'<td style="{CELL};text-align:left">{escape(value)}</td></tr>'
        for name, value in pairs
        if value
    )
    return f'<table style="{TABLE}">{rows}</table>' if rows else ""


def table(lines: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A header and its lines, at most MOST_ROWS of them; columns without an entry are left out. `right`: columns
    set to the right."""
    used = [i for i in range(len(lines[0])) if any(line[i] for line in lines[1:])]
    lines, right = [[line[i] for i in used] for line in lines], [n for n, i in enumerate(used) if i in right]
    shown, left_out = lines[: MOST_ROWS + 1], max(len(lines) - MOST_ROWS - 1, 0)
    rows = "".join(_row(line, "td" if number else "th", right) for number, line in enumerate(shown))
    more = words(f"… and {left_out:,} more", faint=True) if left_out else ""
    return f'<table style="{TABLE}">{rows}</table>{more}'


def _row(line: Sequence[str], tag: str, right: Sequence[int]) -> str:
    cells = (
        f'<{tag} style="{CELL};text-align:{"right" if i in right else "left"}">{escape(cell)}</{tag}>'
        for i, cell in enumerate(line)
    )
    return f'<tr style="background:transparent">{"".join(cells)}</tr>'


def fold(summary: str, *parts: str) -> str:
    """Parts that open with a click."""
    head = f'<summary style="cursor:pointer">{escape(summary)}</summary>'
    return f'<details style="margin:4px 0">{head}{"".join(parts)}</details>'


def picture(png: bytes, size: tuple[int, int], alt: str) -> str:
    """A PNG of (width, height) pixels on white paper; where it is enlarged, pixels stay pixels."""
    return _image(data_url(png), size, alt)


def drawing(svg: str, size: tuple[float, float], alt: str) -> str:
    """A drawing as a picture: what is inside cannot run and takes no style from the notebook."""
    return _image(f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}", size, alt)


def _image(source: str, size: tuple[float, float], alt: str) -> str:
    return (
        f'<div><img src="{source}" width="{round(size[0])}" alt="{escape(alt)}" title="{escape(alt)}" '
        f'style="{PAPER};image-rendering:pixelated"></div>'
    )
