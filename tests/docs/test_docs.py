"""The examples of the documentation run, and show what they say they show."""

import ast
import doctest
import io
import tokenize
from pathlib import Path
from typing import Any

import pytest
from docpages import PAGES, Block, blocks

import cnnviz
from cnnviz.models.catalogue import architecture, plugins

ALSO = {"attribute": "cnnviz.attribution.attribute"}  # documented beside the names of `import cnnviz`
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.fixture
def namespace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Where examples run: an empty folder, an empty namespace, and a catalogue that forgets what they register."""
    architecture.published()
    monkeypatch.setattr(architecture, "_CATALOGUE", dict(architecture._CATALOGUE))
    monkeypatch.setattr(plugins, "_typed", set())
    monkeypatch.chdir(tmp_path)
    return {"__name__": "examples_of_the_documentation"}


def public(name: str) -> Any:
    module = ALSO.get(name)
    return getattr(cnnviz if module is None else __import__(module, fromlist=[name]), name)


@pytest.mark.parametrize("name", [*cnnviz.__all__, *ALSO])
def test_the_example_of_a_public_name_shows_what_it_says(name: str, namespace: dict[str, Any]) -> None:
    examples = doctest.DocTestParser().get_examples(public(name).__doc__)
    assert examples, f"{name} has no example in its docstring"
    test = doctest.DocTest(examples, namespace, name, None, None, None)
    told: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=told.append)
    assert not told, "".join(told)


def run(block: Block, namespace: dict[str, Any]) -> None:
    """Run a block; where an expression's line ends in "# → value", that is what it gives."""
    comments = {
        token.start[0]: token.string.removeprefix("# →").strip()
        for token in tokenize.generate_tokens(io.StringIO(block.text).readline)
        if token.type == tokenize.COMMENT and token.string.startswith("# →")
    }
    for statement in ast.parse(block.text).body:
        expected = comments.pop(statement.end_lineno, None)
        if expected is None:
            exec(compile(ast.Module([statement], []), "block", "exec"), namespace)
            continue
        assert isinstance(statement, ast.Expr), f"“→ {expected}” stands behind no expression"
        found = repr(eval(compile(ast.Expression(statement.value), "block", "eval"), namespace))
        assert found == expected, ast.unparse(statement)
    assert not comments, f"{comments}: on no line where a statement ends"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_python_blocks_of_a_page_run_from_top_to_bottom(path: Path, namespace: dict[str, Any]) -> None:
    for block in blocks(path, "python"):
        compile(block.text, str(path), "exec")
        if block.mark == "run":
            run(block, namespace)


def test_the_pages_about_the_library_have_blocks_that_run() -> None:
    counts = {path.stem: sum(block.mark == "run" for block in blocks(path, "python")) for path in PAGES}
    assert counts["README"] >= 2 and counts["notebook"] >= 12 and counts["own-network"] >= 2
