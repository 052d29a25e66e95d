"""Links and files as strangers make them: a message in words, the app alive, everything else of the view kept. That
text of others is shown as it is written: test_text_of_others.py."""

import re
import socket
from collections.abc import Iterator
from typing import Any

import badfiles
import badpictures
import pytest
from app_pages import chosen, errors, pictures
from own_weights import dropped, lenet, saved, take
from poison import POISON, find_read, list_choices

from app.shell.pages import list_pages
from app.views.patches import building

ALL = [entry.file.removesuffix(".py") for entry in list_pages()]
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


def visit(at: Any, choices: dict[str, Any] | None = None, /, **query: Any) -> Any:
    """The same visitor with another address, as by a link in the same tab."""
    at.query_params.clear()
    at.query_params.update({**(choices or {}), **query})
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
    for text in ("-1", "9" * 400, POISON, "\0", "x" * 5000):
        keys = list_choices() if text == POISON else [*KEYS, *PAGES[page].split()]
        visit(at, dict.fromkeys(keys, text) | {"net": "lenet5"})
        message = " ".join(e.value for e in at.error)
        if at.exception or "Traceback" in message or "could not be computed" in message or not at.title:
            wrong.append((text[:40], [e.value[:200] for e in at.exception], message[:300]))
        wrong += [(text[:40], found) for found in find_read(at)]
    assert not wrong


@pytest.mark.parametrize("page", [page for page in ALL if page not in PAGES])
def test_on_the_other_pages_what_a_link_says_is_text_too(opened, page):
    at = visit(opened(page, net="lenet5"), dict.fromkeys(list_choices(), POISON) | {"net": "lenet5"})
    assert not at.exception and find_read(at) == []
    assert find_read(visit(at, net=POISON, weights=f"run:{POISON}@3", tour=POISON)) == []


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
    assert errors(at) == [] and at.selectbox(key="weights").value.startswith("file-")
