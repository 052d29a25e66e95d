"""Names that a framework put something before, or beside: the network's own come out again."""

import pytest
import torch
from safetensors.torch import save_file
from weightfiles import filled, prefixed

from cnnviz.models.checkpoint.prefixes import align_names, drop_average, strip_prefixes
from cnnviz.models.checkpoint.read import read_weights
from cnnviz.models.load import load
from cnnviz.models.recognise.inspect import inspect

PREFIXES = ("backbone.", "timm_model.", "resnet.", "encoder.", "network.", "features.", "model.resnet.", "net.")


def save(state, path):
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)


def assert_loads(path, source, name):
    """Every tensor comes to its own place, recognised and under the name."""
    for model in (load(None, path, "cpu"), load(name, path, "cpu")):
        assert model.name == name
        for key, tensor in source.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                torch.testing.assert_close(model.module.state_dict()[key], tensor, rtol=0, atol=0, msg=key)


@pytest.mark.parametrize("prefix, suffix", [(one, (".pt", ".safetensors")[at % 2]) for at, one in enumerate(PREFIXES)])
def test_a_prefix_of_any_name_does_not_matter_in_any_format(tmp_path, prefix, suffix):
    source = filled("resnet20_cifar", 5)
    save(prefixed(source.state_dict(), prefix), tmp_path / f"w{suffix}")
    assert_loads(tmp_path / f"w{suffix}", source, "resnet20_cifar")
    report = inspect(tmp_path / f"w{suffix}").report
    assert (report.matched, report.renamed, report.warnings) == (97, [], [])


@pytest.mark.parametrize("prefix", ["", "model.", "backbone."])
def test_a_prefix_that_the_network_has_itself_stays_its_own(tmp_path, prefix):
    source = filled("all_cnn_c")
    save(prefixed(source.state_dict(), prefix), tmp_path / "w.safetensors")
    assert_loads(tmp_path / "w.safetensors", source, "all_cnn_c")
    assert inspect(tmp_path / "w.safetensors").report.renamed == []


@pytest.mark.parametrize(
    "prefix, beside",
    [
        ("model.", "criterion.weight"),
        ("backbone.", "loss_fn.weight"),
        ("module.model.", "train_acc.tp"),
        ("backbone.", "metrics.tp"),
        ("model.", "class_weights"),
        ("module.model.", "criterion.weight"),
    ],
)
def test_what_a_training_keeps_beside_the_network_is_left_out_and_said(tmp_path, prefix, beside):
    source = filled("resnet20_cifar", 5)
    torch.save({"state_dict": {**prefixed(source.state_dict(), prefix), beside: torch.ones(5)}}, tmp_path / "w.ckpt")
    assert_loads(tmp_path / "w.ckpt", source, "resnet20_cifar")
    report = inspect(tmp_path / "w.ckpt").report
    assert (report.matched, report.unexpected) == (97, [beside])
    assert report.warnings == [f"Not of the network, and left out: {beside}."]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("head", ["fc.", "head.", "classifier.1."])
def test_a_backbone_with_a_head_of_its_own_is_read(tmp_path, head, suffix):
    source = filled("resnet20_cifar", 5)
    items = source.state_dict().items()
    renamed = {k.replace("fc.", head) if k.startswith("fc.") else f"backbone.{k}": v for k, v in items}
    save(renamed, tmp_path / f"w{suffix}")
    assert_loads(tmp_path / f"w{suffix}", source, "resnet20_cifar")


@pytest.mark.parametrize("wrapper", ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"])
def test_wrappers_of_torch_in_the_middle_of_names_are_removed(wrapper):
    found = strip_prefixes({f"layer1.{wrapper}.0.weight": 1, f"{wrapper}.fc.weight": 2, "my_orig_mod.weight": 3})
    assert found == {"layer1.0.weight": 1, "fc.weight": 2, "my_orig_mod.weight": 3}


def test_a_part_of_the_training_with_the_name_of_one_of_the_network_keeps_the_prefix():
    tensors = {"model.criterion.weight": 1, "model.fc.weight": 2, "criterion.weight": 3}
    assert strip_prefixes(tensors) == tensors


def test_names_that_are_the_networks_are_left_alone():
    tensors = {"net.0.weight": 1, "net.0.bias": 2}
    assert align_names(tensors, ["net.0.weight", "net.0.bias"]) == tensors
    assert align_names({"a": 1}, []) == {"a": 1}
    assert align_names({}, ["net.0.weight"]) == {}


@pytest.mark.parametrize("prefix", ["module.", "backbone."])
def test_a_counter_at_the_root_and_below_the_prefix_takes_no_weight_along(tmp_path, prefix):
    source = filled("resnet20_cifar", 5)
    counters = {"total_ops": torch.zeros(1), "total_params": torch.zeros(1)}
    state = {**prefixed({**source.state_dict(), **counters}, prefix), **counters}
    torch.save(state, tmp_path / "w.pt")
    assert_loads(tmp_path / "w.pt", source, "resnet20_cifar")


@pytest.mark.parametrize("average", ["encoder_k", "target_network", "teacher_net", "online_ema"])
def test_of_a_network_and_its_moving_average_the_network_is_taken(tmp_path, average):
    source, other = filled("resnet20_cifar", 5), filled("resnet20_cifar", 5, seed=2)
    state = prefixed(source.state_dict(), "module.encoder_q.") | prefixed(other.state_dict(), f"module.{average}.")
    state |= {"module.queue": torch.ones(5, 7), "module.queue_ptr": torch.zeros(1)}
    torch.save({"epoch": 200, "state_dict": state}, tmp_path / "w.pth")
    assert_loads(tmp_path / "w.pth", source, "resnet20_cifar")
    said = inspect(tmp_path / "w.pth").report
    assert said.matched == 97 and said.warnings == ["Not of the network, and left out: queue; queue_ptr."]
    (told,) = read_weights(tmp_path / "w.pth").warnings
    assert told == f"The file holds 'encoder_q' and '{average}', an average of it; 'encoder_q' was taken."


@pytest.mark.parametrize("names", [("branch_a", "branch_b"), ("teacher", "momentum")])
def test_branches_of_one_network_stay(names):
    tensors = {f"{name}.{i}.weight": torch.ones(3) for name in names for i in range(5)}
    said: list[str] = []
    assert drop_average(tensors, said) == tensors and not said
