"""What a file does decides what its names and shapes leave open: kept statistics, answers on digits."""

from functools import cache

import pytest
import torch
from torch import nn
from torch.nn import functional

import cnnviz
from cnnviz.data.samples import digits
from cnnviz.models.catalogue.registry import find
from cnnviz.models.recognise import statistics
from cnnviz.models.recognise.answers import answer, find_labelled
from cnnviz.models.recognise.assume import NORMS, assume_preprocessing
from cnnviz.models.recognise.decide import decide

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def lenet(activation, pool) -> nn.Module:
    act, norm = ACTIVATIONS[activation], nn.Identity
    return nn.Sequential(
        nn.Conv2d(1, 8, 5), act(), pool(2), nn.Conv2d(8, 16, 5), act(), pool(2), norm(), nn.Flatten(),
        nn.Linear(256, 32), act(), nn.Linear(32, 10),
    )  # fmt: off


@cache
def trained_on_digits(activation: str, pool: type, norm: str) -> dict:
    torch.manual_seed(0)
    labelled = find_labelled((1, 28, 28), 10)
    (mean,), (std,) = NORMS[1][norm]
    images = (labelled.images.movedim(-1, 1).float() / 255 - mean) / std
    network = lenet(activation, pool)
    optimizer = torch.optim.Adam(network.parameters(), 4e-3)
    for _ in range(70):
        order = torch.randperm(len(images))[:200]
        optimizer.zero_grad()
        functional.cross_entropy(network(images[order]), labelled.labels[order]).backward()
        optimizer.step()
    return network.eval().state_dict()


@pytest.mark.parametrize(
    "activation, pool, norm",
    [
        ("relu", nn.MaxPool2d, "mean 0.5, std 0.5"),
        ("relu", nn.AvgPool2d, "MNIST's mean and std"),
        ("tanh", nn.MaxPool2d, "pixels 0 to 1 as they are"),
        ("tanh", nn.AvgPool2d, "mean 0.5, std 0.5"),
    ],
)
def test_answers_tell_the_twins_of_a_chain_apart(tmp_path, activation, pool, norm):
    torch.save(trained_on_digits(activation, pool, norm), tmp_path / "w.pt")
    model = cnnviz.load(weights=tmp_path / "w.pt", device="cpu")
    found = {finding.question: finding for finding in model.report.findings}
    assert found["activation"].answer == activation and not found["activation"].is_assumed
    assert found["pooling"].answer == ("max" if pool is nn.MaxPool2d else "avg")
    assert (model.preprocessing.mean, model.preprocessing.std) == NORMS[1][norm]
    images = digits().take(60)
    right = model.predict([images.image(i) for i in range(60)]).argmax(1) == [int(label) for label in images.labels]
    assert right.mean() > 0.9
    assert any("drawn digits" in measured.measure for measured in model.report.evidence)


def test_a_network_that_has_learned_nothing_decides_nothing(tmp_path):
    torch.manual_seed(1)
    torch.save(lenet("relu", nn.MaxPool2d).state_dict(), tmp_path / "w.pt")
    model = cnnviz.load(weights=tmp_path / "w.pt", device="cpu")
    assert model.report.findings and all(finding.is_assumed for finding in model.report.findings)


@cache
def tuned(name: str, mean: tuple, std: tuple) -> dict:
    """The network with the statistics that a training on the sample photographs would have left."""
    torch.manual_seed(0)
    network = cnnviz.build(name)
    for child in network.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.momentum = None  # the average of all passes
            nn.init.uniform_(child.weight, 0.5, 1.5)
    pixels = statistics.load_images(3, (32, 32), 64).movedim(-1, 1).float() / 255
    images = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    with torch.no_grad():
        network(images)
    return network.eval().state_dict()


@pytest.mark.parametrize("name", ["resnet20_cifar", "plain20_cifar"])
def test_kept_statistics_tell_a_network_from_its_twin_without_shortcuts(tmp_path, name):
    mean, std = NORMS[3]["ImageNet's mean and std"]
    torch.save(tuned(name, mean, std), tmp_path / "w.pt")
    model = cnnviz.load(weights=tmp_path / "w.pt", device="cpu")
    assert model.name == name
    (finding,) = [f for f in model.report.findings if f.question == "network"]
    assert finding.by == "kept statistics" and not any("Taken for" in text for text in model.notes["assumed"])
    far = {e.candidate: e.value for e in model.report.evidence if e.question == "network"}
    assert far[name] < 1 < min(value for other, value in far.items() if other != name) - far[name]


@pytest.mark.parametrize("norm", ["mean 0.5, std 0.5", "pixels 0 to 1 as they are", "pixels 0 to 255 as they are"])
def test_kept_statistics_tell_the_scale_of_the_input(norm):
    decision = decide(tuned("resnet20_cifar", *NORMS[3][norm]), ["resnet20_cifar"])
    assert (decision.preprocessing.mean, decision.preprocessing.std) == NORMS[3][norm]
    assert decision.assumed == []


def test_what_the_file_says_is_believed_and_nothing_is_measured_about_it():
    told = find("resnet20_cifar").preprocessing
    decision = decide(tuned("resnet20_cifar", (0.5,) * 3, (0.5,) * 3), ["resnet20_cifar"], told=told)
    assert decision.preprocessing == told and decision.evidence == () and decision.findings == ()


def test_measuring_leaves_the_network_as_it_was():
    network = cnnviz.build("resnet20_cifar").eval()
    before, kinds = {k: v.clone() for k, v in network.state_dict().items()}, [type(m) for m in network.modules()]
    for first in (True, False):
        assert statistics.measure(network, torch.rand(2, 3, 32, 32), first)
    assert [type(m) for m in network.modules()] == kinds
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_measured_variances_are_those_of_each_norms_input():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2)
    ).eval()
    images = torch.rand(5, 3, 12, 12)
    measured = [found.measured for found in statistics.measure(network, images)]
    with torch.no_grad():
        inputs = [network[:1](images), network[:4](images)]
    for found, x in zip(measured, inputs, strict=True):
        torch.testing.assert_close(torch.from_numpy(found).float(), x.var((0, 2, 3)))


def test_a_folder_of_the_users_own_decides_too(tmp_path):
    corpus, state = digits(), trained_on_digits("tanh", nn.AvgPool2d, "mean 0.5, std 0.5")
    for i in range(70):
        folder = tmp_path / "set" / corpus.labels[i]
        folder.mkdir(parents=True, exist_ok=True)
        corpus.image(i).save(folder / f"{i}.png")
    torch.save(state, tmp_path / "w.pt")
    model = cnnviz.load(weights=tmp_path / "w.pt", device="cpu", labelled=tmp_path / "set")
    found = {finding.question: finding for finding in model.report.findings}
    assert found["activation"].answer == "tanh" and "images of set" in found["activation"].sentence
    with pytest.raises(cnnviz.errors.BadInput, match="10 classes, the network 4"):
        head = {k: v[:4] if k.startswith("10.") else v for k, v in state.items()}
        torch.save(head, tmp_path / "four.pt")
        cnnviz.load(weights=tmp_path / "four.pt", device="cpu", labelled=tmp_path / "set")


def test_the_answers_of_a_network_are_its_accuracy_and_cross_entropy():
    labelled = find_labelled((1, 28, 28), 10)
    network = lenet("relu", nn.MaxPool2d).eval()
    norm = assume_preprocessing(find("lenet5"))[0]
    found = answer(network, labelled, norm)
    with torch.no_grad():
        scores = network(norm.normalise(labelled.images))
    assert found.accuracy == pytest.approx(float((scores.argmax(1) == labelled.labels).float().mean()))
    assert found.loss == pytest.approx(float(functional.cross_entropy(scores, labelled.labels)), rel=1e-4)
    assert found.tempered <= found.loss + 1e-6


def test_the_tutorials_network_is_assumed_to_have_the_tutorials_normalisation(tmp_path):
    torch.save(cnnviz.build("lenet_cifar").state_dict(), tmp_path / "w.pt")
    model = cnnviz.load(weights=tmp_path / "w.pt", device="cpu")
    assert (model.preprocessing.mean, model.preprocessing.std) == ((0.5,) * 3, (0.5,) * 3)
    assert "mean and std 0.5, as in PyTorch's tutorial, were assumed" in model.notes["assumed"][0]


def test_parameters_without_statistics_are_recognised_and_the_loss_is_told(tmp_path):
    torch.save(dict(cnnviz.build("resnet20_cifar").named_parameters()), tmp_path / "w.pt")
    model = cnnviz.load(weights=tmp_path / "w.pt", device="cpu")
    assert model.name == "resnet20_cifar"
    assert "38 running means and variances are missing" in model.report.warnings[0]
