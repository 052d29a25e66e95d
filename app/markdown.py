"""Text that others wrote, in places that read Markdown: errors with a file's name in them, class names, labels."""

import re

from app import access
from app.session import uploads

_LINKS = re.compile(r"([\[\]<>$])")
_ALL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&])")


def plain(text: str) -> str:
    """A message of our own with others' text in it: code and emphasis stay; pictures, links, formulas and HTML are
    shown as they are written. A picture in Markdown would be fetched from wherever its address says. Folders of this
    computer are named to those alone who may see its disk."""
    if not access.may_see_the_disk():
        text = uploads.without_folders(text)
    return _LINKS.sub(r"\\\1", text)


def literal(text: str) -> str:
    """Text of others alone: nothing of it is read as Markdown, and it stays on its line."""
    return _ALL.sub(r"\\\1", " ".join(text.split()))
