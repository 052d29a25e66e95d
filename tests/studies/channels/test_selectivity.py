"""Selectivity of winners against a count by hand."""

import numpy as np
import pytest
from made_index import LABELS, index_of

from cnnviz.studies.channels.selectivity import selectivity


def test_one_class_is_wholly_selective_and_all_different_not_at_all():
    found = selectivity(index_of([[0, 1, 5], [0, 2, 4]], LABELS), "conv")
    np.testing.assert_allclose(found.index, [1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(found.entropy, [0.0, np.log2(3)])
    assert found.commonest[0] == "cat" and found.classes[1] == {"cat": 1, "dog": 1, "owl": 1}


def test_share_and_entropy_of_a_mixed_channel():
    found = selectivity(index_of([[2, 0, 3, 1]], LABELS), "conv")
    assert found.commonest == ["dog"]  # as common as cat, and stronger
    np.testing.assert_allclose([found.share[0], found.entropy[0], found.index[0]], [0.5, 1.0, 0.5])


def test_fewer_winners_than_k_are_judged_among_themselves():
    found = selectivity(index_of([[0, 1, -1], [4, -1, -1], [-1, -1, -1]], LABELS), "conv")
    assert found.index[0] == pytest.approx(1.0) and np.isnan(found.index[1:]).all()
    assert found.commonest == ["cat", "owl", ""] and np.isnan(found.share[2])


def test_a_corpus_without_labels_has_no_selectivity():
    assert selectivity(index_of([[0, 1, 2]], None), "conv") is None
