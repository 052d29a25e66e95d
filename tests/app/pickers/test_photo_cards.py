"""Uploads in the image picker: called by their file's name, also in another browser; removed for good; several."""

import io

import numpy as np
import pytest
from app_pages import cards, chosen, entered, errors, offered
from PIL import Image

from app.pickers import photo_cards, webcam
from app.session import uploads


def png(shade: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), shade, np.uint8)).save(file, "PNG")
    return file.getvalue()


def drop(at, name: str, data: bytes):
    return at.file_uploader(key="upload").upload(name, data, "image/png").run()


def test_an_upload_is_called_by_its_file_here_and_by_a_link_in_another_browser(opened):
    at = drop(opened("home", net="lenet5"), "C:\\photos\\my dog.png", png(90))
    name = chosen(at, "image")
    assert errors(at) == [] and at.query_params["image"] == name and name.startswith("upload-")
    card = cards(at, "image")[name]
    assert (card["title"], card["group"], card["removable"]) == ("my dog.png", "Yours", True)
    assert card["thumbnail"].startswith("data:image/jpeg;base64,")
    again = entered("home", net="lenet5", image=name)
    assert chosen(again, "image") == name and cards(again, "image")[name]["title"] == "my dog.png"


def test_two_visitors_who_bring_the_same_image_each_see_their_own_name(opened):
    one = drop(opened("home", net="lenet5"), "mine.png", png(91))
    other = drop(opened("home", net="lenet5"), "yours.png", png(91))
    name = chosen(one, "image")
    assert chosen(other, "image") == name and cards(other, "image")[name]["title"] == "yours.png"
    assert cards(one.run(), "image")[name]["title"] == "mine.png"


@pytest.mark.parametrize("one_computer", [True, False])
def test_a_removed_upload_is_gone_and_the_default_is_chosen_also_in_the_address(opened, monkeypatch, one_computer):
    monkeypatch.setattr("app.access.is_on_this_computer", lambda: one_computer)
    at = drop(opened("home", net="lenet5"), "a.png", png(92))
    first = chosen(at, "image")
    at = drop(at, "b.png", png(93))
    second = chosen(at, "image")
    assert offered(at, "image")[:2] == [first, second]
    remove(at, monkeypatch, second)
    assert errors(at) == [] and chosen(at, "image") == "digit-3" and "image" not in at.query_params
    assert second not in offered(at, "image") and first in offered(at, "image")
    assert uploads.is_stored_photo(second) is not one_computer  # on a shared server others may have it
    remove(at, monkeypatch, first)
    assert chosen(at, "image") == "digit-3" and first not in offered(at, "image")
    at = drop(at, "b.png", png(93))
    assert chosen(at, "image") == second  # and can come again


def remove(at, monkeypatch, name: str) -> None:
    """What the browser's message does before the page is drawn again."""
    real = photo_cards.pick_photo

    def removing(*given):
        monkeypatch.setattr(photo_cards, "pick_photo", real)
        photo_cards._remove(name)
        return real(*given)

    monkeypatch.setattr(photo_cards, "pick_photo", removing)
    at.run()


def test_what_fails_in_a_drop_of_several_stays_in_sight_until_all_have_come(opened):
    at = opened("home", net="lenet5")
    at.session_state["uploads_coming"] = 2
    at = drop(at, "broken.png", b"no image")
    assert len(errors(at)) == 1 and "broken.png" in errors(at)[0]
    at = drop(at, "good.png", png(94))
    (said,) = errors(at)
    assert "broken.png" in said and cards(at, "image")[chosen(at, "image")]["title"] == "good.png"
    assert errors(at.run()) == [] and webcam.PROBLEM not in at.session_state


def test_thumbnails_of_samples_come_when_the_picker_is_opened_first(opened):
    at = opened("home", net="lenet5")
    shown = cards(at, "image")
    assert [name for name, card in shown.items() if card["thumbnail"]] == ["digit-3"]
    photo_cards._make_thumbnails()
    shown = cards(at.run(), "image")
    assert all(card["thumbnail"] for card in shown.values())
    assert sum(len(card["thumbnail"]) for card in shown.values()) < 200_000


@pytest.mark.parametrize(
    "given, title",
    [
        ("../../etc/passwd.png", "passwd.png"),
        ("a\u202egnp.exe\n\t b.png", "a gnp.exe b.png"),
        ("x" * 300 + ".jpeg", "x" * 47 + "…" + "x" * 7 + ".jpeg"),
        ("<b>*bold*</b>.png", "b>.png"),
        ("", ""),
    ],
)
def test_a_title_is_one_bounded_line_that_can_be_seen(given, title):
    assert uploads.clean_title(given) == title and len(title) <= uploads.TITLE


def test_photographs_stored_before_they_had_names_have_a_short_title_and_names_go_with_them():
    name = uploads.store_photo(png(95))
    assert uploads.photo_title(name) == f"upload {name[7:13]}"
    name = uploads.store_photo(png(95), "late.png")
    assert uploads.photo_title(name) == "late.png"
    uploads.forget_photo(name)
    assert list(uploads.cache_folder("uploads").iterdir()) == [] and not uploads.is_stored_photo(name)
    assert uploads.photo_title("upload-../../x") == "upload-../../x"
