"""GoogLeNet's table against the network, Inception modules, and factorised convolutions against torch's own layers."""

import pytest
from torch import nn

from cnnviz.errors import BadInput
from cnnviz.studies.families.factorised import asymmetric_pair, grid_reductions, stacked_threes
from cnnviz.studies.families.inception import auxiliary_cost, googlenet_rows, inception_branches


def test_the_cells_of_googlenets_table_that_do_not_hold_are_flagged_and_no_others():
    rows = {row.name: row for row in googlenet_rows()}
    assert {name for name, row in rows.items() if row.wrong_parameters} == {
        *("conv 7×7/2", "4a", "4c", "4d", "4e", "5a", "5b")
    }
    assert {name for name, row in rows.items() if row.wrong_operations} == {"conv 7×7/2", "5a"}
    first = rows["conv 7×7/2"]
    assert (first.weights, first.parameters, first.macs) == (7 * 7 * 3 * 64, 9_472, 118_013_952)


def test_the_sums_of_googlenets_table_are_the_networks_and_the_printed_ones():
    rows = googlenet_rows()
    assert sum(row.parameters for row in rows) == 6_998_552 and sum(row.weights for row in rows) == 6_990_272
    assert sum(row.macs for row in rows) == 1_582_671_872
    assert sum(row.printed_m for row in rows) == 1502
    assert sum(row.printed_k for row in rows) == pytest.approx(6_797.7)  # "6.80 M"


def test_the_auxiliary_heads_have_six_million_parameters():
    found = auxiliary_cost()
    head = [(maps + 1) * 128 + (128 * 16 + 1) * 1024 + 1025 * 1000 for maps in (512, 528)]
    assert list(found.heads) == head == [3_188_840, 3_190_888]
    assert (found.without, found.total) == (6_998_552, 13_378_280)


def test_reductions_take_an_inception_module_from_854_to_271_million_multiplications():
    totals = {}
    for reduced in (False, True):
        branches = inception_branches(reduced)
        totals[reduced] = sum(sum(one.macs) for one in branches), sum(one.channels for one in branches)
    assert totals == {False: (854_196_224, 672), True: (271_351_808, 480)}
    assert 28 * 28 * 256 * (128 + 9 * 192 + 25 * 96) == totals[False][0]
    three = inception_branches(True)[1].macs[1]
    assert round((totals[True][0] + three) / 1e6) == 358  # what notes give: the 3×3 branch twice


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_factorised_convolutions_cost_what_torchs_layers_do(kernel):
    def cost(*layers: nn.Conv2d) -> tuple[int, int]:
        weights = sum(layer.weight.numel() for layer in layers)
        return weights, weights * 17 * 17

    whole = cost(nn.Conv2d(8, 8, kernel, bias=False))
    threes = cost(*(nn.Conv2d(8, 8, 3, bias=False) for _ in range((kernel - 1) // 2)))
    pair = cost(nn.Conv2d(8, 8, (1, kernel), bias=False), nn.Conv2d(8, 8, (kernel, 1), bias=False))
    for found, expected in ((stacked_threes, threes), (asymmetric_pair, pair)):
        (_, first), (_, second) = found(kernel, 8, 17)
        assert (first.weights, first.macs) == whole and (second.weights, second.macs) == expected
        assert second.output == (8, 17, 17)


def test_the_papers_shares_of_factorised_convolutions():
    (_, five), (_, threes) = stacked_threes(5, 64, 35)
    assert threes.macs / five.macs == 18 / 25  # section 3.1: 28 % fewer
    (_, three), (_, pair) = asymmetric_pair(3, 64, 17)
    assert pair.macs / three.macs == pytest.approx(2 / 3)  # section 3.2: 33 % fewer


def test_a_pool_in_front_takes_a_quarter_of_the_operations_and_beside_it_an_eighth():
    late, early, beside = (cost for _, cost in grid_reductions(1, 320, 34))
    assert late.macs == 2 * 34**2 * 320**2 and early.macs == 2 * 17**2 * 320**2  # section 5
    assert (late.macs // early.macs, late.macs // beside.macs) == (4, 8)
    assert {cost.output for cost in (late, early, beside)} == {(640, 17, 17)}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: stacked_threes(4, 8, 8), "odd"),
        (lambda: grid_reductions(3, 8, 17), "even"),
        (lambda: asymmetric_pair(0, 8, 8), "at least 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_in_words(call, said):
    with pytest.raises(BadInput, match=said):
        call()
