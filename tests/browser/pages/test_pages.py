"""Clicks on walls and pictures, and photographs of the visitor's own."""

import io

import pytest
from PIL import Image
from visitors import Visitor

pytestmark = pytest.mark.browser


def test_a_click_on_the_wall_of_filters_chooses_that_filter(visitor: Visitor):
    visitor.open("filters", "net=lenet5")
    visitor.click_tile("6 filters", 5)
    visitor.until_query(unit="5")
    visitor.until_chosen("Channel", "5")
    visitor.tab.get_by_text("conv1 · channel 5").wait_for()


def test_clicks_on_maps_and_pixels_choose_channel_and_unit(visitor: Visitor):
    visitor.open("feature-maps", "net=lenet5&layer=conv2&order=By+index&unit=0&row=0&col=0")
    visitor.click_tile("Feature maps of", 12, 0.35, 0.75)  # of 10×10 units: row 7, column 3
    visitor.until(lambda: visitor.query().get("unit") == "12", "map 12 was clicked")
    visitor.settled()
    assert [visitor.chosen(label) for label in ("Channel", "Row", "Column")] == ["12", "7", "3"]
    visitor.tab.get_by_text("conv2 · channel 12 · (7, 3)").wait_for()
    overlay = visitor.picture("The input with")
    box = visitor.box(overlay)
    before = visitor.tab.locator(".frame:has(img[alt^='The input with']) rect").last.get_attribute("x")
    overlay.click(position={"x": box["width"] * 0.85, "y": box["height"] * 0.15})  # of 10×10 units: row 1, column 8
    visitor.until(lambda: visitor.query().get("col") == "8", "a pixel was clicked")
    visitor.settled()
    assert (visitor.query()["row"], visitor.chosen("Row"), visitor.chosen("Column")) == ("1", "1", "8")
    frame = visitor.tab.locator(".frame:has(img[alt^='The input with']) rect").last
    factor = int(overlay.get_attribute("width")) / 28
    assert frame.get_attribute("x") != before
    assert float(frame.get_attribute("x")) == pytest.approx((8 * 2 - 2) * factor)
    assert float(frame.get_attribute("y")) == 0  # row 1 begins at the border


def photograph() -> bytes:
    """A JPEG, blue on the left, that its EXIF data turn so that blue comes to the top."""
    picture = Image.new("RGB", (60, 40), (220, 30, 30))
    picture.paste((20, 40, 220), (0, 0, 30, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


def test_an_uploaded_photograph_replaces_the_image_upright_and_a_text_file_is_refused(visitor: Visitor):
    upload = ".st-key-upload input[type=file]"
    for page in ("", "feature-maps"):
        visitor.open(page, "net=resnet20_cifar&weights=random&image=coffee")
        image = {"name": "p.jpg", "mimeType": "image/jpeg", "buffer": photograph()}
        visitor.tab.locator(upload).first.set_input_files(image)
        visitor.until(lambda: visitor.query().get("image", "").startswith("upload-"), f"uploaded on {page}")
        visitor.settled()
        assert visitor.chosen("Image") == visitor.query()["image"]
    visitor.go("")
    shown = visitor.picture("The image after").evaluate(
        """image => { const canvas = document.createElement("canvas"); canvas.width = image.naturalWidth
           canvas.height = image.naturalHeight; const pen = canvas.getContext("2d"); pen.drawImage(image, 0, 0)
           const at = y => [...pen.getImageData(canvas.width / 2, canvas.height * y, 1, 1).data]
           return [at(.1), at(.9)] }"""
    )
    assert shown[0][2] > 150 > shown[0][0] and shown[1][0] > 150 > shown[1][2]  # blue above, red below
    before = visitor.tab.url
    letter = {"name": "letter.png", "mimeType": "image/png", "buffer": b"Dear reader, this is no picture."}
    visitor.tab.locator(upload).first.set_input_files(letter)
    visitor.main.get_by_text("The view is unchanged").wait_for()
    assert visitor.tab.url == before and visitor.picture("The image after").is_visible()
