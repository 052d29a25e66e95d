"""The files of loss landscapes in a folder, as they come and go."""

from pathlib import Path

import pytest

from cnnviz.landscape.bundled import landscapes


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("CNNVIZ_LANDSCAPES", str(tmp_path / "surfaces"))
    return tmp_path / "surfaces"


def test_files_that_come_and_go_are_seen_at_once(shelf: Path):
    assert landscapes() == {}
    shelf.mkdir()
    assert landscapes() == {}
    for name in ("b-seed1.npz", "b-seed0.npz", "a-epoch010.npz", "a-epoch002.npz", "a-plane.npz", "a-trajectory.npz"):
        (shelf / name).touch()
    found = landscapes()
    assert list(found) == ["a", "b"] and list(found["b"].seeds) == [0, 1] and list(found["a"].epochs) == [2, 10]
    assert found["a"].plane == shelf / "a-plane.npz" and found["b"].trajectory is None
    (shelf / "b-seed0.npz").unlink()
    assert list(landscapes()["b"].seeds) == [1]


def test_names_of_another_form_are_passed_over(shelf: Path):
    shelf.mkdir()
    for name in ("a-seed.npz", "a-plane3.npz", "a-other1.npz", "notes.txt", "a.npz"):
        (shelf / name).touch()
    assert landscapes() == {}
