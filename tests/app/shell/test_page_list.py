"""The list of pages: read from their files, which are not run."""

import pytest

from app.shell import pages
from app.shell.pages import list_pages


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "FOLDER", tmp_path)
    list_pages.cache_clear()
    yield tmp_path
    list_pages.cache_clear()


def page(place: int, address: str, title: str = "One") -> str:
    entry = {"title": title, "address": address, "icon": ":material/home:", "place": place}
    return f'"""A page."""\n\nPAGE = {entry}\n\nraise RuntimeError("this file was run")\n'


def test_pages_stand_in_the_order_of_their_places(folder):
    (folder / "a.py").write_text(page(20, "second", "Later"))
    (folder / "b.py").write_text(page(10, ""))
    assert [(entry.file, entry.title, entry.address) for entry in list_pages()] == [
        ("b.py", "One", ""),
        ("a.py", "Later", "second"),
    ]


def test_a_page_without_its_line_is_named(folder):
    (folder / "bare.py").write_text('"""A page."""\n')
    with pytest.raises(ValueError, match="bare.py needs a line PAGE = "):
        list_pages()


def test_two_pages_of_one_address_are_refused(folder):
    (folder / "a.py").write_text(page(1, "same"))
    (folder / "b.py").write_text(page(2, "same"))
    with pytest.raises(ValueError, match="one address"):
        list_pages()


def test_the_app_opens_on_home_and_has_its_pages_in_their_order():
    addresses = [entry.address for entry in list_pages()]
    assert addresses[0] == "" and {"inspect", "feature-maps", "top-9", "landscape"} < set(addresses)
