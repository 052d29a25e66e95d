"""VGG A-LRN and C: rows, and equality with torchvision's networks where they have the same layers."""

import torch
from layer_costs import map_sides, on_meta
from torch import nn

import cnnviz
from cnnviz.models.families.blocks import paper_lrn
from cnnviz.models.families.vgg import Vgg

PIXELS = (3, 224, 224)
C_STAGES = (
    (1_728, 36_864),
    (73_728, 147_456),
    (294_912, 589_824, 65_536),
    (1_179_648, 2_359_296, 262_144),
    (2_359_296, 2_359_296, 262_144),
    (102_760_448, 16_777_216, 4_096_000),
)
C_WEIGHTS = [weights for stage in C_STAGES for weights in stage]


def test_configuration_c_has_the_published_weights_in_each_row():
    layers = [m for m in on_meta("vgg16_c").modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [layer.weight.numel() for layer in layers] == C_WEIGHTS


def test_configuration_c_has_1x1_kernels_where_d_has_3x3_and_the_names_of_d():
    c, d = on_meta("vgg16_c"), on_meta("vgg16")
    assert list(c.state_dict()) == list(d.state_dict())
    differing = {key for key, value in c.state_dict().items() if value.shape != d.state_dict()[key].shape}
    assert differing == {"features.14.weight", "features.21.weight", "features.28.weight"}
    assert all(c.state_dict()[key].shape[2:] == (1, 1) for key in differing)


def test_stages_halve_the_map_from_224_to_7():
    for name in ("vgg11_lrn", "vgg16_c"):
        net = on_meta(name)
        sides = map_sides(net, PIXELS)
        pools = [f"features.{i}" for i, m in enumerate(net.features) if isinstance(m, nn.MaxPool2d)]
        assert [sides[pool] for pool in pools] == [112, 56, 28, 14, 7]


def test_the_last_layers_of_c_see_140_and_156_pixels():
    """196 and 212 of VGG-16, less 8, 16 and 32 for the three 1×1 kernels."""
    model = cnnviz.load("vgg16_c", weights="random", device="cpu")
    sizes = [cnnviz.receptive_field(model, f"features.{i}").size[0] for i in (28, 30)]
    assert sizes == [196 - 8 - 16 - 32, 212 - 8 - 16 - 32]


def test_a_lrn_is_torchvision_s_vgg11_with_normalisation_after_the_first_layer():
    narrow = (((3, 4),), ((3, 6),), ((3, 8),) * 2, ((3, 8),) * 2, ((3, 8),) * 2)
    torch.manual_seed(0)
    ours = Vgg(2, narrow, lrn=True).eval().features
    with torch.device("meta"):
        theirs = cnnviz.build("vgg11").features
    kinds = [type(m) for m in ours]
    assert kinds[:2] + kinds[3:] == [type(m) for m in theirs]
    assert isinstance(ours[2], nn.LocalResponseNorm)
    x = 20 * torch.randn(1, 3, 32, 32)
    without = nn.Sequential(*ours[:2], *ours[3:])
    with torch.no_grad():
        first = ours[:2](x)
        torch.testing.assert_close(ours(x), without[2:](paper_lrn()(first)))
        assert not torch.allclose(ours(x), without(x))
