"""Parameters of the catalogue, counted once for each version of the code."""

import json

import pytest

from cnnviz.models.catalogue.parameter_counts import count_parameters, format_count


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path))
    return tmp_path / "parameters.json"


def test_counts_are_those_published_and_are_kept(kept):
    assert count_parameters(["lenet5", "alexnet"]) == {"lenet5": 61_706, "alexnet": 61_100_840}
    steps = []
    assert count_parameters(["lenet5"], lambda *step: steps.append(step)) == {"lenet5": 61_706}
    assert not steps  # nothing was counted


def test_counts_of_other_code_or_a_damaged_file_are_not_believed(kept):
    count_parameters(["lenet5"])
    content = json.loads(kept.read_text())
    for wrong in ({**content, "version": "old", "counts": {"lenet5": 1}}, {"counts": []}, []):
        kept.write_text(json.dumps(wrong))
        assert count_parameters(["lenet5"]) == {"lenet5": 61_706}
    kept.write_text("{")
    assert count_parameters(["lenet5"]) == {"lenet5": 61_706}


@pytest.mark.parametrize(
    "count, text",
    [(None, "?"), (999, "999"), (61_706, "61.7 k"), (1_248_424, "1.25 M"), (138_357_544, "138 M"), (999_600, "1.00 M")],
)
def test_numbers_have_three_digits_and_a_unit(count, text):
    assert format_count(count) == text
