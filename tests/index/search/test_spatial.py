"""Layers whose channels come last, tokens, and layers without a place, as in ConvNeXt, Swin and ViT."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from nets import Functional, Written, hooks_left, images, tiny
from torch import Tensor, nn

from cnnviz.attribution.gradcam import grad_cam
from cnnviz.attribution.reconstruct import reconstruct
from cnnviz.data.corpus import MemoryCorpus
from cnnviz.errors import BadInput
from cnnviz.index.search.build import index_patches
from cnnviz.index.search.spatial import find_misplaced, find_spatial
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import capture, layer_shapes
from cnnviz.tracing.receptive_field import receptive_field


def convnext() -> nn.Module:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    return ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], num_classes=3)


def swin(second: bool = False) -> nn.Module:
    from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformer, SwinTransformerBlockV2

    more = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2} if second else {}
    return SwinTransformer([4, 4], 8, [1, 1], [2, 2], [2, 2], num_classes=3, **more)


def swin_v2() -> nn.Module:
    return swin(second=True)


def vit() -> nn.Module:
    from torchvision.models import VisionTransformer

    return VisionTransformer(32, 8, 1, 2, 8, 16, num_classes=3)


def small(made: Callable[[], nn.Module], side: int = 32) -> LoadedModel:
    torch.manual_seed(0)
    return tiny(made(), (side, side))


def noise(count: int, side: int = 32) -> MemoryCorpus:
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return MemoryCorpus("noise", [f"n/{i}" for i in range(count)], pixels)


def outputs_slowly(model: LoadedModel, batch: Tensor, layer: str) -> Tensor:
    """What the module returned, its axes as they are."""
    kept: list[Tensor] = []
    hook = model.module.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output.clone()))
    with torch.no_grad():
        model.module(batch)
    hook.remove()
    return kept[-1]


CASES = {  # network: {layer: the axis of its channels}
    convnext: {"features.1.0": 1, "features.1.0.block.0": 1, "features.1.0.block.3": 3, "features.3.0.block.5": 3},
    swin: {"features.0.0": 1, "features.1.0.mlp.0": 3, "features.2.reduction": 3, "features.3.0.mlp.3": 3},
    swin_v2: {"features.1.0.mlp.0": 3, "features.2.reduction": 3},
    vit: {"conv_proj": 1, "encoder.layers.encoder_layer_0.mlp.0": 2, "heads.head": 1},
}


@pytest.mark.parametrize("made", CASES, ids=lambda made: made.__name__)
def test_an_index_of_the_default_layers_is_that_of_a_loop_over_the_outputs_as_they_are(made):
    model, corpus = small(made), noise(7)
    index = index_patches(model, corpus, k=3, batch=2)
    assert index.complete and set(CASES[made]) <= set(index.layers) and not hooks_left(model.module)
    for layer, axis in CASES[made].items():
        outputs = [outputs_slowly(model, model.batch(corpus.image(i)), layer)[0] for i in range(len(corpus))]
        maps = np.stack([np.moveaxis(values.numpy(), axis - 1, 0) for values in outputs])  # (N, C, …)
        assert index.channels(layer) == maps.shape[1]
        best = maps.reshape(*maps.shape[:2], -1).max(2)  # (N, C)
        for channel in range(maps.shape[1]):
            found = index.top(layer, channel)
            order = np.argsort(-best[:, channel], kind="stable")[:3]
            assert [w.image for w in found] == order.tolist()
            np.testing.assert_allclose([w.value for w in found], best[order, channel], rtol=1e-4, atol=1e-6)
            for winner in found:
                one = maps[winner.image, channel]
                place = (winner.row, winner.col)[: one.ndim]
                assert one[place] == pytest.approx(winner.value, rel=1e-4, abs=1e-6)
                assert winner.box == receptive_field(model, layer).box(winner.row, winner.col)


@pytest.mark.parametrize(
    "layer, axis",
    [
        ("features.1.0.block.3", 3),
        ("features.1.0.block.4", 3),
        ("features.1.0.block.2", 3),
        ("features.1.0.block", 1),
        ("features.2.0", 1),
    ],
)
def test_maps_have_their_channels_in_front_behind_linear_layers_norms_and_activations(layer, axis):
    model, batch = small(convnext), images(2, (32, 32))
    found, expected = capture(model, batch, layer)[layer], outputs_slowly(model, batch, layer).movedim(axis, 1)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
    assert found.shape[2:] == receptive_field(model, layer).shape


@pytest.mark.parametrize("made", [swin, swin_v2])
@pytest.mark.parametrize(
    "layer", ["features.1", "features.1.0", "features.3.0.attn", "features.2", "features.3", "features"]
)
def test_blocks_of_linear_layers_and_norms_have_their_channels_in_front(made, layer):
    """Of 8 × 8 places with 8 channels, and of 4 × 4 with 16."""
    model, batch = small(made), images(2, (32, 32))
    found, expected = capture(model, batch, layer)[layer], outputs_slowly(model, batch, layer).movedim(-1, 1)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
    assert found.shape[2:] == receptive_field(model, layer).shape and find_misplaced(model, [layer]) == {}


@pytest.mark.parametrize("width", [4, 6])
def test_a_gate_of_linear_layers_over_maps_keeps_their_axes(width):
    """Squeeze and excitation with a functional mean: as many channels as columns, or more."""
    gate = Functional(
        lambda n, x: x * n.up(n.down(x.mean((2, 3))).relu()).sigmoid()[:, :, None, None],
        down=nn.Linear(width, 2),
        up=nn.Linear(2, width),
    )
    model = tiny(Functional(lambda n, x: n.gate(n.conv(x)), conv=nn.Conv2d(3, width, 3), gate=gate), (6, 6))
    batch = images(2, (6, 6))
    np.testing.assert_array_equal(capture(model, batch, "gate")["gate"], outputs_slowly(model, batch, "gate"))


def test_an_activation_that_is_also_used_on_maps_keeps_their_axes():
    relu = nn.ReLU()
    net = Functional(
        lambda n, x: n.head(n.relu(n.conv(x)).flatten(1)),
        conv=nn.Conv2d(3, 4, 3),
        relu=relu,
        head=nn.Sequential(nn.Linear(144, 5), relu),
    )
    model = tiny(net)
    assert capture(model, images(1), "relu:1")["relu:1"].shape == (1, 4, 6, 6)
    assert capture(model, images(1), "head")["head"].shape == (1, 5, 1, 1)


def test_a_unit_of_a_channels_last_layer_is_projected_down_by_its_own_gradient():
    model, image = small(convnext), images(1, (32, 32))
    leaf, kept = image.clone().requires_grad_(), []
    block = model.module.features[1][0].block
    hook = block[3].register_forward_hook(lambda _m, _i, output: kept.append(output))
    model.module(leaf)
    hook.remove()
    (expected,) = torch.autograd.grad(kept[0][0, 5, 2, 17], leaf)
    found = reconstruct(model, image, "features.1.0.block.3", 17, 5, 2, "gradient")
    np.testing.assert_allclose(found, expected[0].numpy(), atol=1e-6)
    top, left, bottom, right = receptive_field(model, "features.1.0.block.3").box(5, 2)
    rows, cols = np.nonzero(np.any(found != 0, axis=0))
    assert (rows.min(), cols.min(), rows.max() + 1, cols.max() + 1) == (top, left, bottom, right)


def test_grad_cam_weighs_the_channels_of_a_channels_last_layer():
    model, image, kept = small(convnext), images(1, (32, 32)), []
    layer = model.module.features[3][0].block[3]
    hook = layer.register_forward_hook(lambda _m, _i, output: kept.append(output.requires_grad_()))
    score = model.module(image)[0, 1]
    hook.remove()
    (slope,) = torch.autograd.grad(score, kept[0])
    expected = (kept[0][0] * slope[0].mean((0, 1))).sum(-1).clamp_min(0).detach().numpy()
    np.testing.assert_allclose(grad_cam(model, image, 1, "features.3.0.block.3")[0], expected, atol=1e-7)


def test_every_token_behind_attention_sees_the_whole_image():
    model, layer = small(vit), "encoder.layers.encoder_layer_0.mlp.0"
    field = receptive_field(model, layer)
    assert layer_shapes(model)[layer] == (16, 17, 1) and field.shape == (17, 1)
    assert {field.box(token, 0) for token in range(17)} == {(0, 0, 32, 32)}


def test_a_module_that_returns_a_number_disturbs_no_trace():
    net = Functional(
        lambda n, x: n.conv(x) * n.level(x)[:, None, None, None],
        conv=nn.Conv2d(3, 4, 3),
        level=Written(lambda x: x.mean((1, 2, 3))),
    )
    assert receptive_field(tiny(net), "conv").box(0, 0) == (0, 0, 3, 3)


def rows_and_columns_changed() -> LoadedModel:
    """`turn` hands on (N, H, C, W), as nobody can tell from outside."""
    turn = Written(lambda x: torch.einsum("nchw->nhcw", x))
    net = Functional(lambda n, x: n.turn(n.conv(x)).mean((1, 3)), conv=nn.Conv2d(3, 4, 3), turn=turn)
    return tiny(net)


def test_a_layer_whose_maps_are_not_those_of_its_field_is_refused_before_the_search():
    model, told = rows_and_columns_changed(), []
    with pytest.raises(BadInput, match=r"'turn' was read as maps of 4×6 units, .* has 6×6.*Leave it out"):
        index_patches(model, noise(3, 8), ["conv", "turn"], batch=1, progress=told.append)
    assert not told
    assert find_spatial(model, ["conv", "turn"]) == ["conv"]


def test_axes_that_are_moved_on_the_way_are_followed():
    turn = Written(lambda x: x.permute(0, 2, 1, 3))  # (N, H, C, W)
    model = tiny(Functional(lambda n, x: n.turn(n.conv(x)).mean((1, 3)), conv=nn.Conv2d(3, 4, 3), turn=turn))
    found = capture(model, images(2), ["conv", "turn"])
    np.testing.assert_array_equal(found["turn"], found["conv"])
    assert find_spatial(model, ["conv", "turn"]) == ["conv", "turn"]


def test_layers_that_work_on_windows_or_tables_are_left_out_unless_they_are_named():
    model = small(swin_v2)
    tables = [layer for layer in model.layers() if "cpb_mlp" in layer]
    index = index_patches(model, noise(2), k=1, batch=2)
    assert tables and not set(tables) & set(index.layers)
    with pytest.raises(BadInput, match="no receptive field"):
        index_patches(model, noise(2), tables[:1], k=1, batch=2)
    windows = tiny(
        Functional(
            lambda n, x: n.qkv(x.unfold(2, 4, 4).unfold(3, 4, 4).reshape(-1, 3, 16)).reshape(len(x), -1),
            qkv=nn.Linear(16, 5),
        )
    )
    assert "answers 8 times to 2 images" in find_misplaced(windows, ["qkv"])["qkv"]


@pytest.mark.parametrize(("shape", "width"), [((8, 16, 16), 8), ((16, 16, 16), 16), ((16, 16), 8)])
def test_a_norm_over_whole_maps_keeps_their_axes(shape, width):
    """nn.LayerNorm over (C, H, W) or (H, W), also where the channels are as many as the columns."""
    model = small(lambda: nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.LayerNorm(shape), nn.ReLU()), 16)
    batch = torch.randn(2, 3, 16, 16)
    for layer in ("1", "2"):
        expected = outputs_slowly(model, batch, layer)
        np.testing.assert_array_equal(capture(model, batch, [layer])[layer], expected)
        assert find_misplaced(model, [layer]) == {}
