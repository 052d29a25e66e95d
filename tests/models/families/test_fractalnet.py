"""FractalNet: means in evaluation, drop-path of both kinds in training."""

from collections import Counter

import pytest
import torch
from layer_costs import map_sides, on_meta
from torch import Tensor, nn

from cnnviz.models.families.fractalnet import FractalBlock, FractalNet, Join


@pytest.fixture
def block() -> FractalBlock:
    torch.manual_seed(0)
    return FractalBlock(3, 4, dropout=0.0, drop_path=0.15).eval()


def paths(count: int) -> list[Tensor]:
    """Maps whose sum tells which of them were added: 1, 10, 100, …"""
    return [torch.full((1, 1, 2, 2), 10.0**i) for i in range(count)]


def test_a_join_in_evaluation_is_the_mean_and_draws_nothing():
    join = Join(0.9).eval()
    before = torch.random.get_rng_state()
    assert torch.equal(join(paths(3)), torch.full((1, 1, 2, 2), 111 / 3))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("drop_path", [0.15, 0.95])
def test_local_drop_path_keeps_at_least_one_path_and_divides_by_the_number_kept(drop_path):
    join = Join(drop_path).train()
    torch.manual_seed(0)
    possible = {
        sum(kept) / len(kept): kept for kept in ((1,), (10,), (100,), (1, 10), (1, 100), (10, 100), (1, 10, 100))
    }
    drawn = Counter(float(join(paths(3))[0, 0, 0, 0]) for _ in range(3000))
    assert set(drawn) <= set(possible)
    shares = {kept: drawn[value] / 3000 for value, kept in possible.items()}
    keep = 1 - drop_path
    expected_all, expected_one = keep**3, keep * drop_path**2 + drop_path**3 / 3  # all dropped: one comes back
    assert shares[1, 10, 100] == pytest.approx(expected_all, abs=0.03)
    assert shares[(10,)] == pytest.approx(expected_one, abs=0.03)


def test_a_block_in_evaluation_is_the_fractal_written_by_hand(block):
    x = torch.randn(2, 3, 8, 8)
    one, two, four = block.columns
    pool = nn.MaxPool2d(2)
    with torch.no_grad():
        half = (two[0](x) + four[1](four[0](x))) / 2
        expected = (pool(one[0](x)) + pool(two[1](half)) + pool(four[3](four[2](half)))) / 3
        torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("column", range(3))
def test_one_column_runs_all_its_convolutions_and_no_others(block, column):
    x = torch.randn(2, 3, 8, 8)
    seen = []
    for name, module in block.named_modules():
        if isinstance(module, nn.Conv2d | Join):
            module.register_forward_hook(lambda _m, _i, _o, name=name: seen.append(name))
    with torch.no_grad():
        found = block(x, column)
        expected = x
        for layer in block.columns[column]:
            expected = torch.relu(layer.bn(layer.conv(expected)))
        torch.testing.assert_close(found, nn.functional.max_pool2d(expected, 2))
    assert seen[: 2**column] == [f"columns.{column}.{i}.conv" for i in range(2**column)]


def test_global_drop_path_takes_the_same_single_column_through_all_blocks():
    net = narrow(global_share=1.0).train()
    used: set[int] = set()
    for block in net.blocks:
        for number, column in enumerate(block.columns):
            for layer in column:
                layer.register_forward_hook(lambda _m, _i, _o, number=number: used.add(number))
        for join in block.joins.values():
            join.register_forward_hook(lambda _m, _i, _o: used.add(-1))
    drawn: Counter[int] = Counter()
    torch.manual_seed(0)
    for _ in range(60):
        used.clear()
        net(torch.randn(2, 3, 32, 32))
        assert len(used) == 1
        drawn.update(used)
    assert set(drawn) == {0, 1, 2} and min(drawn.values()) > 8


def test_a_globally_dropped_batch_equals_the_single_column_by_hand():
    net = narrow(global_share=1.0).train()
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    columns = []
    for column in range(3):
        y = x
        for block in net.blocks:
            for layer in block.columns[column]:
                y = torch.relu(layer.bn(layer.conv(y)))
            y = torch.max_pool2d(y, 2)
        columns.append(net.fc(y.flatten(1)))
    torch.manual_seed(3)
    found = net(x)
    assert sum(torch.allclose(found, one, atol=1e-5) for one in columns) == 1


def test_half_of_the_batches_are_global():
    net = narrow().train()
    joined = []
    net.blocks[0].joins["4"].register_forward_hook(lambda _m, _i, _o: joined.append(1))
    torch.manual_seed(0)
    with torch.no_grad():
        for _ in range(200):
            net(torch.zeros(2, 3, 32, 32))
    assert len(joined) / 200 == pytest.approx(0.5, abs=0.1)


def test_evaluation_is_deterministic():
    net = narrow().eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(net(x), net(x))


def test_blocks_have_the_published_sides_dropouts_and_depth():
    net = on_meta("fractalnet_c3b5")
    sides = map_sides(net, (3, 32, 32))
    assert [sides[f"blocks.{i}"] for i in range(5)] == [16, 8, 4, 2, 1]
    rates = [{m.p for m in block.modules() if isinstance(m, nn.Dropout)} for block in net.blocks]
    assert rates == [set(), {0.1}, {0.2}, {0.3}, {0.4}]
    assert sum(len(block.columns[-1]) for block in net.blocks) + 1 == 21


def test_training_runs_without_values_too():
    net = on_meta("fractalnet_c3b5").train()
    for _ in range(4):
        assert tuple(net(torch.zeros(2, 3, 32, 32, device="meta")).shape) == (2, 10)


def narrow(**options: float) -> FractalNet:
    """The network with blocks of four maps each, so that many batches are cheap."""
    torch.manual_seed(0)
    net = FractalNet(5, **options)
    widths = (3, 4, 4, 4, 4, 4)
    net.blocks = nn.ModuleList(FractalBlock(a, b, 0.0, 0.15) for a, b in zip(widths, widths[1:], strict=False))
    net.fc = nn.Linear(4, 5)
    return net
