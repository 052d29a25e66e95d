"""Weights in parts become what the network computes with: PyTorch's own layers in eval mode are the expectation."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm
from weightfiles import filled, prefixed

from cnnviz.models.checkpoint.read import read_weights
from cnnviz.models.checkpoint.reparametrised import join_parts
from cnnviz.models.load import load


def old_weight_norm(layer: nn.Module, dim: int | None = 0) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is the older of two ways
        return nn.utils.weight_norm(layer, dim=dim)


WAYS = {
    "weight norm": (old_weight_norm, "length and direction"),
    "weight norm of columns": (lambda layer: old_weight_norm(layer, 1), "length and direction"),
    "weight norm of the whole": (lambda layer: old_weight_norm(layer, None), "length and direction"),
    "weight norm as a parametrization": (parametrizations.weight_norm, "length and direction"),
    "spectral norm": (spectral_norm, "singular"),
    "spectral norm as a parametrization": (parametrizations.spectral_norm, "singular"),
    "pruned": (lambda layer: prune.random_unstructured(layer, "weight", 0.5), "pruned"),
}


SIZES = {nn.Conv2d: (3, 5, 3), nn.Linear: (7, 4), nn.ConvTranspose2d: (4, 6, 3)}
SEEN = {nn.Conv2d: (3, 6, 6), nn.Linear: (7,), nn.ConvTranspose2d: (4, 6, 6)}


@pytest.mark.parametrize("layer", SIZES)
@pytest.mark.parametrize("way", WAYS)
def test_a_weight_in_parts_becomes_the_one_that_the_layer_computes_with(tmp_path, way, layer):
    torch.manual_seed(0)
    (parametrised, says), image = WAYS[way], torch.randn(2, *SEEN[layer])
    made = parametrised(layer(*SIZES[layer]))
    made(image)
    made.eval()(image)  # the older forms make the weight in the pass
    torch.save(prefixed(made.state_dict(), "module.one."), tmp_path / "w.pt")
    found = read_weights(tmp_path / "w.pt")
    assert found.tensors.keys() == {"one.weight", "one.bias"}
    torch.testing.assert_close(found.tensors["one.weight"], made.weight.detach(), rtol=1e-5, atol=1e-6)
    (warning,) = found.warnings
    assert warning.startswith("1 ") and says in warning


@pytest.mark.parametrize(
    "state",
    [
        {"a.weight_g": torch.ones(5), "a.weight_v": torch.ones(4, 3)},
        {"a.weight_orig": torch.ones(4, 3), "a.weight_mask": torch.ones(3)},
        {"a.weight_orig": torch.ones(4, 3), "a.weight_u": torch.ones(5), "a.weight_v": torch.ones(3)},
        {"a.weight": torch.ones(4, 3), "a.weight_g": torch.ones(4, 1), "a.weight_v": torch.ones(4, 3)},
        {"a.proj_v": torch.ones(4, 3), "b.proj_g": torch.ones(4, 1)},
        {"a.parametrizations.weight.original0": torch.ones(2), "a.parametrizations.weight.original1": torch.ones(4, 3)},
    ],
    ids=["lengths", "mask", "vectors", "beside the weight", "two layers", "another parametrization"],
)
def test_what_only_looks_like_parts_stays(state):
    said: list[str] = []
    assert join_parts(state, said) == state and not said


def test_a_network_with_weight_norm_everywhere_is_recognised_and_answers_alike(tmp_path):
    source = filled("lenet5")
    layers = [layer for layer in source.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    expected = source(torch.ones(1, 1, 28, 28)).detach()
    for layer in layers:
        parametrizations.weight_norm(layer)
    torch.save(source.state_dict(), tmp_path / "w.pt")
    model = load(None, tmp_path / "w.pt", "cpu")
    assert model.name == "lenet5" and len(layers) > 3
    torch.testing.assert_close(model.module(torch.ones(1, 1, 28, 28)), expected, rtol=1e-4, atol=1e-5)
