"""Text in drawings: its width, the same on every machine, shortening it to fit, and a font to draw it with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from PIL import ImageFont

FAMILY = "Arial, 'Liberation Sans', Helvetica, sans-serif"
# Advance widths of Arial and of its metric twins, thousandths of the size, before the letters that have it.
_WIDTHS = (
    "222 ijl' 260 | 278 !,./:;\\ftI[]· 333 -()r` 389 * 469 ^ 500 ckvxyzsJ 556 abdeghnopquL#$0123456789?_– "
    "584 +<=>~×− 611 FTZ 667 ABEKPSVXY& 722 CDHNRUw 778 GOQ 833 Mm 889 % 944 W 1000 →…—"
).split()
_WIDTH_OF = {
    letter: int(width) for width, letters in zip(_WIDTHS[::2], _WIDTHS[1::2], strict=True) for letter in letters
} | {" ": 278}
_BOLDER = 1.07  # the bold cut is so much wider
_FILES = {
    False: ("LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf", "DejaVuSans.ttf"),
    True: ("LiberationSans-Bold.ttf", "Arial Bold.ttf", "arialbd.ttf", "DejaVuSans-Bold.ttf"),
}
_PLAIN = str.maketrans({"×": "x", "−": "-", "–": "-", "—": "-", "→": ">"})  # for a font without these signs


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Pixels that `text` takes at `size` pixels."""
    return sum(_WIDTH_OF.get(letter, 600) for letter in text) * size / 1000 * (_BOLDER if bold else 1.0)


def shorten(text: str, size: float, room: float, bold: bool = False) -> str:
    """`text`, or as much of its end as fits into `room` pixels behind "…": names differ at their ends."""
    if text_width(text, size, bold) <= room:
        return text
    while text and text_width("…" + text, size, bold) > room:
        text = text[1:]
    return "…" + text if text else ""


def truncate(text: str, size: float, room: float, bold: bool = False, loose: str = "") -> str:
    """`text`, or as much of its beginning as fits into `room` pixels before "…". `loose`: letters that do not stand
    before it."""
    if text_width(text, size, bold) <= room:
        return text
    while text and text_width(text + "…", size, bold) > room:
        text = text[:-1]
    return text.rstrip(loose) + "…" if loose else text + "…"


def size_text(size: Sequence[float] | None) -> str:
    """(3, 5) → "3×5", (2.5, 4.0) → "2.5×4"; "" for None."""
    return "" if size is None else "×".join(f"{n:g}" if isinstance(n, float) else str(n) for n in size)


@cache
def load_font(size: int, bold: bool = False) -> tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, bool]:
    """A font of `size` pixels, and whether it has signs beyond ASCII."""
    for name in _FILES[bold]:
        try:
            return ImageFont.truetype(name, size), True
        except OSError:  # not on this machine
            continue
    return ImageFont.load_default(size=size), False


def fit_font(text: str, size: float, bold: bool) -> tuple[str, ImageFont.FreeTypeFont | ImageFont.ImageFont]:
    """The text as the font can write it, and the font, smaller where its letters are wider than Arial's."""
    drawn, complete = load_font(round(size), bold)
    text = text if complete else text.translate(_PLAIN)
    room = text_width(text, size, bold) * 1.03
    long = drawn.getlength(text)
    if long > room > 0:
        drawn, _ = load_font(max(1, int(size * room / long)), bold)
    return text, drawn
