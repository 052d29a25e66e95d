"""The depth of networks to scale, and the ranking of 2012."""

from cnnviz.studies.anatomy.depth import depth_strips
from cnnviz.studies.anatomy.history import ranking_2012, timeline


def test_depths_are_the_published_ones():
    strips = {one.title: one for one in depth_strips()}
    assert {name: len(one.layers) for name, one in strips.items()} == {
        "AlexNet": 8,
        "VGG-19": 19,
        "GoogLeNet": 22,
        "ResNet-152": 152,
    }
    assert [one.layers.count("linear") for one in strips.values()] == [3, 3, 1, 1]
    assert all(sum(one.blocks) == len(one.layers) for one in strips.values())
    published = {result.network: result.layers for result in timeline() if result.network}
    assert all(published.get(one.name, len(one.layers)) == len(one.layers) for one in strips.values())


def test_the_ranking_of_2012_has_the_published_digits():
    assert [team.error for team in ranking_2012()] == [0.15315, 0.26172, 0.26979, 0.27058]
    assert [team.deep for team in ranking_2012()] == [True, False, False, False]
    assert next(r.top5 for r in timeline() if r.name == "AlexNet, 7 nets") == round(100 * ranking_2012()[0].error, 1)
