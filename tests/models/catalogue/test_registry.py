"""The catalogue: published parameter counts, shapes and rules."""

import pytest
import torch

from cnnviz.errors import BadInput, UnknownName
from cnnviz.models.catalogue.architecture import add
from cnnviz.models.catalogue.registry import architectures, build, find

PARAMETERS = {  # learnable, as published or printed by the package that defines the network
    "lenet5": 61_706,
    "resnet20_cifar": 269_722,
    "resnet32_cifar": 464_154,
    "resnet44_cifar": 658_586,
    "resnet56_cifar": 853_018,
    "resnet110_cifar": 1_727_962,
    "plain20_cifar": 269_722,
    "plain32_cifar": 464_154,
    "plain44_cifar": 658_586,
    "plain56_cifar": 853_018,
    "plain110_cifar": 1_727_962,
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
    "googlenet": 6_624_904,
    "inception_v3": 23_834_568,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "densenet121": 7_978_856,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3_small": 2_542_856,
    "mobilenet_v3_large": 5_483_032,
}


@pytest.mark.parametrize("name, count", PARAMETERS.items())
def test_parameters_are_as_many_as_published(name, count):
    with torch.device("meta"):
        module = build(name)
    assert sum(parameter.numel() for parameter in module.parameters()) == count
    assert all(parameter.is_meta for parameter in module.parameters())


def test_the_catalogue_is_sorted_and_holds_every_network_of_the_table():
    assert architectures() == sorted(architectures())
    assert set(PARAMETERS) <= set(architectures())


@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar", "plain20_cifar", "squeezenet1_1", "mobilenet_v3_small"])
@pytest.mark.parametrize("classes", [None, 3])
def test_the_output_has_one_column_a_class(name, classes):
    entry = find(name)
    module = build(name, classes).eval()
    with torch.inference_mode():
        assert module(torch.zeros(2, *entry.input_size)).shape == (2, classes or entry.classes)


def test_option_a_shortcuts_are_the_input_subsampled_between_zero_channels():
    shortcut = build("resnet20_cifar").layer2[0].shortcut
    x = torch.randn(1, 16, 8, 8)
    expected = torch.zeros(1, 32, 4, 4)
    for channel in range(16):
        for row in range(4):
            for column in range(4):
                expected[0, channel + 8, row, column] = x[0, channel, 2 * row, 2 * column]
    torch.testing.assert_close(shortcut(x), expected, rtol=0, atol=0)


def test_plain_twins_have_the_tensors_of_the_residual_net_and_another_function():
    residual, plain = build("resnet20_cifar").eval(), build("plain20_cifar").eval()
    plain.load_state_dict(residual.state_dict())
    x = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        assert not torch.allclose(residual(x), plain(x))


def test_unknown_names_get_the_closest_ones():
    with pytest.raises(UnknownName, match="resnet18"):
        build("resnet19")


def test_a_name_can_be_taken_only_once():
    with pytest.raises(BadInput, match="registered already"):
        add(find("lenet5"))


def test_zero_classes_are_refused():
    with pytest.raises(BadInput, match="at least 1"):
        build("lenet5", 0)
