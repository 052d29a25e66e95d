"""docs/extending.md, carried out: its files and changes go into a copy of the project, and its tests pass there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docpages import ROOT, Block, blocks

PAGE = ROOT / "docs" / "extending.md"
CODE = ("app", "cnnviz", "pages", ".streamlit")
FAMILIES, ROW = "cnnviz/models/families/", "tests/helpers/published_counts.py"
COUNTS = "tests/models/catalogue/test_published_counts.py"
HARNESS = (
    "tests/conftest.py",
    "tests/helpers/fileserver.py",
    "tests/app/conftest.py",
    "tests/helpers/app_pages.py",
    ROW,
    COUNTS,
)
QUIET = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist")


@pytest.mark.slow
def test_a_new_architecture_is_one_file_and_one_row(tmp_path: Path) -> None:
    project = copied(tmp_path / "project")
    (file,) = [block for block in blocks(PAGE, "python") if file_of(block).startswith(FAMILIES)]
    (row,) = [block for block in blocks(PAGE, "diff") if file_of(block) == ROW]
    write(project, file)
    change(project, row)
    assert "2 passed" in run(project, "-m", "pytest", *QUIET, COUNTS, "-k", "catalogue_holds or ones[lenet_1]")
    code = "import cnnviz; from cnnviz.models.recognise.recognise import recognise; "
    assert "['lenet_1']" in run(project, "-c", code + "print(recognise(cnnviz.build('lenet_1', 3).state_dict()))")


@pytest.mark.slow
def test_the_worked_examples_pass_their_own_tests_in_a_copy_of_the_project(tmp_path: Path) -> None:
    project = copied(tmp_path / "project")
    for block in blocks(PAGE, "python"):
        write(project, block)
    for block in blocks(PAGE, "diff"):
        change(project, block)
    tests = [name for block in blocks(PAGE, "python") if (name := file_of(block)).startswith("tests/")]
    assert len(tests) == 2
    assert "4 passed" in run(project, "-m", "pytest", *QUIET, *tests)


def run(project: Path, *words: str) -> str:
    """What Python prints in the copy; it has to end well."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    own |= {"PYTHONPATH": str(project), "CNNVIZ_ASSETS": str(ROOT / "assets")}
    done = subprocess.run([sys.executable, *words], cwd=project, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copied(project: Path) -> Path:
    """The project's code and what the tests of the app need of the tests."""
    for name in CODE:
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in HARNESS:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    (project / "assets").symlink_to(ROOT / "assets")
    settings = "[pytest]\npythonpath = . tests/helpers\n"
    (project / "pytest.ini").write_text(settings, encoding="utf-8")
    return project


def file_of(block: Block) -> str:
    found = re.fullmatch(r"file=([\w./]+)", block.mark)
    assert found, f"a block without its file: {block.text[:60]!r}"
    return found[1]


def write(project: Path, block: Block) -> None:
    """A new file. What the page adds must not be there already."""
    path = project / file_of(block)
    assert not path.exists(), path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")


def change(project: Path, block: Block) -> None:
    """Replace what the block shows with " " and "-" by what it shows with " " and "+"; it stands there once."""
    path, lines = project / file_of(block), block.text.splitlines()
    before = "\n".join(line[1:] for line in lines if line[0] in " -")
    after = "\n".join(line[1:] for line in lines if line[0] in " +")
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{path.name} has changed: {before!r}"
    path.write_text(text.replace(before, after), encoding="utf-8")
