"""README and docs/ as Markdown: their blocks of code, links, pictures and commands."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<picture>!?)\[(?P<words>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_INLINE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block. `language`, `mark`: first word of the fence and the rest ("run", "file=pages/x.py")."""

    language: str
    mark: str
    text: str


def blocks(path: Path, *languages: str) -> list[Block]:
    """The fenced blocks in these languages, in order."""
    found = []
    for match in _FENCE.finditer(path.read_text(encoding="utf-8")):
        language, _, mark = match["info"].strip().partition(" ")
        found.append(Block(language, mark.strip(), match["text"]))
    return [block for block in found if block.language in languages]


def prose(path: Path) -> str:
    """The page without its fenced blocks; a line break within a sentence is a space."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    return re.sub(r"(?<=\S)\n(?=[^\s#|!>-])", " ", text)


def links(path: Path) -> list[tuple[str, str]]:
    """(words, target) of all links that are no pictures."""
    return [(m["words"], m["target"]) for m in _LINK.finditer(prose(path)) if not m["picture"]]


def pictures(path: Path) -> list[tuple[str, str]]:
    """(alternative text, target) of all pictures."""
    return [(m["words"], m["target"]) for m in _LINK.finditer(prose(path)) if m["picture"]]


def inline(path: Path) -> list[str]:
    """Everything set as code within the text."""
    return _INLINE.findall(prose(path))


def anchors(path: Path) -> set[str]:
    """What a link may name behind "#": the headings as GitHub writes them."""
    heads = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def commands(path: Path) -> Iterator[list[str]]:
    """The words of every command line in a shell block or within the text, without settings like NAME=value."""
    lines = [line for block in blocks(path, "sh") for line in block.text.replace("\\\n", " ").splitlines()]
    starts = ("cnnviz ", "make ", "streamlit run ", "torchrun ", "python -m ")
    lines += [code for code in inline(path) if code.startswith(starts)]
    for line in lines:
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        if words:
            yield words
