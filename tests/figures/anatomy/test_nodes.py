"""Small layers are drawn with the one they belong to; no layer is lost."""

from made_anatomies import MAP, anatomy_of, dense, inception, residual

from cnnviz.figures.anatomy.nodes import INPUT, build_nodes
from cnnviz.studies.anatomy.anatomy import anatomy


def test_norm_and_rectifier_are_drawn_with_the_convolution_before_them():
    cells = build_nodes(residual())
    assert [(c.kind, c.before, c.notes) for c in cells] == [
        ("conv", "", ""),
        ("conv", "", "BN · ReLU"),
        ("conv", "", "BN"),
        ("add", "", "ReLU"),
        ("linear", "", ""),
    ]
    assert [c.parents for c in cells] == [(INPUT,), (0,), (1,), (0, 2), (3,)]


def test_pre_activation_is_drawn_with_the_convolution_behind_it():
    made = [
        ("stem", "conv", "stem", MAP, ()),
        ("u.bn1", "norm", "u", MAP, (0,)),
        ("u.relu1", "activation", "u", MAP, (1,)),
        ("u.conv1", "conv", "u", MAP, (2,)),
        ("u.bn2", "norm", "u", MAP, (3,)),
        ("u.relu2", "activation", "u", MAP, (4,)),
        ("u.conv2", "conv", "u", MAP, (5,)),
        ("u +", "add", "u", MAP, (0, 6)),
    ]
    cells = build_nodes(anatomy_of(made))
    pre = ("conv", "BN · ReLU", "")
    assert [(c.kind, c.before, c.notes) for c in cells] == [("conv", "", ""), pre, pre, ("add", "", "")]
    assert cells[3].parents == (0, 2)


def test_a_rectifier_that_two_layers_read_before_a_split_stays_visible():
    made = [
        ("stem", "conv", "stem", MAP, ()),
        ("u.relu", "activation", "u", MAP, (0,)),
        ("u.a", "conv", "u", MAP, (1,)),
        ("u.b_one", "conv", "u", MAP, (1,)),
        ("u +", "add", "u", MAP, (2, 3)),
    ]
    cells = build_nodes(anatomy_of(made))
    assert [c.kind for c in cells] == ["conv", "activation", "conv", "conv", "add"]
    assert cells[2].parents == cells[3].parents == (1,)


def test_every_convolution_pool_and_join_has_its_cell():
    for made in (residual(3), inception(), dense(4)):
        drawn = sorted(c.row for c in build_nodes(made))
        main = [r.index for r in made.rows if r.kind in ("conv", "linear", "pool", "add", "concat")]
        assert drawn == main


def test_colours_tell_one_by_one_and_depthwise_convolutions_apart():

    paints = {c.title.split(":")[0]: c.paint for c in build_nodes(anatomy("mobilenet_v2"))}
    assert paints["features.0.0"] == "conv" and paints["features.1.conv.0.0"] == "depthwise"
    assert paints["features.1.conv.1"] == "conv1" and paints["classifier.1"] == "linear"
    grouped = [c for c in build_nodes(anatomy("alexnet_2012")) if "groups" in c.label]
    assert [c.paint for c in grouped] == ["conv"] * 3 and all("2 groups" in c.label for c in grouped)
