"""Networks of the zoos that stand for many: answers, layers, counts, fields, an index as plain PyTorch gives them."""

import pytest
import torch

from benchmarks.plain_pass import run_until
from benchmarks.zoo_sweep import compare_network, describe_structure, list_names, measure_rounding
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


def test_what_float32_rounds_off_is_measured_against_float64():
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 5)
    ).eval()
    image = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one = {"0": net[0](image), "": net(image)}
    rounding = measure_rounding(net, image, one)
    assert set(rounding) == {"0", ""} and all(0 < value < 1e-5 for value in rounding.values())
    off = {"0": one["0"] + 0.5 * one["0"].abs().max(), "": one[""]}
    assert measure_rounding(net, image, off)["0"] == pytest.approx(0.5, rel=1e-4)


def test_a_layer_that_returns_several_tensors_ends_a_pass_with_its_first():
    class Two(torch.nn.Module):
        def forward(self, x):
            return x + 1, x

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.two = Two()

        def forward(self, x):
            return self.two(x)[1]

    assert torch.equal(run_until(Net(), "two", torch.zeros(1, 1, 2, 2)), torch.ones(1, 1, 2, 2))
