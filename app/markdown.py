"""Show what others wrote as plain text where Streamlit reads Markdown: file names, class names, titles, links' words.

`as_literal` for their words alone, `as_code` for the same as code, `escape_markdown` for a sentence of ours that quotes
them. A backslash keeps Markdown's own marks (CommonMark 0.31, section 2.4). It does not keep what Streamlit finds in
the text after that: addresses, icons (`:material/…:`), arrows and dashes; an invisible character that joins words
(U+2060) keeps those apart."""

from __future__ import annotations

import re

from app import access
from app.session import uploads

_MARKS = re.compile(r"([\\`*{}\[\]<>$~|&^]|(?<![^\W_])_|_(?![^\W_]))")  # no _ between letters
_BEGINS = re.compile(r"^(\d*|#*)([#=+\-.)])(?=\s|$)")  # a heading, a line below one, an item of a list
_JOIN = "\u2060"
_BLANKS = re.compile(r"[^\S\u00a0\u202f]+")
_FOUND_LATER = re.compile(
    r"(?<=:)(?=[\w+/\-])|(?<=@)(?=[\w\-]+\.)|(?<=\bwww)(?=\.)|(?<=[-<>=~])(?=[-<>=~])", re.IGNORECASE
)
_OWN_CODE = re.compile(r"(`(?:cnnviz|pip install|docs/|model\.|scripted\.|load_labelled|\.astype|CNNVIZ_)[^`\n]*`)")


def as_literal(text: str) -> str:
    """Text of others on one line, of which nothing is read as Markdown."""
    return _escape(_one_line(text))


def as_code(text: str) -> str:
    """Text of others on one line, set as code."""
    line = _one_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}" if line else ""


def _one_line(text: str) -> str:
    """The text with single blanks in it; those that hold a number and its unit together stay."""
    return _BLANKS.sub(" ", text).strip()


def escape_markdown(text: str) -> str:
    """A message with others' text in it, its lines kept: nothing of it is read as Markdown but the commands that it
    names as code. Folders of this computer are named only to who may see its disk."""
    if not access.may_see_the_disk():
        text = uploads.without_folders(text)
    return "  \n".join(_escape_line(line.strip()) for line in text.strip().split("\n"))


def _escape_line(line: str) -> str:
    parts = _OWN_CODE.split(line)  # every other one is code
    return "".join(
        part if number % 2 else _escape(part) for number, part in enumerate(parts)
    )  # only the first begins it


def _escape(text: str) -> str:
    return _BEGINS.sub(r"\1\\\2", _MARKS.sub(r"\\\1", _FOUND_LATER.sub(_JOIN, text)))
