"""Networks as people write them: every function gives what plain PyTorch gives for each image alone."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from any_networks import CLASSES, PROBABILITIES, SCORES, SIZE, Small, first_score
from nets import hooks_left
from slowindex import memory
from torch import nn

import cnnviz
from cnnviz.attribution.attribute import attribute
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput
from cnnviz.landscape.evaluate.evaluator import Evaluator
from cnnviz.models.model import LoadedModel, decided
from cnnviz.probes.capture import layer_shapes

PIXELS = list(np.random.default_rng(0).integers(0, 256, (3, *SIZE[1:], 3), np.uint8))
ONE_BY_ONE = ("one image", "statistics of the batch", "minus the mean image", "sorted over images", "previous image")


def wrap(module: nn.Module, size=SIZE, classes: int = CLASSES) -> LoadedModel:
    preprocessing = Preprocessing(size[1:], mean=(0.4,) * size[0], std=(0.3,) * size[0])
    return LoadedModel(module, "own", preprocessing, [f"c{i}" for i in range(classes)], torch.device("cpu"))


class Wrapped(nn.Module):
    """A function as a layer."""

    def __init__(self, fn) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x):
        return self.fn(x)


def plainly(module: nn.Module, model: LoadedModel, read=first_score) -> torch.Tensor:
    """(N, classes): of each image alone, by plain PyTorch."""
    module = module.eval()
    with torch.no_grad():
        return torch.cat([read(module(model.preprocess(p)[None])).reshape(1, -1) for p in PIXELS])


def measure_loss(model: LoadedModel, labels) -> float:
    return Evaluator(model, np.stack(PIXELS), labels, precision="float32").at().loss


@pytest.mark.parametrize("kind", SCORES)
def test_every_function_gives_what_plain_pytorch_gives(kind):
    reference, model = Small(SCORES[kind]), wrap(Small(SCORES[kind]).train())
    scores = plainly(reference, model)
    np.testing.assert_allclose(model.logits(PIXELS), scores.float().numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict(PIXELS), scores.softmax(1).numpy(), atol=1e-5)
    assert model.trial.together == (kind not in (*ONE_BY_ONE, "early exit"))
    seen = []
    hook = reference.first.register_forward_hook(lambda _m, _i, output: seen.append(output.clone()))
    plainly(reference, model)
    hook.remove()
    calls = len(seen) // len(PIXELS)
    want = torch.cat(seen[calls - 1 :: calls]).numpy()  # of the last call
    np.testing.assert_allclose(cnnviz.capture(model, PIXELS, ["first"])["first"], want, rtol=1e-4, atol=1e-5)
    index = cnnviz.index_patches(model, memory(PIXELS), ["first"], k=1, precision="float32")
    np.testing.assert_allclose([index.top("first", c)[0].value for c in range(6)], want.max((0, 2, 3)), rtol=1e-4)
    assert cnnviz.receptive_field(model, "first").size == (3, 3)
    assert cnnviz.first_layer_filters(model).layer == "first"
    assert kind == "storage" or cnnviz.anatomy(model).macs >= 27 * 6 * 100 + 54 * 6 * 64 + 96 * 4
    assert hooks_left(model.module) == 0
    labels = torch.tensor([0, 1, 2])
    np.testing.assert_allclose(measure_loss(model, labels), F.cross_entropy(scores.float(), labels), rtol=1e-3)
    copy.deepcopy(model.module)


@pytest.mark.parametrize("kind", [kind for kind in SCORES if kind not in ("storage", "early exit")])
def test_gradients_are_those_of_plain_pytorch(kind):
    reference, model = Small(SCORES[kind]).eval(), wrap(Small(SCORES[kind]))
    leaf = model.preprocess(PIXELS[0])[None].requires_grad_()
    first_score(reference(leaf.clone())).reshape(-1)[1].backward()
    found = attribute(model, PIXELS[0], 1, method="saliency").values
    np.testing.assert_allclose(found, leaf.grad[0].numpy(), rtol=1e-3, atol=1e-6)
    for method in ("guided_backprop", "deconvolution", "occlusion", "integrated_gradients"):
        assert np.isfinite(attribute(model, PIXELS[0], 1, method=method, steps=4).map).all()
    plain = wrap(Small(Small.plain))
    if kind.endswith("checkpoint"):  # the rules hold inside it, too
        for rule in ("gradient", "deconvnet", "guided"):
            unit = ("second", 2, 3, 3, rule)
            np.testing.assert_allclose(
                cnnviz.reconstruct(model, PIXELS[0], *unit), cnnviz.reconstruct(plain, PIXELS[0], *unit), atol=1e-6
            )
    model.predict(PIXELS)
    assert not any(p.requires_grad or p.grad is not None for p in model.module.parameters())
    copy.deepcopy(model.module)  # what a pass has left in it holds no graph


@pytest.mark.parametrize("kind", PROBABILITIES)
@pytest.mark.parametrize("classes", [1, CLASSES])
def test_what_is_a_probability_already_is_not_squashed_again(kind, classes):
    if classes == 1 and "sigmoid" not in kind:
        pytest.skip("a softmax of one output is 1")
    own = Small(PROBABILITIES[kind], classes)
    model, shares = wrap(copy.deepcopy(own), classes=classes), plainly(own, wrap(copy.deepcopy(own))).numpy()
    np.testing.assert_allclose(model.predict(PIXELS), shares, atol=1e-6)
    assert decided(model.predict(PIXELS)).tolist() == decided(shares).tolist()
    labels = np.array([0, 1, 0]) if classes == 1 else np.array([0, 1, 2])
    loss = measure_loss(model, labels)
    if classes == 1:
        want = -np.log(np.where(labels == 1, shares[:, 0], 1 - shares[:, 0])).mean()
        np.testing.assert_allclose(loss, want, rtol=1e-4)
    elif "softmax" in kind:
        np.testing.assert_allclose(loss, -np.log(shares[range(3), labels]).mean(), rtol=1e-4)
    else:  # each output is a question of its own
        yes = np.eye(CLASSES)[labels]
        np.testing.assert_allclose(loss, -np.log(np.where(yes == 1, shares, 1 - shares)).mean(), rtol=1e-4)


def test_random_functions_in_eval_mode_are_told():
    model = wrap(Small(lambda n, x: n.scores(F.dropout(n.maps(x)))))
    assert any("random" in text for text in model.notes["assumed"])


def test_a_network_that_takes_two_images_and_not_one_is_refused():
    with pytest.raises(BadInput, match="two images in a pass and not one"):
        wrap(Small(lambda n, x: n.plain(x.view(2, *SIZE))))


def test_the_callers_tensor_and_mode_are_left_alone():
    model = wrap(Small(SCORES["writes into its input"]))
    given = torch.randn(2, *SIZE)
    before = given.clone()
    model.module.train()
    first = model.predict(given)
    cnnviz.capture(model, given, ["first"])
    cnnviz.reconstruct(model, given[0], "first", 0, 2, 2)
    attribute(model, given[0], 0, method="occlusion")
    assert torch.equal(given, before) and model.module.training and model.module.norm.training
    model.module.eval()
    np.testing.assert_array_equal(model.predict(given), first)


def test_a_changed_network_is_a_new_one():
    model = wrap(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, CLASSES)))
    seen = [model.fingerprint]

    def changed() -> bool:
        seen.append(model.fingerprint)
        return len(set(seen)) == len(seen)

    assert cnnviz.receptive_field(model, "0").size == (3, 3) and cnnviz.anatomy(model).macs == 27 * 400 + 1600
    with torch.no_grad():
        model.module[0].weight.neg_()
    assert changed()
    model.module[0].weight.data[0, 0, 0, 0] += 1  # which PyTorch does not count
    assert changed()
    optimiser = torch.optim.SGD(model.module.requires_grad_(True).parameters(), 0.1)
    model.module(torch.ones(1, *SIZE)).sum().backward()
    optimiser.step()
    assert changed()
    model.module.requires_grad_(False)
    model.module[0] = nn.Conv2d(3, 4, 7, padding=2).eval()
    assert changed()
    assert cnnviz.receptive_field(model, "0").size == (7, 7) and cnnviz.anatomy(model).macs == 147 * 400 + 1600
    model.module[0].dilation = (2, 2)
    model.module[0].padding = (5, 5)
    assert cnnviz.receptive_field(model, "0").size == (13, 13)


def test_an_index_of_the_network_as_it_was_is_refused(tmp_path):
    model = wrap(Small(Small.plain))
    cnnviz.index_patches(model, memory(PIXELS), ["first"], k=1, out=tmp_path / "index.npz")
    model.module.first.weight.data.neg_()
    with pytest.raises(BadInput, match="different model fingerprint"):
        cnnviz.index_patches(model, memory(PIXELS), ["first"], k=1, out=tmp_path / "index.npz")


class Wrapping(nn.Module):
    """A block whose convolution's output is wrapped in something."""

    def __init__(self, wrapping, unwrapping):
        super().__init__()

        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.c = nn.Conv2d(3, 6, 3)

            def forward(self, x):
                return wrapping(self.c(x))

        self.b, self.fc, self.unwrapping = Block(), nn.Linear(6, CLASSES), unwrapping

    def forward(self, x):
        return self.fc(self.unwrapping(self.b(x)).mean((2, 3)))


class Fields:
    def __init__(self, maps):
        self.name, self.maps = "maps", maps


@pytest.mark.parametrize(
    "wrapping, unwrapping",
    [
        (Fields, lambda out: out.maps),
        (lambda y: ((None, [y]), 1), lambda out: out[0][1][0]),
        (lambda y: (y.mean(), y), lambda out: out[1]),
        (lambda y: {"n": 3, "y": {"maps": y}}, lambda out: out["y"]["maps"]),
    ],
)
def test_what_a_block_returns_is_looked_through(wrapping, unwrapping):
    model = wrap(Wrapping(wrapping, unwrapping))
    assert layer_shapes(model) == {"b": (6, 10, 10), "b.c": (6, 10, 10), "fc": (4, 1, 1)}
    maps = cnnviz.capture(model, PIXELS, ["b", "b.c"])
    np.testing.assert_array_equal(maps["b"], maps["b.c"])
    assert cnnviz.receptive_field(model, "b").size == (3, 3)
    assert cnnviz.index_patches(model, memory(PIXELS), k=1).layers == ["b", "b.c", "fc"]


@pytest.mark.parametrize(
    "wrapping, words", [(lambda y: (str, "text"), "holds no tensor"), (lambda y: y + 1j, "complex")]
)
def test_a_layer_that_cannot_be_shown_takes_no_other_with_it(wrapping, words):
    kept = []
    module = Wrapping(lambda y: kept.append(y) or wrapping(y), lambda _out: kept.pop())
    model = wrap(module)
    assert list(layer_shapes(model)) == ["b.c", "fc"]
    assert cnnviz.index_patches(model, memory(PIXELS), k=1).layers == ["b.c", "fc"]
    with pytest.raises(BadInput, match=words):
        cnnviz.capture(model, PIXELS, ["b"])


def test_maps_of_one_dimension_have_their_channels_first():
    module = nn.Sequential(
        *(nn.Flatten(2), nn.Conv1d(3, 8, 5), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2)),
        *(nn.Flatten(), nn.Linear(8 * 70, CLASSES)),
    )
    model = wrap(copy.deepcopy(module).eval())
    batch = torch.stack([model.preprocess(p) for p in PIXELS])
    with torch.no_grad():
        for at in range(1, 5):
            want = module.eval()[: at + 1](batch)[..., None].numpy()
            np.testing.assert_allclose(cnnviz.capture(model, PIXELS, [str(at)])[str(at)], want, rtol=1e-4, atol=1e-6)
    assert cnnviz.index_patches(model, memory(PIXELS), ["1"], k=1).channels("1") == 8


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", ["transformer", "recurrent"])
def test_tokens_are_told_by_how_they_came_about(batch_first, kind):
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.stem, self.fc = nn.Conv2d(3, 9, 4, 4), nn.Linear(9, CLASSES)
            if kind == "transformer":
                self.inner = nn.TransformerEncoderLayer(9, 3, 12, batch_first=batch_first)
            else:
                self.inner = nn.LSTM(9, 9, batch_first=batch_first)

        def forward(self, x):
            tokens = self.stem(x).flatten(2)
            tokens = self.inner(tokens.transpose(1, 2) if batch_first else tokens.permute(2, 0, 1))
            tokens = tokens if kind == "transformer" else tokens[0]
            return self.fc(tokens.mean(1 if batch_first else 0))

    model, module = wrap(Tokens()), Tokens().eval()
    seen = []
    module.inner.register_forward_hook(lambda _m, _i, out: seen.append(out if kind == "transformer" else out[0]))
    with torch.no_grad():
        module(torch.stack([model.preprocess(p) for p in PIXELS]))
    want = seen[0].permute((0, 2, 1) if batch_first else (1, 2, 0))[..., None].numpy()
    np.testing.assert_allclose(cnnviz.capture(model, PIXELS, ["inner"])["inner"], want, rtol=1e-4, atol=1e-5)


def test_a_name_that_ends_like_a_call_is_a_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.d = nn.ModuleDict({"conv": nn.Conv2d(3, 8, 3), "conv:1": nn.Conv2d(8, 4, 3)})
            self.fc = nn.Linear(4, CLASSES)

        def forward(self, x):
            return self.fc(self.d["conv:1"](self.d["conv"](x)).mean((2, 3)))

    model = wrap(Named())
    assert cnnviz.capture(model, PIXELS, ["d.conv:1"])["d.conv:1"].shape == (3, 4, 8, 8)
    assert cnnviz.capture(model, PIXELS, ["d.conv:1:1"])["d.conv:1:1"].shape == (3, 4, 8, 8)
    assert cnnviz.receptive_field(model, "d.conv:1").size == (5, 5)
    assert cnnviz.index_patches(model, memory(PIXELS), ["d.conv:1"], k=1).channels("d.conv:1") == 4
    assert cnnviz.reconstruct(model, PIXELS[0], "d.conv:1", 3, 0, 0).shape == SIZE


def test_a_name_that_is_also_a_call_of_another_layer_stays_apart_from_it():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.d = nn.ModuleDict({"conv": nn.Conv2d(3, 3, 3), "conv:2": nn.Conv2d(3, CLASSES, 3)})

        def forward(self, x):
            return self.d["conv:2"](self.d["conv"](self.d["conv"](x))).mean((2, 3))

    model = wrap(Named())
    assert [row.layer for row in cnnviz.anatomy(model)][:3] == ["d.conv", "d.conv::2", "d.conv:2"]
    shapes = {"d.conv": (3, 8, 8), "d.conv:1": (3, 10, 10), "d.conv::2": (3, 8, 8), "d.conv:2": (CLASSES, 6, 6)}
    maps = cnnviz.capture(model, PIXELS, [*shapes])
    index = cnnviz.index_patches(model, memory(PIXELS), [*shapes], k=1)
    for layer, shape in shapes.items():
        assert maps[layer].shape == (3, *shape)
        assert cnnviz.receptive_field(model, layer).shape == shape[1:]
        np.testing.assert_allclose(index.tops[layer].values[:, 0], maps[layer].max((0, 2, 3)), rtol=1e-4)


def test_the_first_filters_are_those_that_see_the_image_first():
    class Crossed(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused, self.late = nn.Conv2d(3, 5, 3), nn.Conv2d(8, 3, 1)
            self.again, self.stem = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 8, 5)
            self.fc = nn.Linear(4, CLASSES)

        def forward(self, x):
            return self.fc(self.again(self.late(F.relu(self.stem(x)))).mean((2, 3)))

    filters = cnnviz.first_layer_filters(wrap(Crossed()))
    assert filters.layer == "stem" and filters.weights.shape == (8, 3, 5, 5)


def with_norm(norm):
    torch.manual_seed(0)
    return nn.Sequential(norm(nn.Conv2d(3, 6, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(600, CLASSES))


MADE = {
    "weight_norm": lambda: with_norm(nn.utils.parametrizations.weight_norm),
    "weight_norm of old": lambda: with_norm(nn.utils.weight_norm),
    "spectral_norm": lambda: with_norm(nn.utils.parametrizations.spectral_norm),
    "spectral_norm of old": lambda: with_norm(nn.utils.spectral_norm),
    "frozen": lambda: with_norm(lambda conv: conv.requires_grad_(False)),
    "volume": lambda: nn.Sequential(
        *(nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 4, 3, padding=(1, 0, 0)), nn.ReLU(), nn.Flatten()),
        nn.Linear(1200, CLASSES),
    ),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", MADE)
def test_weights_of_every_make_run(kind):
    module = MADE[kind]().eval()
    module(torch.zeros(1, *SIZE))
    reference, model = MADE[kind]().eval(), wrap(module)
    reference.load_state_dict(model.module.state_dict())
    np.testing.assert_allclose(model.logits(PIXELS), plainly(reference, model).detach().numpy(), rtol=1e-4, atol=1e-5)
    conv = model.layers("conv")[0]
    cnnviz.capture(model, PIXELS, [conv])
    cnnviz.reconstruct(model, PIXELS[0], conv, 1, 2, 0)
    want = F.cross_entropy(plainly(reference, model).detach(), torch.arange(3))
    np.testing.assert_allclose(measure_loss(model, [0, 1, 2]), want, rtol=1e-3)
    assert model.fingerprint and cnnviz.anatomy(model).macs


def test_what_was_compiled_is_shown_as_it_was_written():
    inner = nn.Sequential(torch.compile(nn.Conv2d(3, 6, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(600, CLASSES))
    model = wrap(torch.compile(inner))
    assert model.layers() == ["0", "3"]
    assert cnnviz.capture(model, PIXELS, ["0"])["0"].shape == (3, 6, 10, 10)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused_also_as_a_part():
    part = torch.jit.trace(nn.Conv2d(3, 6, 3), torch.zeros(1, *SIZE))
    for module in (part, nn.Sequential(part, nn.Flatten(), nn.Linear(600, CLASSES))):
        with pytest.raises(BadInput, match="TorchScript"):
            wrap(module)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.predict(PIXELS),
        lambda model: cnnviz.capture(model, PIXELS, ["first"]),
        lambda model: cnnviz.first_layer_filters(model),
        lambda model: cnnviz.receptive_field(model, "first"),
        lambda model: cnnviz.anatomy(model),
        lambda model: cnnviz.index_patches(model, memory(PIXELS), k=1),
        lambda model: cnnviz.reconstruct(model, PIXELS[0], "second", 0, 0, 0),
        lambda model: cnnviz.equivariance(model, PIXELS[0], [(1, 0)], ["second"]),
        lambda model: cnnviz.loss_surface(model, PIXELS, [0, 1, 2], steps=3),
    ],
)
def test_what_was_made_torchscript_after_loading_is_refused_by_every_function(use):
    model = wrap(Small(Small.plain))
    model.module.first = torch.jit.trace(model.module.first, torch.zeros(1, *SIZE))
    for _ in range(2):
        with pytest.raises(BadInput, match="own: its part 'first' is TorchScript"):
            use(model)
    assert model.lock.acquire(blocking=False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_function_is_named_as_one_in_python():
    scripted = torch.jit.trace(lambda x: torch.relu(x) * 2, torch.zeros(1, 6, 4, 4))
    nets = [
        nn.Sequential(nn.Conv2d(3, 6, 3), Wrapped(fn), nn.Conv2d(6, 4, 3)) for fn in (scripted, lambda x: x.relu() * 2)
    ]
    assert [row.detail for row in cnnviz.anatomy(wrap(nets[0]))] == [
        row.detail for row in cnnviz.anatomy(wrap(nets[1]))
    ]


@pytest.mark.parametrize(
    "given, words",
    [
        (torch.zeros(SIZE, dtype=torch.uint8), "torch.uint8"),
        (torch.zeros(1, *SIZE, dtype=torch.int64), "torch.int64"),
        (torch.rand(SIZE) * 255, "not normalised"),
        (torch.full(SIZE, float("nan")), "NaN"),
        (np.random.default_rng(0).random((12, 12, 3)), "Scale to 0..255"),
        (np.zeros(SIZE, np.uint8), "channels come first"),
    ],
)
def test_an_input_that_can_only_be_a_mistake_is_refused_with_the_remedy(given, words):
    model = wrap(Small(Small.plain))
    with pytest.raises(BadInput, match=words):
        model.predict(given)


def test_mean_and_std_of_bytes_are_refused():
    with pytest.raises(BadInput, match="divide both by 255"):
        Preprocessing((8, 8), mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4))


def test_a_network_that_counts_its_passes_is_followed_once():
    class Counting(Small):
        passes = 0

        def forward(self, x):
            self.passes += 1
            return self.plain(x)

    model = wrap(Counting(Small.plain))
    cnnviz.capture(model, PIXELS[0], ["first"])
    before = model.module.passes
    for _ in range(3):
        cnnviz.capture(model, PIXELS[0], ["second", "head"])
    assert model.module.passes == before + 3
