"""The summaries of the catalogue: equal to what building and asking each network tells, read without PyTorch."""

import subprocess
import sys

import torch

from cnnviz.models.bundled import bundled
from cnnviz.models.catalogue import summary
from cnnviz.models.catalogue.cards import all_cards
from cnnviz.models.catalogue.registry import build, find
from cnnviz.models.zoo.download import cache_path
from cnnviz.store import read_json, write_json

RENEW = "python -c 'from cnnviz.models.catalogue import summary; summary.write()'"


def test_the_file_is_what_the_catalogue_says():
    held = read_json(summary._file())
    assert held["networks"] == summary.collect(), f"renew it: {RENEW}"
    assert held["families"] == summary.hash_families(), f"renew it: {RENEW}"


def test_sizes_and_accuracies_are_those_of_the_weights_cards():
    found = summary.summaries()
    for card in all_cards():
        if card.weights == "pretrained":
            one = found[card.name]
            assert (one.url, one.accuracy) == (card.url, card.accuracy)
            assert card.here or one.size_bytes == card.size_bytes
        if card.weights == "bundled":
            assert summary.recorded_accuracy(bundled()[card.name]) == card.accuracy != {}


def test_parameters_are_those_of_the_built_network_and_years_are_known():
    found = summary.summaries()
    for name in ("lenet5", "squeezenet1_1", "resnet20_cifar"):
        with torch.device("meta"):
            assert found[name].parameters == sum(p.numel() for p in build(name).parameters())
    assert [name for name, one in found.items() if not 1980 < one.year < 2030 and one.family != "Own networks"] == []


def test_reading_them_imports_no_torch_and_finds_the_same_place_for_downloads():
    code = (
        "import sys; from cnnviz.models.catalogue.summary import summaries; from cnnviz.models.zoo.download import "
        "cache_path; print(cache_path(summaries()['alexnet'].url)); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(cache_path(summary.summaries()["alexnet"].url))


def test_a_file_of_other_code_or_a_damaged_one_gives_way_to_the_catalogue(tmp_path, monkeypatch):
    expected = summary.summaries()
    for text in (None, "no json", "[]", '{"families": "other", "networks": {}}'):
        monkeypatch.setattr(summary, "_file", lambda text=text: tmp_path / f"{len(text or '')}.json")
        if text is not None:
            summary._file().write_text(text)
        found = summary.summaries()
        assert found.keys() == expected.keys() and found["alexnet"].size_bytes == expected["alexnet"].size_bytes
    write_json(summary._file(), {"families": summary.hash_families(), "networks": {"lenet5": {"nonsense": 1}}})
    assert summary.summaries()["lenet5"].title == find("lenet5").title
