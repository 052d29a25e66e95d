"""Text of others is shown as it is written, in every field of every page: names of files, classes, tours and runs,
metadata, what a link says."""

import ast
import re
from pathlib import Path
from typing import Any

import badpictures
import pytest
import torch
from app_pages import errors, pictures, turned
from made_runs import record_run
from own_weights import dropped, lenet, saved, take
from poison import FOUND_LATER, LINKS, MARKS, PARTS, POISON, TAGS, find_read, is_read
from streamlit.testing.v1 import AppTest

from app.markdown import as_code, as_literal, escape_markdown
from app.shell.pages import list_pages
from app.views.patches import building

ROOT = Path(__file__).resolve().parents[3]
PAGES = [entry.file.removesuffix(".py") for entry in list_pages()]


@pytest.fixture(autouse=True)
def no_indexing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about indexes, which would be built beside every page."""
    monkeypatch.setattr(building, "wants_start", lambda *_: False)


# --- the ways to show it ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [MARKS, LINKS, FOUND_LATER, TAGS, POISON, *PARTS])
def test_nothing_of_it_is_read_and_all_of_it_is_there(text):
    for shown in (as_literal(text), escape_markdown(text)):
        assert is_read(text) and not is_read(shown)
        assert re.sub(r"\\(.)", r"\1", shown).replace("\u2060", "") == text
    assert not is_read(as_code(text)) and text in as_code(text)


def test_lines_stay_lines_in_a_message_and_become_one_in_a_name():
    assert as_literal("a_b *c*\n# d") == r"a_b \*c\* # d" and as_literal("# d") == r"\# d"
    assert as_literal("_a_ __b") == r"\_a\_ \_\_b" and as_literal("1. a") == r"1\. a"
    assert as_literal("99.17 %") == "99.17 %" and as_literal("## d") == r"#\# d" and as_literal("-") == r"\-"
    assert as_literal("a\n 95.3\u00a0%") == "a 95.3\u00a0%" and as_code("a\t2\u00a0px") == "`a 2\u00a0px`"
    assert as_literal("mine@step-7") == "mine@step-7" and as_literal("-1") == "-1"
    assert escape_markdown("a\n# b\n  - c\n==") == "a  \n\\# b  \n\\- c  \n=\u2060="
    assert as_code("") == "" and as_code("a``b") == "```a``b```" and as_code("`a") == "`` `a ``"


def test_a_message_keeps_the_commands_that_it_names_as_code_and_no_other():
    assert escape_markdown("No **x**: see `cnnviz list`.") == r"No \*\*x\*\*: see `cnnviz list`\."
    assert escape_markdown("no `evil`") == r"no \`evil\`"


def page_of(text: str) -> None:
    """Shows a text in every way that Streamlit reads."""
    import streamlit as st

    st.caption(f"It is {text}.")
    st.expander(text)
    st.button(text)
    st.selectbox(text, ["a"], help=text)
    st.radio("which", [text])
    st.error(text)
    st.table({"name": [text]})


def test_the_search_finds_what_would_be_read_in_every_kind_of_element():
    unsafe = AppTest.from_function(page_of, args=(POISON,)).run()
    kinds = {found.partition(":")[0] for found in find_read(unsafe)}
    assert len(kinds) >= 7, kinds
    assert find_read(AppTest.from_function(page_of, args=(as_literal(POISON),)).run()) == []


# --- every page ---------------------------------------------------------------------------------------------


@pytest.fixture
def weights(opened) -> str:
    """Weights whose file, classes and metadata carry it; their name."""
    at = opened("home", net="lenet5")
    dropped(at, saved(lenet() | {POISON: torch.zeros(3)}), f"{POISON}.pth")  # refused, with the tensor's name
    assert "evil" in at.error[0].value and find_read(at) == []
    names = [f"{PARTS[number % len(PARTS)]} {number}" for number in range(9)] + [POISON]
    notes = {"recipe": POISON, "data": POISON, "source": POISON, "accuracy": {"test": 0.5, "test_images": POISON}}
    dropped(at, saved(lenet(), classes=names, architecture="lenet5", **notes), f"{FOUND_LATER}.pth")
    assert find_read(at) == [] and "evil" in " ".join(dialog_titles(at))
    take(at)
    assert errors(at) == [] and find_read(at) == []
    return at.selectbox(key="weights").value


def dialog_titles(at: Any) -> list[str]:
    return [block.proto.dialog.title for block in at._tree.get("dialog")]


VIEWS = [(page, {}) for page in PAGES] + [
    ("inspect", {"view": "Occlusion"}),
    ("inspect", {"view": "Attribution"}),
    ("equivariance", {"view": "Prediction"}),
    ("backward", {"view": "Outputs"}),
    ("noise", {"view": "Augmentation"}),
    ("normalisation", {"view": "Company"}),
    ("anatomy", {"view": "Layers"}),
]


def test_names_of_a_photograph_and_of_what_is_in_a_weights_file_are_text_on_every_page(opened, weights):
    at, found = opened("home", net="lenet5", weights=weights), []
    name = "**evilb** :material/evil: :red[evilr] `evilc` www.evil.example"
    at.file_uploader(key="upload").upload(f"{POISON[:60]}.png", b"no image", "image/png").run()
    assert "evil" in " ".join(e.value for e in at.error) and find_read(at) == []
    at.file_uploader(key="upload").upload(f"{name}.png", badpictures.encoded(), "image/png").run()
    chosen = {"net": "lenet5", "weights": weights, "image": at.session_state["image"]}
    for page, query in VIEWS:
        at.query_params.clear()
        at.query_params.update(chosen | query)
        at = turned(at, page)
        found += [(page, query, text) for text in find_read(at)] + [(page, e.value) for e in at.exception]
    assert not found


TOUR = """
title: "{0}"
stops:
  - {{page: playground, title: "{0}", notes: "{1}"}}
  - {{page: playground, title: "b", notes: "{0}"}}
"""


def test_tours_are_text_where_they_are_offered_and_where_they_run(opened, tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_TOURS", str(tmp_path))
    for number, text in enumerate((MARKS, LINKS, FOUND_LATER, "<img src=x onerror=y>")):
        (tmp_path / f"evil--{number}.yaml").write_text(TOUR.format(text, text), encoding="utf-8")
    (tmp_path / "broken.yaml").write_text(f"title: '{POISON}'\nstops: 3\n'{POISON}': 1", encoding="utf-8")
    at, found = opened("home", net="lenet5"), []
    for tour in [f"evil--{number}" for number in range(4)] + ["broken"]:
        for stop in ("1", "2"):
            at.query_params.clear()
            at.query_params.update({"tour": tour, "stop": stop})
            at.run()
            found += find_read(at)
    assert find_read(opened("home", net="lenet5")) == found == [] and not at.exception


def test_recorded_trainings_are_text(opened, tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path))
    about = {"architecture": POISON, "classes": [POISON] * 10, "recipe": {"name": POISON}, "data": POISON}
    record_run(tmp_path / FOUND_LATER.replace("/", "∕"), about=about)
    record_run(tmp_path / MARKS, about={"architecture": "lenet5", "data": POISON})
    names, found = [FOUND_LATER.replace("/", "∕"), MARKS], []
    at = opened("training")
    for name in names:
        for view in ("Curves", "Evolution"):
            at.query_params.clear()
            at.query_params.update({"runs": name, "run": name, "named": name, "view": view})
            at.run()
            found += [(view, text) for text in find_read(at)] + [(view, e.value) for e in at.exception]
    assert not found


def test_names_of_files_and_folders_of_an_upload_are_text(opened):
    label = POISON.replace("/", "∕")[:180]  # in a zip a slash makes folders
    entries = {f"{label}/{number}.png": badpictures.encoded(badpictures.GRAIN + number) for number in range(3)}
    entries |= {f"second/{MARKS}.png": b"text", "second/b.png": badpictures.encoded()}
    at = opened("top9", net="lenet5", corpus="upload", layer="conv2")
    at.file_uploader(key="corpus_upload").upload(f"{POISON}.zip", badpictures.archive(entries), "application/zip").run()
    assert errors(at) == [] and find_read(at) == []
    next(button for button in at.button if "Build" in button.label).click().run()
    for _ in range(60):
        if any(picture.startswith("wall") for picture in pictures(at)):
            break
        at.run()
    assert errors(at) == [] and find_read(at) == [] == find_read(turned(at, "unit"))
    for view in ("Gallery", "Neighbours"):
        at.query_params.update({"view": view})
        at = turned(at, "inspect")
        assert find_read(at) == [] and not at.exception


# --- the rule -------------------------------------------------------------------------------------------

SHOW = frozenset(
    "markdown caption write error warning info success toast title header subheader button expander popover tabs "
    "spinner page_link progress toggle checkbox selectbox text_input number_input segmented_control pills dialog badge "
    "download_button file_uploader text_area multiselect slider radio".split()
)
SAFE = frozenset({"as_literal", "as_code", "escape_markdown", "plural", "len", "type", "network_sentence"})
OTHERS = re.compile(  # expressions that hold what others wrote
    r"\.(file_name|image_ids?|class_names|problem|notes|architecture|stored)$|^(names|class_names)\[|"
    r"^str\(error\)$|(run|own|images|corpus|pending|model|tour|stop|wanted|one)\.(name|title|notes)$|"
    r"describe_name\(|title_of\(|photo_title\(|label\(|address\.read\("
)


def unshown(tree: ast.AST) -> list[str]:
    """Expressions that hold text of others and go into what Streamlit reads, other than by way of app/markdown.py."""
    found: list[str] = []

    def look(node: ast.AST) -> None:
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in SAFE:
            return
        if isinstance(node, ast.Attribute | ast.Name | ast.Call | ast.Subscript):
            text = ast.unparse(node)
            if OTHERS.search(text) and "\n" not in text:
                found.append(f"line {node.lineno}: {text}")
                return
        for child in ast.iter_child_nodes(node):
            look(child)

    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SHOW:
            for text in [*node.args[:1], *(k.value for k in node.keywords if k.arg in ("label", "help", "body"))]:
                look(text)
    return found


def test_the_rule_finds_a_name_that_is_shown_as_it_is():
    assert unshown(ast.parse("st.caption(f'of {own.file_name}')")) and unshown(ast.parse("st.error(str(error))"))
    assert not unshown(ast.parse("st.caption(f'of {as_literal(own.file_name)}')"))


def test_text_of_others_goes_through_one_module_wherever_it_is_shown():
    found = {}
    for path in (*(ROOT / "app").rglob("*.py"), *(ROOT / "pages").glob("*.py")):
        source = path.read_text(encoding="utf-8")
        if lines := unshown(ast.parse(source)):
            found[str(path.relative_to(ROOT))] = lines
        assert "unsafe_allow_html" not in source, path
        if path.name != "markdown.py":
            assert not re.search(r"""re\.sub\([^)]*\\\\\\1|replace\(["'][*_`$\[]["'], ["']\\\\""", source), path
    assert not found
