"""Weights files as people really have them, where they are at hand (../shared/strangers): read, or refused in words."""

from pathlib import Path

import pytest
import torch

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.read import read_weights

FOLDER = Path(__file__).parents[4] / "shared" / "strangers"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no ../shared/strangers")

READ = {  # tensors, the first name, plain values beside them
    "digits-cnn.pth": (10, "conv_layers.0.weight", {}),
    "fruit.pth": (10, "conv1.weight", {}),
    "lenet-30-classes.pth": (10, "layers.0.weight", {}),
    "lenet-avgpool.pth": (10, "0.weight", {}),
    "lenet-c5-convolution.pth": (10, "convnet.c1.weight", {}),
    "lenet-unpadded.onnx": (10, "conv1.weight", {"input_size": [1, 28, 28]}),
    "lenet-unpadded.pth": (10, "conv1.weight", {}),
    "letters-lenet.pth": (10, "conv1.weight", {"epoch": 99}),
    "li2018-resnet56-noshort.t7": (277, "conv1.weight", {"acc": 86.69, "epoch": 300}),
    "li2018-resnet56.t7": (287, "conv1.weight", {"acc": 93.66, "epoch": 300}),
    "mlp.safetensors": (2, "l1.weight", {}),
    "mnist-10-20-50.pt": (8, "conv1.weight", {}),
    "mnist-20-50-500.pt": (8, "conv1.weight", {}),
    "mnist-cnn.safetensors": (20, "layers.0.bias", {}),
    "resnet20-net-acc-epoch.pth": (116, "conv1.weight", {"acc": 92.92, "epoch": 198}),
    "resnet20-other-names.ckpt": (116, "pre_conv.weight", {}),
    "squeezenet-4-classes.pth": (52, "features.0.weight", {}),
    "three-heads.pt": (16, "conv1.weight", {}),
    "tinyvgg-gray28.pth": (10, "conv_block_1.0.weight", {}),
    "tinyvgg-rgb64.pth": (10, "conv_block_1.0.weight", {}),
    "traffic-signs.pth": (8, "conv1.weight", {}),
    "tutorial-net-a.pt": (10, "conv1.weight", {}),
    "tutorial-net-b.pth": (10, "conv1.weight", {}),
    "whole-module-old.pth": (10, "conv1.weight", {}),
    "whole-module.pt": (10, "conv1.weight", {}),
    "xray.pth": (8, "conv1.weight", {}),
}
REFUSED = {
    "README.md": "README.md is a text file, not weights. Download the weights themselves.",
    "caffe.caffemodel": "is a Caffe model. Convert it to ONNX (with caffe2onnx or MMdnn) and give the .onnx file.",
    "keras.h5": "is a Keras file (HDF5), not PyTorch weights. Convert it to ONNX",
    "list-of-losses.pth": "list-of-losses.pth holds no weights by name, but a list.",
    "quantised-cnn.pth": "feature1.0.weight is no plain tensor stored in full (sparse, quantised, meta or expanded).",
    "quantised-mlp.pth": "holds the packed weights of a quantised network; only those of the network in float32",
    "torchscript.pt": "torch.save(torch.jit.load('torchscript.pt').state_dict(), 'weights.pth')",
}


def test_every_file_has_its_row():
    assert {path.name for path in FOLDER.iterdir()} == READ.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", READ)
def test_a_strangers_file_is_read(name):
    count, first, beside = READ[name]
    found = read_weights(FOLDER / name)
    assert (len(found.tensors), next(iter(found.tensors)), found.warnings) == (count, first, [])
    assert found.metadata.items() >= beside.items()


@pytest.mark.parametrize("name", REFUSED)
def test_another_file_is_refused_with_a_true_sentence(name):
    with pytest.raises(BadCheckpoint) as caught:
        read_weights(FOLDER / name)
    assert REFUSED[name] in str(caught.value)


@pytest.mark.parametrize("name", ["whole-module.pt", "whole-module-old.pth"])
def test_a_strangers_whole_network_tells_its_modules(name):
    modules = {module.path: module for module in read_weights(FOLDER / name).modules}
    assert list(modules) == ["", "conv1", "pool", "conv2", "fc1", "fc2", "fc3"]
    assert modules["pool"].kind == "torch.nn.modules.pooling.MaxPool2d"
    assert modules["pool"].settings.items() >= {"kernel_size": 2, "stride": 2, "padding": 0}.items()


def test_the_same_network_is_the_same_in_onnx():
    ours, theirs = (read_weights(FOLDER / f"lenet-unpadded.{suffix}") for suffix in ("pth", "onnx"))
    assert list(ours.tensors) == list(theirs.tensors)
    for key, tensor in ours.tensors.items():
        torch.testing.assert_close(theirs.tensors[key], tensor, rtol=0, atol=0)
    kinds = [module.kind.rpartition(".")[2] for module in theirs.modules[1:]]
    assert kinds == "Conv2d MaxPool2d ReLU Conv2d MaxPool2d ReLU Flatten Linear ReLU Linear ReLU Linear Softmax".split()
