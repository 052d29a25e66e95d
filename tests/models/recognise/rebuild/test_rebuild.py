"""Chains rebuilt from the shapes of a file: made with plain PyTorch, saved, rebuilt, equal answers."""

import random

import pytest
import torch
from torch import nn

import cnnviz
from cnnviz.errors import BadCheckpoint
from cnnviz.models.recognise.rebuild.chains import describe_layers, find_chains
from cnnviz.models.recognise.rebuild.plugin_skeleton import write_skeleton


def draw(number: int) -> tuple[nn.Module, tuple[int, int, int], bool]:
    """A random chain, its input size, and whether it is one of the most usual."""
    rng = random.Random(number)
    channels, side = rng.choice([(1, 28), (1, 32), (3, 32), (3, 64)])
    kernel, count = rng.choice([3, 5]), rng.randint(2, 4)
    padding = (kernel - 1) // 2 if rng.random() < 0.6 or count > 2 else 0
    pairs, norm = count == 4 and rng.random() < 0.5, rng.random() < 0.5
    layers: list[nn.Module] = []
    width, size = channels, side
    for i in range(count):
        out = rng.choice([6, 8, 12, 20, 32]) if not pairs or i % 2 == 0 else width
        layers += [nn.Conv2d(width, out, kernel, padding=padding, bias=not norm)]
        layers += [nn.BatchNorm2d(out)] if norm else []
        layers += [nn.ReLU()]
        size += 2 * padding - kernel + 1
        if not pairs or i % 2:
            layers.append(nn.MaxPool2d(2))
            size //= 2
        width = out
    layers += [nn.Flatten()]
    inputs = width * size * size
    for _ in range(rng.randint(0, 2)):
        hidden = rng.choice([20, 50, 84])
        layers += [nn.Linear(inputs, hidden), nn.ReLU()]
        inputs = hidden
    return nn.Sequential(*layers, nn.Linear(inputs, rng.choice([2, 3, 43]))), (channels, side, side), size > 1


@pytest.mark.parametrize("number", range(24))
@pytest.mark.parametrize("named", [True, False], ids=["numbered", "class"])
def test_the_true_chain_is_found_and_answers_the_same(tmp_path, number, named):
    torch.manual_seed(number)
    network, size, natural = draw(number)
    network.eval()
    state = network.state_dict()
    if not named:  # names as in a class with functional activations: they say nothing of what has no tensors
        paths = list(dict.fromkeys(key.rpartition(".")[0] for key in state))
        state = {f"part{paths.index(k.rpartition('.')[0])}.{k.rpartition('.')[2]}": v for k, v in state.items()}
    found = [rebuilt.chain for rebuilt in find_chains(state)]
    torch.save(state, tmp_path / "w.pt")
    images = torch.rand(2, *size)
    place = 0
    for place, chain in enumerate(found):  # noqa: B007, it is asserted below
        if chain.input_size == size:
            model = cnnviz.load(chain.name, tmp_path / "w.pt", device="cpu")
            if torch.allclose(model.module(images), network(images), atol=1e-5):
                break
    else:
        pytest.fail(f"{network} is not among {[chain.name for chain in found]}")
    if natural:
        assert place <= (1 if named else 3), found[0].name


def test_norms_that_were_defined_together_go_to_their_convolutions():
    state = nn.ModuleDict(
        {
            "conv1": nn.Conv2d(1, 8, 3, padding=1),
            "conv2": nn.Conv2d(8, 8, 3, padding=1),
            "bn1": nn.BatchNorm2d(8),
            "bn2": nn.BatchNorm2d(8),
            "fc": nn.Linear(8 * 49, 4),
        }
    ).state_dict()
    first = find_chains(state)[0]
    assert first.chain.name == "chain:1x28x28-conv8k3p1-bn-relu-max2-conv8k3p1-bn-relu-max2-flatten-linear4"
    assert first.layers == ("conv1", "bn1", "conv2", "bn2", "fc")


def test_a_file_in_alphabetical_order_is_brought_into_the_order_of_the_chain(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential()
    network.add_module("features", nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2)))
    network.add_module("flat", nn.Flatten())
    network.add_module("classifier", nn.Linear(4 * 144, 3))
    torch.save(dict(sorted(network.state_dict().items())), tmp_path / "w.pt")
    model = cnnviz.load(weights=tmp_path / "w.pt", device="cpu")
    assert model.name == "chain:1x28x28-conv4k5-relu-max2-flatten-linear3"
    images = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(model.module(images), network(images))
    assert ("classifier.weight", "fc1.weight") in model.report.renamed


def test_depthwise_convolutions_slopes_and_adaptive_pooling_are_seen():
    parts = [nn.Conv2d(3, 8, 3, padding=1), nn.PReLU(8), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.PReLU(8)]
    parts += [nn.Conv2d(8, 16, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)]
    best = find_chains(nn.Sequential(*parts).state_dict())[0].chain
    kinds = [step.kind for step in best.steps]
    assert [step.groups for step in best.steps if step.kind == "conv"] == [1, 8, 1]
    assert kinds.count("prelu") == 2 and "adaptiveavg" in kinds


def test_every_assumption_is_called_one(tmp_path):
    parts = [nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 144, 3)]
    torch.save(nn.Sequential(*parts).state_dict(), tmp_path / "w.pt")
    model = cnnviz.load(weights=tmp_path / "w.pt", device="cpu")
    assert model.report.findings and all(finding.is_assumed for finding in model.report.findings)
    assert all("assumed" in sentence for sentence in model.notes["assumed"])
    assert {finding.question for finding in model.report.findings} >= {
        "layers",
        "activation",
        "pooling",
        "normalisation",
    }


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3)
        self.left, self.right = nn.Conv2d(8, 16, 1), nn.Conv2d(8, 16, 3)
        self.fc = nn.Linear(16, 7)


def test_what_is_no_chain_is_described_and_refused(tmp_path):
    found = describe_layers(Branches().state_dict())
    assert found.sentence == (
        "3 convolutions, 1 linear layer, 3 input channels, 7 classes; not a chain, since right has 8 input channels "
        "and the tensors before it give 16"
    )
    torch.save(Branches().state_dict(), tmp_path / "w.pt")
    with pytest.raises(BadCheckpoint, match="3 convolutions, 1 linear layer.*not a chain, since right") as refused:
        cnnviz.load(weights=tmp_path / "w.pt", device="cpu")
    assert "Closest" not in str(refused.value)
    with pytest.raises(BadCheckpoint, match="no convolution, 2 linear layers: a multilayer perceptron 784-9-5"):
        torch.save(nn.Sequential(nn.Linear(784, 9), nn.ReLU(), nn.Linear(9, 5)).state_dict(), tmp_path / "m.pt")
        cnnviz.load(weights=tmp_path / "m.pt", device="cpu")


def test_names_of_residual_blocks_are_never_taken_for_a_chain():
    with torch.device("meta"):
        state = cnnviz.build("resnet20_cifar").state_dict()
    assert "connections around them" in describe_layers(state).reason


def test_the_skeleton_has_the_tensors_of_the_file():
    state = Branches().state_dict()
    source = write_skeleton(state)
    scope: dict = {"nn": nn, "torch": torch, "Tensor": torch.Tensor}
    exec(source.partition("@cnnviz.register")[2].partition("\n")[2], scope)  # the class alone
    made = scope["MyNet"]()
    assert [v.shape for v in made.state_dict().values()] == [v.shape for v in state.values()]
    compile(source, "my_net.py", "exec")
    with pytest.raises(NotImplementedError, match="write the forward pass"):
        made(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize("active, pool", [(nn.Tanh, nn.AvgPool2d), (nn.ReLU, nn.MaxPool2d)])
def test_a_saved_sequence_of_layers_is_rebuilt_exactly(tmp_path, active, pool):
    """The tensors are those of lenet5, whatever the layers between."""
    torch.manual_seed(0)
    parts = [
        nn.Conv2d(1, 6, 5, padding="same"),
        active(),
        pool(2),
        nn.Conv2d(6, 16, 5),
        active(),
        pool(2),
        nn.Flatten(),
    ]
    parts += [nn.Linear(400, 120), active(), nn.Dropout(0.1), nn.Linear(120, 84), active(), nn.Linear(84, 10)]
    network = nn.Sequential(nn.Sequential(*parts[:6]), nn.Sequential(*parts[6:])).eval()
    torch.save(network, tmp_path / "whole.pt")
    model = cnnviz.load(weights=tmp_path / "whole.pt", device="cpu")
    images = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(model.module(images), network(images))
    assert (model.name == "lenet5") is (active is nn.ReLU)


def test_a_saved_sequence_keeps_strides_slopes_and_missing_biases(tmp_path):
    parts = [nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8, 1e-3), nn.LeakyReLU(0.2), nn.AvgPool2d(2)]
    torch.save(nn.Sequential(*parts, nn.Flatten(), nn.Linear(392, 5, bias=False)), tmp_path / "whole.pt")
    name = cnnviz.load(weights=tmp_path / "whole.pt", device="cpu").name
    assert name == "chain:3x32x32-conv8k3s2n-bne0.001-leaky0.2-avg2-flatten-linear5n"
