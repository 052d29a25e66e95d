"""Which network a file is: by names, by order, by shapes; any number of classes."""

from functools import cache

import pytest
import torch
from torch import nn
from twins import LENET5, first_of_its_twins
from weightfiles import anonymous, prefixed

from cnnviz.data.preprocessing import Preprocessing
from cnnviz.models.catalogue import architecture
from cnnviz.models.catalogue.architecture import Architecture, published
from cnnviz.models.catalogue.registry import build, find
from cnnviz.models.checkpoint.match import shapes
from cnnviz.models.recognise.recognise import (
    NAMES,
    SEQUENCE,
    SET,
    count_classes,
    find_candidates,
    find_closest,
    fit,
    recognise,
)
from cnnviz.models.recognise.shapes import COUNTS, published_shapes

NETWORKS = sorted(name for name in published() if find(name).classifier)


@cache
def outline(name, classes=None):
    with torch.device("meta"):
        return build(name, classes).state_dict()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_architecture_is_recognised_with_any_number_of_classes(name):
    """Whatever fits as surely as the network itself has its tensors, name by name."""
    best, *others = find_candidates(outline(name, 7))
    assert (best.name, best.classes, best.level) == (first_of_its_twins(name), 7, NAMES)
    twins = [best.name, *(other.name for other in others if other.level == NAMES)]
    assert name in twins
    assert all(shapes(outline(twin, 7)) == shapes(outline(name, 7)) for twin in twins)


def test_the_listed_numbers_of_tensors_are_true():
    """Recognition believes the list: a wrong number would hide a network. One that is missing is counted."""
    assert COUNTS.keys() <= set(NETWORKS)
    assert {name: len(published_shapes(name)) for name in COUNTS} == COUNTS


def test_few_networks_are_not_listed():
    """Each costs a build without memory in the first recognition of a process."""
    unlisted = sorted(set(NETWORKS) - COUNTS.keys())
    assert len(unlisted) <= 10, f"List them in cnnviz/models/recognise/shapes.py: {unlisted}"


@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar", "resnet18", "squeezenet1_0", "vgg11_bn"])
def test_other_names_are_recognised_by_the_order_of_shapes(name):
    best = find_candidates(anonymous(outline(name, 7)))[0]
    assert (best.name, best.classes, best.level) == (name, 7, SEQUENCE)


@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar"])
def test_another_order_is_recognised_by_the_set_of_shapes(name):
    best = find_candidates(dict(reversed(anonymous(outline(name, 7)).items())))[0]
    assert (best.name, best.classes, best.level) == (name, 7, SET)


def test_counters_and_auxiliary_heads_do_not_matter():
    tensors = {k: v for k, v in outline("googlenet").items() if not k.endswith("num_batches_tracked")}
    tensors |= prefixed({"fc2.weight": torch.empty(1000, 1024, device="meta")}, "aux1.")
    assert recognise(tensors) == ["googlenet"]


def test_what_fits_nothing_has_no_candidates_and_a_closest_one():
    tensors = outline("resnet20_cifar")
    tensors["layer3.2.conv2.weight"] = torch.empty(64, 64, 5, 5, device="meta")
    assert recognise(tensors) == []
    name, common, total = find_closest(tensors)
    assert (name, common, total) == ("resnet20_cifar", 96, 97)


def test_a_file_fits_an_architecture_or_it_does_not():
    assert fit(outline("resnet18", 3), "resnet18").classes == 3
    assert fit(outline("resnet18"), "resnet34") is None
    assert fit(outline("resnet18"), "vgg11") is None


def test_the_head_tells_the_classes_also_where_the_rest_does_not_fit():
    tensors = outline("resnet18", 7)
    assert count_classes(tensors, "resnet18") == 7
    assert count_classes(tensors, "resnet34") == 7
    assert count_classes({"a": torch.empty(4, 2)}, "lenet5") == 4
    assert count_classes({"a": torch.empty(4)}, "lenet5") is None


# ---- networks of the user's own ----------------------------------------------------------------------


@pytest.fixture
def add_own(monkeypatch):
    """Register an architecture that is gone after the test."""
    monkeypatch.setattr(architecture, "_CATALOGUE", {**architecture._CATALOGUE})

    def add(name, builder):
        architecture._CATALOGUE.pop(name, None)
        look = Preprocessing((8, 8), mean=(0.0,), std=(1.0,))
        architecture.add(Architecture(name, name, "own", builder, look, classes=4, labels="", source="the test"))

    return add


def tower(width):
    return lambda classes: nn.Sequential(nn.Conv2d(1, width, 3), nn.Flatten(), nn.Linear(width * 36, classes))


def test_an_architecture_registered_at_run_time_is_recognised(add_own):
    assert recognise(tower(5)(4).state_dict()) == []
    add_own("tower", tower(5))
    assert recognise(tower(5)(4).state_dict()) == ["tower"]
    assert find_candidates(tower(5)(9).state_dict())[0].classes == 9


def test_an_architecture_that_is_changed_and_registered_again_is_recognised_anew(add_own):
    add_own("tower", tower(5))
    assert recognise(tower(5)(4).state_dict()) == ["tower"]
    add_own("tower", tower(6))
    assert (recognise(tower(5)(4).state_dict()), recognise(tower(6)(4).state_dict())) == ([], ["tower"])


def test_a_twin_of_the_users_own_comes_after_the_published_network(add_own):
    add_own("a_lenet", find("lenet5").builder)
    assert recognise(outline("lenet5")) == [*LENET5, "a_lenet"]


def test_an_architecture_that_cannot_be_built_is_warned_of_and_forbids_no_other(add_own):
    def broken(classes):
        raise RuntimeError("no such layer")

    add_own("broken", broken)
    with pytest.warns(UserWarning, match="broken cannot be built .RuntimeError: no such layer"):
        assert recognise(outline("lenet5")) == [*LENET5]
