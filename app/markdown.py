"""Escape text that others wrote where Markdown is read: errors with a file's name in them, class names, labels."""

import re

from app import access
from app.session import uploads

_LINKS = re.compile(r"([\[\]<>$])")
_ALL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&])")


def escape_markdown(text: str) -> str:
    """Escape a message of our own with others' text in it, for Markdown.

    Code and emphasis stay; pictures, links, formulas and HTML are shown as they are written: a picture in Markdown
    would be fetched from wherever its address says. Folders of this computer are named only to who may see its disk."""
    if not access.may_see_the_disk():
        text = uploads.without_folders(text)
    return _LINKS.sub(r"\\\1", text)


def as_literal(text: str) -> str:
    """Escape text of others alone: nothing of it is read as Markdown, and it stays on its line."""
    return _ALL.sub(r"\\\1", " ".join(text.split()))
