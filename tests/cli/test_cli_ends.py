"""How commands end: by Ctrl+C or SIGTERM with what is done kept and nothing else claimed, before they begin where the
result could not be written, and in any encoding."""

import io
import json
import signal
import sys

import pytest
from made_folders import class_folders

import cnnviz
from cnnviz.cli import classroom, main
from cnnviz.cli.bar import ProgressBar

INDEX = ["index", "lenet5", "--data", "digits", "--layers", "conv1", "--batch", "4", "-k", "3", "--device", "cpu"]


@pytest.fixture(autouse=True)
def handlers():
    """What the process does upon signals, as it was."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def interrupted(monkeypatch):
    """`interrupted(number, at)`: this process gets a signal when its bar is drawn for the `at`-th time."""

    def arrange(number: signal.Signals, at: int) -> None:
        drawn, draw = [], ProgressBar.update

        def update(self, share: float, text: str) -> None:
            drawn.append(text)
            draw(self, share, text)
            if len(drawn) == at:
                signal.raise_signal(number)

        monkeypatch.setattr(ProgressBar, "update", update)

    return arrange


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_index_that_is_ended_keeps_what_it_found_and_says_so(number, code, interrupted, tmp_path, capsys):
    out = tmp_path / "index.npz"
    interrupted(number, 2)
    assert main([*INDEX, "--out", str(out)]) == code
    assert "Interrupted. What was finished is kept; the same command goes on." in capsys.readouterr().err
    index = cnnviz.PatchIndex.load(out)
    assert not index.complete and 0 < index.meta["next"] < index.meta["images"]
    assert main([*INDEX, "--out", str(out)]) == 0
    whole = cnnviz.index_patches(cnnviz.load("lenet5", device="cpu"), cnnviz.corpus("digits"), ["conv1"], k=3, batch=4)
    index = cnnviz.PatchIndex.load(out)
    assert index.complete and all(index.top("conv1", c) == whole.top("conv1", c) for c in range(6))


def test_a_training_that_is_ended_keeps_its_steps_and_goes_on_from_there(interrupted, tmp_path, capsys):
    class_folders(tmp_path / "data", train=8, test=2)
    command = ["train", "lenet5", "--data", str(tmp_path / "data"), "--device", "cpu", "--epochs", "6", "--batch", "4"]
    interrupted(signal.SIGTERM, 2)
    assert main([*command, "--out", str(tmp_path / "run")]) == 143
    said = capsys.readouterr().err
    assert "Stopped in epoch " in said and "are kept and can be continued" in said
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    assert main([*command, "--out", str(tmp_path / "whole")]) == 0
    ran, whole = (json.loads((tmp_path / name / "history.json").read_text()) for name in ("run", "whole"))
    assert [epoch["train_loss"] for epoch in ran] == [epoch["train_loss"] for epoch in whole]


def test_what_is_ended_before_it_began_claims_to_keep_nothing(interrupted, monkeypatch, tmp_path, capsys):
    interrupted(signal.SIGTERM, 1)
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "cache"))
    assert main(["list"]) == 143  # the counting of parameters draws a bar
    assert capsys.readouterr().err.strip().endswith("Terminated.")
    monkeypatch.setattr("cnnviz.models.load.load", lambda *_args, **_more: signal.raise_signal(signal.SIGTERM))
    assert main([*INDEX, "--out", str(tmp_path / "index.npz")]) == 143
    said = capsys.readouterr().err
    assert said.strip().endswith("Terminated.") and "kept" not in said and not (tmp_path / "index.npz").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["index", "lenet5", "--data", "no-such-images", "--out"],
        ["train", "lenet5", "--data", "no-such-images", "--out"],
        ["landscape", "lenet5", "--data", "no-such-images", "--out"],
        ["show", "no-such-network", "--csv"],
        ["show", "no-such-index.npz", "--layer", "conv1", "--out"],
    ],
    ids=lambda command: f"{command[0]} {command[-1]}",
)
def test_an_output_that_cannot_be_written_is_refused_before_anything_is_read(command, tmp_path, capsys):
    (tmp_path / "file").touch()
    name = "wall.png" if "--layer" in command else "a.npz"
    for out in (tmp_path / "file" / name, tmp_path):
        ending = [] if out != tmp_path or command[0] == "train" else [out]
        if out == tmp_path and not ending:
            continue
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        assert main([*command, str(folder if ending else out)]) == 1
        said = capsys.readouterr().err
        assert "Could not write" in said and "Nothing was computed" in said and "no-such" not in said


class Terminal(io.TextIOWrapper):
    """A stream in another encoding, which fails for what the encoding has not."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding, "strict", write_through=True)

    def read_all(self) -> str:
        return self.buffer.getvalue().decode(self.encoding)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_every_encoding_will_do(encoding, monkeypatch, tmp_path):
    out, err = Terminal(encoding), Terminal(encoding)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", out)
        patched.setattr(sys, "stderr", err)
        assert main(["show", "lenet5", "resnet20_cifar"]) == 0
        assert main(["show", "lenet5", "--json"]) == 0
        assert main(["list", "weights", "lenet5"]) == 0
        assert main(["show", "lënet6 → ○"]) == 1
        assert main([*INDEX, "--out", str(tmp_path / "index.npz")]) == 0
        code = classroom.qr_code("http://192.168.1.20:8501")
        out.write(code)
    assert ("3×32×32" if encoding == "cp1252" else "3x32x32") in out.read_all()
    assert "#### 300 of 300 images" in err.read_all() and "█" not in code  # a bar, a code, of what the terminal has


def test_what_is_shown_and_listed_comes_as_json_too(tmp_path, capsys):
    def told(*command: str):
        assert main([*command, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    found = told("show", "lenet5")
    assert (found["parameters"], found["macs"], found["rows"][0]["output"]) == (61_706, 416_520, [6, 28, 28])
    assert [one["name"] for one in told("show", "lenet5", "resnet20_cifar")] == ["lenet5", "resnet20_cifar"]
    names = [one["name"] for one in told("list")]
    assert names == cnnviz.architectures()
    (card,) = told("list", "weights", "lenet5")
    assert card["weights"] == "bundled" and card["here"] is True
    assert "samples" in [one["name"] for one in told("list", "corpora")] and told("list", "devices")
    out = str(tmp_path / "index.npz")
    assert main([*INDEX, "--out", out]) == 0
    capsys.readouterr()
    index = cnnviz.PatchIndex.load(out)
    assert told("show", out)["layers"] == [{"layer": "conv1", "channels": 6}]
    (unit,) = told("show", out, "--layer", "conv1", "--unit", "2")["channels"]
    assert [one["value"] for one in unit["top"]] == [one.value for one in index.top("conv1", 2)]
