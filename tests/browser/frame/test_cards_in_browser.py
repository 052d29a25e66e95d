"""The pickers of cards: typing, arrow keys, files dropped on the page, removing one's own; at every width."""

import io

import numpy as np
import pytest
from PIL import Image
from visitors import SCREEN, Visitor

pytestmark = pytest.mark.browser
OPTION = "[role=option]"


def png(seed: int) -> bytes:
    file = io.BytesIO()
    rough = np.random.default_rng(seed).integers(0, 256, (6, 6), dtype=np.uint8)
    Image.fromarray(rough).resize((60, 60)).save(file, "PNG")
    return file.getvalue()


def active(visitor: Visitor) -> str:
    """The value of the card that Enter would take, as a screen reader is told it."""
    field = visitor.tab.get_by_role("combobox", name="Image: ").or_(
        visitor.tab.get_by_role("combobox", name="Network: ")
    )
    name = field.get_attribute("aria-activedescendant")
    return visitor.tab.locator(f"#{name}").get_attribute("data-value")


def hindrances(visitor: Visitor) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(visitor.tab, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']}: {rule['nodes'][0]['html'][:160]}" for rule in found if rule["impact"] in ("serious", "critical")
    ]


def test_typing_and_enter_take_the_first_match_arrow_keys_move_and_what_nobody_knows_changes_nothing(visitor: Visitor):
    visitor.open("filters", "net=lenet5")
    panel = visitor.open_cards("Network")
    assert panel.locator(OPTION).count() > 100 and hindrances(visitor) == []
    visitor.tab.keyboard.type("alex")
    assert active(visitor) == "alexnet"
    assert panel.locator(OPTION).last.inner_text().strip() == "Open “alex”"
    visitor.tab.keyboard.press("Enter")
    visitor.until_query(net="alexnet")
    assert visitor.chosen("Network") == "alexnet" and panel.count() == 0
    visitor.open_cards("Network")
    visitor.tab.keyboard.type("2016 cifar res")  # words of the facts and the notes
    first = active(visitor)
    visitor.tab.keyboard.press("ArrowRight")  # the caret's, while something is typed
    assert active(visitor) == first == "resnet20_cifar"
    visitor.tab.keyboard.press("ArrowDown")
    assert active(visitor) != first
    visitor.tab.keyboard.press("ArrowUp")
    visitor.tab.keyboard.press("Enter")
    visitor.until_query(net=None)  # the default
    visitor.open_cards("Network")
    visitor.tab.keyboard.type("resnet5O")
    visitor.tab.keyboard.press("Enter")
    visitor.main.get_by_text("The network is unchanged").wait_for()
    visitor.until_chosen("Network", "resnet20_cifar")
    assert "net" not in visitor.query()


def test_escape_and_a_click_outside_close_and_the_focus_goes_back(visitor: Visitor):
    visitor.open("filters", "net=lenet5")
    panel = visitor.open_cards("Network")
    visitor.tab.keyboard.press("Escape")
    panel.wait_for(state="detached")
    assert visitor.tab.evaluate("document.activeElement.shadowRoot.activeElement.dataset.label") == "Network"
    visitor.tab.keyboard.press("ArrowDown")  # opens it again
    panel.wait_for()
    visitor.tab.mouse.click(1300, 860)
    panel.wait_for(state="detached")
    assert visitor.query() == {"net": "lenet5"}


@pytest.mark.parametrize("width, height", [(390, 844), (1024, 768), (1920, 1080)])
def test_the_panel_lies_within_the_window(visitor: Visitor, width: int, height: int):
    visitor.open("filters", "net=lenet5")
    for label in ("Network", "Image"):
        visitor.tab.set_viewport_size(SCREEN)
        panel = visitor.open_cards(label)
        visitor.tab.set_viewport_size({"width": width, "height": height})
        box = visitor.box(panel)
        assert box["x"] >= 0 and box["y"] >= 0, label
        assert box["x"] + box["width"] <= width and box["y"] + box["height"] <= height, label
        visitor.tab.keyboard.press("Escape")
    visitor.tab.set_viewport_size(SCREEN)


@pytest.mark.own_tab  # its list begins empty
def test_files_dropped_on_the_page_s_middle_are_kept_and_the_last_is_shown_and_removed(visitor: Visitor):
    visitor.open("feature-maps", "net=lenet5&layer=conv2")
    visitor.drop_on_page(
        ("first.png", png(1), "image/png"), ("notes.txt", b"x", "text/plain"), ("last.PNG", png(2), "")
    )
    visitor.until(lambda: visitor.cards("Image").get_by_text("last.PNG").count() == 1, "the last one is shown")
    visitor.settled()
    visitor.tab.get_by_text("notes.txt is not taken here").wait_for()
    name = visitor.query()["image"]
    assert name.startswith("upload-") and visitor.chosen("Image") == name
    panel = visitor.open_cards("Image")
    visitor.until(
        lambda: panel.locator(f"{OPTION} img").count() == panel.locator(OPTION).count(), "all have thumbnails"
    )
    visitor.settled()
    assert [panel.locator(OPTION).nth(i).get_attribute("aria-label") for i in (0, 1)] == ["first.png", "last.PNG"]
    assert hindrances(visitor) == []
    panel.get_by_role("button", name="Remove last.PNG").click()
    visitor.until_query(image=None)
    visitor.until_chosen("Image", "digit-3")
    panel = visitor.open_cards("Image")
    visitor.until(lambda: panel.get_by_text("last.PNG").count() == 0, "it is gone from the list")
    panel.locator(OPTION).first.locator(".remove").click()  # the cross of the other one
    visitor.until(lambda: panel.get_by_text("first.png").count() == 0, "so is the other")
    visitor.settled()
    visitor.tab.keyboard.press("Escape")
    assert visitor.chosen("Image") == "digit-3"


def test_a_file_chosen_from_the_panel_comes_the_same_way(visitor: Visitor):
    visitor.open("filters", "net=lenet5")
    panel = visitor.open_cards("Image")
    with visitor.tab.expect_file_chooser() as asked:
        panel.get_by_role("button", name="Choose a file…").click()
    asked.value.set_files({"name": "chosen.png", "mimeType": "image/png", "buffer": png(3)})
    visitor.until(lambda: visitor.cards("Image").get_by_text("chosen.png").count() == 1, "it is shown")
    visitor.settled()
