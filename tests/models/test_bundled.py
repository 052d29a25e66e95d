"""Weights that come with cnnviz."""

from pathlib import Path

import cnnviz
from cnnviz.models.bundled import assets, bundled


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
