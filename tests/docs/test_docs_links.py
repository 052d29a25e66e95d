"""What README and docs/ name is there: pages, pictures, commands with their options, variables, views of the app."""

import argparse
import ast
import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import streamlit as st
from docpages import PAGES, ROOT, anchors, blocks, commands, inline, links, pictures
from PIL import Image

from app.shell.pages import list_pages
from cnnviz.cli import build_parser
from cnnviz.tours import load_tour, read_tour

HERE = "http://localhost:8501/"  # the app, as the documentation links to it
SHOTS = ROOT / "assets" / "screenshots"
EACH = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


@cache
def offered() -> dict[str, argparse.ArgumentParser]:
    """{command: its parser}."""
    (commands,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(commands.choices)


@cache
def source(*folders: str) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for name in folders for file in (ROOT / name).rglob("*.py"))


def target_of(path: Path, target: str) -> tuple[Path, str]:
    name, _, anchor = target.partition("#")
    return (path.parent / name).resolve() if name else path, anchor


@EACH
def test_every_link_leads_somewhere(path: Path) -> None:
    for words, target in links(path):
        assert words
        if target.startswith("http"):
            continue
        file, anchor = target_of(path, target)
        assert file.exists(), f"{path.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{path.name} links to {target}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        path = ahead.pop()
        reached.add(path)
        ahead += {file for _, t in links(path) if (file := target_of(path, t)[0]) in PAGES} - reached
    assert reached == set(PAGES)


@EACH
def test_every_link_into_the_app_names_a_page_and_choices_that_exist(path: Path) -> None:
    addresses = {entry.address for entry in list_pages()}
    for _, target in links(path):
        if not target.startswith(HERE):
            continue
        parts = urlsplit(target)
        assert parts.path.strip("/") in addresses, target
        for key, value in parse_qsl(parts.query, strict_parsing=bool(parts.query)):
            assert f'"{key}"' in source("app", "pages"), target
            assert key != "view" or f'"{value}"' in source("app", "pages"), target


@pytest.mark.parametrize(("plan", "tour"), [("lecture-plan", "lecture"), ("learning-plan", "how-networks-learn")])
def test_each_plan_follows_its_tour(plan: str, tour: str) -> None:
    planned = [target for _, target in links(ROOT / "docs" / f"{plan}.md") if target.startswith(HERE)]
    stops = [(stop.page, stop.query) for stop in load_tour(tour).stops]
    found = [(parts.path.strip("/"), dict(parse_qsl(parts.query))) for parts in map(urlsplit, planned)]
    assert found == stops


@EACH
def test_every_tour_and_every_side_file_in_the_text_can_be_read(path: Path, tmp_path: Path) -> None:
    for block in blocks(path, "yaml"):
        file = tmp_path / "shown.yaml"
        file.write_text(block.text, encoding="utf-8")
        assert read_tour(file, {entry.address for entry in list_pages()}).stops
    for block in blocks(path, "json"):
        assert json.loads(block.text)


@EACH
def test_every_picture_is_there_and_described(path: Path) -> None:
    for words, target in pictures(path):
        assert len(words) > 15, f"{target} needs words for those who cannot see it"
        assert target_of(path, target)[0].is_file(), target


def test_pictures_are_used_of_one_size_and_small() -> None:
    files = sorted(SHOTS.glob("*.png"))
    used = {target_of(path, target)[0] for path in PAGES for _, target in pictures(path)}
    assert [file.name for file in files if file not in used] == []
    assert {Image.open(file).size for file in files} == {(1440, 900)}
    sizes = {file.name: file.stat().st_size for file in files}
    assert max(sizes.values()) <= 250_000 and sum(sizes.values()) <= 4_000_000, sizes


def test_the_readme_lists_pages_of_the_app_each_with_its_picture() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \*\*(.+?)\*\* \|", readme, re.MULTILINE)
    addresses = {entry.title: entry.address for entry in list_pages()}
    assert len(listed) >= 13 and set(listed) <= set(addresses)
    assert [title for title in listed if not (SHOTS / f"{addresses[title] or 'home'}.png").is_file()] == []


@EACH
def test_every_command_line_is_understood(path: Path) -> None:
    for words in commands(path):
        if words[0] == "torchrun" and "cnnviz" in words:
            words = words[words.index("cnnviz") :]
        if words[0] == "cnnviz":
            understood(words[1:])
        elif words[0] == "make":
            targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            assert words[1].rstrip(".") in targets, words
        elif words[:2] == ["streamlit", "run"]:
            assert (ROOT / words[2]).is_file(), words
        elif words[:2] == ["python", "-m"] and words[2].startswith("benchmarks"):
            assert (ROOT / Path(*words[2].split("."))).with_suffix(".py").is_file() or words[2] == "benchmarks"
            assert not set(words[3:]) - benchmarks() or words[2] != "benchmarks", words


def understood(words: list[str]) -> None:
    """What stands behind `cnnviz` is a command with options it has."""
    if len(words) == 1 or any("…" in word for word in words):  # named, or shortened
        known = offered()[words[0]]._option_string_actions
        assert {word for word in words if word.startswith("-")} <= known.keys(), words
        return
    try:
        build_parser().parse_args(words)
    except SystemExit as ended:
        assert ended.code == 0, f"cnnviz {' '.join(words)}"  # --help


def benchmarks() -> set[str]:
    tree = ast.parse((ROOT / "benchmarks" / "__main__.py").read_text(encoding="utf-8"))
    (names,) = (n.value for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "NAMES")
    return set(ast.literal_eval(names))


@EACH
def test_every_option_and_variable_in_the_text_exists(path: Path) -> None:
    known = {option for one in offered().values() for option in one._option_string_actions}
    for code in inline(path):
        for option in re.findall(r"(?<![\w-])--[a-z][\w.-]*", code):
            if option.startswith("--server."):
                st.get_option(option.removeprefix("--"))  # raises for a name that Streamlit has not
            elif not code.startswith(("pip ", "python -m pip", "torchrun ")):
                assert option in known, f"{path.name}: {code}"
    read = source("cnnviz", "app", "benchmarks", "tests/browser") + (ROOT / "compose.yaml").read_text(encoding="utf-8")
    for variable in set(re.findall(r"\bCNNVIZ_[A-Z_]+", path.read_text(encoding="utf-8"))):
        assert variable in read, f"{path.name}: {variable}"


def test_every_command_is_named_in_the_documentation() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
    assert [name for name in offered() if f"cnnviz {name}" not in text] == []
