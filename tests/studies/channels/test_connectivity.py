"""Links between channels: through norms, pools, concatenations and residual sums, by the norm of the kernels."""

import numpy as np
import torch
from nets import Functional, published, tiny
from torch import nn

from cnnviz.studies.channels.connectivity import Link, trace_connectivity


def chain():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(5 * 9, 2),
    )


def test_inputs_are_ranked_by_the_norm_of_the_kernel_between_the_two_channels():
    net = chain()
    found = trace_connectivity(tiny(net)).inputs("4", 3)
    slow = sorted(((float((net[4].weight[3, i] ** 2).sum() ** 0.5), i) for i in range(4)), reverse=True)
    assert [(link.layer, link.channel) for link in found] == [("0", i) for _norm, i in slow]
    np.testing.assert_allclose([link.norm for link in found], [norm for norm, _i in slow], rtol=1e-6)


def test_outputs_are_the_same_links_seen_from_below():
    net = chain()
    found = trace_connectivity(tiny(net)).outputs("0", 2, most=2)
    slow = sorted(((float((net[4].weight[o, 2] ** 2).sum() ** 0.5), o) for o in range(5)), reverse=True)[:2]
    assert [(link.layer, link.channel) for link in found] == [("4", o) for _norm, o in slow]


def test_a_linear_layer_behind_a_flattened_map_reads_each_channel_with_all_its_places():
    net = chain()
    (first, *_rest) = trace_connectivity(tiny(net)).inputs("7", 1)
    norms = [float((net[7].weight[1, 9 * c : 9 * c + 9] ** 2).sum() ** 0.5) for c in range(5)]
    assert (first.layer, first.channel) == ("4", int(np.argmax(norms)))
    np.testing.assert_allclose(first.norm, max(norms), rtol=1e-6)


def test_the_first_layer_reads_the_image_and_what_has_no_weights_has_no_inputs():
    found = trace_connectivity(tiny(chain()))
    assert {link.layer for link in found.inputs("0", 0)} == {""}
    assert {link.channel for link in found.inputs("0", 0)} == {0, 1, 2}
    assert found.inputs("3", 0) is None and found.outputs("7", 0) is None


def test_concatenated_branches_keep_their_own_names():
    net = Functional(
        lambda n, x: n.c(torch.cat([n.a(x), n.b(x)], 1)),
        a=nn.Conv2d(3, 2, 1),
        b=nn.Conv2d(3, 3, 1),
        c=nn.Conv2d(5, 1, 1),
    )
    net.c.weight.data = torch.tensor([1.0, 5.0, 2.0, 4.0, 3.0]).reshape(1, 5, 1, 1)
    found = trace_connectivity(tiny(net)).inputs("c", 0)
    assert found == [Link("a", 1, 5.0), Link("b", 1, 4.0), Link("b", 2, 3.0), Link("b", 0, 2.0), Link("a", 0, 1.0)]


def test_groups_join_only_their_own_channels():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 6, 1, groups=2))
    found = trace_connectivity(tiny(net))
    assert {link.channel for link in found.inputs("1", 0)} == {0, 1}
    assert {link.channel for link in found.inputs("1", 5)} == {2, 3}


def test_a_residual_block_feeds_the_next_and_the_last_the_classes():
    found = trace_connectivity(published("resnet20_cifar"))
    assert {link.layer for link in found.inputs("layer1.1.conv1", 0)} == {"layer1.0"}
    assert {link.layer for link in found.outputs("layer3.2", 5)} == {"fc"}
    assert {link.layer for link in found.outputs("layer1.0.conv1", 5)} == {"layer1.0.conv2"}
    assert found.inputs("layer1.0", 3) is None


def test_squeezenet_s_expansions_meet_in_the_next_squeeze():
    found = trace_connectivity(published("squeezenet1_0"))
    assert found.sources["features.4.squeeze"][63:65] == [("features.3.expand1x1", 63), ("features.3.expand3x3", 0)]
    assert {link.layer for link in found.outputs("features.12.expand3x3", 7)} == {"classifier.1"}


def test_a_channel_of_a_block_that_joins_branches_is_that_of_its_branch():
    found = trace_connectivity(published("squeezenet1_0"))
    assert found.inputs("features.5", 130) == found.inputs("features.5.expand3x3", 2)  # behind 128 of expand1x1
    assert found.outputs("features.5", 130) == found.outputs("features.5.expand3x3", 2) is not None


def test_a_concatenation_that_a_layer_begins_with_is_not_its_output():
    found = trace_connectivity(published("densenet_40_k12"))
    assert not [name for name in found.joined if "layer" in name.rpartition(".")[2]], list(found.joined)
