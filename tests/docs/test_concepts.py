"""The table of concepts is what its file says; its pages are pages, and no concept stands twice."""

from app.shell.pages import list_pages
from benchmarks.concept_table import TABLE, read_concepts, write_table


def test_the_table_is_written_from_the_file():
    assert TABLE.read_text(encoding="utf-8") == write_table()


def test_107_concepts_each_have_a_page_and_words_to_look_for():
    rows = list(read_concepts())
    assert len(rows) == len({row.name for row in rows}) == 107
    assert {row.page for row in rows} <= {entry.address for entry in list_pages()}
    assert all(len(row.shows) >= 1 for row in rows) and 0 < sum(row.published for row in rows) < 20
