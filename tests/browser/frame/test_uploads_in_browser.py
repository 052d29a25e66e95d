"""An image of one's own, dropped on pages that are not Home, takes the place of the sample at once."""

import io

import numpy as np
import pytest
from PIL import Image
from visitors import Visitor

pytestmark = pytest.mark.browser
PICTURES = {"inspect": "What the network sees", "equivariance": "Shift of", "receptive-fields": "The field of"}


def drawing(seed: int) -> bytes:
    """A PNG of coarse noise, another for every seed."""
    rough = np.random.default_rng(seed).integers(0, 256, (6, 6), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(rough).resize((60, 60)).save(file, "PNG")
    return file.getvalue()


def test_what_is_dropped_on_a_page_is_what_the_page_shows(visitor: Visitor):
    names = set()
    for seed, (page, alt) in enumerate(PICTURES.items()):
        visitor.open(page, "net=lenet5&layer=conv2&unit=3&average=this+image")
        sample = visitor.source(alt)
        visitor.drop(visitor.bar, "own.png", drawing(seed), "image/png")
        visitor.until(lambda: visitor.query().get("image", "").startswith("upload-"), f"uploaded on {page}")
        visitor.until(lambda alt=alt, old=sample: visitor.source(alt) != old, "the page shows it")
        visitor.settled()
        assert visitor.chosen("Image") == visitor.query()["image"]
        names.add(visitor.query()["image"])
    assert len(names) == len(PICTURES)  # by its content each
