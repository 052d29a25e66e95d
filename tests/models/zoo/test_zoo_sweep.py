"""Networks of the zoos that stand for many: answers, layers, counts, fields, an index as plain PyTorch gives them."""

import pytest
import torch

from benchmarks.zoo_sweep import compare_network, describe_structure, list_names
from cnnviz.models.zoo import zoos

REPRESENTATIVE = (
    "pytorchcv:resnet20_cifar10",  # 32×32
    "pytorchcv:channelnet",  # three-dimensional convolutions, 224×224 alone
    "timm:test_vit",  # attention, tokens
    "timm:test_convnext",  # norms over channels that come last
    "timm:test_efficientnet",  # depthwise, gates
    "torchvision:shufflenet_v2_x0_5",  # channels moved among each other
)


@pytest.mark.parametrize("name", REPRESENTATIVE)
def test_a_network_of_a_zoo_is_looked_into_as_plain_pytorch_runs_it(name):
    zoo = name.partition(":")[0]
    if not zoos.is_installed(zoo):
        pytest.skip(f"{zoo} is not installed")
    threads = torch.get_num_threads()
    found = compare_network(name)
    assert found["faults"] == [] and torch.get_num_threads() == threads
    assert found["layers"] >= found["indexed"] > 0 and found["units"] > 0


def test_of_networks_that_differ_in_their_classes_alone_one_is_enough():
    nets = [torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Linear(8, n)) for n in (10, 100)]
    wider = torch.nn.Sequential(torch.nn.Conv2d(3, 9, 3), torch.nn.Linear(9, 10))
    first, second = (describe_structure(net, n) for net, n in zip(nets, (10, 100), strict=True))
    assert first == second != describe_structure(wider, 10)


def test_families_take_turns():
    if not zoos.is_installed("torchvision"):
        pytest.skip("torchvision is not installed")
    names = list_names(["torchvision"])
    assert len(names) == len(set(names)) == len(zoos.names("torchvision"))
    assert names.index("torchvision:vgg11") < names.index("torchvision:resnet50")
