"""The command line about networks: lists, weights cards, plugins, prefetch and doctor."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import cnnviz
from cnnviz.cli import main
from cnnviz.cli.doctor import checks
from cnnviz.models.catalogue import architecture, plugins
from cnnviz.models.catalogue.registry import build, find

OWN = """
import cnnviz
from torch import nn

@cnnviz.register("{name}", input_size=(1, 28, 28), classes=10, labels="mnist")
def net(num_classes):
    return nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(2304, num_classes))
"""


@pytest.fixture(autouse=True)
def surroundings(weights_home, monkeypatch, tmp_path):
    """Empty caches, no plugins; what a test registers is gone afterwards."""
    architecture.published()
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CNNVIZ_DATA", str(tmp_path / "data"))
    for name in (plugins.VARIABLE, "CNNVIZ_DATA_MIRROR", "STREAMLIT_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(architecture, "_CATALOGUE", dict(architecture._CATALOGUE))
    monkeypatch.setattr(plugins, "_files", {})


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN.format(name="own_net"))
    return path


def test_list_groups_by_family_with_parameters_input_year_and_weights(monkeypatch, capsys):
    few = ("vgg16", "lenet5", "resnet20_cifar", "mlp", "alexnet", "plain20_cifar", "vgg11", "caffenet")
    monkeypatch.setattr(architecture, "_CATALOGUE", {name: find(name) for name in few})  # all take seconds to count
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in lines if line.startswith("  ")}
    assert set(rows) == set(cnnviz.architectures())
    assert "61.7 k" in rows["lenet5"] and "1×28×28" in rows["lenet5"] and "1998" in rows["lenet5"]
    assert "138 M" in rows["vgg16"] and "pretrained" in rows["vgg16"] and "bundled" in rows["resnet20_cifar"]
    family = ""
    for line in lines:  # every network stands below the name of its family
        family = line if line and not line.startswith(" ") else family
        if line.startswith("  "):
            assert find(line.split()[0]).family == family


def test_list_weights_tells_accuracy_size_and_whether_it_is_here(capsys):
    assert main(["list", "weights"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "46.8 MB" in rows["resnet18"] and " no " in rows["resnet18"] and "69.76 % top-1" in rows["resnet18"]
    assert " yes " in rows["lenet5"] and "99.17 % top-1" in rows["lenet5"]
    assert main(["list", "weights", "resnet18"]) == 0
    assert "BSD-3-Clause" in capsys.readouterr().out


def test_list_shows_the_networks_of_another_zoo_by_a_part_of_their_name(capsys):
    pytest.importorskip("pytorchcv")
    assert main(["list", "pytorchcv", "nin_"]) == 0
    assert capsys.readouterr().out.split() == [f"pytorchcv:nin_{data}" for data in ("cifar10", "cifar100", "svhn")]


def test_a_plugin_works_in_every_command_that_takes_a_network(own, capsys):
    assert main(["list", "--names", "--plugin", str(own)]) == 0
    assert "own_net" in capsys.readouterr().out.split()
    assert main(["show", "own_net", "--plugin", str(own)]) == 0
    assert "own_net" in capsys.readouterr().out


def test_a_broken_plugin_of_the_command_line_ends_it_and_one_of_the_variable_does_not(
    own, tmp_path, monkeypatch, capsys
):
    broken = tmp_path / "broken.py"
    broken.write_text("import cnnviz\n1 / 0\n")
    assert main(["list", "--names", "--plugin", str(broken)]) == 1
    message = capsys.readouterr().err
    assert f"{broken}, line 2" in message and "ZeroDivisionError" in message and "Traceback" not in message
    monkeypatch.setenv(plugins.VARIABLE, f"{broken}{os.pathsep}{own}")
    assert main(["list", "--names"]) == 0
    said = capsys.readouterr()
    assert "own_net" in said.out.split() and "ZeroDivisionError" in said.err


def test_prefetch_goes_on_after_a_failure_and_names_what_failed_at_the_end(tmp_path, monkeypatch, capsys, weights_home):
    pytest.importorskip("timm")
    usb = tmp_path / "usb"
    usb.mkdir()
    torch.manual_seed(0)
    save_file(build("timm:test_resnet").state_dict(), usb / "timm--test_resnet.r160_in1k.safetensors")
    monkeypatch.setenv("CNNVIZ_WEIGHTS_MIRROR", str(usb))
    assert main(["prefetch", "squeezenet1_1", "lenet6", "plain20_cifar", "timm:test_resnet"]) == 1
    said = capsys.readouterr()
    path = weights_home / "timm--test_resnet.r160_in1k.safetensors"
    assert said.out.startswith("timm:test_resnet: brought") and str(path) in said.out and path.is_file()
    last = said.err.strip().splitlines()[-1]
    assert "3 of 4 could not be brought: squeezenet1_1, lenet6, plain20_cifar." in last
    assert "lenet5" in said.err and "no public pretrained weights for plain20_cifar" in said.err
    assert main(["prefetch", "timm:test_resnet"]) == 0
    assert "already here" in capsys.readouterr().out


def test_prefetch_refuses_another_file_under_the_published_name(tmp_path, monkeypatch, capsys, weights_home):
    usb = tmp_path / "usb"
    usb.mkdir()
    torch.save(build("squeezenet1_0").state_dict(), usb / "squeezenet1_0-b66bff10.pth")
    monkeypatch.setenv("CNNVIZ_WEIGHTS_MIRROR", str(usb))
    assert main(["prefetch", "squeezenet1_0"]) == 1
    message = capsys.readouterr().err
    assert "not the expected file" in message and "expected b66bff10" in message
    assert not list(weights_home.iterdir())


def test_prefetch_of_nothing_asks_for_names(capsys):
    assert main(["prefetch"]) == 1
    assert "Name networks or data" in capsys.readouterr().err


def test_doctor_tells_folders_plugins_and_the_address(own, monkeypatch, weights_home):
    weights_home.mkdir(parents=True)
    (weights_home / "something.pth").write_bytes(bytes(2_500_000))
    plugins.load_file(own)
    parts = (checks.check_folders, checks.check_plugins, checks.check_address)
    out = "\n".join(finding.text for part in parts for finding in part())
    for fact in ("2.5 MB", str(weights_home), "own_net", "for this machine alone"):
        assert fact in out
    monkeypatch.setenv("STREAMLIT_SERVER_ADDRESS", "0.0.0.0")
    (found,) = checks.check_address()
    assert found.state == checks.NOTE and "would be public" in found.text


def test_doctor_survives_what_is_broken_and_names_it(tmp_path, monkeypatch, capsys):
    bad = tmp_path / "assets" / "weights"
    bad.mkdir(parents=True)
    (bad / "lenet5-mnist.safetensors").write_bytes(b"not weights")
    monkeypatch.setenv("CNNVIZ_ASSETS", str(tmp_path / "assets"))
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    monkeypatch.setenv(plugins.VARIABLE, str(broken))
    assert main(["doctor"]) == 1
    said = capsys.readouterr()
    assert "ZeroDivisionError" in said.out and "lenet5" in said.out and "Everything works" not in said.out
    assert said.err.strip().endswith("Broken: Files, Plugins, Bundled networks.")
    assert "Traceback" not in said.out + said.err
