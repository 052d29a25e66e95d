"""The command line: the same answers as the library, errors in words, exit codes that scripts can use."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import cnnviz
from cnnviz.cli import main

ROOT = Path(__file__).resolve().parents[2]


def test_list_names_every_architecture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--names"]) == 0
    assert capsys.readouterr().out.split() == cnnviz.architectures()


def test_list_shows_corpora_and_devices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "corpora"]) == 0 and main(["list", "devices"]) == 0
    out = capsys.readouterr().out
    assert "samples" in out and "imagenette" in out and "cpu" in out


def test_an_unknown_network_is_explained_and_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "lenet6"]) == 1
    message = capsys.readouterr().err
    assert "lenet6" in message and "lenet5" in message and "Traceback" not in message


def test_wrong_usage_exits_with_2() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["index"])
    assert stopped.value.code == 2


@pytest.mark.parametrize("command", ["list", "show", "train", "index", "prefetch", "doctor"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


def test_index_writes_what_the_library_finds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    images = cnnviz.corpus("digits", 12)
    for i in range(len(images)):
        images.image(i).save(folder / f"{i:02}.png")
    out = tmp_path / "index.npz"
    words = ["index", "lenet5", "--weights", "random", "--device", "cpu", "--data", str(folder), "--out", str(out)]
    assert main([*words, "--layers", "conv2", "-k", "3"]) == 0
    model = cnnviz.load("lenet5", "random", "cpu")
    expected = cnnviz.index_patches(model, cnnviz.corpus(str(folder)), ["conv2"], k=3)
    found = cnnviz.PatchIndex.load(out)
    for channel in range(16):
        assert found.top("conv2", channel) == expected.top("conv2", channel)
    assert "16 channels" in capsys.readouterr().out


def test_train_then_show_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grain = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 4)):
        for label, level in (("dark", 30), ("light", 220)):
            folder = tmp_path / "data" / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(grain.normal(level, 12, (28, 28)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    words = ["train", "lenet5", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert main([*words, "--epochs", "6", "--batch", "8", "--lr", "0.02", "--shift", "0", "--warmup", "0"]) == 0
    path = Path(capsys.readouterr().out.strip().splitlines()[-1])
    assert path.name == "lenet5-data.safetensors"
    model = cnnviz.load(weights=path, device="cpu")
    assert (model.name, model.class_names) == ("lenet5", ["dark", "light"])
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert len(history) == 6 and history[-1]["test_accuracy"] == 1.0
    assert main(["show", str(path)]) == 0
    assert "fc3" in capsys.readouterr().out
    words = [*words[:4], "--out", str(tmp_path / "on"), "--device", "cpu", "--epochs", "1", "--batch", "8"]
    assert main([*words, "--from", str(path), "--freeze", "all-but-head", "--images-per-class", "4"]) == 0
    printed = capsys.readouterr()
    assert "frozen: 8 of 10 parameter tensors" in printed.out + printed.err
    assert "images: 8, 4 of each class" in printed.out + printed.err
    before, after = (cnnviz.load(weights=p, device="cpu").module.state_dict() for p in (path, _last_line(printed.out)))
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"fc3.weight", "fc3.bias"}
    assert main([*words[:4], "--out", str(tmp_path / "no"), "--from", str(path), "--freeze", "fc7"]) == 1
    assert "No layer named 'fc7'" in capsys.readouterr().err


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "cnnviz", "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "streamlit run app/Home.py" in done.stdout


def test_prefetch_without_a_connection_says_where_the_file_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("CNNVIZ_WEIGHTS_MIRROR", "http://127.0.0.1:9/weights")  # nobody listens there
    assert main(["prefetch", "squeezenet1_1"]) == 1
    message = capsys.readouterr().err
    assert "squeezenet1_1" in message and str(tmp_path) in message
