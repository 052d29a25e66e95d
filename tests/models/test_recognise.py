"""Which network a file is: by names, by order, by shapes; any number of classes."""

import pytest
import torch
from weightfiles import anonymous, prefixed

from cnnviz.models.recognise import NAMES, SEQUENCE, SET, candidates, closest, fit, head_classes, recognise
from cnnviz.models.registry import architectures, build


def outline(name, classes=None):
    with torch.device("meta"):
        return build(name, classes).state_dict()


@pytest.mark.parametrize("name", architectures())
def test_every_architecture_is_recognised_with_any_number_of_classes(name):
    best, *others = candidates(outline(name, 7))
    assert best.name == name.replace("plain", "resnet") and best.classes == 7 and best.level == NAMES
    assert [other.name for other in others] == (
        [best.name.replace("resnet", "plain")] if name.endswith("_cifar") else []
    )


@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar", "resnet18", "squeezenet1_0", "vgg11_bn"])
def test_other_names_are_recognised_by_the_order_of_shapes(name):
    best = candidates(anonymous(outline(name, 7)))[0]
    assert (best.name, best.classes, best.level) == (name, 7, SEQUENCE)


@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar"])
def test_another_order_is_recognised_by_the_set_of_shapes(name):
    best = candidates(dict(reversed(anonymous(outline(name, 7)).items())))[0]
    assert (best.name, best.classes, best.level) == (name, 7, SET)


def test_counters_and_auxiliary_heads_do_not_matter():
    tensors = {k: v for k, v in outline("googlenet").items() if not k.endswith("num_batches_tracked")}
    tensors |= prefixed({"fc2.weight": torch.empty(1000, 1024, device="meta")}, "aux1.")
    assert recognise(tensors) == ["googlenet"]


def test_what_fits_nothing_has_no_candidates_and_a_closest_one():
    tensors = outline("resnet20_cifar")
    tensors["layer3.2.conv2.weight"] = torch.empty(64, 64, 5, 5, device="meta")
    assert recognise(tensors) == []
    name, common, total = closest(tensors)
    assert name in ("resnet20_cifar", "plain20_cifar") and (common, total) == (96, 97)


def test_a_file_fits_an_architecture_or_it_does_not():
    assert fit(outline("resnet18", 3), "resnet18").classes == 3
    assert fit(outline("resnet18"), "resnet34") is None
    assert fit(outline("resnet18"), "vgg11") is None


def test_the_head_tells_the_classes_also_where_the_rest_does_not_fit():
    tensors = outline("resnet18", 7)
    assert head_classes(tensors, "resnet18") == 7
    assert head_classes(tensors, "resnet34") == 7
    assert head_classes({"a": torch.empty(4, 2)}, "lenet5") == 4
    assert head_classes({"a": torch.empty(4)}, "lenet5") is None
