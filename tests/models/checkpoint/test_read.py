"""Weights files: what is honest is read whole, what is not is refused with its reason."""

import hashlib
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune
from weightfiles import prefixed

from cnnviz.errors import BadCheckpoint, BadInput
from cnnviz.models.checkpoint.prefixes import PREFIXES
from cnnviz.models.checkpoint.read import read_weights
from cnnviz.models.checkpoint.unwrap import WRAPPERS

STATE = {"conv.weight": torch.arange(54.0).view(2, 3, 3, 3), "conv.bias": torch.tensor([1.0, 2.0])}


def assert_same(tensors, expected=STATE):
    assert tensors.keys() == expected.keys()
    for key, tensor in tensors.items():
        torch.testing.assert_close(tensor, expected[key], rtol=0, atol=0)


@pytest.mark.parametrize("suffix", ["pt", "pth", "th", "ckpt", "safetensors", "anything"])
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_the_content_decides_the_format_not_the_suffix(tmp_path, suffix, form):
    path = tmp_path / f"w.{suffix}"
    if form == "safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=form == "zip")
    found = read_weights(path)
    assert_same(found.tensors, dict(sorted(STATE.items())) if form == "safetensors" else STATE)
    assert found.kind == {"zip": "torch", "legacy": "torch, before 1.6"}.get(form, form)


def test_the_hash_is_that_of_the_file(tmp_path):
    torch.save(STATE, tmp_path / "w.pt")
    assert read_weights(tmp_path / "w.pt").sha256 == hashlib.sha256((tmp_path / "w.pt").read_bytes()).hexdigest()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_weights_are_found_under_the_usual_keys_beside_an_optimizer(tmp_path, wrapper):
    state = {"epoch": 3, wrapper: STATE, "optimizer": {"state": {0: {"momentum_buffer": torch.ones(9)}}}}
    torch.save(state, tmp_path / "w.pt")
    found = read_weights(tmp_path / "w.pt")
    assert_same(found.tensors)
    assert found.metadata == {"epoch": 3}


def test_weights_nested_twice_are_found(tmp_path):
    torch.save({"model": {"state_dict": STATE, "arch": "x"}, "epoch": 1}, tmp_path / "w.pt")
    found = read_weights(tmp_path / "w.pt")
    assert_same(found.tensors)
    assert found.metadata == {"arch": "x", "epoch": 1}


def test_state_dict_goes_before_its_average(tmp_path):
    average = {key: value + 100 for key, value in STATE.items()}
    torch.save({"state_dict_ema": average, "state_dict": STATE}, tmp_path / "w.pt")
    assert_same(read_weights(tmp_path / "w.pt").tensors)


@pytest.mark.parametrize("prefix", [*PREFIXES, "module._orig_mod.", "_orig_mod.model.module."])
def test_prefixes_that_all_keys_share_are_removed(tmp_path, prefix):
    torch.save(prefixed(STATE, prefix), tmp_path / "w.pt")
    assert_same(read_weights(tmp_path / "w.pt").tensors)


def test_a_prefix_that_only_some_keys_have_stays(tmp_path):
    state = {"module.conv.weight": torch.ones(2), "head.weight": torch.ones(3)}
    torch.save(state, tmp_path / "w.pt")
    assert list(read_weights(tmp_path / "w.pt").tensors) == list(state)


def test_counters_do_not_keep_a_prefix_alive(tmp_path):
    state = {"n_averaged": torch.tensor(5), **prefixed(STATE, "module.")}
    torch.save(state, tmp_path / "w.pt")
    assert set(read_weights(tmp_path / "w.pt").tensors) == {"n_averaged", *STATE}


def test_plain_values_and_numpy_scalars_become_metadata(tmp_path):
    state = {"state_dict": STATE, "best": np.float64(91.5), "loss": torch.tensor(0.25), "arch": "vgg"}
    torch.save(state | {"classes": ["a", "b"]}, tmp_path / "w.pt")
    metadata = read_weights(tmp_path / "w.pt").metadata
    assert metadata == {"best": 91.5, "loss": 0.25, "arch": "vgg", "classes": ["a", "b"]}


def test_our_own_safetensors_metadata_are_unfolded(tmp_path):
    notes = {"architecture": "lenet5", "classes": ["0", "1"], "accuracy": {"test": 0.99}}
    save_file(STATE, tmp_path / "w.safetensors", {"cnnviz": json.dumps(notes), "format": "pt"})
    assert read_weights(tmp_path / "w.safetensors").metadata == notes | {"format": "pt"}


def test_text_in_safetensors_metadata_is_unfolded_where_it_is_json(tmp_path):
    told = {"class_to_idx": {"cat": 0, "dog": 1}, "preprocessing": {"size": [32, 32]}, "classes": ["cat", "dog"]}
    notes = {"architecture": "lenet5", "recipe": "[90 epochs]"}
    save_file(STATE, tmp_path / "w.safetensors", {key: json.dumps(value) for key, value in told.items()} | notes)
    found = read_weights(tmp_path / "w.safetensors")
    assert found.metadata == told | notes and not found.warnings


@pytest.mark.parametrize("text", ["[cat, dog", "cat,dog", "[" * 100_000])
def test_class_names_that_cannot_be_read_are_a_warning(tmp_path, text):
    save_file(STATE, tmp_path / "w.safetensors", {"class_names": text})
    (warning,) = read_weights(tmp_path / "w.safetensors").warnings
    assert "'class_names' are no JSON list" in warning and len(warning) < 200


@pytest.mark.parametrize("prefix", ["", "module."])
def test_pruned_weights_are_multiplied_by_their_masks(tmp_path, prefix):
    layer = nn.Conv2d(3, 4, 3)
    prune.random_unstructured(layer, "weight", 0.5)
    torch.save(prefixed(layer.state_dict(), f"{prefix}conv."), tmp_path / "w.pt")
    found = read_weights(tmp_path / "w.pt")
    assert_same(found.tensors, {"conv.bias": layer.bias.detach(), "conv.weight": layer.weight.detach()})
    assert found.warnings == ["1 tensors are pruned: their masks were applied."]


def test_broken_metadata_are_a_warning(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors", {"cnnviz": "{"})
    found = read_weights(tmp_path / "w.safetensors")
    assert "cnnviz" in found.warnings[0]


@pytest.mark.parametrize("side", ["w.pt.json", "w.json"])
def test_a_side_file_adds_what_the_file_lacks(tmp_path, side):
    torch.save({"state_dict": STATE, "architecture": "mine"}, tmp_path / "w.pt")
    (tmp_path / side).write_text(json.dumps({"architecture": "other", "classes": ["a"], "noise": 1}))
    assert read_weights(tmp_path / "w.pt").metadata == {"architecture": "mine", "classes": ["a"]}


def test_safetensors_come_in_natural_order(tmp_path):
    state = {f"layer{i}.weight": torch.full((1,), float(i)) for i in (10, 2, 1)}
    save_file(state, tmp_path / "w.safetensors")
    assert list(read_weights(tmp_path / "w.safetensors").tensors) == [f"layer{i}.weight" for i in (1, 2, 10)]


def test_half_precision_and_shared_tensors_are_read(tmp_path):
    weight = torch.ones(4, 4)
    state = {
        "a.weight": weight,
        "b.weight": weight,
        "c.weight": weight[1:3],
        "h": weight.half(),
        "i": weight.int(),
    }
    torch.save(state, tmp_path / "w.pt")
    assert_same(read_weights(tmp_path / "w.pt").tensors, state)


def test_nan_weights_are_a_warning(tmp_path):
    torch.save({"a.weight": torch.tensor([1.0, float("nan")]), "b.weight": torch.ones(1)}, tmp_path / "w.pt")
    (warning,) = read_weights(tmp_path / "w.pt").warnings
    assert "a.weight" in warning and "b.weight" not in warning


def test_a_pruned_weight_keeps_its_place_among_the_others(tmp_path):
    """Where names differ, order is all that tells four equal layers apart."""
    torch.manual_seed(0)
    layers = torch.nn.Sequential(*(torch.nn.Conv2d(4, 4, 3, bias=False) for _ in range(4)))
    prune.random_unstructured(layers[1], "weight", 0.5)
    torch.save(layers.state_dict(), tmp_path / "w.pt")
    found = read_weights(tmp_path / "w.pt").tensors
    assert list(found) == [f"{place}.weight" for place in range(4)]
    torch.testing.assert_close(found["1.weight"], layers[1].weight.detach(), rtol=0, atol=0)


# ---- refusals; test_bad_checkpoints.py has the others ---------------------------------------------


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.98])
def test_a_truncated_file_is_refused(tmp_path, form, share):
    path = tmp_path / "w.pt"
    state = {f"conv{i}.weight": torch.ones(16, 3, 3, 3) for i in range(8)}
    if form == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(BadCheckpoint, match="cut short|damaged"):
        read_weights(path)


@pytest.mark.filterwarnings("ignore:Validating sparse")
@pytest.mark.parametrize("value", [torch.ones(3).to_sparse(), torch.empty(3, device="meta")])
def test_tensors_that_are_not_stored_in_full_are_refused(tmp_path, value):
    torch.save({"a.weight": value}, tmp_path / "w.pt")
    with pytest.raises(BadCheckpoint):
        read_weights(tmp_path / "w.pt")


def test_files_over_the_cap_are_refused_and_the_cap_can_be_raised(tmp_path, monkeypatch):
    torch.save({"a.weight": torch.ones(500_000)}, tmp_path / "w.pt")
    monkeypatch.setenv("CNNVIZ_MAX_WEIGHTS_MB", "1")
    with pytest.raises(BadCheckpoint, match="CNNVIZ_MAX_WEIGHTS_MB"):
        read_weights(tmp_path / "w.pt")
    monkeypatch.setenv("CNNVIZ_MAX_WEIGHTS_MB", "much")
    with pytest.raises(BadInput, match="number of MiB"):
        read_weights(tmp_path / "w.pt")
    monkeypatch.setenv("CNNVIZ_MAX_WEIGHTS_MB", "3")
    assert read_weights(tmp_path / "w.pt").tensors["a.weight"].numel() == 500_000
