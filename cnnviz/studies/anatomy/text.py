"""Text for counts, sizes and columns: "64×56×56", "15.5 G", "12.8 MB", aligned columns."""

from __future__ import annotations

from collections.abc import Sequence


def format_size(value: Sequence[int] | None) -> str:
    """ "64×56×56"; empty for None."""
    return "×".join(str(n) for n in value) if value else ""


def format_count(count: int) -> str:
    """Three digits and a unit: 819 M, 15.5 G, 1.25 M; empty for 0."""
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= unit * 0.9995:
            return f"{_digits(count / unit)} {name}"
    return str(count) if count else ""


def format_memory(values: int) -> str:
    """Float32 memory of so many values, in units of 1000 bytes: "12.8 MB"."""
    count = values * 4
    return f"{format_count(count)}B" if count >= 1000 else f"{count} B" if count else ""


def format_total_memory(values: int) -> str:
    """As `format_memory`, with two decimals from a megabyte on: "60.95 MB"."""
    return f"{values * 4 / 1e6:,.2f} MB" if values * 4 >= 10**6 else format_memory(values)


def _digits(number: float) -> str:
    return f"{number:.2f}" if number < 9.995 else f"{number:.1f}" if number < 99.95 else f"{number:.0f}"


def align_columns(
    lines: Sequence[Sequence[str]], right: Sequence[int], cut: Sequence[int], width: int = 120
) -> list[str]:
    """`lines` as text in columns of at most `width` characters together.

    `right`: columns set to the right. `cut`: columns whose long cells lose their middle, the first until
    it is down to an eighth of the width, then the next."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for column in cut:
        excess = sum(widths) + 2 * (len(widths) - 1) - width
        widths[column] = max(min(widths[column], width // 8), widths[column] - max(excess, 0))
    return [
        "  ".join(
            _cut(cell, room).rjust(room) if i in right else _cut(cell, room).ljust(room)
            for i, (cell, room) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _cut(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    tail = (room - 1) * 2 // 3
    return f"{text[: room - 1 - tail]}…{text[len(text) - tail :]}"
