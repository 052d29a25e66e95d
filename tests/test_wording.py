"""Counts and their nouns agree, wherever a text is made."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from source_tree import ROOT, sources

from cnnviz.wording import plural

NOUNS = (
    "images maps channels layers files networks classes units points parameters blocks winners filters kernels "
    "numbers epochs shifts tensors steps groups planes jobs sizes snapshots seeds photographs patches rows columns "
    "values bytes measurements students stops choices frames labels crops directions slopes axes outputs names pixels "
    "places weights inputs"
).split()
COUNTED = re.compile(rf" (?:more |further |other |labelled |input |of them )?({'|'.join(NOUNS)})\b")
# "bundled weights", "have 3, 2 numbers"
ADJECTIVES = re.compile(r"(listed|shapes|weights|pattern|origin|kind|split|raw|words?|name|what|model|said)\b")
SPELT = re.compile(r"^'(s|es)'")  # f"{n} image{'s' if n > 1 else ''}"


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (1, "image", "1 image"),
        (0, "image", "0 images"),
        (2, "class", "2 classes"),
        (1, "class", "1 class"),
        (3, "axis", "3 axes"),
        (9, "patch", "9 patches"),
        (2, "forward pass", "2 forward passes"),
        (1, "forward pass", "1 forward pass"),
        (1_281_167, "image", "1,281,167 images"),
        ("1.25 M", "parameter", "1.25 M parameters"),
        ("1", "image", "1 image"),
        (-1, "pixel", "-1 pixel"),
        (1.5, "image", "1.5 images"),
    ],
)
def test_a_count_and_its_noun_agree(count, noun, text):
    assert plural(count, noun) == text


def counted_by_hand(path: Path) -> Iterator[str]:
    """Places of `path` where a number stands before a plural that is there whatever the number is."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        parts = [*node.values, ast.Constant("")]
        for before, part, after in zip([ast.Constant(""), *parts], parts, parts[1:], strict=False):
            if not isinstance(part, ast.FormattedValue):
                continue
            source = ast.unparse(part.value)
            dimension = isinstance(before, ast.Constant) and str(before.value).endswith(("×", "%"))  # 3×3 units
            measured = isinstance(part.value, ast.Call) and "_text" in source  # 4.2 pixels, 3×3 units
            rounded = part.format_spec is not None and re.search(r"\.\d", ast.unparse(part.format_spec))
            constant = re.fullmatch(r"[\w.]*\b_?[A-Z][A-Z_]+", source)
            if SPELT.match(source):
                yield f"{path.relative_to(ROOT)}:{part.lineno} {source}"
            if dimension or measured or rounded or constant or ADJECTIVES.search(source):
                continue
            if isinstance(after, ast.Constant) and COUNTED.match(str(after.value)):
                yield f"{path.relative_to(ROOT)}:{part.lineno} {source}{after.value[:20]}"


def test_every_count_goes_through_plural():
    found = [where for path in sources("cnnviz", "app", "pages") for where in counted_by_hand(path)]
    assert not found, "write plural(count, noun):\n" + "\n".join(found)


def test_the_search_for_counts_finds_what_it_is_for(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    bad = tmp_path / "bad.py"
    bad.write_text("a = f'{n} images'\nb = f'{n:,} more channels'\nc = f\"{n} map{'s' if n > 1 else ''}\"\n")
    assert len(list(counted_by_hand(bad))) == 3
    bad.write_text("a = f'{plural(n, \"image\")} here'\nb = f'{h}×{w} pixels'\nc = f'{self.origin} weights'\n")
    assert not list(counted_by_hand(bad))
