"""Every concept of the table opens by its address and shows the point that it is there for."""

from urllib.parse import urlencode

import pytest
from visitors import Visitor

from benchmarks.concept_table import read_concepts

pytestmark = pytest.mark.browser

ROWS = list(read_concepts())
WORDS = """() => {
  const found = [], look = (node) => {
    if (node.nodeType === 3) found.push(node.data)
    if (node.nodeType !== 1 || node.tagName === "STYLE" || node.tagName === "SCRIPT") return
    for (const name of ["aria-label", "alt", "value"]) if (node.getAttribute(name)) found.push(node.getAttribute(name))
    if (node.value) found.push(String(node.value))
    for (const child of [...node.childNodes, ...(node.shadowRoot ? node.shadowRoot.childNodes : [])]) look(child)
  }
  look(document.querySelector("[data-testid=stMain]"))
  return found.join(" ").replace(/\\s+/g, " ")
}"""


def addresses() -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """{page: [(query, words to look for)]}, an address once."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in ROWS:
        found.setdefault(row.page, {}).setdefault(urlencode(row.query), []).append(row.shows)
    return {page: [(query, tuple(words)) for query, words in one.items()] for page, one in found.items()}


@pytest.mark.parametrize("page", addresses())
def test_every_concept_shows_its_point(visitor: Visitor, page: str):
    missing = []
    for query, words in addresses()[page]:
        visitor.open(page, query)
        try:
            visitor.until(lambda words=words: all(one in visitor.tab.evaluate(WORDS) for one in words), "its point")
        except AssertionError:
            missing.append(f"{page}?{query}: {words}")
    assert not missing
