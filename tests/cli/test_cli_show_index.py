"""`cnnviz show INDEX.npz`: the summary, a layer, a unit and their pictures from a terminal."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnnviz
from cnnviz.cli import main
from cnnviz.figures.patches.sheet import MARGIN, TITLE
from cnnviz.index.result import PatchIndex

Out = pytest.CaptureFixture[str]
WORDS = ["index", "lenet5", "--weights", "random", "--device", "cpu", "--layers", "conv1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawn digits as files."""
    folder, images = tmp_path_factory.mktemp("digits"), cnnviz.corpus("digits", 12)
    for i in range(12):
        images.image(i).save(folder / f"{i:02}.png")
    return folder


@pytest.fixture(scope="module")
def file(folder: Path) -> Path:
    out = folder.parent / f"{folder.name}.npz"
    assert main([*WORDS, "-k", "4", "--data", str(folder), "--out", str(out)]) == 0
    return out


def shown(capsys: Out, *words: object) -> str:
    capsys.readouterr()
    assert main(["show", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_the_summary_names_network_corpus_precision_and_layers(file: Path, folder: Path, capsys: Out) -> None:
    text = shown(capsys, file)
    for said in ("lenet5, random weights", f"{folder.name}, 12 images", "complete", "4 a channel", "float32, exact"):
        assert said in text
    line = next(line.split() for line in text.splitlines() if line.startswith("conv1 "))
    best = max((PatchIndex.load(file).top("conv1", c)[0].value, c) for c in range(6))
    assert line[1:3] == ["6", "5×5"] and line[-3:] == ["channel", str(best[1]), f"{best[0]:.4g}"]


def test_a_partial_index_is_shown_as_one(file: Path, folder: Path, tmp_path: Path, capsys: Out) -> None:
    model, out = cnnviz.load("lenet5", "random", "cpu"), tmp_path / "part.npz"
    cnnviz.index_patches(
        model, cnnviz.corpus(str(folder)), ["conv1"], k=4, out=out, batch=4, progress=lambda state: state.done < 8
    )
    assert "partial, 8 of 12 images seen" in shown(capsys, out)


def test_a_layer_has_a_line_a_channel_and_a_unit_a_line_a_winner(file: Path, capsys: Out) -> None:
    lines = [line.split() for line in shown(capsys, file, "--layer", "conv1").splitlines()]
    assert [line[0] for line in lines if line and line[0].isdigit()] == [str(c) for c in range(6)]
    text = shown(capsys, file, "--layer", "conv1", "--unit", 2)
    for winner in PatchIndex.load(file).top("conv1", 2):
        assert winner.image_id in text and f"({winner.row}, {winner.col})" in text


def test_the_wall_is_written_as_png_and_pdf(file: Path, folder: Path, tmp_path: Path, capsys: Out) -> None:
    for suffix, head in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
        out = tmp_path / f"wall{suffix}"
        assert str(out) in shown(capsys, file, "--layer", "conv1", "--out", out, "--data", folder)
        assert out.read_bytes().startswith(head)
    whole = np.asarray(Image.open(tmp_path / "wall.png"))
    shown(capsys, file, "--layer", "conv1", "--out", tmp_path / "low.png", "--data", folder, "--rule", "guided")
    other = np.asarray(Image.open(tmp_path / "low.png"))
    assert whole.shape == other.shape and (whole != other).any()


def test_patches_kept_inside_need_neither_network_nor_images(folder: Path, tmp_path: Path, capsys: Out) -> None:
    out, wall = tmp_path / "index.npz", tmp_path / "wall.png"
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert main([*WORDS, "-k", "4", "--data", str(copy), "--out", str(out), "--embed", "16"]) == 0
    for path in copy.iterdir():
        path.unlink()
    shown(capsys, out, "--layer", "conv1", "--unit", 1, "--out", wall)
    crop = PatchIndex.load(out).crops("conv1", 1)[0][..., 0]
    first = np.asarray(Image.open(wall))[MARGIN + TITLE :, MARGIN:, 0]
    larger = {factor: crop.repeat(factor, 0).repeat(factor, 1) for factor in range(10, 40)}
    assert any((first[: len(tile), : len(tile)] == tile).all() for tile in larger.values())


def test_public_images_are_found_by_name(tmp_path: Path, capsys: Out) -> None:
    out, wall = tmp_path / "index.npz", tmp_path / "wall.png"
    assert main([*WORDS, "-k", "2", "--data", "digits", "--limit", "9", "--out", str(out)]) == 0
    shown(capsys, out, "--layer", "conv1", "--unit", 0, "--out", wall, "--device", "cpu")
    assert wall.is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--unit", "1"], "name it with --layer"),
        (["--out", "wall.png"], "name it with --layer"),
        (["--layer", "conv1", "--out", "wall.svg"], ".png or .pdf"),
        (["--layer", "conv9"], "Closest: conv1"),
        (["--layer", "conv1", "--unit", "6"], "0..5, got 6"),
        (["--layer", "conv1", "--out", "wall.png"], "name them with --data"),
        (["--layer", "conv1", "--out", "wall.png", "--data", "digits"], "other images"),
        (["--blocks"], "shown by --layer and --unit"),
        (["vgg16"], "shown by --layer and --unit"),
    ],
)
def test_what_cannot_be_shown_of_an_index_is_explained(words: list[str], said: str, file: Path, capsys: Out) -> None:
    assert main(["show", str(file), *words]) == 1
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


def test_a_file_that_is_no_index_and_a_network_with_a_layer_are_explained(tmp_path: Path, capsys: Out) -> None:
    (tmp_path / "other.npz").write_bytes(b"PK\x03\x04 nothing")
    assert main(["show", str(tmp_path / "other.npz")]) == 1
    assert main(["show", str(tmp_path / "none.npz")]) == 1
    assert main(["show", "lenet5", "--layer", "conv1"]) == 1
    error = capsys.readouterr().err
    assert "damaged" in error and "There is no file" in error and "lenet5 is a network" in error


def test_an_index_of_a_weights_file_asks_for_that_file(folder: Path, tmp_path: Path, capsys: Out) -> None:
    from safetensors.torch import save_file

    weights, out = tmp_path / "mine.safetensors", tmp_path / "index.npz"
    tensors = cnnviz.load("lenet5", "bundled", "cpu").module.state_dict()
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, weights)
    words = ["index", "lenet5", "--weights", str(weights), "--device", "cpu", "--layers", "conv1", "-k", "2"]
    assert main([*words, "--data", str(folder), "--out", str(out)]) == 0
    wall = [
        "show",
        str(out),
        "--layer",
        "conv1",
        "--unit",
        "0",
        "--out",
        str(tmp_path / "w.png"),
        "--data",
        str(folder),
    ]
    assert main(wall) == 1 and "mine.safetensors: name that file with --weights" in capsys.readouterr().err
    assert main([*wall, "--weights", str(weights)]) == 0


def test_the_help_of_index_says_what_a_layers_values_are_and_who_wins_a_tie(capsys: Out) -> None:
    with pytest.raises(SystemExit):
        main(["index", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "a convolution's are those before its ReLU" in text and "name the ReLU's own module" in text
    assert "lowest position on the map wins" in text and "then the earlier image" in text


def test_the_name_of_a_relu_chooses_the_values_behind_it(folder: Path, tmp_path: Path) -> None:
    layers = ["features.0", "features.1"]
    out = tmp_path / "index.npz"
    words = ["index", "squeezenet1_1", "--weights", "random", "--device", "cpu", "--limit", "3", "-k", "3", "--layers"]
    assert main([*words, *layers, "--data", str(folder), "--out", str(out)]) == 0
    before, after = (PatchIndex.load(out).tops[layer].values for layer in layers)
    np.testing.assert_array_equal(np.maximum(before, 0), after)
