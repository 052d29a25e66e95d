"""Shortcuts, orders and dense blocks against the registered networks and slow products."""

import pytest
import torch
from torch import nn

import cnnviz
from cnnviz.errors import BadInput, UnknownName
from cnnviz.models.families.shortcuts import GatedBlock
from cnnviz.studies.anatomy.anatomy import anatomy
from cnnviz.studies.families.cifar_errors import MEASURES, cifar_results
from cnnviz.studies.families.dense_block import dense_wiring, halve
from cnnviz.studies.families.residual_units import UNITS, cut_chain, shortcut_variants, unit_orders


def test_what_54_shortcuts_leave_is_a_product_over_54_units():
    found = {one.key: one for one in shortcut_variants()}
    for key, bias in (("gate_0", 0.0), ("gate_6", -6.0), ("exclusive_7", -7.0)):
        product = 1.0
        for _ in range(54):
            product *= 1 - torch.sigmoid(torch.tensor(bias, dtype=torch.float64)).item()
        assert found[key].product() == pytest.approx(product)
    assert found["half_both"].product() == 2.0**-54 and found["dropout"].product() == 2.0**-54
    assert found["identity"].product() == 1 and found["none"].product() == 0 and found["conv"].product() is None


def test_the_registered_gates_start_at_the_bias_of_the_table():
    with torch.device("meta"):
        units = [one for one in cnnviz.build("resnet110_shortcut_gating").modules() if isinstance(one, GatedBlock)]
    assert len(units) == UNITS == (110 - 2) // 2
    (found,) = [one for one in shortcut_variants() if one.key == "gate_6"]
    assert {unit.gate_bias for unit in units} == {found.bias}


def test_errors_and_parameters_of_the_variants_are_the_published_ones():
    found = {one.key: (one.error, one.parameters) for one in shortcut_variants()}
    assert found["identity"] == ("6.61", 1_727_962) and found["half_both"] == ("12.35", 1_727_962)
    assert found["exclusive_6"] == ("8.70", 1_824_186) and found["exclusive_7"][0] == "9.81"
    assert found["gate_0"] == ("12.86", 1_824_186) and found["gate_6"][0] == "6.91"
    assert found["conv"] == ("12.22", 1_822_170)
    assert {key for key, (error, _) in found.items() if error == "fails"} == {
        *("half_shortcut", "none", "exclusive_0", "dropout")
    }


def layers_of(network: str, block: str) -> list[str]:
    """The layers of one unit in the order of the pass, as CHAIN calls them, "+" for the sum."""
    words = {"conv": "conv", "norm": "BN", "activation": "ReLU", "add": "+"}
    return [words[row.kind] for row in anatomy(network).rows if row.block == block]


def test_original_and_full_pre_activation_are_the_orders_of_the_registered_networks():
    orders = {one.name: one for one in unit_orders()}
    for name, network in (("original", "resnet20_cifar"), ("full pre-activation", "wrn_16_4")):
        one = orders[name]
        assert [*one.branch, "+", *one.after] == layers_of(network, "layer1.1")


def test_all_orders_are_one_chain_and_every_unit_has_two_convolutions():
    published = [(6.61, 5.93), (8.17, 6.50), (7.84, 6.14), (6.71, 5.91), (6.37, 5.46)]
    assert [(one.error110, one.error164) for one in unit_orders()] == published
    assert [one.figure for one in unit_orders()] == [f"4({letter})" for letter in "abcde"]
    for one in unit_orders():
        unit = [*one.branch, *one.after] * 3
        assert unit.count("conv") == 6
        assert "".join(word[0] for word in unit) in "cBR" * 12  # without the sums, the same chain everywhere
    assert next(one for one in unit_orders() if one.figure == "4(b)").after == ("BN", "ReLU")
    with pytest.raises(BadInput, match="behind"):
        cut_chain(2, 1)


@pytest.mark.parametrize(("layers", "connections"), [(1, 1), (5, 15), (12, 78)])
def test_a_dense_block_has_half_l_times_l_plus_1_connections(layers, connections):
    found = dense_wiring(layers, 24, 12)
    slow = sum(1 for b in range(1, layers + 1) for a in range(layers + 1) if a < b)
    assert found.connections == len(found.pairs) == slow == connections


def test_the_channels_of_a_dense_block_are_those_of_the_registered_network():
    rows = [row for row in anatomy("densenet_40_k12").rows if row.layer.startswith("features.denseblock1.denselayer")]
    convolutions = [row for row in rows if row.kind == "conv"]
    found = dense_wiring(len(convolutions), 16, 12)
    assert len(convolutions) == 12 and found.connections == 78
    assert [row.weights // (9 * 12) for row in convolutions] == list(found.reads)
    assert found.output == 16 + 12 * 12


def test_a_transition_halves_channels_height_and_width_and_leaves_an_eighth():
    pooled = nn.AvgPool2d(2)(nn.Conv2d(64, 32, 1)(torch.zeros(1, 64, 32, 32)))
    assert halve(64, 32) == (32, 16, 1 / 8) and tuple(pooled.shape) == (1, 32, 16, 16)
    with pytest.raises(BadInput, match="at least 2"):
        halve(64, 1)
    with pytest.raises(BadInput, match="at least 1"):
        dense_wiring(0, 1, 1)


def test_the_counts_that_do_not_hold_are_those_of_1202_layers_and_of_fractalnet():
    rows = cifar_results()
    wrong = {(row.method, row.depth): row.parameters for row in rows if row.wrong}
    assert wrong == {
        ("FractalNet", 21): 33_724_618,
        ("FractalNet, dropout and drop-path", 21): 33_724_618,
        ("Stochastic depth", 1202): 19_421_274,
    }
    assert all(row.note for row in rows if row.wrong) and len(rows) == 21
    for name in ("nin_cifar10", "resnet110_cifar", "wrn_16_4", "densenet_bc_100_k12"):
        with torch.device("meta"):
            slow = sum(p.numel() for p in cnnviz.build(name).parameters())
        assert {row.parameters for row in rows if row.network == name} == {slow}


@pytest.mark.parametrize("order", [*MEASURES, "parameters", "depth"])
def test_the_comparison_sorts_by_any_column_with_the_unknown_last(order):
    rows = cifar_results(order)
    values = [row.errors.get(order) if order in MEASURES else getattr(row, order) or None for row in rows]
    known = [value for value in values if value is not None]
    assert known == sorted(known) and values[: len(known)] == known and len(rows) == 21


def test_an_unknown_column_is_refused_in_words():
    with pytest.raises(UnknownName, match="C11"):
        cifar_results("C11")


def test_best_errors_of_the_comparison_are_the_published_ones():
    best = {measure: cifar_results(measure)[0].errors[measure] for measure in MEASURES}
    assert best == {"C10": 5.19, "C10+": 3.46, "C100": 19.64, "C100+": 17.18, "SVHN": 1.59}
