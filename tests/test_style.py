"""How the source is written: Python, scripts and styles pass their linters, and each lies in files of its own."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tinycss2
from source_tree import ROOT, project_files, sources

PRODUCT = ("app", "pages", "cnnviz")
# A script, or a style sheet, of more than one line.
SCRIPT = re.compile(r"\bfunction\b[^\n]*[({]|=>")
STYLE = re.compile(r"[\w.)\]-]\s*\{\s*(?:--)?[a-z-]+\s*:[^{}]*;")


def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A tool of requirements-dev.txt, from this interpreter's environment before others."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    found = shutil.which(tool, path=places)
    assert found, f"{tool} is not installed: pip install -r requirements-dev.txt"
    return subprocess.run([found, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("arguments", [("check", "."), ("format", "--check", ".")], ids="check format".split())
def test_python_passes_its_linter_and_its_formatter(arguments):
    done = run("ruff", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def with_ending(ending: str) -> list[Path]:
    """The project's files with this ending."""
    found = [path for path in project_files() if path.suffix == ending]
    assert found
    return found


def test_scripts_pass_their_linter():
    done = run("oxlint", "--deny-warnings", *map(str, with_ending(".js")))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linter_of_scripts_finds_what_nobody_defines(tmp_path):
    (tmp_path / "wrong.js").write_text("export default function () { return misspelt }\n")
    done = run("oxlint", "-c", str(ROOT / ".oxlintrc.json"), str(tmp_path))
    assert done.returncode != 0 and "misspelt" in done.stdout


def style_errors(rules: list[tinycss2.ast.Node]) -> Iterator[str]:
    """What a browser would skip in a style sheet."""
    for rule in rules:
        if rule.type == "error":
            yield f"{rule.source_line}: {rule.message}"
        elif rule.type == "at-rule" and rule.content is not None and rule.lower_at_keyword in ("media", "container"):
            yield from style_errors(tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True))
        elif rule.type == "qualified-rule":
            yield from style_errors(
                tinycss2.parse_blocks_contents(rule.content, skip_comments=True, skip_whitespace=True)
            )


@pytest.mark.parametrize("path", with_ending(".css"), ids=lambda path: path.name)
def test_style_sheets_can_be_parsed(path):
    rules = tinycss2.parse_stylesheet(path.read_text(encoding="utf-8"), skip_comments=True, skip_whitespace=True)
    assert rules and not list(style_errors(rules))


@pytest.mark.parametrize("wrong", ["a { color red }", "a { color: }}", "@media print { a { color red } }"])
def test_a_style_sheet_with_a_slip_is_found(wrong):
    rules = tinycss2.parse_stylesheet(wrong, skip_comments=True, skip_whitespace=True)
    assert list(style_errors(rules))


def docstrings(tree: ast.AST) -> set[int]:
    """The ids of the constants that are docstrings."""
    bodies = [node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list)]
    return {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}


def embedded(source: str) -> list[int]:
    """The lines of Python source at which strings begin that hold scripts or styles of more than one line."""
    tree = ast.parse(source)
    skipped = docstrings(tree)
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [
        node.lineno
        for node in texts
        if id(node) not in skipped
        and "\n" in node.value.strip()
        and (SCRIPT.search(node.value) or STYLE.search(node.value))
    ]


def test_no_python_file_of_the_app_or_the_library_holds_a_script_or_a_style_sheet():
    found = {str(path.relative_to(ROOT)): embedded(path.read_text(encoding="utf-8")) for path in sources(*PRODUCT)}
    assert len(found) > 100 and not {path: lines for path, lines in found.items() if lines}


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ('JS = """\nfunction draw(component) {\n}\n"""', True),
        ('JS = """\nconst show = (x) => x\nshow(1)\n"""', True),
        ('CSS = """\n.frame { position: relative; }\nimg { width: 1px; }\n"""', True),
        ('"""A function (of x) => y;\nand more."""', False),
        ('TEXT = """\nA network is a function of its input.\n"""', False),
        ('LINE = "() => window.painted > 0"', False),
    ],
)
def test_scripts_and_styles_in_strings_are_found_and_sentences_are_not(source, holds):
    assert bool(embedded(source)) == holds


def test_scripts_and_styles_are_found_from_any_folder(tmp_path):
    code = "from app.components.source import read_source; print(read_source('picture.css', 'dragging.css'))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert ".frame" in done.stdout and ".grip" in done.stdout
