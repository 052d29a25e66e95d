"""Receptive fields of random small networks against what each unit really reads."""

import random

import numpy as np
import pytest
import torch
from field_nets import MIXES, MOVES, SIZE, Layer, hull, random_net, read_pixels
from nets import Functional, Written, tiny
from torch import Tensor, nn

import cnnviz
from cnnviz.errors import BadInput
from cnnviz.tracing.receptive_field import receptive_field

NETWORKS = 100
WHOLE = ("fft", "grid", "gram", "antialias': True", "fold", "item", "numpy", "area", "diagonal")  # sees all that it can
ORDER = ("sort", "topk", "where", "mask", "set negative")  # which value goes where hides what is read from both oracles
ROUNDED = ("bilinear", "bicubic")  # a weight that is 0 but for rounding counts


def assert_fields_hold_what_is_read(net: nn.Sequential) -> None:
    spoilt, moved = read_pixels(net), read_pixels(net, spoil=False)
    model = tiny(net.float(), SIZE, 4)
    names: list[str] = []
    for i, layer in enumerate(net):
        names.append(layer.name)
        either = [a | b for a, b in zip(spoilt[i], moved[i], strict=True)]
        if not (either[0].any() or either[1].any()):
            continue
        field = receptive_field(model, str(i))
        assert field.shape == either[0].shape[1:], names
        rows, cols = np.indices(field.shape)
        boxes = field.boxes(rows, cols)
        assert tuple(boxes[-1, -1]) == field.box(field.shape[0] - 1, field.shape[1] - 1), names
        free = field.box(field.shape[0] // 2, field.shape[1] // 2, clip=False)
        assert field.size == (free[2] - free[0], free[3] - free[1]), names
        assert field.padding == tuple(-n for n in field.box(0, 0, clip=False)[:2]), names
        exact = not any(word in name for name in names for word in WHOLE + ORDER)
        reads = either[0].any(0) & either[1].any(0)
        for axis in (0, 1):
            first, stop = boxes[..., axis], boxes[..., axis + 2]
            surely = hull(moved[i][axis])
            small = reads & ((first > surely[0]) | (stop < surely[1])) & (surely[0] < surely[1])
            assert not small.any(), ("too small", names, axis, np.argwhere(small)[0])
            if exact and not any(word in name for name in names for word in ROUNDED):
                want = hull(either[axis])
                wrong = reads & ((first != want[0]) | (stop != want[1]))
                assert not wrong.any(), ("not exact", names, axis, np.argwhere(wrong)[0])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_unit_of_a_random_network_sees_more_than_its_field(seed):
    for i in range(NETWORKS):
        assert_fields_hold_what_is_read(random_net(1000 * seed + i))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*MOVES, *MIXES])
def test_each_operation_between_convolutions(name):
    torch.manual_seed(0)
    before, after = nn.Conv2d(4, 4, 3, stride=(1, 2), padding=1), nn.LazyConv2d(2, 2, padding=1)
    x = torch.randn(1, 4, *SIZE)
    step = MOVES[name](random.Random(0), before(x).detach()) if name in MOVES else MIXES[name]
    layers = [Layer("conv", before, before), Layer(name, step), Layer("conv after", after, after)]
    net = nn.Sequential(*layers).eval()
    with torch.no_grad():
        net(x)
    assert_fields_hold_what_is_read(net.double())


def test_a_repeated_map_sees_what_each_copy_shows_and_so_does_a_winner(tmp_path):
    tile = Written(lambda x: x.repeat(1, 1, 2, 2))
    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), tile, nn.Conv2d(4, 4, 3))
    model = tiny(net, (16, 16))
    field = receptive_field(model, "2")  # seven units repeated: 0, 2, …, 12, 0, 2, …
    assert field.box(0, 0) == (0, 0, 7, 7)
    assert field.box(7, 1) == (0, 2, 7, 9)
    assert field.box(6, 5) == (0, 0, 15, 15)  # the last unit of one copy and the first two of the next
    winner = cnnviz.index_patches(model, cnnviz.corpus("samples"), ["2"], k=1).top("2", 0)[0]
    assert winner.box == field.box(winner.row, winner.col)


def test_values_that_leave_pytorch_are_seen_by_all_that_follows():
    def run(net: Functional, x: Tensor) -> Tensor:
        y = net.a(x)
        return y[:, :, :2] * float(y[0, 0, 5, 5])

    model = tiny(Functional(run, a=nn.Conv2d(3, 3, 1)), (8, 8))
    assert receptive_field(model, "a").box(0, 0) == (0, 0, 1, 1)
    assert receptive_field(model, "out").box(0, 0) == (0, 0, 6, 6)


def test_a_decision_about_which_code_runs_is_not_counted():
    model = tiny(Functional(lambda n, x: n.a(x) if x.sum() > -1 else x, a=nn.Conv2d(3, 3, 1)), (8, 8))
    assert receptive_field(model, "out").box(2, 3) == (2, 3, 3, 4)


def test_a_memory_written_after_a_view_was_taken_is_seen_through_the_view():
    def run(net: Functional, x: Tensor) -> Tensor:
        y = torch.zeros(1, 3, 8, 8)
        view, turned = y[:, :, 4:], y.transpose(2, 3)
        y.copy_(x)
        return view + turned[:, :, :4]

    model = tiny(Functional(run), (8, 8))
    assert receptive_field(model, "out").box(0, 1) == (1, 0, 5, 2)  # (4, 1) and, turned, (1, 0)


def test_a_layer_that_was_overwritten_with_a_constant_is_refused():
    model = tiny(Functional(lambda n, x: (x * 1).zero_()), (8, 8))
    with pytest.raises(BadInput, match="does not depend on the image"):
        receptive_field(model, "out")


def test_tokens_have_one_place_each():
    rows = Functional(lambda n, x: n.a(x.permute(0, 2, 3, 1).flatten(2)), a=nn.Linear(3 * 8, 4))  # a token for each row
    field = receptive_field(tiny(rows, (6, 8)), "a")
    assert field.shape == (6, 1) and field.box(4, 0)[::2] in ((4, 5), (0, 6))


@pytest.mark.parametrize("step", ["repeat", "tile", "roll", "expand", "as_strided", "index"])
def test_a_move_between_rows_and_columns_keeps_box_and_boxes_equal(step):
    steps = {
        "repeat": lambda x: x.repeat(1, 1, 3, 2),
        "tile": lambda x: torch.tile(x, (2, 3)),
        "roll": lambda x: torch.roll(x, (2, -3), (2, 3)),
        "expand": lambda x: x[:, :, 1:2].expand(-1, -1, 9, -1),
        "as_strided": lambda x: x.contiguous().as_strided((1, 3, 8, 8), (192, 64, 1, 8)),
        "index": lambda x: x[:, :, [3, 0, 5]],
    }
    net = nn.Sequential(Written(steps[step]), nn.Conv2d(3, 2, 3, padding=1))
    field = receptive_field(tiny(net, (8, 8)), "1")
    rows, cols = np.indices(field.shape)
    for clip in (True, False):
        want = [[field.box(r, c, clip) for c in range(field.shape[1])] for r in range(field.shape[0])]
        np.testing.assert_array_equal(field.boxes(rows, cols, clip), want)
