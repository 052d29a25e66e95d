"""Variants: published networks with another head or other input channels, by name and from files of their users."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models as tv

import cnnviz
from cnnviz.errors import BadInput, UnknownName
from cnnviz.models.catalogue.registry import find
from cnnviz.models.checkpoint.match import shapes
from cnnviz.models.recognise.recognise import recognise
from cnnviz.models.variants.description import Head, HiddenLayer, NetworkVariant, parse_variant
from cnnviz.models.variants.heads import list_variants


def settle(net: nn.Module) -> nn.Module:
    """In evaluation, with running statistics that tell the norms apart."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return net.eval()


def replaced(net: nn.Module, **parts: nn.Module) -> nn.Module:
    for path, part in parts.items():
        net.set_submodule(path.replace("__", "."), part)
    return net


def resnet(*head: nn.Module, **stem: nn.Module) -> nn.Module:
    return replaced(tv.resnet18(), fc=nn.Sequential(*head), **stem)


class TwoLayersBehind(nn.Module):
    """A backbone without its head, and two linear layers beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = tv.resnet18()
        self.backbone.fc = nn.Identity()
        self.fc1, self.fc2 = nn.Linear(512, 64), nn.Linear(64, 5)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(self.backbone(x))))


def mobilenet() -> nn.Module:
    head = nn.Sequential(nn.Linear(1024, 96), nn.ReLU(), nn.Linear(96, 5))
    return replaced(tv.mobilenet_v3_small(), classifier__3=head)


def small_vgg(*head: nn.Module) -> nn.Module:
    """Of the catalogue, as torchvision's is large: batch norm and one linear layer."""
    return replaced(cnnviz.build("vgg11_cifar"), classifier=nn.Sequential(*head))


L, R, D, B = nn.Linear, nn.ReLU, nn.Dropout, nn.BatchNorm1d
FILES = {  # what people do → (name, network)
    "two layers": ("variant:resnet18.256", lambda: resnet(L(512, 256), R(), D(0.3), L(256, 5))),
    "three layers": ("variant:resnet18.256-64", lambda: resnet(L(512, 256), R(), L(256, 64), R(), L(64, 5))),
    "dropout first": ("variant:resnet18.128", lambda: resnet(D(), L(512, 128), R(), D(), L(128, 5))),
    "equal widths": (
        "variant:resnet18.512-512",
        lambda: resnet(D(), L(512, 512), R(), D(), L(512, 512), R(), L(512, 5)),
    ),
    "batch norm": ("variant:resnet18.256b", lambda: resnet(L(512, 256), B(256), R(), D(), L(256, 5))),
    "no bias": ("variant:resnet18.b-64wb", lambda: resnet(B(512), L(512, 64, bias=False), B(64), R(), L(64, 5))),
    "dropout and a layer": ("resnet18", lambda: resnet(D(), L(512, 5))),
    "beside": ("variant:resnet18.64", TwoLayersBehind),
    "kept hidden layer": ("variant:mobilenet_v3_small.1024-96", mobilenet),
    "a network of the CIFAR zoo": ("variant:vgg11_cifar.32", lambda: small_vgg(L(512, 32), R(), L(32, 5))),
    "one channel": (
        "variant:resnet18.in1",
        lambda: resnet(L(512, 5), conv1=nn.Conv2d(1, 64, 7, 2, 3, bias=False)),
    ),
    "small stem": (
        "resnet18_cifar",
        lambda: resnet(L(512, 5), conv1=nn.Conv2d(3, 64, 3, 1, 1, bias=False), maxpool=nn.Identity()),
    ),
    "small stem, one channel, a head": (
        "variant:resnet18_cifar.in1.64",
        lambda: resnet(L(512, 64), R(), L(64, 5), conv1=nn.Conv2d(1, 64, 3, 1, 1, bias=False), maxpool=nn.Identity()),
    ),
    "a convolution at the end": (
        "variant:squeezenet1_1.in2",
        lambda: replaced(tv.squeezenet1_1(), features__0=nn.Conv2d(2, 64, 3, 2), classifier__1=nn.Conv2d(512, 5, 1)),
    ),
}


@pytest.mark.parametrize("kind, prefix", [(kind, ("", "module.")[at % 2]) for at, kind in enumerate(FILES)])
def test_a_file_of_a_changed_network_is_recognised_and_gives_its_answers(kind, prefix, tmp_path):
    torch.manual_seed(0)
    name, build = FILES[kind]
    net = settle(build())
    torch.save({prefix + key: value for key, value in net.state_dict().items()}, tmp_path / "w.pth")
    model = cnnviz.load(weights=tmp_path / "w.pth", device="cpu")
    assert model.name == name and len(model.class_names) == 5
    side = 32 if "vgg" in name else 64
    image = torch.randn(2, model.input_size[0], side, side)
    with torch.inference_mode():
        torch.testing.assert_close(model.module(image), net(image), rtol=1e-4, atol=1e-4)
    said = any("ReLU" in text and "assumed" in text for text in model.notes["assumed"])
    assert said == ("variant" in name and not name.endswith(("in1", "in2")))
    again = cnnviz.load(name, tmp_path / "w.pth", device="cpu")
    assert len(again.class_names) == 5 and again.report.matched == again.report.expected


def test_a_large_head_replaced_as_a_whole_is_recognised_from_shapes():
    """torchvision's VGG-16 without memory, as in a well-known course: 25,088 → 4,096 → 102."""
    with torch.device("meta"):
        net = tv.vgg16()
        net.classifier = nn.Sequential(L(25088, 4096), R(), D(), L(4096, 102))
        assert recognise(net.state_dict())[:1] == ["variant:vgg16.4096"]
        built = cnnviz.build("variant:vgg16.4096", 102)

    assert [tuple(p.shape) for p in built.parameters()] == [tuple(p.shape) for p in net.parameters()]


def test_a_variant_is_a_network_like_any_other():
    model = cnnviz.load("variant:resnet18_cifar.in1.32b", device="cpu")
    assert model.input_size == (1, 28, 28) and model.class_names == [str(i) for i in range(10)]
    assert find(model.name).title == "ResNet-18, 3×3 stem (CIFAR), 1 input channel, head 32"
    parameters = 11_173_962 - 2 * 64 * 9 - 5130 + (512 * 32 + 32) + 2 * 32 + (32 * 10 + 10)
    assert cnnviz.anatomy(model.name).parameters == parameters
    image = model.preprocess(torch.zeros(28, 28, 3, dtype=torch.uint8).numpy())
    assert model.predict(image[None]).shape == (1, 10)


def test_hidden_layers_as_published_stay_as_they_are():
    net = cnnviz.build("variant:mobilenet_v3_small.1024-96", 5)
    assert isinstance(net.classifier[1], nn.Hardswish) and net.classifier[3][0].in_features == 1024
    assert [p.shape[0] for p in net.classifier.parameters() if p.ndim == 2] == [1024, 96, 5]
    alone = cnnviz.build("variant:mobilenet_v3_small.0", 5)
    assert [tuple(p.shape) for p in alone.classifier.parameters()] == [(5, 576), (5,)]


@pytest.mark.parametrize(
    "variant",
    [
        NetworkVariant("resnet18", 1),
        NetworkVariant("resnet18", None, Head((HiddenLayer(512, False, True), HiddenLayer(7)), norm=True)),
        NetworkVariant("vgg16", 4, Head(())),
    ],
)
def test_a_name_and_its_variant_are_one(variant):
    assert parse_variant(variant.name.removeprefix("variant:")) == variant
    assert find(variant.name).name == variant.name


@pytest.mark.parametrize(
    "name, reason",
    [
        ("variant:resnet18", "no variant"),
        ("variant:resnet18.", "no variant"),
        ("variant:resnet18.in0", "no variant"),
        ("variant:resnet18.in99", "no variant"),
        ("variant:resnet18.in01", "no variant"),
        ("variant:resnet18.0512", "no variant"),
        ("variant:resnet18.512.in1", "no variant"),
        ("variant:resnet18.8193", "no variant"),
        ("variant:resnet18.512bw", "no variant"),
        ("variant:resnet18." + "-".join("9" * 6), "no variant"),
        ("variant:resnet18.in3", "itself takes 3 channels"),
        ("variant:vgg16.4096-4096", "is vgg16 itself"),
        ("variant:resnet18.0", "is resnet18 itself"),
        ("variant:squeezenet1_0.64", "does not end in a linear layer"),
    ],
)
def test_what_is_no_variant_is_refused_in_words(name, reason):
    with pytest.raises(BadInput, match=reason), torch.device("meta"):
        cnnviz.build(name)


def test_an_unknown_network_gets_the_closest_ones():
    with pytest.raises(UnknownName, match="resnet18"):
        find("variant:resnet19.512")


def test_a_published_network_is_no_variant_and_what_fits_nothing_neither():
    with torch.device("meta"):
        assert list_variants(shapes(tv.resnet18().state_dict())) == []
        net = resnet(L(512, 64), R(), L(64, 5))
        net.layer3 = nn.Identity()
        assert list_variants(shapes(net.state_dict())) == []
        small = nn.Sequential(nn.Conv2d(1, 6, 5), nn.Flatten(), L(6 * 24 * 24, 30), L(30, 5))
        assert list_variants(shapes(small.state_dict())) == []
