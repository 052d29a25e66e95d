"""`cnnviz show`: what it prints is the anatomy, in columns that fit a terminal."""

import csv
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import cnnviz
from cnnviz.cli import main
from cnnviz.models.catalogue.registry import find

Out = pytest.CaptureFixture[str]


def shown(capsys: Out, *words: str) -> list[str]:
    assert main(["show", *words]) == 0
    return capsys.readouterr().out.splitlines()


def cells(lines: list[str]) -> dict[str, list[str]]:
    """{layer: the words of its line}."""
    return {line.split()[1]: line.split() for line in lines if line[:4].strip().isdigit()}


def test_the_layer_table_gives_shapes_costs_and_receptive_fields(capsys: Out) -> None:
    found = cells(shown(capsys, "lenet5"))
    assert [found[layer][-1] for layer in ("pool1", "conv2", "pool2")] == ["6×6", "14×14", "16×16"]
    assert found["conv1"][2:] == ["5×5", "conv,", "6", "6×28×28", "156", "118", "k", "18.8", "kB", "5×5", "image"]
    assert found["conv2"][5:7] == ["16×10×10", "2,416"]


def test_source_year_published_result_and_exact_totals_are_said(capsys: Out) -> None:
    entry = find("vgg16_c")
    text = " ".join("\n".join(shown(capsys, "vgg16_c")).split())
    for wanted in (entry.title, entry.source, str(entry.year), entry.published, "133,638,952", "11,770,888,192"):
        assert wanted in text


@pytest.mark.parametrize("name", ["densenet_40_k12", "googlenet_2014", "mobilenet_v3_large", "lenet5_1998"])
def test_no_line_is_wider_than_120_characters(name: str, capsys: Out) -> None:
    for words in ([name], [name, "--blocks"], [name, "inception_v3"]):
        lines = shown(capsys, *words)
        assert max(len(line) for line in lines) <= 120 and not any(line != line.rstrip() for line in lines)


def test_blocks_stand_for_their_layers(capsys: Out) -> None:
    lines = [line.split() for line in shown(capsys, "googlenet_2014", "--blocks")]
    assert ["inception3a", "inception", "256×28×28", "2", "163,696"] in [line[:5] for line in lines]


def test_two_networks_stand_side_by_side(capsys: Out) -> None:
    lines = shown(capsys, "plain20_cifar", "resnet20_cifar")
    halves = [line.split(" │ ") for line in lines if " │ " in line]
    assert [half.split()[0] for half, _ in halves] == [half.split()[0] for _, half in halves]  # equal blocks
    assert ["parameters", "269,722", "269,722"] in [line.split() for line in lines]
    assert len(halves) == 1 + len(cnnviz.anatomy("resnet20_cifar").blocks)


def test_the_written_csv_is_that_of_the_anatomy(tmp_path: Path, capsys: Out) -> None:
    path = tmp_path / "lenet5.csv"
    assert str(path) in shown(capsys, "lenet5", "--csv", str(path))[-1]
    assert path.read_text(encoding="utf-8") == cnnviz.anatomy("lenet5").csv()
    assert len(list(csv.reader(path.open(encoding="utf-8")))) == 1 + 11


def test_a_drawing_is_written_as_svg_and_png(tmp_path: Path, capsys: Out) -> None:
    shown(capsys, "lenet5", "--graph", str(tmp_path / "net.svg"))
    shown(capsys, "lenet5", "--graph", str(tmp_path / "net.png"))
    assert (tmp_path / "net.svg").read_text(encoding="utf-8").lstrip().startswith("<svg")
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")


def test_a_weights_file_is_shown_as_the_network_it_holds(tmp_path: Path, capsys: Out) -> None:
    path = tmp_path / "digits.safetensors"
    model = cnnviz.load("lenet5", "random", "cpu")
    save_file({key: tensor.contiguous() for key, tensor in model.module.state_dict().items()}, path)
    lines = shown(capsys, str(path))
    assert lines[0].startswith("lenet5")
    assert cells(lines)["fc3"][2:6] == ["linear,", "10", "10", "850"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lenet55"], "Closest: lenet5"),
        (["lenet5", "--graph", "net.pdf"], ".svg or .png"),
        (["lenet5", "vgg16", "--csv", "two.csv"], "not two"),
    ],
)
def test_what_cannot_be_shown_is_explained(words: list[str], said: str, capsys: Out) -> None:
    assert main(["show", *words]) == 1
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


def test_files_are_written_into_new_folders_and_a_place_that_takes_none_is_said(tmp_path: Path, capsys: Out) -> None:
    shown(capsys, "lenet5", "--csv", str(tmp_path / "new" / "a.csv"), "--graph", str(tmp_path / "other" / "a.svg"))
    assert (tmp_path / "new" / "a.csv").stat().st_size and (tmp_path / "other" / "a.svg").stat().st_size
    for option, place in (("--csv", tmp_path), ("--graph", tmp_path / "new" / "a.csv" / "b.svg")):
        assert main(["show", "lenet5", option, str(place)]) == 1
        assert f"cnnviz: Could not write {place}" in capsys.readouterr().err


def test_class_folders_judge_a_weights_file(tmp_path: Path, capsys: Out) -> None:
    digits = cnnviz.corpus("digits")
    for i in range(4):
        (tmp_path / "set" / f"{i % 2}").mkdir(parents=True, exist_ok=True)
        digits.image(i).save(tmp_path / "set" / f"{i % 2}" / f"{i}.png")
    path = tmp_path / "net.pt"
    torch.save(nn.Sequential(nn.Conv2d(1, 6, 5), nn.Flatten(), nn.Linear(6 * 24 * 24, 10)).state_dict(), path)
    assert main(["show", str(path), "--labelled", str(tmp_path / "set")]) == 1
    assert "2 classes, the network 10" in capsys.readouterr().err
