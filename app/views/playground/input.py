"""Numbers that are typed into the playground: read, checked, and kept in the URL."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np
import streamlit as st

from app.pickers import controls
from app.url import address
from cnnviz.errors import BadInput

NEXT = "; an empty line begins the next channel"
LARGEST = 1e6  # longer numbers cannot be read in a cell


def table(text: str, what: str, most: int) -> np.ndarray:
    """(rows, cols) float64 of a text with one row a line, its numbers set apart by spaces or commas; 1/9 is a number.

    `what`: its name in messages; `most`: rows and columns at most. Raises BadInput, which names row and place."""
    lines = [line for line in text.replace(";", "\n").splitlines() if line.strip()]
    if not lines:
        raise BadInput(f"The {what} is empty. Type its numbers, one row a line, for example “0 1” and “2 3”.")
    rows = [_numbers(line, f"row {at} of the {what}") for at, line in enumerate(lines, 1)]
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        listed = ", ".join(str(len(row)) for row in rows)
        raise BadInput(f"The rows of the {what} have {listed} numbers. Give every row equally many.")
    if max(len(rows), len(rows[0])) > most:
        raise BadInput(f"The {what} has {len(rows)}×{len(rows[0])} numbers; at most {most}×{most} can be shown.")
    return np.array(rows)


def row_of(text: str, what: str, most: int) -> np.ndarray:
    """(n,) float64 of a text with one row. Raises BadInput as `table` does."""
    found = table(text.replace("\n", " "), what, most)
    return found.ravel()


def tables(text: str, what: str, most: int, many: int) -> np.ndarray:
    """(n, rows, cols) float64 of a text with one table, or several of one size set apart by empty lines.

    `what`: the name of one of them; `many`: tables at most. Raises BadInput as `table` does."""
    blocks = [block for block in re.split(r"\n[ \t]*\n", text) if block.strip()]
    if len(blocks) <= 1:
        return table(text, what, most)[None]
    if len(blocks) > many:
        raise BadInput(f"Got {len(blocks)} tables of the {what}; at most {many} can be shown.")
    found = [table(block, f"{what} {at}", most) for at, block in enumerate(blocks, 1)]
    sizes = {one.shape for one in found}
    if len(sizes) > 1:
        shapes = ", ".join("×".join(map(str, one.shape)) for one in found)
        raise BadInput(f"The tables of the {what} have {shapes} numbers. Give every one the same size.")
    return np.stack(found)


def _numbers(line: str, where: str) -> list[float]:
    return [_number(word, f"number {at} in {where}") for at, word in enumerate(line.replace(",", " ").split(), 1)]


def _number(word: str, where: str) -> float:
    try:
        plain = word.replace("−", "-")
        value = float(Fraction(plain)) if "/" in plain else float(plain)
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise BadInput(f"{word[:40]!r}, {where}, is not a number. Write it as 2, −0.5 or 1/9.") from error
    if not abs(value) <= LARGEST:  # also what is not a number at all
        raise BadInput(f"{word[:40]!r}, {where}, is too large to be shown; at most {LARGEST:,.0f} either way.")
    return value


def written(values: Any) -> str:
    """A table, or several (n, rows, cols), as the text that `table` and `tables` read."""
    if np.ndim(values) == 3:
        return "\n\n".join(map(written, values))
    return "\n".join(" ".join(f"{value:g}" for value in row) for row in np.atleast_2d(np.asarray(values)))


def numbers_box(label: str, key: str, default: str, lines: int = 1, several: bool = False) -> str:
    """A field for numbers whose text lives in the URL while it differs from `default`. `several`: for `tables`."""
    address.prepare(key, default, lambda text: text or None)
    if lines == 1:
        text = st.text_input(label, key=key, persist_state="session")
    else:
        height = 34 + 24 * lines
        text = st.text_area(
            label,
            key=key,
            persist_state="session",
            height=height,
            help=f"One row a line, as 2, −0.5 or 1/9{NEXT if several else ''}. Ctrl+Enter takes it over.",
        )
    address.record(key, text, default)
    return text


def whole(label: str, key: str, default: int, low: int, high: int) -> int:
    """A whole number between `low` and `high`, in the URL."""
    return int(controls.bind(st.number_input, label, key, default, min_value=low, max_value=high, step=1))


def decimal(label: str, key: str, default: float, low: float, high: float, step: float = 0.1, **options: Any) -> float:
    """A slider over numbers with decimals between `low` and `high`, in the URL. `options`: of `st.slider`."""

    def parse(text: str) -> float | None:
        try:
            return value if low <= (value := float(text)) <= high else None
        except ValueError:
            return None

    address.prepare(key, default, parse)
    value = st.slider(label, low, high, step=step, key=key, persist_state="session", **options)
    address.record(key, round(value, 6), default)
    return float(value)


def counter(label: str, key: str, default: int, high: int) -> int:
    """A slider from 1 to `high`, in the URL; none where there is only one choice."""
    if high == 1:
        return 1
    return int(controls.bind(st.slider, label, key, default, min_value=1, max_value=high, step=1))
