"""Tours are files that a lecturer edits: what is right is read as it stands, what is wrong is said where it stands."""

import os
from pathlib import Path

import pytest

from cnnviz.errors import BadInput, UnknownName
from cnnviz.tours import LARGEST, MOST, NOTES, TITLE, load_tour, read_tour, tour_files

PAGES = ["", "filters", "unit"]
GOOD = """
title: A first look
stops:
  - {page: home, title: Start}
  - page: filters
    query: {net: lenet5, unit: 3, untrained: true, span: 0.5}
    title: Kernels
    notes: >
      Two lines
      of notes.
"""
STOP = "title: T\nstops:\n  - "
BAD = {
    "empty": ("", "found nothing"),
    "text": ("hello", "expected"),
    "list": ("- page: home", "found a list"),
    "number": ("7", "found 7"),
    "no title": ("stops: [{page: home, title: A}]", '"title" must be text; found nothing'),
    "title no text": ("title: 12\nstops: [{page: home, title: A}]", "found 12"),
    "title too long": (f"title: {'x' * (TITLE + 1)}\nstops: [{{page: home, title: A}}]", f"{TITLE + 1} characters"),
    "no stops": ("title: T", "at least one stop"),
    "stops empty": ("title: T\nstops: []", "at least one stop"),
    "stops a mapping": ("title: T\nstops: {page: home}", "found a dict"),
    "too many": ("title: T\nstops:" + "\n  - {page: home, title: A}" * (MOST + 1), f"at most {MOST} stops"),
    "unknown field": ("titel: T\nstops: [{page: home, title: A}]", "'titel'"),
    "stop a word": (STOP + "home", "stop 1: expected page, query, title, notes; found 'home'"),
    "stop without page": (STOP + "{title: A}", 'stop 1: "page" must be text'),
    "stop without title": (STOP + "{page: home}", 'stop 1: "title" must be text'),
    "unknown page": (STOP + "{page: filter, title: A}", "must be one of filters, unit, home; found 'filter'"),
    "path for a page": (STOP + "{page: ../../etc/passwd, title: A}", "must be one of"),
    "misspelt field": (STOP + "{page: home, title: A, note: B}", "stop 1: expected only page, query, title, notes"),
    "notes a list": (STOP + "{page: home, title: A, notes: [B]}", '"notes" must be text; found a list'),
    "notes too long": (STOP + f"{{page: home, title: A, notes: {'x' * (NOTES + 1)}}}", "at most"),
    "query a word": (STOP + "{page: home, title: A, query: net=lenet5}", "must hold choices"),
    "query a list": (STOP + "{page: home, title: A, query: [net]}", "must hold choices"),
    "query of queries": (STOP + "{page: home, title: A, query: {net: {a: 1}}}", "see 'net'; found a dict"),
    "query of nothing": (STOP + "{page: home, title: A, query: {net: }}", "see 'net'; found nothing"),
    "query with a number for a name": (STOP + "{page: home, title: A, query: {1: 2}}", "see 1"),
    "query with a tour": (STOP + "{page: home, title: A, query: {tour: other}}", "cannot hold"),
    "second stop": (STOP + "{page: home, title: A}\n  - {page: home}", "stop 2"),
    "colon in a text": (STOP + "page: home\n    title: A: B", "line 4"),
    "tab": ("title: T\nstops:\n\t- page: home", "line 3"),
    "open bracket": ("title: [", "not valid YAML"),
    "two documents": ("title: T\n---\ntitle: U", "not valid YAML"),
    "undefined alias": ("title: *a", "not valid YAML"),
    "nested deeply": ("[" * 5000, "not valid YAML"),
    "impossible date": ("title: 2024-13-45", "not valid YAML"),
    "code": ("!!python/object/apply:os.system ['echo']", "not valid YAML"),
    "control character": ("title: \x07", "not valid YAML"),
}


def written(folder: Path, text: str, name: str = "mine") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_tour_is_read_as_it_stands(tmp_path: Path):
    tour = read_tour(written(tmp_path, GOOD), PAGES)
    assert (tour.name, tour.title, len(tour.stops)) == ("mine", "A first look", 2)
    assert (tour.stops[0].page, tour.stops[0].query, tour.stops[0].notes) == ("", {}, "")
    second = tour.stops[1]
    assert second.query == {"net": "lenet5", "unit": "3", "untrained": "True", "span": "0.5"}
    assert (second.page, second.title, second.notes) == ("filters", "Kernels", "Two lines of notes.")


def test_a_tour_that_is_changed_while_the_app_runs_is_read_anew(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("title: First\nstops:\n  - {page: filters, title: One}\n")
    assert read_tour(path).title == "First"
    path.write_text("title: Other\nstops:\n  - {page: filters, title: One}\n")  # as many bytes
    os.utime(path, ns=(1, 1))
    assert read_tour(path).title == "Other"
    path.write_text("title: [\n")
    for _ in range(2):
        with pytest.raises(BadInput, match="YAML"):
            read_tour(path)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_tour_is_refused_with_its_file_the_place_and_what_was_expected(case: str, tmp_path: Path):
    text, said = BAD[case]
    with pytest.raises(BadInput) as raised:
        read_tour(written(tmp_path, text), PAGES)
    assert "mine.yaml" in str(raised.value) and said in str(raised.value)
    assert len(str(raised.value)) < 600 + len(str(tmp_path))


def test_aliases_that_multiply_cost_nothing_and_are_refused(tmp_path: Path):
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    with pytest.raises(BadInput, match="expected only title, stops"):
        read_tour(written(tmp_path, "\n".join(lines)), PAGES)
    bomb = "title: T\nstops:\n  - {page: home, title: A, query: {net: " + "[" * 20 + "]" * 20 + "}}"
    with pytest.raises(BadInput, match="found a list"):
        read_tour(written(tmp_path, bomb), PAGES)


def test_files_that_are_no_text_too_large_or_gone_are_refused(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"title: \xff\xfe")
    with pytest.raises(BadInput, match="UTF-8"):
        read_tour(path)
    path.write_bytes(b"#" * (LARGEST + 1))
    with pytest.raises(BadInput, match="256 KiB"):
        read_tour(path)
    path.unlink()
    with pytest.raises(BadInput, match="cannot be read"):
        read_tour(path)


def test_a_tour_of_one_s_own_comes_first_and_names_never_leave_the_folders(tmp_path: Path, monkeypatch):
    folder = tmp_path / "own"
    folder.mkdir()
    written(folder, GOOD, "lecture")
    written(folder, GOOD, "other")
    written(folder, GOOD, "no name")
    written(tmp_path, GOOD, "outside")
    monkeypatch.setenv("CNNVIZ_TOURS", str(folder))
    assert {"lecture", "other"} <= set(tour_files()) and "no name" not in tour_files()
    assert load_tour("lecture").title == "A first look"
    for name in ("../outside", str(tmp_path / "outside"), "", "lectur", "x" * 5000):
        with pytest.raises(UnknownName, match="Tours here: how-networks-learn, lecture, other") as raised:
            load_tour(name)
        assert len(str(raised.value)) < 300
    with pytest.raises(UnknownName, match="Closest: lecture"):
        load_tour("lectur")


def test_the_bundled_lecture_names_pages_and_choices_that_exist(monkeypatch):
    from app.shell.pages import list_pages
    from cnnviz.models.catalogue.registry import find

    monkeypatch.delenv("CNNVIZ_TOURS", raising=False)
    tour = load_tour("lecture", [entry.address for entry in list_pages()])
    assert 10 <= len(tour.stops) <= 15
    assert {"filters", "feature-maps", "top-9", "equivariance", "playground", "anatomy"} <= {s.page for s in tour.stops}
    for stop in tour.stops:
        find(stop.query.get("net", "resnet20_cifar"))
        assert stop.notes
