"""torch.save(model), in both formats: the tensors of its state_dict, and its modules with their settings."""

import argparse
import collections
import copy
import enum
import functools
import io
import random
import struct
import warnings
import zipfile
import zlib

import badfiles as bad
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import weight_norm

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.read import read_weights
from cnnviz.models.load import load


class Kind(enum.Enum):
    PLAIN = 1


class net(nn.Module):  # noqa: N801  as students write it
    """What people keep in a network: enumerations, functions, settings, arrays, buffers that are not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, (3, 1), stride=2, padding=1), nn.BatchNorm2d(4))
        self.act, self.kind, self.make = nn.functional.relu, Kind.PLAIN, functools.partial(nn.ReLU, inplace=True)
        self.args, self.table, self.seen = argparse.Namespace(a=1), np.arange(3), collections.Counter("abc")
        self.register_buffer("scale", torch.ones(2))
        self.register_buffer("cached", torch.ones(3), persistent=False)
        self.register_parameter("none", None)
        self.pool, self.drop = nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.Dropout(0.3)
        self.size, self.device, self.hook = [8, 8], torch.device("cpu"), self.forward
        self.head = nn.ModuleDict({"a": nn.Linear(8, 2, bias=False), "p": nn.PReLU()})


def assert_same(found, expected):
    assert list(found) == list(expected)
    for key, tensor in expected.items():
        torch.testing.assert_close(found[key], tensor, rtol=0, atol=0)


def saved(path, content, form):
    if form == "protocol 4":
        torch.save(content, path, pickle_protocol=4)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    return read_weights(path)


@pytest.mark.parametrize("form", ["zip", "legacy", "protocol 4"])
def test_the_tensors_are_those_of_the_state_dict_in_its_order(tmp_path, form):
    source = net()
    assert_same(saved(tmp_path / "w.pt", source, form).tensors, source.state_dict())


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_the_modules_come_with_their_classes_and_settings(tmp_path, form):
    found = saved(tmp_path / "w.pt", net(), form).modules
    kinds = [(module.path, module.kind.rpartition(".")[2]) for module in found]
    assert kinds == [(path, type(module).__name__) for path, module in net().named_modules()]
    by_path = {module.path: module for module in found}
    assert by_path["stem.0"].kind == "torch.nn.modules.conv.Conv2d"
    expected = {"in_channels": 3, "kernel_size": (3, 1), "stride": (2, 2), "padding": (1, 1), "groups": 1}
    assert by_path["stem.0"].settings.items() >= expected.items()
    assert by_path["stem.1"].settings.items() >= {"num_features": 4, "eps": 1e-5, "affine": True}.items()
    assert by_path["pool"].settings.items() >= {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}.items()
    assert by_path["drop"].settings == {"p": 0.3, "inplace": False}
    assert by_path[""].kind.endswith("test_saved_modules.net")
    assert by_path[""].settings == {"act": "torch.nn.functional.relu", "size": (8, 8)}


WRAPPED = {
    "in a dict": lambda made: {"model": made, "epoch": 3, "classes": ["a", "b"]},
    "with its optimizer": lambda made: {"net": made, "opt": torch.optim.SGD(made.parameters(), 0.1), "epoch": 3},
    "in a list": lambda made: [made, 3],
    "in a tuple with a dict": lambda made: (made, {"epoch": 3}),
    "for several devices": nn.DataParallel,
    "compiled": torch.compile,
    "averaged": torch.optim.swa_utils.AveragedModel,
    "as a method without its brackets": lambda made: made.state_dict,
}


@pytest.mark.parametrize("form", ["zip", "legacy"])
@pytest.mark.parametrize("way", WRAPPED)
def test_a_network_is_found_whatever_it_is_wrapped_in(tmp_path, way, form):
    source = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    expected = copy.deepcopy(source.state_dict())
    found = saved(tmp_path / "w.pt", WRAPPED[way](source), form)
    assert_same(found.tensors, expected)
    assert [module.path for module in found.modules] == ["", "0", "1"]
    assert found.metadata.get("epoch", 3) == 3
    assert ("classes" in found.metadata) == (way == "in a dict")


def test_a_layer_with_two_names_has_its_tensors_under_both(tmp_path):
    layer = nn.Linear(2, 2)
    source = nn.ModuleDict({"a": layer, "b": layer})
    found = saved(tmp_path / "w.pt", source, "zip")
    assert_same(found.tensors, source.state_dict())
    assert [module.path for module in found.modules] == ["", "a", "b"]


def test_weight_norm_of_a_whole_network_is_joined(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = nn.Sequential(weight_norm(nn.Linear(3, 2)))
    found = saved(tmp_path / "w.pt", source, "zip").tensors
    torch.testing.assert_close(found["0.weight"], source[0].weight.detach())


def test_a_graph_of_torch_fx_keeps_its_modules(tmp_path):
    source = torch.fx.symbolic_trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    found = saved(tmp_path / "w.pt", source, "zip")
    assert_same(found.tensors, source.state_dict())
    assert [module.path for module in found.modules] == ["", "0", "1"]


def test_a_network_of_the_catalogue_is_recognised_and_answers_alike(tmp_path):
    source = bad.filled("lenet5", 7)
    torch.save(source, tmp_path / "w.pt")
    model = load(None, tmp_path / "w.pt", "cpu")
    image = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.module(image), source(image))
    assert model.name == "lenet5" and len(model.class_names) == 7


def test_a_quantised_network_is_named(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(3, 4)), dtype=torch.qint8)
    torch.save(made, tmp_path / "w.pt")
    with pytest.raises(BadCheckpoint, match="w.pt holds a quantised network .*only those of the network in float32"):
        read_weights(tmp_path / "w.pt")


def test_a_network_without_tensors_is_named(tmp_path):
    torch.save(nn.ReLU(), tmp_path / "w.pt")
    with pytest.raises(BadCheckpoint, match="no weights by name, but a torch.nn.modules.activation.ReLU"):
        read_weights(tmp_path / "w.pt")


class Ordered(collections.OrderedDict):
    pass


class Plain(dict):
    pass


@pytest.mark.parametrize("form", ["zip", "legacy"])
@pytest.mark.parametrize("kind", [Ordered, Plain])
def test_a_dict_of_ones_own_class_is_a_dict(tmp_path, kind, form):
    expected = nn.Linear(2, 3).state_dict()
    found = saved(tmp_path / "w.pt", {"state_dict": kind(expected), "cfg": kind(a=1), "epoch": 2}, form)
    assert_same(found.tensors, expected)
    assert found.metadata["epoch"] == 2 and not found.modules


def test_losses_schedulers_and_classes_beside_a_state_dict_are_no_obstacle(tmp_path):
    source = nn.Linear(2, 3)
    steps = torch.optim.lr_scheduler.StepLR(torch.optim.SGD(source.parameters(), 0.1), 3)
    beside = {"criterion": nn.CrossEntropyLoss(weight=torch.ones(3)), "scheduler": steps, "act": nn.ReLU}
    found = saved(tmp_path / "w.pt", {"state_dict": source.state_dict(), **beside, "torch": torch.__version__}, "zip")
    assert_same(found.tensors, source.state_dict())
    assert found.metadata == {"torch": str(torch.__version__)}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.uint16, torch.float8_e4m3fn])
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_tensors_of_every_type_and_layout_come_as_they_were(tmp_path, dtype, form):
    values = torch.arange(100.0)
    state = {
        "x": values.to(dtype),
        "view": values[10:40].view(5, 6).T,
        "none": torch.ones(0, 3),
        "one": torch.tensor(2),
    }
    state |= {"same": state["view"], "parameter": nn.Parameter(torch.ones(3)), "mask": torch.ones(3) > 0}
    found = saved(tmp_path / "w.pt", state, form).tensors
    assert found.keys() == state.keys()
    for key in state:
        assert found[key].dtype == state[key].dtype and found[key].stride() == state[key].stride()
        assert torch.equal(found[key].double(), state[key].detach().double())


def test_arrays_of_numpy_are_weights_where_there_are_no_tensors(tmp_path):
    expected = {key: tensor.numpy() for key, tensor in nn.Linear(2, 3).state_dict().items()}
    expected["t"] = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    found = saved(tmp_path / "w.pt", {"model": expected, "epoch": 3}, "zip")
    assert found.metadata == {"epoch": 3}
    for key, array in expected.items():
        np.testing.assert_array_equal(found.tensors[key].numpy(), array)


def test_of_weights_and_their_average_the_weights_are_taken_and_it_is_said(tmp_path):
    state = nn.Linear(2, 3).state_dict()
    average = {key: tensor + 1 for key, tensor in state.items()}
    found = saved(tmp_path / "w.pt", {"model_ema": average, "model": state}, "zip")
    assert_same(found.tensors, state)
    assert found.warnings == ["The file holds several sets of weights; 'model' was taken, and 'model_ema' was not."]


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_a_pickle_with_changed_bytes_never_raises_anything_but_words(tmp_path, form):
    choose, path = random.Random(0), tmp_path / "w.pt"
    content = {"model": net(), "epoch": 3, "arr": np.ones(3, "f4"), "classes": np.array(["a", "b"])}
    torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    whole = path.read_bytes()
    first = whole.index(b"_parameters") - 100  # within the list of contents, which holds no values
    for _ in range(200):
        changed = bytearray(whole)
        for _ in range(choose.choice((1, 2, 8))):
            changed[choose.randrange(first, first + 2_500)] = choose.randrange(256)
        path.write_bytes(bytes(changed) if form == "legacy" else without_sum(bytes(changed)))
        try:
            read_weights(path)
        except BadCheckpoint as error:
            assert "w.pt" in str(error)


def without_sum(archive: bytes) -> bytes:
    """The archive with the right checksum for its changed list of contents."""
    with zipfile.ZipFile(io.BytesIO(archive)) as old:
        entry = next(entry for entry in old.infolist() if entry.filename.endswith("data.pkl"))
    start = entry.header_offset + 30 + sum(struct.unpack_from("<HH", archive, entry.header_offset + 26))
    fresh = struct.pack("<I", zlib.crc32(archive[start : start + entry.file_size]))
    return archive.replace(struct.pack("<I", entry.CRC), fresh)
