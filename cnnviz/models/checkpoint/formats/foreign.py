"""Say what a file is that holds no PyTorch weights, by its contents, and the next step that is true for it.

Sources of the signatures: the formats' own specifications, e.g. HDF5's superblock, MAT-file level 5, TFLite's file
identifier, MXNet's NDArray list, and the field numbers of ONNX, Caffe, TensorFlow and Core ML messages."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from cnnviz.models.checkpoint.archive import AGAIN, INSTEAD
from cnnviz.models.checkpoint.formats.protobuf import Value, fields
from cnnviz.models.checkpoint.pickled import list_names

_TO_ONNX = "Convert it to ONNX ({}) and give the .onnx file."
TO_ONNX_KERAS = _TO_ONNX.format("in Keras 3, model.export('model.onnx', format='onnx'); before, the package tf2onnx")
_TO_ONNX_TF = _TO_ONNX.format("with the package tf2onnx")
_UNPACK = "Unpack it first, and give the weights file inside."
_STARTS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the weights. Run `git lfs pull`, or download the file."),
    (b"MATLAB 5.0 MAT-file", "is a MATLAB file. In Python, scipy.io.loadmat reads it: {save}"),
    (b"MATLAB 7.3 MAT-file", "is a MATLAB file (version 7.3, HDF5). In Python, h5py reads it: {save}"),
    (b"\x12\x01\0\0\0\0\0\0", "is a file of MXNet's parameters. " + _TO_ONNX.format("mxnet.onnx.export_model")),
    (b"GGUF", "is a GGUF file of a language model, not a PyTorch state_dict."),
    (b"ggml", "is a GGML file of a language model, not a PyTorch state_dict."),
    (b"\x93NUMPY", "is a single NumPy array, without a name. Save all of them by name: numpy.savez('weights.npz', …)."),
    (b"\xff\xd8\xff", "is a JPEG image, not weights."),
    (b"\x89PNG", "is a PNG image, not weights."),
    (b"GIF8", "is a GIF image, not weights."),
    (b"II*\0", "is a TIFF image, not weights."),
    (b"MM\0*", "is a TIFF image, not weights."),
    (b"RIFF", "is a WebP image, a sound or a film (RIFF), not weights."),
    (b"%PDF", "is a PDF document, not weights."),
    (b"7z\xbc\xaf\x27\x1c", "is packed with 7-Zip. " + _UNPACK),
    (b"Rar!", "is packed with RAR. " + _UNPACK),
    (b"\x28\xb5\x2f\xfd", "is packed with Zstandard. " + _UNPACK),
    (b"\x7fELF", "is a program (ELF), not weights."),
    (b"MZ", "is a Windows program, not weights."),
    (b"SQLite format 3", "is an SQLite database, not weights."),
    (b"PAR1", "is a Parquet table, not weights."),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old Office document, not weights."),
    (b"\x0a\x0d\x0d\x0a", "is a network capture, not weights."),
)  # first bytes and what they are
_SAVE = "save the arrays under the names of a state_dict with numpy.savez('weights.npz', **arrays)."
_TEXTS = (
    (
        r"\s*<(!doctype html|html|head|body)",
        "is a text file, the web page of a download (HTML). " + "Download the weights themselves.",
    ),
    (
        r"(\s*<\?xml[^>]*>)?\s*<net\b",
        "describes a network of OpenVINO (its .xml), whose numbers are in the .bin beside it. "
        "Give the network that it was converted from: PyTorch's, or the ONNX file.",
    ),
    (r"\s*(<\?xml|<svg)", "is a text file (XML), not weights. Download the weights themselves."),
    (r"model_checkpoint_path:", "is the list of a TensorFlow checkpoint (text), not weights. " + _TO_ONNX_TF),
    (
        r"(?s).{0,3000}?\blayers?\s*\{",
        "is a Caffe prototxt, the text that describes a network; its numbers are in the "
        ".caffemodel. " + _TO_ONNX.format("with caffe2onnx or MMdnn"),
    ),
    (r"\s*#?.{0,200}\[net\]", "is Darknet's description of a network (text); its numbers are in the .weights file."),
    (
        r"(?s)\s*\{.*\"weight_map\"",
        "is the list of a model's shards (text), not weights. Give the folder that it lies in.",
    ),
    (r"(?s)\s*\{.*\"nbformat\"|(?s:\s*\{\s*\"cells\")", "is a Jupyter notebook (text), not weights."),
    (
        r"(?s)(.*\n)?(import|from) [\w.]+",
        "is a Python program (text), not weights. A network's class is registered as a "
        "plugin: CNNVIZ_PLUGINS=FILE.py, or --plugin FILE.py.",
    ),
    (r"[\d.,;eE+\-\s]+$", "is a table of numbers (text), not weights by name."),
)  # how a text begins
_KERAS = (b"keras_version", b"model_weights", b"layer_names", b"keras.src", b"_layer_checkpoint_dependencies")
# pickle's oldest form is readable text: a function's module and name, or a marked dict or list
_PICKLE_TEXT = re.compile(rb"[(\]})]*c[\w.]+\n[\w.]+\n(p\d+\n|\()|\([dl]p?\d*\n")
# Torch 7's objects: type 3 (table) or 4 (object), number 1; a version and class, or a table's size and first key; as
# bytes or as text
_TORCH7 = re.compile(
    rb"\x04\0\0\0\x01\0\0\0.\0\0\0(V \d|torch\.|nn\.)|\x03\0\0\0\x01\0\0\0.{3}\0[\x01\x02]\0\0\0"
    rb"|4\n1\n\d+\n(V \d|torch|nn)|3\n1\n\d+\n[12]\n",
    re.DOTALL,
)
_LEVELDB = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"  # how the tables of TensorFlow's checkpoints end
_SEARCHED = 2**22  # bytes


def describe_file(path: Path, head: bytes) -> str:
    """What a file is that begins with `head`, 4,096 bytes, and is of no kind that is read, and what to do."""
    if head[257:262] == b"ustar" or len(head) < 20 and (b"PK\x03\x04".startswith(head) or head[:1] == b"\x80"):
        return f"is cut short. {AGAIN}"
    for magic, words in _STARTS:
        if head.startswith(magic):
            return words.format(save=_SAVE) if "{save}" in words else words
    if head.startswith(b"\x89HDF"):
        return _describe_hdf5(_read_some(path))
    if head[:1] == b"\x80" and head[1] in (2, 3, 4, 5) or _PICKLE_TEXT.match(head):
        return _describe_pickle(_read_some(path))
    if head[4:8] == b"TFL3":
        return "is a TensorFlow Lite model. " + _TO_ONNX.format("python -m tf2onnx.convert --tflite FILE")
    if head[4:8] == b"ftyp":
        return "is a film or a photograph of a telephone (MP4, HEIC), not weights."
    if head.startswith(b"BM") and len(head) > 30 and head[14] in (12, 40, 108, 124):
        return "is a BMP image, not weights."
    if _read_tail(path).endswith(_LEVELDB):
        return "is the index of a TensorFlow checkpoint. " + _TO_ONNX_TF
    if _TORCH7.match(head):
        return (
            "is a file of Torch 7, the Lua program. Read its tensors with the package torchfile, or with load_lua of "
            f"torch 0.4, and {_SAVE}"
        )
    if (text := _decode(head)) is not None:
        return _describe_text(text)
    if found := _describe_message(memoryview(_read_some(path)), path.stat().st_size):
        return found
    if len(head) >= 20 and _is_darknet(head):
        return "looks like weights of Darknet (YOLO), numbers without names or shapes, which are in the .cfg beside it."
    return (
        f"is neither a torch nor a safetensors file, nor of another kind that is known here; it begins with "
        f"{head[:8].hex(' ')}. If it should be one of these, download it again."
    )


def _read_some(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_SEARCHED)


def _read_tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64))
        return file.read()


def _decode(head: bytes) -> str | None:
    """The text that a file begins with; None for anything else."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        ways = [("utf-16", head[: len(head) // 2 * 2])]
    else:
        cut = range(4 if len(head) == 4096 else 1)  # bytes of a letter that goes on
        ways = [("utf-8-sig", head[: len(head) - lost]) for lost in cut]
        if sum(byte < 0x80 for byte in head) > 0.8 * len(head):
            ways.append(("cp1252", head))
    for encoding, data in ways:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if all(letter >= " " or letter in "\t\n\r\f\x1b" for letter in text):
            return text
    return None


def _describe_text(text: str) -> str:
    for pattern, words in _TEXTS:
        if re.match(pattern, text, re.IGNORECASE):
            return words
    return "is a text file, not weights. Download the weights themselves."


def _describe_hdf5(data: bytes) -> str:
    if any(word in data for word in _KERAS):
        return f"is a Keras file (HDF5), not PyTorch weights. {TO_ONNX_KERAS}"
    return f"is an HDF5 file, and says nothing of Keras. Read it with h5py, and {_SAVE}"


def _describe_pickle(data: bytes) -> str:
    names = list_names(data)
    if any(name.startswith(("sklearn.", "joblib.", "xgboost.", "lightgbm.")) for name in names) or b"sklearn." in data:
        return "is a model of scikit-learn (a pickle, of joblib perhaps), which is no convolutional network."
    if b"StructuredToParameterName@@" in data:
        return "is a file of PaddlePaddle's parameters. " + _TO_ONNX.format("with the package paddle2onnx")
    if any(name.startswith(("torch.", "torchvision.")) for name in names):
        return (
            "is a pickled Python object with parts of torch (pickle.dump or joblib), which can run code when opened. "
            f"{INSTEAD}"
        )
    return f"is a pickled Python object, which can run code when opened. {INSTEAD}"


def _describe_message(data: memoryview, size: int) -> str | None:
    """The frameworks whose files are protocol buffers, told apart by the fields of the outermost message."""
    seen: list[tuple[int, int, Value]] = []
    try:
        for entry in fields(data):
            seen.append(entry)
            if len(seen) > 2_000:
                break
    except ValueError:
        if size <= len(data) or not seen:
            return None
    numbers = [number for number, _, _ in seen]
    wires = {number: wire for number, wire, _ in reversed(seen)}
    if not numbers:
        return None
    if numbers[0] == 1 and wires[1] == 2 and (100 in numbers or set(numbers) <= {1, 2, 3, 4, 5, 6, 8, 100}):
        name = bytes(seen[0][2]) if not isinstance(seen[0][2], int) else b""
        if (100 in numbers or 2 in numbers) and _is_name(name):
            return "is a Caffe model. " + _TO_ONNX.format("with caffe2onnx or MMdnn")
    if numbers[0] == 1 and wires[1] == 0 and 2 in numbers and any(number >= 200 for number in numbers):
        return "is a Core ML model. Give the network that it was converted from: PyTorch's, or the ONNX file."
    if numbers[0] == 1 and wires[1] == 0 and set(numbers) <= {1, 2} and wires.get(2) == 2:
        return "is a SavedModel of TensorFlow. " + _TO_ONNX.format("python -m tf2onnx.convert --saved-model FOLDER")
    if wires[numbers[0]] == 2 and set(numbers) <= {1, 2, 3, 4} and _is_node(seen[0][2]):
        return "is a frozen graph of TensorFlow. " + _TO_ONNX.format("python -m tf2onnx.convert --graphdef FILE")
    return None


def _is_name(name: bytes) -> bool:
    return len(name) < 200 and name.isascii() and name.decode().isprintable()


def _is_node(value: Value) -> bool:
    """A NodeDef of TensorFlow: name and operation as texts."""
    try:
        texts = {number: bytes(v) for number, _, v in fields(value) if not isinstance(v, int)}  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return False
    return _is_name(texts.get(1, b"\0")) and re.fullmatch(rb"[A-Z]\w+", texts.get(2, b"")) is not None


def _is_darknet(head: bytes) -> bool:
    major, minor, revision = struct.unpack("<3i", head[:12])
    return major == 0 and minor in (1, 2) and 0 <= revision < 10


def describe_zip(names: list[str]) -> str | None:
    """What a zip of files with these names is, if it is a program's own and holds no PyTorch weights."""
    bases = {name.rpartition("/")[2] for name in names}
    inner = {name.partition("/")[2] for name in names}
    if {"model.weights.h5", "config.json"} <= bases:
        return f"is a Keras file (.keras), not PyTorch weights. {TO_ONNX_KERAS}"
    if "saved_model.pb" in bases:
        return "holds a SavedModel of TensorFlow. " + _TO_ONNX.format("python -m tf2onnx.convert --saved-model FOLDER")
    if "Manifest.json" in bases and any(base.endswith(".mlmodel") for base in bases):
        return "is a Core ML model. Give the network that it was converted from: PyTorch's, or the ONNX file."
    if "[Content_Types].xml" in bases:
        return "is an Office document, not weights."
    if "META-INF/MANIFEST.MF" in names:
        return "is a Java archive, not weights."
    if ".data/extern_modules" in inner:
        return f"is a package of torch.package, which holds programs, not weights. {INSTEAD}"
    if "serialized_exported_program.json" in bases or "models/model.json" in inner:
        return (
            "is an exported program (torch.export), not weights. Where you trust it: "
            "torch.save(torch.export.load('FILE').state_dict, 'weights.pth')."
        )
    return None
