"""Weights that come with cnnviz."""

from pathlib import Path

import cnnviz
from cnnviz.models.bundled import assets, bundled, epoch_of, snapshots


def test_assets_lie_beside_the_package(monkeypatch):
    monkeypatch.delenv("CNNVIZ_ASSETS", raising=False)
    assert assets() == Path(cnnviz.__file__).resolve().parents[1] / "assets"


def test_each_architecture_has_the_first_of_its_files(monkeypatch, tmp_path):
    monkeypatch.setenv("CNNVIZ_ASSETS", str(tmp_path))
    assert bundled() == {}
    (tmp_path / "weights").mkdir()
    for name in (
        "resnet20_cifar-cifar10.safetensors",
        "lenet5-mnist.safetensors",
        "lenet5-fashion.safetensors",
    ):
        (tmp_path / "weights" / name).touch()
    (tmp_path / "weights" / "lenet5-mnist.json").touch()
    assert {name: path.name for name, path in bundled().items()} == {
        "lenet5": "lenet5-fashion.safetensors",
        "resnet20_cifar": "resnet20_cifar-cifar10.safetensors",
    }


def test_snapshots_are_found_by_epoch(monkeypatch, tmp_path):
    monkeypatch.setenv("CNNVIZ_ASSETS", str(tmp_path))
    assert snapshots("lenet5") == {}
    folder = tmp_path / "weights" / "snapshots" / "lenet5"
    folder.mkdir(parents=True)
    for name in ("epoch-010.safetensors", "epoch-000.safetensors", "epoch-1.safetensors", "epoch-x.safetensors"):
        (folder / name).touch()
    assert {epoch: path.name for epoch, path in snapshots("lenet5").items()} == {
        0: "epoch-000.safetensors",
        1: "epoch-1.safetensors",
        10: "epoch-010.safetensors",
    }
    assert list(snapshots("lenet5")) == [0, 1, 10]


def test_a_word_names_an_epoch():
    found = {
        word: epoch_of(word)
        for word in ("epoch-5", "epoch-050", "epoch-", "epoch-5.pt", "bundled", None, Path("epoch-5"))
    }
    assert [epoch for epoch in found.values() if epoch is not None] == [5, 50]
    assert epoch_of("epoch-5") == 5
