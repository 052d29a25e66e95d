"""The printed layer: every unit on a page, pixels kept, A4 at 300 dpi."""

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from cnnviz.figures.patches.sheet import (
    BESIDE,
    COLUMNS,
    DPI,
    MARGIN,
    PAPER,
    TITLE,
    layer_pages,
    patch_side,
    pdf_bytes,
    png_bytes,
)
from cnnviz.figures.patches.wall import Block, block_size, fit_tile


def block(channel: int) -> Block:
    random = np.random.default_rng(channel)
    patches = [random.integers(0, 256, (6, 6, 3), dtype=np.uint8) for _ in range(9)]
    return Block(channel, patches, patches[::-1], f"channel {channel}")


def test_units_fill_the_width_of_the_paper_in_reading_order():
    blocks = [block(c) for c in range(5)]
    (page,) = layer_pages(blocks, "A title", "a note")
    pixels, side = np.asarray(page), patch_side() // 6 * 6  # patches of 6 pixels at a whole multiple
    high, wide = block_size(side)
    assert page.width == PAPER[0]
    found = fit_tile(blocks[0].patches[0], side)
    np.testing.assert_array_equal(pixels[MARGIN + TITLE :, MARGIN:][:side, :side], found)
    right = MARGIN + wide - (3 * side + 4)
    low = fit_tile(blocks[0].reconstructions[0], side)
    np.testing.assert_array_equal(pixels[MARGIN + TITLE :, right:][:side, :side], low)
    left = [c for c in range(MARGIN + 1, PAPER[0]) if (pixels[MARGIN + TITLE + side // 2, c] != 255).any()]
    assert PAPER[0] - MARGIN - 6 * 6 - COLUMNS * 6 < max(left) < PAPER[0] - MARGIN


def test_a_large_layer_takes_several_pages_and_the_pdf_has_as_many():
    blocks = [block(c) for c in range(70)]
    pages = layer_pages(blocks, "A title", "a note")
    assert len(pages) > 1
    data = pdf_bytes(pages)
    assert data.startswith(b"%PDF") and data.count(b"/Type /Page\n") + data.count(b"/Type /Page ") >= len(pages)
    assert f"/Count {len(pages)}".encode() in data
    picture = Image.open(io.BytesIO(png_bytes(pages)))
    assert picture.size == (PAPER[0], sum(page.height for page in pages))
    assert round(picture.info["dpi"][0]) == DPI


def test_a_title_that_is_too_long_is_made_smaller():
    (page,) = layer_pages([block(0)], "very long " * 40, "a note")
    head = np.asarray(page)[MARGIN : MARGIN + TITLE]
    assert (head[:, : MARGIN - 2] == 255).all() and (head[:, PAPER[0] - MARGIN // 2 :] == 255).all()


def test_patches_without_reconstructions_are_larger_and_fill_the_width():
    bare = [replace(block(c), reconstructions=None) for c in range(COLUMNS)]
    (page,) = layer_pages(bare, "A title", "a note")
    pixels, side = np.asarray(page), patch_side(paired=False) // 6 * 6
    assert side > 1.5 * patch_side()
    pitch = block_size(patch_side(paired=False))[0] + BESIDE
    for column, unit in enumerate(bare):
        line = pixels[MARGIN + TITLE :][:side]
        found = fit_tile(unit.patches[0], side)
        np.testing.assert_array_equal(line[:, MARGIN + column * pitch :][:, :side], found)
