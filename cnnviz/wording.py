"""Counts with their nouns: "1 image", "12 images"."""

from __future__ import annotations

_IRREGULAR = {"axis": "axes", "epoch": "epochs", "index": "indexes", "maximum": "maxima"}
_HISSING = ("s", "x", "ch", "sh")


def plural(count: float | str, noun: str) -> str:
    """ "1 image", "0 images", "1,281,167 images", "2 forward passes".

    `count`: a number, written with thousands separators, or the text of a rounded one: "1", "1.25 M". `noun`: in the
    singular; its last word takes the ending."""
    text = count if isinstance(count, str) else f"{count:,}"
    if text in ("1", "-1", "−1"):
        return f"{text} {noun}"
    *before, last = noun.split(" ")
    many = _IRREGULAR.get(last) or (f"{last}es" if last.endswith(_HISSING) else f"{last}s")
    return " ".join([text, *before, many])
