"""Places of a small graph: branches beside each other, skips around them."""

import itertools
import random

import pytest

from cnnviz.figures.anatomy.layout import arrange, spread


def test_branches_lie_beside_each_other_and_straight():
    found = arrange([[], [0], [0], [2], [0], [4], [1, 3, 5]])  # 1 | 2–3 | 4–5 between 0 and 6
    assert found.layers == [0, 1, 1, 2, 1, 2, 3] and found.skips == []
    assert sorted(found.lanes[n] for n in (1, 2, 4)) == pytest.approx([-1, 0, 1])
    assert found.lanes[2] == pytest.approx(found.lanes[3]) and found.lanes[4] == pytest.approx(found.lanes[5])
    assert found.lanes[6] == pytest.approx(0)


def test_a_shortcut_leaves_the_main_way_straight():
    found = arrange([[], [0], [1], [2, 0]])
    assert found.lanes == [0, 0, 0, 0] and found.skips == [(0, 3, 1)]
    assert [(a, b) for a, b, _ in found.routes] == [(0, 1), (1, 2), (2, 3)]


def test_a_projection_is_a_branch_and_no_shortcut():
    found = arrange([[], [0], [1], [0], [2, 3]])
    assert found.skips == [] and abs(found.lanes[1] - found.lanes[3]) >= 1


def test_what_joins_branches_lies_next_to_its_reader_and_over_nothing_else():
    # 1 splits into 2 and 3, joined by 4; 5, 6 split into 7 and 8, joined by 9; 10 joins all
    found = arrange([[], [0], [1], [1], [2, 3], [0], [5], [6], [6], [7, 8], [4, 9]])
    assert found.layers[4] == found.layers[9] == found.layers[10] - 1
    into = {b: sorted(r[2][-1] if r[2] else found.lanes[r[0]] for r in found.routes if r[1] == b) for b in (4, 9)}
    assert into[4][1] <= into[9][0] - 1 + 1e-9 or into[9][1] <= into[4][0] - 1 + 1e-9


def test_a_long_edge_passes_between_the_nodes_of_every_layer():
    found = arrange([[], [0], [1], [2], [0], [3, 4]])
    ((_, _, bends),) = [r for r in found.routes if r[:2] == (4, 5)]
    assert len(bends) == 2
    for bend, node in zip(bends, (2, 3), strict=True):
        assert abs(bend - found.lanes[node]) >= 1 - 1e-9


@pytest.mark.parametrize("layers", [2, 5, 12])
def test_a_dense_graph_keeps_every_wire(layers):
    found = arrange([list(range(n)) for n in range(layers + 1)])
    assert len(found.routes) == layers and set(found.lanes) == {0}
    assert len(found.routes) + len(found.skips) == layers * (layers + 1) // 2


def test_skips_inside_others_lie_nearer():
    levels = {(a, b): level for a, b, level in arrange([[], [0], [1], [2, 1], [3, 0]]).skips}
    assert levels == {(1, 3): 1, (0, 4): 2}


def test_every_edge_is_drawn_once_and_nodes_of_a_layer_never_meet():
    rng = random.Random(0)
    for _ in range(30):
        parents = [sorted(rng.sample(range(n), rng.randint(1, min(3, n)))) if n else [] for n in range(14)]
        found = arrange(parents)
        edges = [(a, b) for a, b, _ in found.routes] + [(a, b) for a, b, _ in found.skips]
        assert sorted(edges) == sorted((p, n) for n, reads in enumerate(parents) for p in reads)
        assert all(found.layers[a] < found.layers[b] for a, b in edges)
        for a, b in itertools.combinations(range(14), 2):
            if found.layers[a] == found.layers[b]:
                assert abs(found.lanes[a] - found.lanes[b]) >= 1 - 1e-9


def test_spread_finds_the_nearest_places_with_distance_one():
    grid = [n / 4 for n in range(-8, 17)]
    for wanted in ([0, 0, 0], [0, 3, 3.5], [2, 1, 0], [0.5, 0.5]):
        places = itertools.product(grid, repeat=len(wanted))
        allowed = [p for p in places if all(b - a >= 1 for a, b in itertools.pairwise(p))]
        best = min(sum((x - w) ** 2 for x, w in zip(p, wanted, strict=True)) for p in allowed)
        found = spread(list(wanted))
        assert all(b - a >= 1 - 1e-9 for a, b in itertools.pairwise(found))
        assert sum((x - w) ** 2 for x, w in zip(found, wanted, strict=True)) <= best + 1e-9
