"""The notebooks of examples/: they run from top to bottom, and every cell shows something."""

import ast
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import cnnviz
from cnnviz.models.catalogue import architecture, plugins

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BYTES = 1_000_000  # of what one cell shows


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The namespace of a notebook: a `__main__` without a file. What it registers is gone afterwards."""
    architecture.published()
    monkeypatch.setattr(architecture, "_CATALOGUE", dict(architecture._CATALOGUE))
    monkeypatch.setattr(plugins, "_typed", set())
    module = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    return vars(module)


def cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def run(cell: dict[str, Any], session: dict[str, Any]) -> Any:
    """Run a cell; the value of its last expression."""
    body = ast.parse("".join(cell["source"])).body
    *before, last = body
    exec(compile(ast.Module(before, []), "cell", "exec"), session)
    assert isinstance(last, ast.Expr), "the last line of a cell shows something"
    return eval(compile(ast.Expression(last.value), "cell", "eval"), session)


def shown(value: Any) -> str | bytes:
    """What a notebook would show of `value`."""
    for name in ("_repr_html_", "_repr_png_"):
        if hasattr(value, name):
            found = getattr(value, name)()
            assert found, f"{name} of {type(value).__name__} gives nothing"
            return found
    return repr(value)


def test_there_are_examples() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.ipynb")} >= {"top9_patches", "own_network"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_and_every_cell_shows_something_small(path: Path, session: dict[str, Any]) -> None:
    pictures = 0
    for cell in cells(path):
        found = shown(run(cell, session))
        assert 0 < len(found) < BYTES and found not in ("None", "''")
        pictures += isinstance(found, str) and "<img" in found and "No pictures" not in found
    assert pictures >= 3


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    for cell in cells(path):
        assert cell["outputs"] == [] and cell["execution_count"] is None and cell["id"]


def test_a_cell_that_registers_a_network_can_be_run_again(session: dict[str, Any]) -> None:
    first, *_rest = cells(EXAMPLES / "own_network.ipynb")
    run(first, session)
    wider = {"source": ["".join(first["source"]).replace("3, 16, 3", "3, 24, 3").replace("(16, 32", "(24, 32")]}
    assert run(wider, session).module.stem[0].out_channels == 24
    assert cnnviz.anatomy("tiny_net").rows[0].output[0] == 24
