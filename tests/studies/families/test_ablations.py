from cnnviz.figures.families.rows import ablated_rows, ablation_rows
from cnnviz.studies.families.ablations import ablated_networks, ablations


def test_the_three_networks_have_their_published_counts_and_first_layers():
    found = {one.name: one for one in ablated_networks()}
    assert [found[name].parameters for name in ("CNN-F", "CNN-M", "CNN-S")] == [60_834_536, 102_908_520, 102_908_520]
    assert found["CNN-F"].macs == 724_005_632 and found["CNN-S"].macs == 2_637_708_320
    assert "11×11" in found["CNN-F"].first and "7×7" in found["CNN-S"].first
    rows = ablated_rows(list(found.values()))
    assert rows[1][2] == "60,834,536" and rows[3][4] == "13.1"


def test_differences_are_quoted_with_their_sign_and_marginal_ones_as_about_nothing():
    rows = {(row[0], row[1]): row[2] for row in ablation_rows(ablations())[1:]}
    assert rows[("colour", "RGB → grey")].text == "−3" and rows[("fc7", "4096 → 128")].text == "−2"
    assert rows[("fc7", "4096 → 2048 or 1024")].text == "about 0"
    assert 4096 / 128 == 32 and any("32 times" in one.remark for one in ablations())
