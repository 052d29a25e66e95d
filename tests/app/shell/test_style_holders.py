"""The style sheets of the frame: none makes the browser style the whole page anew for a single new element."""

import re
from pathlib import Path

import pytest

THEME = Path(__file__).resolve().parents[3] / "assets" / "theme"
HOLDERS = ("html", ":root", "body", "stApp", "stMain", "stMainBlockContainer", "cnnviz_body", "cnnviz_page")
_COMPOUND = re.compile(r"([^\s>~+,{}]*?):(?:not\(:)?has\(")


def find_holders(style: str) -> list[str]:
    """The compounds of a style sheet that have `:has()` and name an element that holds the page."""
    found = [match[1] for match in _COMPOUND.finditer(re.sub(r"/\*.*?\*/", "", style, flags=re.S))]
    return [
        one
        for one in found
        if any(
            re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", one) or one.endswith(f"st-key-{name}")
            for name in HOLDERS
        )
    ]


@pytest.mark.parametrize("path", sorted(THEME.glob("*.css")), ids=lambda path: path.name)
def test_no_element_that_holds_the_page_depends_on_what_is_in_it(path: Path):
    assert find_holders(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "rule",
    [
        "html:has([a]) p {}",
        'html:not(:has([a])) [data-testid="x"]:has(> .y) {}',
        '[data-testid="stMainBlockContainer"]:not(:has(.a)) .b {}',
        "@media (width < 9px) { .st-key-cnnviz_body:has(.c) h1 {} }",
    ],
)
def test_such_rules_are_found(rule: str):
    assert len(find_holders(rule)) == 1
