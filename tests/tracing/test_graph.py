"""The graph of a forward pass: who reads whom, against nets whose wiring is known."""

import math
import random

import pytest
import torch
import torch.nn.functional as F
from nets import Functional, hooks_left
from torch import Tensor, nn

from cnnviz.errors import BadInput
from cnnviz.tracing.graph import Graph, trace_graph

SIZE = (3, 8, 8)


def traced(module: nn.Module, size: tuple[int, ...] = SIZE) -> Graph:
    return trace_graph(module.eval(), size)


def wiring(graph: Graph) -> dict[str, list[str]]:
    """{label: labels of the nodes that it reads}; nodes without a parent read the image."""
    return {node.label: [graph.nodes[parent].label for parent in node.parents] for node in graph.nodes}


def conv(inputs: int = 3, outputs: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def test_a_residual_block_in_functional_code_has_both_of_its_paths():
    def forward(net: Functional, x: Tensor) -> Tensor:
        x = F.relu(net.stem(x))
        y = net.second(F.relu(net.bn(net.first(x)), inplace=True))
        y += x
        return torch.relu_(y).mean((2, 3)) @ net.matrix.weight.T

    net = Functional(forward, stem=conv(), first=conv(), bn=nn.BatchNorm2d(3), second=conv(), matrix=nn.Linear(3, 2))
    assert wiring(traced(net)) == {
        "stem": [],
        "relu": ["stem"],
        "first": ["relu"],
        "bn": ["first"],
        "relu:2": ["bn"],
        "second": ["relu:2"],
        "+": ["second", "relu"],
        "relu:3": ["+"],
        "mean": ["relu:3"],
        "matmul": ["mean"],
    }


def test_a_function_at_the_top_is_not_mistaken_for_the_layer_of_its_name():
    net = Functional(lambda net, x: net.relu(F.relu(net.a(x))), a=conv(), relu=nn.ReLU())
    assert wiring(traced(net)) == {"a": [], "relu()": ["a"], "relu": ["relu()"]}


def test_branches_meet_in_a_concatenation_in_their_order():
    def forward(net: Functional, x: Tensor) -> Tensor:
        x = net.stem(x)
        return torch.cat([net.c(x), x, net.a(net.b(x))], 1)

    net = Functional(forward, stem=conv(), a=conv(), b=conv(), c=conv())
    graph = traced(net)
    assert wiring(graph) == {"stem": [], "c": ["stem"], "b": ["stem"], "a": ["b"], "cat": ["c", "stem", "a"]}
    assert graph.nodes[-1].operation.detail == "concat of 3" and graph.nodes[-1].output == (9, 8, 8)
    assert graph.edges == ((0, 1), (0, 2), (2, 3), (1, 4), (0, 4), (3, 4))


def test_every_call_of_a_shared_layer_is_a_node_and_its_parameters_count_once():
    net = Functional(lambda net, x: net.shared(net.relu(net.shared(x))), shared=conv(), relu=nn.ReLU(inplace=True))
    graph = traced(net)
    assert wiring(graph) == {"shared": [], "relu": ["shared"], "shared:2": ["relu"]}
    assert [len(node.parameters) for node in graph.nodes] == [2, 0, 0]


class Bare(nn.Module):
    """No layers at all: its own parameters and functions."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(4, 3, 3, 3))
        self.gain = nn.Parameter(torch.ones(4, 1, 1))
        self.matrix = nn.Parameter(torch.randn(5, 4 * 16))

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel / self.kernel.norm()
        x = F.max_pool2d(F.conv2d(x, kernel, stride=1, padding="same") * self.gain, 2)
        return F.linear(x.flatten(1), self.matrix)


def test_functions_with_parameters_of_the_network_are_nodes_that_own_them():
    graph = traced(Bare())
    assert [node.kind for node in graph.nodes] == ["conv", "other", "pool", "linear"]
    assert [node.parameters for node in graph.nodes] == [("kernel",), ("gain",), (), ("matrix",)]
    assert [node.operation.macs for node in graph.nodes] == [4 * 3 * 9 * 64, 0, 0, 5 * 64]
    assert graph.nodes[0].operation.padding == (1, 1)
    assert [node.parents for node in graph.nodes] == [(), (0,), (1,), (2,)]


def test_views_constants_and_joins_of_one_are_looked_through():
    def forward(net: Functional, x: Tensor) -> Tensor:
        x = torch.cat([net.a(x)], 1).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        return sum([net.b(half) for half in x[:, :2].split(1, 1)]) * 1

    graph = traced(Functional(forward, a=conv(), b=conv(1, 1)))
    assert wiring(graph) == {"a": [], "b": ["a"], "b:2": ["a"], "+": ["b", "b:2"]}


def test_writing_in_place_into_a_part_reaches_all_that_share_its_memory():
    def forward(net: Functional, x: Tensor) -> Tensor:
        whole = net.a(x)
        part = whole[:, 1:]
        part[:, :1] = net.b(x)[:, :1]
        return net.c(whole)

    graph = traced(Functional(forward, a=conv(), b=conv(), c=conv()))
    assert wiring(graph) == {"a": [], "b": [], "c": ["a", "b"]}


def test_dropout_which_does_nothing_in_evaluation_stays_out_of_the_shortcut():
    def forward(net: Functional, x: Tensor) -> Tensor:
        x = net.a(x)
        return net.drop(x) + x

    graph = traced(Functional(forward, a=conv(), drop=nn.Dropout(0.3)))
    assert wiring(graph) == {"a": [], "drop": ["a"], "+": ["drop", "a"]}
    assert graph.nodes[1].operation.detail == "dropout 0.3"


def test_modules_that_do_not_compute_are_no_nodes():
    net = nn.Sequential(nn.Identity(), conv(), nn.Flatten(), nn.Unflatten(1, (3, 8, 8)), conv())
    assert wiring(traced(net)) == {"1": [], "4": ["1"]}


@pytest.mark.parametrize("seed", range(6))
def test_a_random_network_has_exactly_the_edges_it_was_built_with(seed: int):
    draw = random.Random(seed)
    plan = [[]] + [sorted(draw.sample(range(i), draw.randint(1, min(i, 3)))) for i in range(1, 12)]

    def forward(net: Functional, x: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for i, reads in enumerate(plan):
            found = [outputs[j] for j in reads] or [x]
            outputs.append(getattr(net, f"n{i}")(torch.cat(found, 1) if i % 2 else sum(found)))
        return outputs[-1]

    widths = [3] + [3 * len(reads) if i % 2 else 3 for i, reads in enumerate(plan, 0)][1:]
    graph = traced(Functional(forward, **{f"n{i}": conv(width) for i, width in enumerate(widths)}))

    def ancestors(node: int) -> set[str]:  # convolutions that it reads, through joins alone
        found = graph.nodes[node]
        return set().union(*({graph.nodes[p].module} if graph.nodes[p].call else ancestors(p) for p in found.parents))

    got = {node.module: ancestors(node.id) for node in graph.nodes if node.call}
    assert got == {f"n{i}": {f"n{j}" for j in reads} for i, reads in enumerate(plan)}


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, (3, 5), stride=(2, 1), padding=(1, 2), groups=2, bias=False),
        nn.Conv2d(4, 4, 3, groups=4, dilation=2),
        nn.ConvTranspose2d(4, 6, 3, stride=2),
    ],
    ids=["grouped", "depthwise", "transposed"],
)
def test_multiply_adds_are_those_of_every_weight_at_every_place(layer: nn.Module):
    node = traced(nn.Sequential(layer), (4, 9, 9)).nodes[0]
    image = torch.ones(1, 4, 9, 9, dtype=torch.float64)
    if isinstance(layer, nn.ConvTranspose2d):  # each pixel meets each weight of its channel
        count = image.numel() * layer.weight[0].numel()
    else:  # each output meets the weights of its channel, on padding as well
        count = (
            sum(layer.weight[channel].numel() for channel in range(node.output[0])) * node.output[1] * node.output[2]
        )
    assert node.operation.macs == count
    assert node.operation.kernel == tuple(layer.kernel_size) and node.operation.stride == tuple(layer.stride)


def test_details_say_what_a_lecturer_would():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.LocalResponseNorm(5),
        nn.ReLU6(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
        nn.Softmax(1),
    )
    assert [node.operation.detail for node in traced(net, (3, 32, 32)).nodes] == [
        "3×3 conv, 8, stride 2",
        "3×3 conv, 8, depthwise",
        "local response norm, 5 maps",
        "ReLU6",
        "3×3 max, stride 2, ceil",
        "global average",
        "linear, 5",
        "softmax",
    ]


@pytest.mark.parametrize(
    "layer, size, detail, window",
    [
        (
            nn.Conv1d(3, 8, 5, stride=2, padding=1, dilation=3),
            (3, 32),
            "5 conv, 8, stride 2, dilation 3",
            ((5,), (2,), (1,)),
        ),
        (nn.Conv1d(3, 8, 5, padding="same"), (3, 32), "5 conv, 8", ((5,), (1,), (2,))),
        (nn.ConvTranspose1d(3, 8, 4, 2), (3, 32), "4 transposed conv, 8, stride 2", ((4,), (2,), (0,))),
        (nn.MaxPool1d(3, 2), (3, 33), "3 max, stride 2", ((3,), (2,), (0,))),
        (nn.AvgPool1d(4), (3, 32), "4 average, stride 4", ((4,), (4,), (0,))),
        (nn.AdaptiveAvgPool1d(1), (3, 32), "global average", ((32,), (32,), (0,))),
        (nn.AdaptiveMaxPool1d(8), (3, 32), "max to 8", ((4,), (4,), (0,))),
        (nn.Conv2d(3, 8, (5, 1), padding=(2, 0)), (3, 8, 8), "5×1 conv, 8", ((5, 1), (1, 1), (2, 0))),
        (nn.Conv3d(3, 8, (1, 3, 5)), (3, 8, 8, 8), "1×3×5 conv, 8", ((1, 3, 5), (1, 1, 1), (0, 0, 0))),
        (nn.MaxPool3d(2), (3, 8, 8, 8), "2×2×2 max, stride 2", ((2, 2, 2), (2, 2, 2), (0, 0, 0))),
        (nn.AdaptiveAvgPool3d((4, 2, 1)), (3, 8, 8, 8), "average to 4×2×1", ((2, 4, 8), (2, 4, 8), (0, 0, 0))),
    ],
)
def test_a_window_has_as_many_sides_as_its_layer(layer: nn.Module, size: tuple, detail: str, window: tuple):
    reshaped = nn.Sequential(nn.Unflatten(2, size[1:]), layer)
    (node,) = traced(reshaped, (size[0], math.prod(size[1:]))).nodes
    found = node.operation
    assert (found.detail, (found.kernel, found.stride, found.padding)) == (detail, window)


class ColonNames(nn.Module):
    """`conv` runs twice, and another layer is called as its second call would be."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.d = nn.ModuleDict({"conv": conv(), "conv:2": conv(), "conv:1": conv(3, classes)})

    def forward(self, x: Tensor) -> Tensor:
        return self.d["conv:1"](self.d["conv:2"](self.d["conv"](self.d["conv"](x)))).mean((2, 3))


def test_a_call_never_has_the_label_of_another_layer():
    labels = [node.label for node in traced(ColonNames()).nodes]
    assert labels[:4] == ["d.conv", "d.conv::2", "d.conv:2", "d.conv:1"]


def test_a_network_that_looks_at_values_is_followed_where_it_is():
    net = Functional(lambda net, x: net.b(net.a(x)) if x.sum().item() == 0 else x, a=conv(), b=conv())
    assert wiring(traced(net))["b"] == ["a"]


def test_a_network_without_values_that_needs_them_is_refused():
    with torch.device("meta"):
        net = Functional(lambda net, x: net.a(x) if x.sum().item() else x, a=conv())
    with pytest.raises(BadInput, match="Build it on the CPU"):
        traced(net)


def test_tracing_leaves_weights_and_hooks_as_they_were_also_when_the_pass_fails():
    def broken(net: Functional, x: Tensor) -> Tensor:
        raise RuntimeError("broken network")

    shared = conv()
    again = nn.Conv2d(3, 3, 3)
    again.weight = shared.weight
    for net in (
        nn.Sequential(conv(), nn.BatchNorm2d(3)).eval(),
        Functional(broken, a=conv()).eval(),
        nn.Sequential(shared, nn.ReLU(), shared, again).eval(),
    ):
        before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
        identities = [id(parameter) for parameter in net.parameters()]
        try:
            trace_graph(net, SIZE)
        except RuntimeError as error:
            assert "broken network" in str(error)
        assert hooks_left(net) == 0
        assert [id(parameter) for parameter in net.parameters()] == identities
        for key, tensor in net.state_dict().items():
            torch.testing.assert_close(tensor, before[key])


class Forgetful(torch.autograd.Function):
    """(1 + x) · 2, whose code gives its intermediate results back as reversible blocks do."""

    @staticmethod
    def forward(ctx, x):
        y = x + 1
        z = y * 2
        y.set_()
        return z

    @staticmethod
    def backward(ctx, signal):
        return 2 * signal


def test_memory_that_is_given_back_during_the_pass_loses_nothing():
    def forward(net: Functional, x: Tensor) -> Tensor:
        first = net.a(x)
        second = net.b(Forgetful.apply(first))
        first.data.set_()
        return second

    found = wiring(traced(Functional(forward, a=conv(), b=conv())))
    assert found["a"] == [] and found["b"] != [] and "a" in {*sum(found.values(), [])}
    assert not any("set" in label for label in found)
