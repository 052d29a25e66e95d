"""`cnnviz show NETWORK --maximize`: one image, sheets, and words for what does not go together."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnnviz
from cnnviz.cli import main
from cnnviz.figures.synthesis.sheet import PrintedImage, image_pages


def test_one_channel_is_made_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "seven.png"
    words = ["show", "lenet5", "--layer", "conv2", "--unit", "7", "--maximize", "--steps", "6", "--out", str(out)]
    assert main(words) == 0
    said = capsys.readouterr().out
    expected = cnnviz.maximize_activation(cnnviz.load("lenet5", device="cpu"), "conv2", 7, steps=6)
    assert f"lenet5 · conv2 · channel 7 · (5, 5)\nactivation  {expected.activation:.6g} after 6 steps" in said
    assert Image.open(out).width == 2480


def test_a_sheet_of_the_classes_goes_on_from_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, kept = tmp_path / "classes.pdf", tmp_path / "kept.npz"
    words = ["show", "lenet5", "--maximize", "--steps", "3", "--out", str(out), "--resume", str(kept)]
    assert main(words) == 0
    assert "<preferred inputs of lenet5 · classes: 10 channels>" in capsys.readouterr().out
    assert out.read_bytes().startswith(b"%PDF") and kept.is_file()
    written = kept.stat().st_mtime_ns
    assert main(words) == 0 and kept.stat().st_mtime_ns >= written


def test_figures_are_written_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["show", "lenet5", "--layer", "conv1", "--maximize", "--steps", "2", "--json"]
    assert main([*words, "--unit", "3"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert main(words) == 0
    sheet = json.loads(capsys.readouterr().out)
    assert (
        one["mixture"] == {"3": 1.0} and one["settings"]["steps"] == 2 and list(sheet["activations"]) == list("012345")
    )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["lenet5", "--layer", "conv2", "--maximize"], "needs a file, --out"),
        (["lenet5", "--layer", "conv2", "--unit", "99", "--maximize"], "16 channels, 0..15, got 99"),
        (["lenet5", "--unit", "3", "--maximize", "--out", "x.gif"], ".png or .pdf"),
        (["lenet5", "--maximize", "--blocks"], "--blocks"),
        (["lenet5", "--layer", "conv2"], "made with --maximize"),
    ],
)
def test_what_does_not_go_together_is_said(words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", *words]) == 1
    assert reason in capsys.readouterr().err


def test_a_sheet_shows_every_image_at_a_whole_multiple_and_takes_as_many_pages_as_it_needs() -> None:
    tile = np.random.default_rng(0).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    pages = image_pages([PrintedImage(tile, str(n)) for n in range(100)], "title", "note")
    assert len(pages) > 1 and all(page.width == 2480 for page in pages)
    first = np.asarray(pages[0])[250:, 140:]
    factor = next(f for f in range(60, 1, -1) if (first[: 7 * f, : 7 * f] == tile.repeat(f, 0).repeat(f, 1)).all())
    assert factor * 7 <= 250
