"""Translation equivariance: where the theory says 0, where it must fail, and what the library reports."""

import numpy as np
import pytest
import torch
from nets import hooks_left, images, published, tiny
from torch import Tensor, nn

import cnnviz
from cnnviz.data.preprocessing import Preprocessing
from cnnviz.errors import BadInput, Cancelled, UnknownName
from cnnviz.models.model import LoadedModel
from cnnviz.studies.equivariance.shift import EXACT, equivariance, equivariance_map


def stack(stride: int = 1, circular: bool = True, seed: int = 0) -> nn.Sequential:
    """Two 3×3 convolutions with a ReLU between; the first has the stride."""
    torch.manual_seed(seed)
    mode = "circular" if circular else "zeros"
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride, 1, padding_mode=mode), nn.ReLU(), nn.Conv2d(6, 5, 3, 1, 1, padding_mode=mode)
    )


def errors(net: nn.Module, x: Tensor, stride: int, shifts: range) -> list[float]:
    """Relative L2 of f(T(x)) - T(f(x)) in a slow loop over shifts along the rows, in the precision of x."""
    with torch.no_grad():
        base = net(x)
        return [
            float((net(x.roll(d, 2)) - base.roll(int(np.floor(d / stride + 0.5)), 2)).norm() / base.norm())
            for d in shifts
        ]


@pytest.mark.parametrize("dtype, limit", [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_invariant_1_a_circular_stack_of_stride_1_is_equivariant_to_every_shift(dtype, limit):
    assert max(errors(stack().to(dtype), images(1, (12, 12)).to(dtype), 1, range(-12, 13))) < limit


@pytest.mark.parametrize("dtype, limit", [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_invariants_2_and_3_with_stride_2_it_is_exact_at_even_shifts_and_only_there(dtype, limit):
    found = errors(stack(2).to(dtype), images(1, (12, 12)).to(dtype), 2, range(12))
    assert max(found[::2]) < limit
    assert min(found[1::2]) > 0.1


def test_invariant_4_an_odd_length_is_not_exact_even_at_the_stride():
    found = errors(stack(2).double(), images(1, (33, 33)).double(), 2, range(33))
    assert found[0] == 0 and found[2] > 1e-3


def test_invariant_5_the_error_repeats_with_the_stride():
    net = nn.Sequential(stack(2), nn.Conv2d(5, 4, 3, 2, 1, padding_mode="circular")).double()
    found = errors(net, images(1, (16, 16)).double(), 4, range(16))
    np.testing.assert_allclose(found[:12], found[4:], atol=1e-10)
    assert found[1] > 0.1 and found[2] > 0.1 and found[4] < 1e-10


def test_the_library_reports_the_errors_of_the_slow_loop_in_both_directions():
    net, x = stack(2, circular=False), images(1, (12, 12))
    shifts = [(d, 0) for d in range(-5, 6)] + [(3, -2)]
    found = equivariance(tiny(net, (12, 12)), x, shifts, ["0", "2"])
    assert found.layers == ("0", "2") and found["2"].stride == (2, 2)
    np.testing.assert_allclose(found["2"].relative[:-1], errors(net, x, 2, range(-5, 6)), atol=1e-6)
    assert found["2"].steps[-1].tolist() == [2, -1]  # 1.5 units are rounded up
    with torch.no_grad():
        moved, after = net(x).roll((2, -1), (2, 3)), net(x.roll((3, -2), (2, 3)))
    np.testing.assert_allclose(found["2"].moved[-1], moved[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(found["2"].after[-1], after[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(found["2"].difference[-1], (after - moved)[0].numpy(), atol=1e-6)
    cosine = 1 - torch.cosine_similarity(moved.flatten(), after.flatten(), dim=0)
    assert found["2"].cosine[-1] == pytest.approx(float(cosine), abs=1e-6)


@pytest.mark.parametrize("padding", ["circular", "torus"])
def test_swapping_the_padding_makes_a_zero_padded_network_exact(padding):
    model = tiny(stack(2, circular=False), (12, 12))
    native = equivariance(model, images(1, (12, 12)), [(2, 0), (4, 6)], "2")["2"]
    swapped = equivariance(model, images(1, (12, 12)), [(2, 0), (4, 6)], "2", padding)["2"]
    assert native.relative.min() > 0.01
    assert swapped.exact.all() and swapped.inside.all()


@pytest.mark.parametrize("padding", ["native", "reflect"])
@pytest.mark.parametrize("how", ["circular", "crop"])
def test_units_that_see_no_padding_agree_whatever_the_padding(padding, how):
    margin = 6 if how == "crop" else 0
    found = equivariance(
        tiny(stack(2, circular=False), (16, 16)),
        images(1, (16 + 2 * margin,) * 2),
        [(4, 0), (-6, 2)],
        "2",
        padding,
        how,
    )["2"]
    assert found.inside.any(axis=(1, 2)).all() and not found.inside.all()
    assert (found.relative_inside < EXACT).all() and (found.relative > 0.01).all()


def test_invariant_8_crops_agree_up_to_the_radius_from_the_border_and_not_one_row_further():
    net = stack(1, circular=False).double()  # two 3×3: radius 2
    large = images(1, (14, 14)).double()
    with torch.no_grad():
        first, second = (
            net(large[:, :, 3:13, :10]),
            net(large[:, :, 1:11, :10]),
        )  # the window 2 higher: contents lower by 2
    difference = (first[:, :, :-2] - second[:, :, 2:]).abs().amax((0, 1))  # both 10 rows; 8 in common
    ours = equivariance(tiny(stack(1, circular=False), (10, 10)), images(1, (14, 14)), [(2, 0)], "2", how="crop")["2"]
    assert difference[2:6, 2:8].max() < 1e-10  # row i of `first` is row i + 2 of `second`: 2 ≤ i and i + 2 ≤ 7
    assert difference[1, 2:8].max() > 1e-3 and difference[6, 2:8].max() > 1e-3
    expected = np.zeros((10, 10), bool)
    expected[4:8, 2:8] = True
    np.testing.assert_array_equal(ours.inside[0], expected)
    assert ours.relative_inside[0] < EXACT


@pytest.mark.parametrize("padding", ["native", "circular", "valid"])
def test_without_padding_only_what_wraps_around_differs(padding):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2))
    found = equivariance(tiny(net, (13, 13)), images(1, (13, 13)), [(2, 0), (-4, 2)], "1", padding)["1"]
    assert (found.relative_inside < EXACT).all() and (found.relative > 0.01).all()


def test_valid_padding_shrinks_the_maps_and_leaves_no_unit_that_saw_any():
    found = equivariance(tiny(stack(1, circular=False), (10, 10)), images(1, (10, 10)), [(2, 0)], "2", "valid")["2"]
    assert found.moved.shape == (1, 5, 6, 6)
    assert found.inside[0].tolist() == [[row >= 2] * 6 for row in range(6)]
    assert found.relative_inside[0] < EXACT


@pytest.mark.parametrize("pool", ["avg", "max"])
def test_invariant_9_global_pooling_over_an_equivariant_stack_ends_location(pool):
    head = nn.AdaptiveMaxPool2d(1) if pool == "max" else nn.AdaptiveAvgPool2d(1)
    net = nn.Sequential(stack(), head)
    found = equivariance(tiny(net, (12, 12)), images(1, (12, 12)), [(d, 2 * d) for d in range(12)], ["0.2", "1"])
    assert found["1"].stride == (0, 0) and found["1"].exact.all() and not found["1"].steps.any()
    x = images(1, (12, 12)).double()
    with torch.no_grad():  # float64 maximum: the same numbers, taken elsewhere
        assert (net.double()(x) - net(x.roll((5, 3), (2, 3)))).abs().max() < 1e-10


def test_invariant_9_a_maximum_of_moved_maps_is_the_same_to_the_bit():
    maps = images(1, (12, 12))
    assert torch.equal(maps.amax((2, 3)), maps.roll((5, 3), (2, 3)).amax((2, 3)))


def test_the_map_of_a_square_of_shifts_equals_single_calls_and_has_zeros_at_the_stride():
    model, x = tiny(stack(2), (8, 8)), images(1, (8, 8))
    seen = []
    found = equivariance_map(model, x, "2", reach=3, progress=lambda p: seen.append((p.done, p.total)))
    assert found.offsets.tolist() == [-3, -2, -1, 0, 1, 2, 3] and seen[-1] == (49, 49)
    for i, j in [(0, 0), (1, 5), (3, 2), (6, 6)]:
        shift = (found.offsets[i], found.offsets[j])
        single = equivariance(model, x, shift, "2")["2"]
        assert found.relative[i, j] == pytest.approx(single.relative[0], abs=1e-6)
        assert found.cosine[i, j] == pytest.approx(single.cosine[0], abs=1e-6)
    even = found.offsets % 2 == 0
    assert found.relative[np.ix_(even, even)].max() < EXACT
    assert found.relative[np.ix_(~even, ~even)].min() > 0.1


def test_resnet20_on_a_torus_has_teeth_at_its_stride_and_keeps_its_own_padding():
    model = cnnviz.load("resnet20_cifar", "bundled", "cpu")
    before = {key: value.clone() for key, value in model.module.state_dict().items()}
    photo = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    found = cnnviz.equivariance(model, photo, [(0, d) for d in range(9)], ["layer1.2", "layer3.2", "fc"], "circular")
    assert [row.stride for row in found.rows] == [(1, 1), (4, 4), (0, 0)]
    assert found["layer1.2"].exact.all()
    deep = found["layer3.2"].relative
    assert deep[[0, 4, 8]].max() < EXACT < 0.05 < deep[[1, 2, 3, 5, 6, 7]].min()
    np.testing.assert_allclose(deep[1:4], deep[5:8], atol=1e-4)
    assert found["fc"].exact[[0, 4, 8]].all() and not found["fc"].exact[[1, 2, 3]].any()
    native = equivariance(model, photo, (0, 4), "layer3.2")["layer3.2"]
    assert native.relative[0] > 0.01  # zeros as trained: the border is felt everywhere
    assert np.isnan(native.relative_inside[0])  # and no unit of this layer is clear of it
    assert all(torch.equal(value, before[key]) for key, value in model.module.state_dict().items())
    assert not hooks_left(model.module)


def test_crops_of_a_photograph_agree_with_the_network_s_own_crop():
    model = LoadedModel(
        stack(), "tiny", Preprocessing((16, 16), 24, (0.0,) * 3, (1.0,) * 3), ["a"], torch.device("cpu")
    )
    photo = np.random.default_rng(1).integers(0, 256, (24, 30, 3), dtype=np.uint8)
    found = equivariance(model, photo, [(0, 0), (3, -2)], "2", how="crop")["2"]
    np.testing.assert_allclose(found.after[0], cnnviz.capture(model, photo, "2")["2"][0], atol=1e-6)
    cut = photo[4 - 3 : 20 - 3, 7 + 2 : 23 + 2]
    with torch.no_grad():
        expected = model.module(torch.from_numpy(cut.copy()).permute(2, 0, 1)[None] / 255)
    np.testing.assert_allclose(found.after[1], expected[0].numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "name, layer, side",
    [
        ("squeezenet1_0", "features.4.squeeze", 64),
        ("googlenet", "conv2.conv", 64),
        ("mobilenet_v2", "features.2.conv.1.0", 64),
        ("nin_cifar10", "features.cccp3", 32),
    ],
)
def test_published_networks_keep_what_the_theory_promises(name, layer, side):
    model = published(name, (side, side))
    step = int(cnnviz.receptive_field(model, layer).stride[0])
    for padding in ("native", "circular", "torus", "reflect"):
        found = equivariance(model, images(1, (side, side)), [(step, -step), (1, 0)], layer, padding)[layer]
        assert found.inside[0].any() and found.relative_inside[0] < EXACT
        assert found.relative[1] > 0.01  # one pixel is less than the stride
        assert found.inside.all() == (padding == "torus" or (padding == "circular" and name == "mobilenet_v2"))


def test_a_pool_that_runs_over_the_end_does_not_close_a_map_to_a_torus():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(3, 2, ceil_mode=True))
    found = {
        padding: equivariance(tiny(net, (12, 12)), images(1, (12, 12)), (2, 4), ["0", "1"], padding)
        for padding in ("circular", "torus", "valid")
    }
    assert found["circular"]["0"].inside.all() and found["circular"]["0"].exact.all()
    assert not found["circular"]["1"].inside.all() and found["circular"]["1"].relative[0] > 0.01
    assert found["circular"]["1"].relative_inside[0] < EXACT
    assert found["torus"]["1"].inside.all() and found["torus"]["1"].exact.all()
    assert found["valid"]["1"].moved.shape == (1, 4, 4, 4) and found["valid"]["1"].relative_inside[0] < EXACT


def test_what_does_not_fit_is_said_and_nothing_is_left_behind():
    model, x = tiny(stack(), (8, 8)), images(1)
    with pytest.raises(UnknownName, match="layer"):
        equivariance(model, x, (1, 0), "nine")
    for arguments, words in [
        (((0.5, 0), "2"), "whole pixels"),
        (((1, 2, 3), "2"), "pairs"),
        (((1, 0), []), "at least one layer"),
        (((1, 0), "2", "mirror"), "circular"),
        (((1, 0), "2", "native", "slide"), "crop"),
        (((1, 0), "2", "native", "crop"), "needs a tensor"),
    ]:
        with pytest.raises(BadInput, match=words):
            equivariance(model, x, *arguments)
    with pytest.raises(BadInput, match="GiB"):
        equivariance(model, x, [(0, 0)] * 900_000, "2")
    with pytest.raises(BadInput, match="reach"):
        equivariance_map(model, x, "2", reach=0)
    with pytest.raises(Cancelled):
        equivariance_map(model, x, "2", reach=8, progress=lambda p: False)
    assert not hooks_left(model.module)
