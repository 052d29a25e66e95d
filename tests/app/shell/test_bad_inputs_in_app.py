"""Links and files as strangers make them: a message in words, the app alive, everything else of the view kept; and
text of others is shown as it is written, on every page."""

import re
import socket
from collections.abc import Iterator
from typing import Any

import badfiles
import badpictures
import pytest
import torch
from app_pages import chosen, errors, pictures, turned
from own_weights import dropped, lenet, saved, take

from app.markdown import as_literal, escape_markdown
from app.pickers import controls
from app.views.patches import building

pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore:Corrupt EXIF")
KEPT = {"net": "lenet5", "image": "digit-5", "layer": "conv2", "unit": "5"}
NONSENSE = {
    "a path": "../../etc/passwd",
    "a script": "<script>alert(1)</script>",
    "a picture of elsewhere": "![x](http://evil.example/x.png)",
    "an element": '<img src=x onerror="alert(1)">',
    "a formula": "$x$ `y` **z** :red[w] {q}",
    "SQL": "' OR 1=1 --",
    "negative": "-1",
    "huge": "9" * 400,
    "tiny": "1e-400",
    "not a number": "NaN",
    "infinite": "inf",
    "hexadecimal": "0x10",
    "superscript": "²",
    "Unicode": "\u202e☃\U0001f600",
    "zero byte": "a\0b",
    "escaped": "%00%2e%2e%2f",
    "an upload that is gone": "upload-0123456789abcdef",
    "a file that leads out": "file-../../x",
    "very long": "x" * 5000,
    "blank": " ",
}
KEYS = "weights device image layer unit row col scale order count untrained corpus folder tour stop present".split()
PAGES = {  # page: the choices of its own
    "home": "",
    "inspect": "view class opacity method square place images",
    "first_layer_filters": "contrast input_channel",
    "feature_maps": "scale order count row col",
    "top9": "wall wall_order rule show find size corpus indexfile",
    "unit": "rule corpus indexfile",
    "anatomy": "view block size left right",
    "receptive_fields": "view row col zoom images",
    "landscape": "view left right heights cut camera point steps span roll images against statistics precision",
    "equivariance": "view how padding dx dy blur mask along transform",
    "pooling": "view pool tolerance dx padding",
    "normalisation": "view batchdraw batchsize normby affine gamma form lrn_alpha descent dataseed",
    "playground": "view example grid kernel step groups zeros detector sigkernel sigown sigstride series sigvalues",
}


@pytest.fixture(autouse=True)
def no_indexing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about indexes, which would be built beside every page."""
    monkeypatch.setattr(building, "wants_start", lambda *_: False)


@pytest.fixture(autouse=True)
def nobody_is_called(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test below does, the app connects to no other machine and looks up no other's name."""
    called: list[Any] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo
    monkeypatch.setattr(socket.socket, "connect", lambda s, to: called.append(to) or connect(s, to))
    monkeypatch.setattr(socket, "getaddrinfo", lambda to, *a, **k: called.append((to,)) or look_up(to, *a, **k))
    yield
    assert [to for to in called if isinstance(to, tuple) and to[0] not in ("127.0.0.1", "::1", "localhost")] == []


def visit(at: Any, **query: Any) -> Any:
    """The same visitor with another address, as by a link in the same tab."""
    at.query_params.clear()
    at.query_params.update(query)
    return at.run()


def view(at: Any) -> tuple[Any, ...]:
    return (*(chosen(at, key) for key in ("net", "image", "layer")), at.number_input(key="unit").value)


def test_a_wrong_choice_in_a_link_costs_that_choice_alone(opened):
    at, wrong = opened("feature_maps", **KEPT), []
    before, wall = view(at), pictures(at)["map_wall"]["src"]
    for name, text in NONSENSE.items():
        visit(at, **KEPT, row=text, scale=text, count=text)
        if at.exception or at.error or view(at) != before or pictures(at)["map_wall"]["src"] != wall:
            wrong.append((name, [e.value[:200] for e in at.error]))
        if {"row", "scale", "count"} & at.query_params.keys():
            wrong.append((name, "kept in the address"))
    assert not wrong


@pytest.mark.parametrize("keys", ["net", "weights", "image", "layer unit device"])
def test_a_wrong_choice_of_what_all_pages_share_falls_back_or_is_told(opened, keys):
    at, wrong = opened("feature_maps", **KEPT), []
    for name, text in NONSENSE.items():
        visit(at, **(KEPT | dict.fromkeys(keys.split(), text)))
        message = " ".join(e.value for e in at.error)
        if at.exception or "Traceback" in message or "could not be computed" in message or len(message) > 600:
            wrong.append((name, message[:300]))
        if keys != "net" and chosen(at, "net") != "lenet5":
            wrong.append((name, "another network"))
    assert not wrong
    visit(at, **KEPT)
    assert errors(at) == [] and view(at) == ("lenet5", "digit-5", "conv2", 5)  # the visitor goes on


@pytest.mark.parametrize("page", PAGES)
def test_every_page_stands_a_link_of_nonsense(opened, page):
    at, wrong = opened(page, net="lenet5"), []
    for text in ("-1", "9" * 400, "![x](http://evil.example/x.png)", "\0", "x" * 5000):
        visit(at, net="lenet5", **dict.fromkeys([*KEYS, *PAGES[page].split()], text))
        message = " ".join(e.value for e in at.error)
        if at.exception or "Traceback" in message or "could not be computed" in message or not at.title:
            wrong.append((text[:40], [e.value[:200] for e in at.exception], message[:300]))
        wrong += [(text[:40], found) for found in fetched(at)]
    assert not wrong


def test_of_a_choice_that_is_given_twice_one_counts(opened):
    at = visit(opened("feature_maps", **KEPT), **(KEPT | {"unit": ["2", "3"], "layer": ["conv1", "../x"]}))
    assert errors(at) == [] and chosen(at, "net") == "lenet5"


def test_choices_that_no_page_knows_do_nothing(opened):
    at = opened("feature_maps", **KEPT, __proto__="1", constructor="2", token="secret", cmd="rm")
    assert errors(at) == [] and view(at) == ("lenet5", "digit-5", "conv2", 5)


def test_every_bad_image_is_refused_in_words_and_the_view_stays(opened):
    at, wrong = opened("feature_maps", **KEPT), []
    before, wall = view(at), pictures(at)["map_wall"]["src"]
    for name, (data, says) in badpictures.REFUSED.items():
        at.file_uploader(key="upload").upload("holiday.png", data, "image/png").run()
        message = " ".join(e.value for e in at.error)
        told = re.search(says, message.replace("\\", "")) and message.endswith("The view is unchanged.")
        if at.exception or not told or view(at) != before or pictures(at)["map_wall"]["src"] != wall:
            wrong.append((name, message, view(at)))
    assert not wrong


def test_every_odd_image_is_shown_and_the_rest_of_the_view_stays(opened):
    at, wrong = opened("feature_maps", **KEPT), []
    for name, (data, _size) in badpictures.ODD.items():
        at.file_uploader(key="upload").upload("holiday.png", data, "image/png").run()
        shown = view(at)
        if at.exception or at.error or not shown[1].startswith("upload-") or shown[::2] != ("lenet5", "conv2"):
            wrong.append((name, [e.value for e in at.error], shown))
    assert not wrong


def test_a_photograph_with_the_name_of_a_path_or_with_markup_is_stored_by_its_hash_alone(opened, cache):
    at = opened("home", **KEPT)
    for name in ("../../../evil.png", "C:\\evil.png", '"><img src=x onerror=alert(1)>.png', "a" * 300 + ".png"):
        at.file_uploader(key="upload").upload(name, badpictures.encoded(), "image/png").run()
        assert errors(at) == []
    stored = [path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file()]
    assert [name for name in stored if re.fullmatch(r"uploads/[0-9a-f]{16}\.(png|title)", name)] == stored


@pytest.mark.filterwarnings("ignore")
def test_every_dangerous_checkpoint_is_refused_in_words_unrun_unkept_and_the_view_stays(opened, cache, tmp_path):
    from hostile_files import BOMBS, DAMAGED, HOSTILE

    at, wrong = opened("home", **KEPT), []
    for name, (make, says) in (HOSTILE | BOMBS | DAMAGED).items():
        path, canary = tmp_path / "given.pth", tmp_path / "ran"
        make(path, canary)
        dropped(at, path.read_bytes(), "given.pth")
        message = " ".join(e.value for e in at.error).replace("\\", "")
        kept = [found for found in (cache / "weights").glob("*")] if (cache / "weights").is_dir() else []
        if at.exception or not re.search(says, message) or "The network is unchanged" not in message or kept:
            wrong.append((name, message, kept))
        if canary.exists() or chosen(at, "net") != "lenet5":
            wrong.append((name, "it ran, or the view changed"))
    assert not wrong and badfiles.shell


def test_metadata_of_other_kinds_than_expected_break_no_page(opened, no_indexing):
    notes = {
        "accuracy": {"test": "![x](http://evil.example/x.png)", "test_images": [1]},
        "recipe": 7,
        "classes": "many",
    }
    at = take(dropped(opened("home"), saved(lenet(), **notes)))
    assert errors(at) == [] and at.selectbox(key="weights").value.startswith("file-") and not list(fetched(at))


# --- text of others -------------------------------------------------------------------------------------

CANARY = '<img src=x onerror="alert(1)">![c](http://evil.example/c.png)[d](http://evil.example)'
READ_AS_TEXT = {
    "bidi_component",
    "code",
    "selectbox",
    "text_area",
    "text_input",
    "plotly_chart",
    "imgs",
    "file_uploader",
    "page_link",
}


def fetched(at: Any) -> Iterator[str]:
    """Texts of the page in which Markdown would find a picture or a link that leads elsewhere, or HTML."""
    for node in nodes(at._tree):
        for text in strings(getattr(node, "proto", None)) if node.type not in READ_AS_TEXT else ():
            if re.search(r"(?<!\\)\]\(\s*<?http://evil", text) or (node_is_html(node) and "onerror" in text):
                yield f"{node.type}: {text[:200]}"


def nodes(block: Any) -> Iterator[Any]:
    for child in getattr(block, "children", {}).values():
        yield child
        yield from nodes(child)


def node_is_html(node: Any) -> bool:
    return node.type == "html" or bool(getattr(node.proto, "allow_html", False))


def strings(message: Any) -> Iterator[str]:
    """Every text in a message of Streamlit's protocol, to the last."""
    for field, value in message.ListFields() if hasattr(message, "ListFields") else ():
        for one in [value] if not hasattr(value, "__iter__") or isinstance(value, str | bytes) else value:
            if isinstance(one, str) and field.name not in ("id", "form_id"):
                yield one
            elif hasattr(one, "ListFields"):
                yield from strings(one)


def test_the_search_for_text_that_would_be_read_finds_it():
    from streamlit.testing.v1 import AppTest

    def page(text: str) -> None:
        import streamlit as st

        st.caption(f"The class is {text}.")
        st.expander(text)
        st.table({"name": [text]})
        st.html(text)

    unsafe = AppTest.from_function(page, args=(CANARY,)).run()
    assert len(list(fetched(unsafe))) >= 3
    safe = AppTest.from_function(page, args=(as_literal(CANARY).replace("onerror", ""),)).run()
    assert not list(fetched(safe))


def test_messages_keep_their_code_and_text_of_others_is_shown_as_it_is_written():
    assert escape_markdown("No network **x**: see `cnnviz list`.") == "No network **x**: see `cnnviz list`."
    assert escape_markdown("![a](http://b) <b> $x$") == r"!\[a\](http://b) \<b\> \$x\$"
    assert as_literal("a_b *c*\n# d") == r"a\_b \*c\* \# d"


@pytest.fixture
def canary(opened) -> str:
    """Weights whose classes, recipe and figures carry markup; returns their name."""
    state = lenet()
    names = [f"{CANARY}{number}" for number in range(10)]
    at = opened("home", net="lenet5")
    dropped(at, saved(state | {CANARY: torch.zeros(3)}), f"{CANARY}.pth")  # refused, with the tensor's name
    assert "evil.example" in at.error[0].value and not list(fetched(at))
    notes = {"classes": names, "recipe": CANARY, "accuracy": {"test": 0.5, "test_images": CANARY}}
    dropped(at, saved(state, **notes), f"{CANARY}.pth")
    assert not list(fetched(at))
    take(at)
    assert errors(at) == [] and not list(fetched(at))
    return at.selectbox(key="weights").value


VIEWS = [
    ("home", {}),
    ("inspect", {}),
    ("inspect", {"view": "Occlusion"}),
    ("inspect", {"view": "Attribution"}),
    ("feature_maps", {}),
    ("first_layer_filters", {}),
    ("equivariance", {}),
    ("equivariance", {"view": "Prediction"}),
    ("receptive_fields", {}),
    ("pooling", {}),
]


def test_names_in_a_checkpoint_are_text_on_every_page(opened, canary):
    found = []
    for page, query in VIEWS:
        at = opened(page, weights=canary, **query)
        found += [(page, query, text) for text in fetched(at)] + [(page, e.value) for e in at.exception]
    assert not found


def test_names_of_files_and_folders_of_an_upload_are_text(opened):
    label = CANARY.replace("/", "∕")  # in a zip a slash makes folders
    entries = {f"{label}/{number}.png": badpictures.encoded(badpictures.GRAIN + number) for number in range(3)}
    entries |= {"second/![c](http:⁄⁄evil.example).png": b"text", "second/b.png": badpictures.encoded()}
    at = opened("top9", net="lenet5", corpus="upload", layer="conv2")
    at.file_uploader(key="corpus_upload").upload(
        "photographs.zip", badpictures.archive(entries), "application/zip"
    ).run()
    assert errors(at) == []
    next(button for button in at.button if "Build" in button.label).click().run()
    for _ in range(60):
        if any(picture.startswith("wall") for picture in pictures(at)):
            break
        at.run()
    assert errors(at) == [] and not list(fetched(at))
    assert controls and not list(fetched(turned(at, "unit")))
