"""Files of other programs are named by their contents, whatever they are called, each with a next step that is true."""

import json
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import badfiles as bad
import h5py
import numpy as np
import pytest
import torch
from onnx_files import field, varint

from cnnviz.errors import BadCheckpoint
from cnnviz.models.checkpoint.read import read_weights

Made = bytes | Callable[[Path], None]


def keras(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"2.4.0"
        file["model_weights/conv/kernel:0"] = np.ones((3, 3, 1, 2), "f4")


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["a"] = np.ones(3)


def zipped(*names: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "{}")

    return make


def torchscript(path: Path) -> None:
    bad.torchscript(path, path)


def exported(path: Path) -> None:
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)), path)


def global_of(name: str) -> bytes:
    """A pickle, by joblib perhaps, of an object of a class."""
    module, _, last = name.rpartition(".")
    return b"\x80\x04" + b"".join(b"\x8c" + bytes([len(t)]) + t.encode() for t in (module, last)) + b"\x93)\x81."


TENSORFLOW_NODE = field(1, "input") + field(2, "Placeholder")
ONNX_STEP = "and give the .onnx file"
FILES: dict[str, tuple[Made, str]] = {
    "Keras 2": (keras, rf"is a Keras file \(HDF5\), not PyTorch weights.*{ONNX_STEP}"),
    "Keras 3": (
        zipped("metadata.json", "config.json", "model.weights.h5"),
        rf"is a Keras file \(.keras\).*{ONNX_STEP}",
    ),
    "HDF5": (hdf5, "is an HDF5 file.*h5py"),
    "SavedModel": (
        field(1, 1) + field(2, field(1, field(4, "1.2")) + field(2, TENSORFLOW_NODE)),
        "is a SavedModel of Te",
    ),
    "SavedModel, zipped": (
        zipped("m/saved_model.pb", "m/variables/variables.index"),
        "holds a SavedModel of TensorFlow",
    ),
    "frozen graph": (
        field(1, TENSORFLOW_NODE) * 3 + field(4, field(1, 24)),
        "is a frozen graph of TensorFlow.*--graphdef",
    ),
    "TensorFlow checkpoint": (
        bytes(range(256)) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb",
        "index of a TensorFlow checkpoint",
    ),
    "list of checkpoints": (b'model_checkpoint_path: "model.ckpt-3"\n', "is the list of a TensorFlow checkpoint"),
    "TensorFlow Lite": (b"\x1c\0\0\0TFL3" + bytes(99), "is a TensorFlow Lite model.*--tflite"),
    "Caffe": (field(1, "LeNet") + field(100, field(1, "conv1") + field(7, bytes(99))), "is a Caffe model"),
    "Caffe before 2014": (field(1, "VGG") + field(2, field(4, "conv1") + field(6, bytes(9_000))), "is a Caffe model"),
    "Caffe prototxt": (b'name: "LeNet"\nlayer {\n  name: "data"\n  type: "Input"\n}\n', "is a Caffe prototxt"),
    "Core ML": (field(1, 4) + field(2, field(1, "x")) + field(500, bytes(99)), "is a Core ML model"),
    "Core ML package": (zipped("Manifest.json", "Data/com.apple.CoreML/model.mlmodel"), "is a Core ML model"),
    "OpenVINO": (b'<?xml version="1.0"?>\n<net name="a" version="11">\n<layers>', "describes a network of OpenVINO"),
    "MATLAB 5": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\1IM" + bytes(99), "MATLAB file. .*scipy"),
    "MATLAB 7.3": (b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n", "MATLAB file .*h5py"),
    "Torch 7": (
        struct.pack("<3i", 4, 1, 3) + b"V 1" + struct.pack("<i", 13) + b"nn.Sequential",
        "is a file of Torch 7",
    ),
    "Torch 7, a table": (struct.pack("<5i", 3, 1, 2, 2, 7) + b"weights" + bytes(99), "is a file of Torch 7"),
    "Torch 7 as text": (b"4\n1\n3\nV 1\n13\nnn.Sequential\n3\n2\n", "is a file of Torch 7"),
    "scikit-learn": (global_of("sklearn.ensemble._forest.RandomForestClassifier"), "is a model of scikit-learn"),
    "a pickle": (pickle.dumps({"a": np.ones(3)}), "is a pickled Python object, .*torch.save"),
    "a pickle of tensors": (pickle.dumps({"a": torch.ones(3)}), "pickled Python object with parts of torch"),
    "PaddlePaddle": (
        pickle.dumps({"StructuredToParameterName@@": {}, "a": np.ones(3)}, 2),
        "PaddlePaddle.*paddle2onnx",
    ),
    "MXNet": (struct.pack("<3Q", 0x112, 0, 1) + bytes(99), "is a file of MXNet's parameters"),
    "GGUF": (b"GGUF\3\0\0\0" + bytes(99), "is a GGUF file of a language model"),
    "Darknet": (struct.pack("<5i", 0, 2, 5, 3201, 0) + bytes(range(256)), "looks like weights of Darknet"),
    "TorchScript": (torchscript, r"TorchScript archive, .*torch\.save\(torch\.jit\.load\('given'\)\.state_dict\(\), "),
    "torch.export": (exported, r"is an exported program .*torch\.export\.load"),
    "torch.package": (zipped("p/.data/extern_modules", "p/model/model.pkl"), "is a package of torch.package"),
    "JPEG": (bad.jpeg(), "is a JPEG image"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(99), "is a PNG image"),
    "GIF": (b"GIF89a" + bytes(99), "is a GIF image"),
    "WebP": (b"RIFF\0\0\0\0WEBPVP8 " + bytes(99), "is a WebP image"),
    "BMP": (b"BM" + struct.pack("<IHHII", 99, 0, 0, 54, 40) + bytes(99), "is a BMP image"),
    "film": (b"\0\0\0\x18ftypmp42" + bytes(99), "is a film"),
    "Office": (zipped("[Content_Types].xml", "word/document.xml"), "is an Office document"),
    "7-Zip": (b"7z\xbc\xaf\x27\x1c" + bytes(99), "is packed with 7-Zip. Unpack it first"),
    "RAR": (b"Rar!\x1a\x07\x00" + bytes(99), "is packed with RAR. Unpack it first"),
    "web page": (b"\n<!DOCTYPE html><html>404 not found</html>", r"web page of a download \(HTML\)"),
    "error of a download": (b"Not Found", "is a text file, not weights"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a Git LFS pointer.*git lfs pull"),
    "list of shards": (json.dumps({"metadata": {}, "weight_map": {"a": "b"}}).encode(), "list of a model's shards"),
    "notebook": (b'{\n "cells": [\n  {', "is a Jupyter notebook"),
    "program": (b'"""A network."""\nimport torch\n', "is a Python program.*--plugin"),
    "table": (b"0.1,0.2\n3,4\n", "is a table of numbers"),
    "text of Windows": ("für alle Fälle\r\n".encode("cp1252") * 400, "is a text file"),
    "text in UTF-16": ("hello".encode("utf-16"), "is a text file"),
    "text of two bytes a letter": ("ü".encode() * 4099, "is a text file"),
    "numbers alone": (
        np.linspace(-1, 1, 999, dtype="f4").tobytes(),
        "neither a torch nor a safetensors .* begins with 00 00",
    ),
    "zeros": (bytes(999), "neither a torch nor a safetensors"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["", ".pth", ".onnx"])
@pytest.mark.parametrize("kind", FILES)
def test_a_file_is_named_as_what_it_is_whatever_its_suffix(tmp_path, kind, suffix):
    made, says = FILES[kind]
    path = tmp_path / f"given{suffix}"
    path.write_bytes(made) if isinstance(made, bytes) else made(path)
    with pytest.raises(BadCheckpoint) as caught:
        read_weights(path)
    text = str(caught.value)
    assert text.startswith(f"{path.name} ") and "damaged" not in text
    assert re.search(says.replace("'given'", f"'{path.name}'"), text, re.DOTALL), text
    if b"\0" in path.read_bytes() and "UTF-16" not in kind:
        assert " text" not in text


def test_random_bytes_are_never_called_anything_that_they_are_not(tmp_path):
    noise, known = np.random.default_rng(0), 0
    for _ in range(300):
        path = tmp_path / "given"
        path.write_bytes(noise.bytes(int(noise.integers(1, 3000))))
        with pytest.raises(BadCheckpoint) as caught:
            read_weights(path)
        known += "neither a torch nor a safetensors" not in str(caught.value)
    assert known <= 15  # a byte or two that begin like another kind


def test_varints_of_the_helper_are_those_of_the_specification():
    assert varint(150) == b"\x96\x01" and varint(1) == b"\x01" and len(varint(-1)) == 10
