"""Which images show the same thing, by their ids."""

import pytest

from cnnviz.data.corpus import Subset
from cnnviz.data.grouping import check_grouping, describe_grouping, find_group, number_groups
from cnnviz.data.open import corpus
from cnnviz.errors import BadInput


@pytest.mark.parametrize(
    "rule, image_id, group",
    [
        ("image", "a/walk_01.jpg", "a/walk_01.jpg"),
        ("source", "astronaut/07", "astronaut"),
        ("source", "astronaut", "astronaut"),
        ("folder", "a/b/walk_01.jpg", "a/b"),
        ("folder", "walk_01.jpg", "walk_01.jpg"),
        ("name", "a/walk_0012.jpg", "a/walk"),
        ("name", "a/walk 3.png", "a/walk"),
        ("name", "b/walk 3.png", "b/walk"),
        ("name", "crop-12-of-dog (4).jpeg", "crop-12-of-dog"),
        ("name", "film.mp4", "film.mp4"),
        ("name", "0012.jpg", "0012.jpg"),
        (r"(.*)_frame\d+", "clip7_frame0031_left.png", "clip7"),
        (r"(.*)_frame\d+", "still.png", "still.png"),
    ],
)
def test_groups_by_name(rule, image_id, group):
    assert find_group(check_grouping(rule), image_id) == (group if group != "film.mp4" else "film")


def test_numbers_follow_the_first_image_of_each_group():
    assert number_groups("name", ["b_1.png", "a_1.png", "b_2.png", "c.png", "a_9.png"]) == [0, 1, 0, 2, 1]


@pytest.mark.parametrize("rule", ["frames", "(a)(b)", "(", ""])
def test_what_is_no_rule_is_refused_with_the_choices(rule):
    with pytest.raises(BadInput, match="Choose 'image', 'name', 'folder'"):
        check_grouping(rule)


def test_a_corpus_has_a_rule_and_its_parts_have_the_same():
    samples = corpus("samples")
    assert samples.group == "source" and samples.take(30).group == "source"
    assert corpus(samples, group="image").group == "image" and samples.group == "source"
    assert Subset(corpus("digits", group="folder"), [0]).group == "folder" and corpus("digits").group == "image"
    assert describe_grouping("source") == "one a source photograph" and describe_grouping("image") == "one an image"
