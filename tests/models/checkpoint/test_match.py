"""Matching by name, then by order and shape: sound, reported, and refused where it would be a guess."""

import pytest
import torch
from torch import nn
from weightfiles import anonymous, filled

from cnnviz.errors import BadCheckpoint
from cnnviz.models.catalogue.registry import build
from cnnviz.models.checkpoint.match import apply, match


def loaded(tensors, module):
    report = match(tensors, module)
    apply(tensors, module, report)
    return report


def assert_equal_weights(module, other):
    ours, theirs = module.state_dict(), other.state_dict()
    for key in theirs:
        if not key.endswith("num_batches_tracked"):
            torch.testing.assert_close(ours[key], theirs[key], rtol=0, atol=0, msg=key)


def stack(count=4, width=4):
    """Convolutions of one shape, which only names or order can tell apart, and a head."""
    torch.manual_seed(count)
    layers = [nn.Conv2d(width, width, 3) for _ in range(count)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, 3))


def test_equal_names_are_all_matched():
    source, target = filled("resnet20_cifar"), build("resnet20_cifar")
    report = loaded(source.state_dict(), target)
    assert_equal_weights(target, source)
    assert (report.matched, report.expected, report.renamed) == (97, 97, [])
    assert report.summary() == "97 of 97 tensors matched."


@pytest.mark.parametrize("head", ["linear", "classifier", "head", "net.out"])
def test_a_head_of_another_name_is_matched_and_reported(head):
    source, target = filled("resnet20_cifar"), build("resnet20_cifar")
    tensors = {key.replace("fc.", f"{head}."): value for key, value in source.state_dict().items()}
    report = loaded(tensors, target)
    assert_equal_weights(target, source)
    assert report.renamed == [(f"{head}.weight", "fc.weight"), (f"{head}.bias", "fc.bias")]
    assert f"{head}.weight → fc.weight" in report.lines()


@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar", "squeezenet1_1", "mobilenet_v3_small"])
def test_a_whole_network_under_other_names_is_matched_by_order(name):
    source = filled(name, 5)
    with torch.device("meta"):
        target = build(name, 5)
    report = loaded(anonymous(source.state_dict()), target)
    assert_equal_weights(target, source)
    assert len(report.renamed) == report.matched == report.expected
    assert "check a few predictions" in report.warnings[0]


def test_keys_without_any_structure_are_matched_by_order():
    source, target = filled("lenet5"), build("lenet5")
    report = loaded({f"p{i}": v for i, v in enumerate(source.state_dict().values())}, target)
    assert_equal_weights(target, source)
    assert report.matched == 10


def test_bias_before_weight_is_no_obstacle():
    source, target = filled("resnet20_cifar"), build("resnet20_cifar")
    tensors = anonymous(source.state_dict())
    grouped = {}
    for key in tensors:
        grouped.setdefault(key.rpartition(".")[0], []).append(key)
    loaded({key: tensors[key] for keys in grouped.values() for key in sorted(keys)}, target)
    assert_equal_weights(target, source)


def test_equal_shapes_in_another_order_keep_their_names():
    source, target = stack(), stack()
    state = source.state_dict()
    shuffled = {key: state[key] for key in ("2.weight", "2.bias", "0.weight", "0.bias", "3.weight", "3.bias")}
    shuffled |= {key: state[key] for key in ("1.weight", "1.bias")}
    shuffled |= {"head.weight": state["5.weight"], "head.bias": state["5.bias"]}
    report = loaded(shuffled, target)
    assert_equal_weights(target, source)
    assert len(report.renamed) == 2


def test_a_shifted_numbering_is_matched_by_place_not_by_coincident_names():
    source, target = stack(), stack()
    state = source.state_dict()
    shifted = {f"{int(key.partition('.')[0]) + 1}.{key.partition('.')[2]}": value for key, value in state.items()}
    assert set(shifted) & set(state)
    loaded(shifted, target)
    assert_equal_weights(target, source)


def test_a_shifted_numbering_beside_auxiliary_heads_is_matched_by_place():
    source, target = stack(), stack()
    state = source.state_dict()
    shifted = {f"{int(key[0]) + 1}{key[1:]}": value for key, value in state.items()}
    loaded({"aux1.conv.weight": torch.ones(4, 4, 3, 3), **shifted}, target)
    assert_equal_weights(target, source)


def test_names_and_places_that_contradict_each_other_are_refused():
    """0, 1, 2 stand one place later, behind a stranger of the same shape: a guess would be silent."""
    state = stack().state_dict()
    tensors = {"x.weight": state["3.weight"], "x.bias": state["3.bias"]}
    tensors |= {key: value for key, value in state.items() if key[0] != "3"}
    with pytest.raises(BadCheckpoint, match=r"3\.weight: not in the file.*x\.weight"):
        loaded(tensors, stack())


def test_layers_of_one_shape_out_of_order_and_without_names_are_refused():
    source, target = filled("resnet20_cifar"), build("resnet20_cifar")
    tensors = list(anonymous(source.state_dict()).items())
    with pytest.raises(BadCheckpoint, match="do not fit"):
        loaded(dict(tensors[60:] + tensors[:60]), target)


def test_single_shapes_out_of_order_are_matched():
    source, target = filled("lenet5"), build("lenet5")
    loaded(dict(reversed(anonymous(source.state_dict()).items())), target)
    assert_equal_weights(target, source)


@pytest.mark.parametrize("key", ["aux1.fc2.weight", "AuxLogits.conv0.conv.weight"])
def test_auxiliary_heads_are_left_out_and_reported(key):
    source, target = filled("lenet5"), build("lenet5")
    report = loaded({**source.state_dict(), key: torch.ones(4, 4)}, target)
    assert_equal_weights(target, source)
    assert report.unexpected == [key] and f"unused: {key}" in report.lines()


def test_counters_are_optional_and_copied_where_they_are():
    source, target = filled("resnet20_cifar"), build("resnet20_cifar")
    source.bn1.num_batches_tracked.fill_(7)
    loaded(source.state_dict(), target)
    assert target.bn1.num_batches_tracked == 7
    with torch.device("meta"):
        target = build("resnet20_cifar")
    tensors = {k: v for k, v in source.state_dict().items() if not k.endswith("num_batches_tracked")}
    loaded({**tensors, "total_ops": torch.zeros(1)}, target)
    assert target.bn1.num_batches_tracked == 0 and not target.bn1.num_batches_tracked.is_meta


def test_missing_statistics_are_a_warning_and_take_their_start_values():
    source = filled("resnet20_cifar")
    with torch.device("meta"):
        target = build("resnet20_cifar")
    report = loaded({k: v for k, v in source.state_dict().items() if "running" not in k}, target)
    assert "running means" in report.warnings[0]
    assert target.bn1.running_mean.tolist() == [0.0] * 16 and target.bn1.running_var.tolist() == [1.0] * 16


def test_what_does_not_fit_is_refused_with_the_first_five_problems():
    with pytest.raises(BadCheckpoint) as caught:
        loaded(filled("lenet5").state_dict(), build("resnet20_cifar"))
    text = str(caught.value)
    assert "conv1.weight: shape (6, 1, 5, 5) in the file, (16, 3, 3, 3) expected" in text
    assert text.count(": ") == 6 and "more" in text


def test_a_deeper_network_is_not_taken_for_a_shallower_one():
    with pytest.raises(BadCheckpoint, match=r"layer1\.3.*no place"):
        loaded(filled("resnet32_cifar").state_dict(), build("resnet20_cifar"))


def test_a_missing_bias_is_refused():
    tensors = filled("lenet5").state_dict()
    del tensors["conv2.bias"]
    with pytest.raises(BadCheckpoint, match=r"conv2\.bias: not in the file"):
        loaded(tensors, build("lenet5"))


def test_matching_changes_nothing_until_applied():
    target = build("lenet5")
    before = {key: value.clone() for key, value in target.state_dict().items()}
    match(filled("lenet5").state_dict(), target)
    assert all(torch.equal(value, before[key]) for key, value in target.state_dict().items())


def test_half_precision_files_fill_a_float32_network():
    source, target = filled("lenet5"), build("lenet5")
    loaded({key: value.half() for key, value in source.state_dict().items()}, target)
    assert target.conv1.weight.dtype == torch.float32
    torch.testing.assert_close(target.conv1.weight.data, source.conv1.weight.data.half().float())
