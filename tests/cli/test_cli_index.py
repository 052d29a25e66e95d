"""`cnnviz index` of parts, with crops, merged, and by the processes of torchrun."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnnviz
from cnnviz.cli import main
from cnnviz.index.result import PatchIndex
from cnnviz.store import load_arrays

ROOT = Path(__file__).resolve().parents[2]
WORDS = ["index", "lenet5", "--weights", "random", "--device", "cpu", "--data", "digits", "--limit", "70", "-k", "3"]
MORE = ["--layers", "conv1", "conv2", "--batch", "8"]


def assert_same(one: Path, other: Path) -> None:
    mine, theirs = load_arrays(one), load_arrays(other)
    assert mine[1] == theirs[1] and mine[0].keys() == theirs[0].keys()
    for name, array in mine[0].items():
        np.testing.assert_array_equal(array, theirs[0][name], err_msg=name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "index.npz"
    assert main([*WORDS, *MORE, "--out", str(out)]) == 0
    return out


def test_what_was_found_is_said_with_the_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "index.npz")
    assert main([*WORDS, *MORE, "--out", out]) == 0
    said = capsys.readouterr().out
    assert "22 channels of 2 layers over 70 images, " in said and said.strip().endswith("images/s")
    assert main([*WORDS, *MORE, "--out", out]) == 0  # nothing left to do
    assert capsys.readouterr().out.strip().endswith("over 70 images")


def test_parts_are_merged_into_the_index_of_one_run(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(tmp_path / f"{i}.npz") for i in range(3)]
    for i, file in enumerate(files):
        assert main([*WORDS, *MORE, "--part", f"{i + 1}/3", "--out", file]) == 0
    assert "24 of 70 images, the others are still to be done" in capsys.readouterr().out
    out = tmp_path / "all.npz"
    assert main(["index", "--merge", *reversed(files), "--out", str(out)]) == 0
    assert "22 channels of 2 layers over 70 images" in capsys.readouterr().out
    assert_same(out, whole)


def test_merging_what_does_not_belong_together_is_explained(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, out = str(tmp_path / "other.npz"), str(tmp_path / "all.npz")
    assert main([*WORDS[:-2], *MORE, "-k", "4", "--part", "1/2", "--out", other]) == 0
    assert main(["index", "--merge", str(whole), other, "--out", out]) == 1
    assert main(["index", "--merge", str(whole), str(whole), "--out", out]) == 1
    said = capsys.readouterr().err
    assert "different k" in said and "both seen images 0 to 69" in said and not Path(out).exists()


def test_crops_are_kept_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "index.npz"
    assert main([*WORDS, *MORE, "--out", str(out), "--embed", "8"]) == 0
    assert "crops of the winners are inside" in capsys.readouterr().out
    index = PatchIndex.load(out)
    assert {crop.shape for crop in index.crops("conv1", 0)} == {(5, 5, 1)}  # its whole field
    assert {crop.shape for crop in index.crops("conv2", 0)} == {(8, 8, 1)}  # a field of 14, reduced


def test_labels_stay_with_the_winners_of_merged_parts(whole: Path) -> None:
    index, digits = PatchIndex.load(whole), cnnviz.corpus("digits", 70)
    assert index.meta["labels"] == {str(i): digits.labels[i] for i in index.ids}


@pytest.mark.parametrize(
    "words,reason",
    [
        (["index", "--out", "x.npz"], "NETWORK"),
        ([*WORDS, "--part", "1/2", "--out", "x.npz"], "--part needs --batch"),
        ([*WORDS, *MORE, "--part", "3/2", "--out", "x.npz"], "expected I/N"),
        ([*WORDS, *MORE, "--part", "half", "--out", "x.npz"], "expected I/N"),
    ],
)
def test_wrong_usage_says_what_is_missing(words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2 and reason in capsys.readouterr().err


def test_torchrun_splits_the_corpus_and_writes_the_index_of_one_process(whole: Path, tmp_path: Path) -> None:
    import torch

    out, threads = tmp_path / "index.npz", str(torch.get_num_threads())
    torchrun = ["-m", "torch.distributed.run", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    command = [sys.executable, *torchrun, "--nproc-per-node=2", "-m", "cnnviz", *WORDS, *MORE, "--out", str(out)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": threads}, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("22 channels of 2 layers over 70 images, ") == 1  # rank 0 alone speaks
    assert_same(out, whole)
