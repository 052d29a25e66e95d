"""Where the weights lie in a file, whatever the script called them."""

import pytest
import torch

from cnnviz.models.checkpoint import unwrap
from cnnviz.models.checkpoint.read import read_weights
from cnnviz.models.checkpoint.stubs import Settings

STATE = {"conv.weight": torch.arange(54.0).view(2, 3, 3, 3), "conv.bias": torch.tensor([1.0, 2.0])}
OTHER = {key: value + 100 for key, value in STATE.items()}
OPTIMIZER = {"state": {0: {"exp_avg": torch.ones(9)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
NAMES = "model_state network weights params net_state_dict model_weights student backbone state".split()


def read(path, content):
    torch.save(content, path)
    return read_weights(path)


def assert_same(tensors, expected=STATE):
    assert tensors.keys() == expected.keys()
    for key, tensor in tensors.items():
        torch.testing.assert_close(tensor, expected[key], rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_found_under_any_name(tmp_path, name):
    found = read(tmp_path / "w.pt", {"optimizer": OPTIMIZER, name: STATE, "epoch": 3})
    assert_same(found.tensors)
    assert found.metadata == {"epoch": 3} and not found.warnings


def test_a_number_or_the_state_of_a_generator_beside_them_is_not_taken_for_them(tmp_path):
    content = {"best_loss": torch.tensor(0.25), "rng": torch.get_rng_state(), "my_net": {"sd": STATE, "arch": "x"}}
    found = read(tmp_path / "w.pt", content)
    assert_same(found.tensors)
    assert found.metadata == {"best_loss": 0.25, "arch": "x"}


def test_the_usual_names_go_before_the_largest_dict(tmp_path):
    content = {"history": {f"t{i}": torch.ones(2) for i in range(9)}, "model": STATE}
    assert_same(read(tmp_path / "w.pt", content).tensors)


def test_the_fullest_dict_is_taken_where_no_name_is_usual(tmp_path):
    content = {"centres": {"a": torch.ones(3)}, "classifier_net": STATE}
    assert_same(read(tmp_path / "w.pt", content).tensors)


@pytest.mark.parametrize("average", ["ema_weights", "teacher", "swa"])
def test_of_two_sets_the_average_is_left_and_the_user_is_told(tmp_path, average):
    found = read(tmp_path / "w.pt", {average: OTHER, "weights": STATE})
    assert_same(found.tensors)
    assert found.warnings == [f"The file holds several sets of weights; 'weights' was taken, and {average!r} was not."]


def test_a_dict_that_holds_another_one_many_times_over_is_looked_at_once(tmp_path):
    """Four levels of 1,000 names for one dict: 10¹² paths, and 4,000 entries."""
    inner = {"conv.weight": torch.ones(2, 2)}
    for _ in range(3):
        inner = {f"n{i}": inner for i in range(1000)}
    assert list(read(tmp_path / "w.pt", inner).tensors) == ["conv.weight"]


class Counted(dict):
    """Knows how often somebody went through it."""

    times = 0

    def items(self):
        self.times += 1
        return super().items()


def test_settings_that_share_their_fields_are_looked_into_once():
    shared = Counted({f"k{i}": i for i in range(50)})
    many = {f"n{i}": Settings() for i in range(30)}
    for one in many.values():
        one.__setstate__(shared)
    metadata: dict = {}
    assert_same(unwrap.unwrap({**many, "model": STATE}, metadata, []))
    assert shared.times == 1 and metadata["n29"] == dict(shared)


def test_a_list_that_a_file_names_again_and_again_is_looked_into_so_often_and_no_more(monkeypatch):
    monkeypatch.setattr(unwrap, "_ALL_VALUES", 5_000)
    long = list(range(1_000))
    same, wrapped = {f"k{i}": long for i in range(40)}, {f"k{i}": [long] for i in range(40)}
    metadata: dict = {}
    unwrap.unwrap({"args": {**same, "odd": object()}, "model": STATE}, metadata, [])
    assert len(metadata["args"]) == 40  # one look at the list, which all of them are
    unwrap.unwrap({"args": {**wrapped, "odd": object()}, "model": STATE}, metadata, [])
    assert 1 <= len(metadata["args"]) < 5
