"""Write the table of concepts, docs/concepts.md, from docs/concepts.yaml: `python -m benchmarks.concept_table`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import yaml

from app.shell.pages import list_pages

DOCS = Path(__file__).resolve().parents[1] / "docs"
SOURCE, TABLE = DOCS / "concepts.yaml", DOCS / "concepts.md"
HERE = "http://localhost:8501"
HEAD = """# Concepts, and where the app shows them

{count} concepts of lectures on convolutional networks, each with the page and the view that show it; start the app and
follow the link. Written from `docs/concepts.yaml` by `python -m benchmarks.concept_table`; a test opens every address.
In rows marked † the figures are quoted from papers; all others are computed while you look, or were computed by cnnviz
and say how.
"""


@dataclass(frozen=True, slots=True)
class Concept:
    """One row. `page`: its address, "" for Home; `query`: of the view; `shows`: words that are there and make the
    point; `published`: whether the figures are quoted."""

    section: str
    name: str
    page: str
    query: dict[str, str]
    shows: str
    published: bool

    @property
    def address(self) -> str:
        """What stands behind the host, "playground?view=Matrix"."""
        return f"{self.page}?{urlencode(self.query)}" if self.query else self.page

    @property
    def view(self) -> str:
        """The view in words: the page's title, and the choices that name a view."""
        titles = {entry.address: entry.title for entry in list_pages()}
        named = [self.query[key] for key in ("view", "topic", "chart", "transfer") if key in self.query]
        return ", ".join([titles[self.page], *named])


def read_concepts() -> Iterator[Concept]:
    """All rows in their order. Raises KeyError or TypeError for a file of another form."""
    for part in yaml.safe_load(SOURCE.read_text(encoding="utf-8")):
        for row in part["concepts"]:
            page = "" if row["page"] == "home" else str(row["page"])
            query = {str(key): str(value) for key, value in row["query"].items()}
            published = bool(row.get("published"))
            yield Concept(part["section"], row["concept"], page, query, str(row["shows"]), published)


def write_table() -> str:
    """The table as Markdown."""
    rows = list(read_concepts())
    parts, section = [HEAD.format(count=len(rows))], ""
    for row in rows:
        if row.section != section:
            section = row.section
            parts.append(f"\n## {section}\n\n| Concept | Where |\n|---|---|\n")
        mark = " †" if row.published else ""
        parts.append(f"| {row.name}{mark} | [{row.view}]({HERE}/{row.address}) |\n")
    return "".join(parts)


if __name__ == "__main__":
    TABLE.write_text(write_table(), encoding="utf-8")
