"""Variants with other activations, without batch norm and with dropout: equal to networks that are written by hand."""

import copy
import itertools
import random

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

import cnnviz
from cnnviz.errors import BadInput, UnknownName
from cnnviz.models.catalogue import architecture
from cnnviz.models.catalogue.plugins import register
from cnnviz.models.catalogue.registry import find
from cnnviz.models.variants.changes import DropoutLinear
from cnnviz.models.variants.description import parse_variant
from cnnviz.models.variants.naming import name_variant

CALLS = {
    "relu": F.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "leaky": lambda x: torch.where(x > 0, x, 0.01 * x),
}


def norm(x, state, name):
    """Batch norm in evaluation, from its formula."""
    mean, var, scale, shift = (
        state[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(var + 1e-5) * scale + shift


def mlp(state, x, act, _norm):
    return F.linear(
        act(F.linear(x.flatten(1), state["fc1.weight"], state["fc1.bias"])), state["fc2.weight"], state["fc2.bias"]
    )


def lenet(padding):
    def run(state, x, act, _norm):
        for name, pad in (("conv1", padding), ("conv2", 0)):
            x = F.max_pool2d(act(F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=pad)), 2)
        x = x.flatten(1)
        for name in ("fc1", "fc2"):
            x = act(F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"]))
        return F.linear(x, state["fc3.weight"], state["fc3.bias"])

    return run


def cifar_net(residual):
    def run(state, x, act, norm):
        x = act(norm(F.conv2d(x, state["conv1.weight"], padding=1), state, "bn1"))
        for stage, block in itertools.product((1, 2, 3), (0, 1, 2)):
            name, stride = f"layer{stage}.{block}", 2 if block == 0 and stage > 1 else 1
            y = act(norm(F.conv2d(x, state[f"{name}.conv1.weight"], stride=stride, padding=1), state, f"{name}.bn1"))
            y = norm(F.conv2d(y, state[f"{name}.conv2.weight"], padding=1), state, f"{name}.bn2")
            if residual:
                short = x[:, :, ::stride, ::stride]
                more = (y.shape[1] - x.shape[1]) // 2
                y = y + F.pad(short, (0, 0, 0, 0, more, more))
            x = act(y)
        return F.linear(x.mean((2, 3)), state["fc.weight"], state["fc.bias"])

    return run


def nin(state, x, act, _norm):
    rows = (("conv1", 2, "cccp1", "cccp2"), ("conv2", 2, "cccp3", "cccp4"), ("conv3", 1, "cccp5", "cccp6"))
    for number, (first, padding, *others) in enumerate(rows):
        for name, pad in ((first, padding), *((other, 0) for other in others)):
            x = F.conv2d(x, state[f"features.{name}.weight"], state[f"features.{name}.bias"], padding=pad)
            x = F.relu(x) if name == "cccp6" else act(x)  # the last one is the output's
        x = F.max_pool2d(x, 3, 2, ceil_mode=True) if number < 2 else x
    return x.mean((2, 3))


HAND = {
    "mlp": mlp,
    "lenet5": lenet(2),
    "lenet_cifar": lenet(0),
    "resnet20_cifar": cifar_net(True),
    "plain20_cifar": cifar_net(False),
    "nin_cifar10": nin,
}
NORMED = ("resnet20_cifar", "plain20_cifar")
NAMES = [
    f"variant:{base}" + (f".{kind}" if kind else "") + (".nonorm" if bare else "") + (f".drop{share}" if share else "")
    for base, kind, bare, share in itertools.product(HAND, ("", "tanh", "sigmoid", "leaky"), (False, True), (0, 20, 80))
    if (kind or bare or share) and (not bare or base in NORMED)
]


def settled(name: str, classes: int = 7) -> nn.Module:
    torch.manual_seed(0)
    net = cnnviz.build(name, classes)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return net.eval()


@pytest.mark.parametrize("name", random.Random(0).sample(NAMES, 24))
def test_a_variant_gives_the_scores_of_the_network_written_by_hand(name):
    variant, net = parse_variant(name.removeprefix("variant:")), settled(name)
    base, images = find(variant.base), torch.randn(2, *find(name).input_size)
    call = CALLS[variant.activation or "relu"]
    with torch.inference_mode():
        ours = net(images)
        theirs = HAND[variant.base](net.state_dict(), images, call, norm if variant.norm else lambda x, *_: x)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert find(name).preprocessing == base.preprocessing
    assert name_variant(variant.base, variant.activation, variant.norm, variant.dropout) == name


@pytest.mark.parametrize(("base", "layers"), [("mlp", ["fc2"]), ("lenet5", ["fc2", "fc3"]), ("resnet20_cifar", ["fc"])])
def test_dropout_stands_before_each_linear_layer_at_the_end_but_the_first(base, layers):
    net, plain = settled(f"variant:{base}.drop30"), settled(base)
    dropped = {name: module for name, module in net.named_modules() if isinstance(module, DropoutLinear)}
    assert list(dropped) == layers and {one.dropout.p for one in dropped.values()} == {0.3}
    assert list(net.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(net.state_dict())
    images = torch.randn(2, *find(base).input_size)
    torch.testing.assert_close(net(images), plain(images))
    ones = torch.ones(400, dropped[layers[-1]].in_features)
    seen = dropped[layers[-1]].train().dropout(ones)
    assert abs(float((seen == 0).float().mean()) - 0.3) < 0.02 and abs(float(seen.mean()) - 1) < 0.03


def test_own_dropout_gets_another_rate_and_is_not_doubled():
    net = cnnviz.build("variant:nin_cifar10.drop20")
    assert [one.p for one in net.modules() if isinstance(one, nn.Dropout)] == [0.2, 0.2]
    assert all(one.p == 0 for one in cnnviz.build("variant:nin_cifar10.drop0").modules() if isinstance(one, nn.Dropout))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("lenet5.relu", "is lenet5 itself"),
        ("lenet5_tanh.tanh", "is lenet5_tanh itself"),
        ("lenet5.nonorm", "has no batch norm"),
        ("lenet5.drop0", "is lenet5 itself"),
        ("nin_cifar10.drop50", "is nin_cifar10 itself"),
        ("all_cnn_a.nonorm", "has no batch norm"),
        ("nin_imagenet.drop50", "is nin_imagenet itself"),
        ("lenet5.drop95", "no variant of lenet5"),
        ("lenet5.drop07", "no variant of lenet5"),
        ("lenet5.drop50.tanh", "in this order"),
        ("lenet5.tanh.tanh", "in this order"),
        ("lenet5.tanh.", "in this order"),
        ("lenet5.swish", "in this order"),
        ("vgg11_bn.nonorm.512b", "Leave out nonorm, or the b"),
        ("mlp.in1.tanh", "has no convolution"),
    ],
)
def test_what_changes_nothing_or_cannot_be_is_refused_in_words(name, reason):
    with pytest.raises(BadInput, match=reason):
        cnnviz.build(f"variant:{name}")


def test_an_unknown_network_is_named_with_those_that_are_near():
    with pytest.raises(UnknownName, match="resnet20_cifar"):
        find("variant:resnet20_cifr.tanh")


@pytest.mark.parametrize(
    "base", ["mlp", "lenet5", "plain20_cifar", "nin_cifar10", "vgg11_bn", "lenet5_tanh", "all_cnn_a"]
)
def test_choices_have_one_name_and_published_networks_keep_theirs(base):
    names = {}
    for kind, bare, share in itertools.product((None, "relu", "tanh"), (True, False), (None, 0, 50)):
        name = name_variant(base, kind, bare, share)
        with torch.device("meta"):
            described = str(cnnviz.build(name))
        assert names.setdefault(described.replace("inplace=True", ""), name) == name or "Linear" not in described
        assert find(name).name == name
    assert base in names.values()


def test_a_change_of_the_head_the_channels_and_the_activation_stand_together():
    net = cnnviz.build("variant:vgg11_cifar.in1.tanh.nonorm.drop30.64", 5)
    kinds = {type(one) for one in net.modules()}
    assert nn.Tanh in kinds and not kinds & {nn.ReLU, nn.BatchNorm2d}
    assert next(p for p in net.parameters()).shape[1] == 1 and net(torch.randn(2, 1, 32, 32)).shape == (2, 5)
    assert {one.p for one in net.modules() if isinstance(one, nn.Dropout)} == {0.3}


# --- files ---------------------------------------------------------------------------------------------------


def test_a_file_is_what_it_says_and_without_words_the_published_network(tmp_path):
    net = settled("variant:lenet5.tanh", 10)
    images = torch.randn(2, 1, 28, 28)
    save_file(net.state_dict(), tmp_path / "said.safetensors", {"cnnviz": '{"architecture": "variant:lenet5.tanh"}'})
    save_file(net.state_dict(), tmp_path / "silent.safetensors")
    said, silent = (cnnviz.load(weights=tmp_path / f"{name}.safetensors", device="cpu") for name in ("said", "silent"))
    assert said.name == "variant:lenet5.tanh" and "variant" not in silent.name
    with torch.inference_mode():
        torch.testing.assert_close(said.module(images), net(images), rtol=1e-4, atol=1e-5)
    assert said.fingerprint != cnnviz.load("lenet5", tmp_path / "silent.safetensors", device="cpu").fingerprint
    named = cnnviz.load("variant:lenet5.sigmoid", tmp_path / "said.safetensors", device="cpu")
    assert named.name == "variant:lenet5.sigmoid"


# --- networks of one's own -----------------------------------------------------------------------------------


class Own(nn.Module):
    """One rectifier for all layers, declared last; batch norm; a gate."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.conv2, self.gate = nn.Conv2d(6, 6, 3, padding=1), nn.Sequential(nn.Conv2d(6, 6, 1), nn.Sigmoid())
        self.hidden, self.last = nn.Linear(6, 12), nn.Linear(12, num_classes)
        self.act = nn.ReLU()

    def forward(self, x):
        x = self.act(self.norm1(self.conv1(x)))
        x = self.act(self.conv2(x)) * self.gate(x)
        return self.last(self.act(self.hidden(x.mean((2, 3)))))


class Called(Own):
    def forward(self, x):
        return self.last(F.relu(self.hidden(self.act(self.norm1(self.conv1(x))).mean((2, 3)))))


class Drops(Own):
    def forward(self, x):
        x = self.act(self.norm1(self.conv1(x))).mean((2, 3))
        return self.last(F.dropout(self.act(self.hidden(x)), 0.5, self.training))


class EndsRectified(Own):
    def forward(self, x):
        return F.relu(super().forward(x))


@pytest.fixture
def plugins(monkeypatch):
    monkeypatch.setattr(architecture, "_CATALOGUE", dict(architecture.registered()))
    for kind in (Own, Called, Drops, EndsRectified):
        register(kind.__name__.lower(), input_size=(3, 12, 12), classes=4)(kind)


def test_a_network_of_ones_own_is_changed_wherever_its_modules_are_declared(plugins):
    images = torch.randn(2, 3, 12, 12)
    net, twin = settled("variant:own.tanh.drop40", 4), settled("own", 4)
    twin.load_state_dict(net.state_dict())
    twin.act = nn.Tanh()
    torch.testing.assert_close(net(images), twin(images))
    assert isinstance(net.gate[1], nn.Sigmoid) and isinstance(net.last, DropoutLinear)
    bare = settled("variant:own.nonorm", 4)
    twin = copy.deepcopy(settled("own", 4))
    twin.load_state_dict(bare.state_dict(), strict=False)
    twin.norm1 = nn.Identity()
    torch.testing.assert_close(bare(images), twin(images))
    assert name_variant("own", "relu") == "own" and name_variant("own", "tanh", True, 0) == "variant:own.tanh"
    assert not cnnviz.load("variant:own.tanh", "random", device="cpu").known


def test_what_its_code_calls_as_functions_is_refused_and_the_output_stays(plugins):
    with pytest.raises(BadInput, match="called calls relu as a function"):
        cnnviz.build("variant:called.tanh")
    with pytest.raises(BadInput, match="drops calls its dropout as a function"):
        cnnviz.build("variant:drops.drop20")
    assert cnnviz.build("variant:drops.tanh") and cnnviz.build("variant:called.drop20")
    images = torch.randn(2, 3, 12, 12)
    assert bool((settled("variant:endsrectified.tanh", 4)(images) >= 0).all())


def test_a_network_that_is_registered_again_has_new_variants(plugins):
    assert find("variant:own.tanh").input_size == (3, 12, 12)
    architecture.replace(
        copy.replace(find("own"), preprocessing=find("lenet_cifar").preprocessing)
        if hasattr(copy, "replace")
        else __import__("dataclasses").replace(find("own"), preprocessing=find("lenet_cifar").preprocessing)
    )
    assert find("variant:own.tanh").input_size == (3, 32, 32)
