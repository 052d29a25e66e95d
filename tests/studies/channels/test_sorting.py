"""Order and choice of channels."""

import numpy as np
import pytest
from made_index import LABELS, index_of
from slowindex import branching, memory, noise

from cnnviz.errors import BadInput
from cnnviz.index.search.build import index_patches
from cnnviz.studies.channels.selectivity import selectivity
from cnnviz.studies.channels.sorting import ORDERS, find_class, find_images, order_channels, parse_channel


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_names_each_channel_once(order):
    index = index_patches(branching(), memory(noise(6)), ["a"], k=3)
    assert sorted(order_channels(index, "a", order)) == list(range(6))


def test_orders_follow_their_quantity():
    index = index_patches(branching(), memory(noise(6)), ["b"], k=3)
    strength, density = index.strength("b"), index.statistics["b"].density
    assert (np.diff(strength[order_channels(index, "b", "Strongest first")]) <= 0).all()
    assert (np.diff(density[order_channels(index, "b", "Most often active")]) <= 0).all()
    assert (np.diff(density[order_channels(index, "b", "Least often active")]) >= 0).all()
    assert order_channels(index, "b", "By index") == list(range(5))
    with pytest.raises(BadInput, match="By index"):
        order_channels(index, "b", "by colour")


def test_the_most_selective_comes_first_and_what_cannot_be_judged_last():
    index = index_of([[4, -1, -1], [0, 2, 4], [0, 1, 5], [0, 1, 2]], LABELS)
    assert order_channels(index, "conv", "Most selective", selectivity(index, "conv")) == [2, 3, 1, 0]


def test_channels_are_found_by_a_part_of_a_class_of_their_winners():
    found = selectivity(index_of([[0, 2, 4], [0, 1, 5], [2, 3, 4]], LABELS), "conv")
    assert find_class(found, "DO") == {0: 1, 2: 2}
    assert find_class(found, "cat") == {0: 1, 1: 3}
    assert find_class(found, "zebra") == {} and find_class(found, " ") == {}


def test_channels_are_found_by_a_part_of_the_names_of_their_images():
    index = index_of([[0, 12, 4], [0, 1, -1], [2, 12, 11]], None)
    slow = {c: sum("1" in w.image_id for w in index.top("conv", c)) for c in range(3)}
    assert find_images(index, "conv", " 1") == {c: n for c, n in slow.items() if n} == {0: 1, 1: 1, 2: 2}
    assert find_images(index, "conv", "12.PNG") == {0: 1, 2: 1}
    assert find_images(index, "conv", "zebra") == {} and find_images(index, "conv", " ") == {}


def test_channels_are_found_by_number():
    assert [parse_channel(text, 20) for text in ("channel 17", "17", " Unit 3 ", "#0", "ch. 4")] == [17, 17, 3, 0, 4]
    assert [parse_channel(text, 20) for text in ("20", "dog 3", "", "-1", "1.5")] == [None] * 5


def test_a_channel_without_any_unit_above_zero_is_dead():
    model = branching()
    model.module.a.weight.data[2], model.module.a.bias.data[2] = 0.0, -1.0
    index = index_patches(model, memory(noise(6)), ["a"], k=3)
    assert index.dead("a").tolist() == [False, False, True, False, False, False]
