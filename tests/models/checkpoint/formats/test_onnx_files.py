"""ONNX files: the tensors and the chain of modules that they describe answer as the network they were written from."""

import importlib
import inspect
import random

import numpy as np
import onnx_files as onnx
import pytest
import torch
from torch import nn

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.formats.onnx_graph import looks_like_onnx
from cnnviz.models.checkpoint.read import Checkpoint, read_weights
from cnnviz.models.load import load


def rebuilt(found: Checkpoint) -> nn.Sequential:
    """The network that the modules describe, with the tensors under their names."""
    layers = []
    for module in found.modules[1:]:
        home, _, name = module.kind.rpartition(".")
        cls = getattr(importlib.import_module(home), name)
        known = inspect.signature(cls.__init__).parameters
        options = {key: value for key, value in module.settings.items() if key in known}
        if name in ("Conv2d", "Linear"):
            options["bias"] = f"{module.path}.bias" in found.tensors
        if name == "PReLU":
            options["num_parameters"] = found.tensors[f"{module.path}.weight"].numel()
        layer = cls(**options)
        own = {k.rpartition(".")[2]: v for k, v in found.tensors.items() if k.rpartition(".")[0] == module.path}
        layer.load_state_dict(own, strict=False)
        assert set(own) >= {key for key in layer.state_dict() if key != "num_batches_tracked"}
        layers.append(layer)
    return nn.Sequential(*layers).eval()


def assert_answers(found: Checkpoint, expected: nn.Module, shape: tuple[int, ...]) -> None:
    image = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(rebuilt(found)(image), expected.eval()(image), rtol=1e-5, atol=1e-6)


def arrays(module: nn.Module, name: str) -> dict[str, np.ndarray]:
    return {f"{name}.{key}": value.numpy() for key, value in module.state_dict().items() if value.is_floating_point()}


class Writer:
    """Writes modules as an exporter does, one operation a module."""

    def __init__(self) -> None:
        self.steps: list = []
        self.tensors: dict[str, np.ndarray] = {}

    def add(self, module: nn.Module) -> None:
        name, kind = f"layer{len(self.steps)}", type(module).__name__
        own = arrays(module, name)
        self.tensors |= own
        self.steps.append(WRITTEN[kind](module, list(own)))

    def content(self, shape: tuple[int, ...], raw: bool = True) -> bytes:
        tensors = [onnx.tensor(name, array, raw) for name, array in self.tensors.items()]
        return onnx.model(onnx.chain(self.steps), tensors, (0, *shape))


def pair(value) -> list[int]:
    return list(value) if isinstance(value, tuple) else [value, value]


def window(m) -> dict[str, object]:
    return dict(kernel_shape=pair(m.kernel_size), strides=pair(m.stride), pads=pair(m.padding) * 2)


WRITTEN = {
    "Conv2d": lambda m, names: ("Conv", names, dict(window(m), dilations=pair(m.dilation), group=m.groups)),
    "Linear": lambda m, names: ("Gemm", names, dict(transB=1)),
    "BatchNorm2d": lambda m, names: ("BatchNormalization", names, dict(epsilon=m.eps)),
    "MaxPool2d": lambda m, names: ("MaxPool", [], dict(window(m), ceil_mode=int(m.ceil_mode))),
    "AvgPool2d": lambda m, names: ("AveragePool", [], dict(window(m), count_include_pad=int(m.count_include_pad))),
    "AdaptiveAvgPool2d": lambda m, names: ("GlobalAveragePool", [], {}),
    "Flatten": lambda m, names: ("Flatten", [], {}),
    "ReLU": lambda m, names: ("Relu", [], {}),
    "Tanh": lambda m, names: ("Tanh", [], {}),
    "Sigmoid": lambda m, names: ("Sigmoid", [], {}),
    "LeakyReLU": lambda m, names: ("LeakyRelu", [], dict(alpha=m.negative_slope)),
    "ELU": lambda m, names: ("Elu", [], dict(alpha=m.alpha)),
    "PReLU": lambda m, names: ("PRelu", names, {}),
    "Hardswish": lambda m, names: ("HardSwish", [], {}),
    "Dropout": lambda m, names: ("Dropout", [], {}),
    "LocalResponseNorm": lambda m, names: ("LRN", [], dict(size=m.size, alpha=m.alpha, beta=m.beta, bias=m.k)),
    "Softmax": lambda m, names: ("Softmax", [], dict(axis=1)),
    "LogSoftmax": lambda m, names: ("LogSoftmax", [], dict(axis=1)),
}


def written(net: nn.Sequential, shape: tuple[int, ...], raw: bool = True) -> bytes:
    writer = Writer()
    for module in net:
        writer.add(module)
    return writer.content(shape, raw)


def random_chain(seed: int) -> nn.Sequential:
    """Five layers of any kind, for images of 3 × 41 × 40, and a classifier."""
    choose = random.Random(seed)
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    maps = 3
    for _ in range(5):
        wide = choose.choice((4, 6))
        groups = choose.choice((1, 2)) if maps % 2 == 0 else 1
        kernel = choose.choice((1, 3, (3, 1)))
        padding = choose.choice((1, (1, 0), 0)) if kernel == 3 else 0
        conv = nn.Conv2d(maps, wide, kernel, choose.choice((1, (2, 1))), padding, groups=groups, bias=seed % 2 == 0)
        norm = nn.BatchNorm2d(wide, eps=choose.choice((1e-5, 1e-3)))
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
        nn.init.uniform_(norm.running_mean, -1.0, 1.0)
        pools = (nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(3, 1, 1, count_include_pad=choose.random() < 0.5))
        pools += (nn.LocalResponseNorm(3, 0.1, 0.5, 2.0), nn.Dropout(0.5))
        acts = (nn.ReLU(), nn.Tanh(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.PReLU(wide), nn.Hardswish(), nn.Sigmoid())
        options = [norm, choose.choice(pools), choose.choice(acts)]
        layers += [conv, *(layer for layer in options if choose.random() < 0.6)]
        maps = wide
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(maps, 3), nn.LogSoftmax(1))


@pytest.mark.parametrize("seed", range(12))
def test_a_chain_answers_as_the_network_it_was_written_from(tmp_path, seed):
    net = random_chain(seed).eval()
    found = read_weights(onnx.save(tmp_path / "w.onnx", written(net, (3, 41, 40), raw=seed % 3 != 0)))
    assert found.kind == "onnx" and found.metadata["input_size"] == [3, 41, 40]
    assert_answers(found, net, (3, 41, 40))


def test_a_lenet_is_recognised_by_its_tensors_whatever_the_suffix(tmp_path):
    net = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    model = load("lenet5", onnx.save(tmp_path / "w.pth", written(net, (1, 28, 28))), "cpu")
    image = torch.rand(1, 1, 28, 28)
    torch.testing.assert_close(model.module(image), net(image))


def lenet_of_tensorflow(head: list[bytes]) -> tuple[nn.Sequential, bytes]:
    """As tf2onnx writes Keras: channels last before and after the convolutions, MatMul and Add, names of its own."""
    torch.manual_seed(0)
    conv, dense, last = nn.Conv2d(1, 6, 5), nn.Linear(6 * 4 * 5, 8), nn.Linear(8, 3)
    net = nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), dense, nn.ReLU(), last, nn.Softmax(-1))
    by_place = dense.weight.detach().numpy().reshape(8, 6, 4, 5).transpose(2, 3, 1, 0).reshape(-1, 8)
    tensors = {
        "model/conv2d/kernel:0": conv.weight,
        "model/conv2d/bias:0": conv.bias,
        "model/dense/kernel:0": torch.from_numpy(by_place),
        "model/dense/bias:0": dense.bias,
        "model/last/kernel:0": last.weight.T,
        "model/last/bias:0": last.bias,
    }
    names = list(tensors)
    steps = [
        ("Transpose", [], dict(perm=[0, 3, 1, 2])),
        ("Conv", names[:2], dict(kernel_shape=[5, 5], auto_pad="VALID")),
        ("Relu", [], {}),
        ("MaxPool", [], dict(kernel_shape=[2, 2], strides=[2, 2])),
        ("Transpose", [], dict(perm=[0, 2, 3, 1])),
        ("Reshape", ["shape"], {}),
        *(("MatMul", [names[2]], {}), ("Add", [names[3]], {}), ("Relu", [], {})),
        *(("MatMul", [names[4]], {}), ("Add", [names[5]], {}), ("Softmax", [], dict(axis=-1))),
    ]
    written = [onnx.tensor(name, np.ascontiguousarray(value.detach().numpy())) for name, value in tensors.items()]
    written.append(onnx.tensor("shape", np.array([-1, 120], np.int64)))
    return net, onnx.model([*onnx.chain(steps), *head], written, (0, 12, 14, 1))


def test_a_network_of_keras_gets_the_order_of_pytorch(tmp_path):
    net, content = lenet_of_tensorflow([])
    found = read_weights(onnx.save(tmp_path / "w.onnx", content))
    assert "input_size" not in found.metadata and not found.warnings  # (H, W, C) is no (C, H, W)
    assert_answers(found, net, (1, 12, 14))


def test_channels_last_in_a_network_that_is_no_chain_are_said(tmp_path):
    _, content = lenet_of_tensorflow([onnx.node("Relu", ["input"], ["other"])])
    found = read_weights(onnx.save(tmp_path / "w.onnx", content))
    assert not found.modules and "channels last" in found.warnings[0]


def test_a_branch_gives_the_tensors_and_no_modules(tmp_path):
    conv, dense = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 2)
    nodes = [
        onnx.node("Conv", ["input", "c.weight", "c.bias"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        onnx.node("Add", ["a", "input"], ["b"]),
        onnx.node("GlobalAveragePool", ["b"], ["m"]),
        onnx.node("Flatten", ["m"], ["f"]),
        onnx.node("Gemm", ["f", "fc.weight", "fc.bias"], ["out"], transB=1),
    ]
    expected = arrays(conv, "c") | arrays(dense, "fc")
    tensors = [onnx.tensor(name, array) for name, array in expected.items()]
    found = read_weights(onnx.save(tmp_path / "w.onnx", onnx.model(nodes, tensors, (1, 3, 8, 8))))
    assert found.modules == () and list(found.tensors) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found.tensors[name].numpy(), array)


@pytest.mark.parametrize("odd", [dict(pads=[0, 0, 1, 1]), dict(auto_pad="SAME_UPPER"), dict(strides=[1])])
def test_a_layer_that_no_module_is_equal_to_ends_the_chain(tmp_path, odd):
    weight = onnx.tensor("c.weight", np.ones((2, 1, 3, 3), np.float32))
    nodes = onnx.chain([("Conv", ["c.weight"], dict(dict(kernel_shape=[3, 3]), **odd))])
    found = read_weights(onnx.save(tmp_path / "w.onnx", onnx.model(nodes, [weight], (1, 1, 8, 8))))
    assert found.modules == () and list(found.tensors) == ["c.weight"]


@pytest.mark.parametrize("kind", ["float32", "float16", "float64"])
@pytest.mark.parametrize("raw", [True, False])
def test_values_of_every_type_are_read(tmp_path, kind, raw):
    array = np.arange(18).reshape(2, 1, 3, 3).astype(kind)
    nodes = onnx.chain([("Conv", ["c.weight"], dict(kernel_shape=[3, 3]))])
    content = onnx.model(nodes, [onnx.tensor("c.weight", array, raw)], (1, 1, 8, 8))
    (found,) = read_weights(onnx.save(tmp_path / "w.onnx", content)).tensors.values()
    np.testing.assert_array_equal(found.numpy(), array)
    assert found.numpy().dtype == array.dtype


def test_tensors_beside_the_file_are_read_from_its_folder_alone(tmp_path):
    array = np.arange(18, dtype=np.float32).reshape(2, 1, 3, 3)
    (tmp_path / "in").mkdir()
    nodes = onnx.chain([("Conv", ["c.weight"], dict(kernel_shape=[3, 3]))])
    for folder in (tmp_path, tmp_path / "in"):
        (folder / "w.data").write_bytes(bytes(8) + array.tobytes())
    for place, offset in (("w.data", 8), ("../w.data", 8), ("gone.data", 0), ("w.data", 16), ("w.data", -4)):
        content = onnx.model(nodes, [onnx.outside("c.weight", array, place, offset)], (1, 1, 8, 8))
        path = onnx.save(tmp_path / "in" / "w.onnx", content)
        if (place, offset) == ("w.data", 8):
            np.testing.assert_array_equal(read_weights(path).tensors["c.weight"].numpy(), array)
        else:
            with pytest.raises(BadCheckpoint, match="another file.*does not lie beside it|is cut short"):
                read_weights(path)


def test_a_quantised_graph_is_named(tmp_path):
    quantised = onnx.field(1, 2) + onnx.field(2, 17) + onnx.field(8, "q") + onnx.field(9, b"ab")
    path = onnx.save(tmp_path / "w.onnx", onnx.model([], [quantised], (1, 1, 8, 8)))
    with pytest.raises(BadCheckpoint, match="w.onnx: 'q' is a tensor of a type that holds no weights .*not quantised"):
        read_weights(path)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_short_says_so(tmp_path, share):
    content = written(random_chain(0), (3, 41, 40))
    with pytest.raises(BadCheckpoint, match="w.onnx is cut short or damaged"):
        read_weights(onnx.save(tmp_path / "w.onnx", content[: int(len(content) * share)]))


def test_changed_bytes_never_raise_anything_but_words(tmp_path):
    content, choose = written(random_chain(1), (3, 41, 40)), random.Random(0)
    for _ in range(150):
        broken = bytearray(content)
        for _ in range(choose.choice((1, 3, 20))):
            broken[choose.randrange(len(broken))] = choose.randrange(256)
        try:
            read_weights(onnx.save(tmp_path / "w.onnx", bytes(broken)))
        except BadCheckpoint as error:
            assert "w.onnx" in str(error)


def test_other_messages_are_not_taken_for_onnx():
    saved_model = onnx.field(1, 1) + onnx.field(2, onnx.field(1, onnx.field(4, "x")) + onnx.field(2, b"\x0a\x02ab"))
    caffe = onnx.field(1, "LeNet") + onnx.field(100, onnx.field(1, "conv1"))
    for other in (saved_model, caffe, b"", b"\x08", b"text that is long enough to be one", bytes(500)):
        assert not looks_like_onnx(other)
    assert looks_like_onnx(onnx.model([], [], (1,)))
