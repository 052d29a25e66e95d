"""Bad weights files of every kind: each maker writes one, hostile ones would touch a canary if they ran."""

import functools
import io
import json
import os
import pickle
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from weightfiles import filled, forged, rewrite_zip

Maker = Callable[[Path, Path], None]  # (file to write, canary that code in it would make)


class Runs:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def shell(canary: Path) -> Runs:
    return Runs(os.system, f"touch {canary}")


def evaluates(canary: Path) -> Runs:
    return Runs(eval, f"open({str(canary)!r}, 'w').close()")


def imports(canary: Path) -> Runs:
    return Runs(functools.partial, Runs(os.mkdir, str(canary)))


def object_array(canary: Path) -> np.ndarray:
    return np.array([shell(canary), None], dtype=object)


def hidden(gadget: Callable[[Path], object], zipped: bool) -> Maker:
    """Good weights, and the gadget among what lies beside them."""

    def make(path: Path, canary: Path) -> None:
        content = {"state_dict": filled("lenet5").state_dict(), "callbacks": [gadget(canary)]}
        torch.save(content, path, _use_new_zipfile_serialization=zipped)

    return make


def starts(canary: Path) -> Runs:
    return Runs(subprocess.Popen, ["touch", str(canary)])


def opens(canary: Path) -> Runs:
    return Runs(torch.load, str(canary))


def names(_canary: Path) -> object:
    return functools.partial(os.system, "true")


def in_module(gadget: Callable[[Path], object], zipped: bool) -> Maker:
    """A whole network, one of whose settings is the gadget."""

    def make(path: Path, canary: Path) -> None:
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        net.callback = gadget(canary)
        torch.save(net, path, _use_new_zipfile_serialization=zipped)

    return make


def text_opcode(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


MODULE = b"cmine\nNet\n)\x81"  # pickle's instructions for an object of mine.Net
FIELDS = b"}(" + text_opcode("_parameters") + b"}" + text_opcode("_modules")  # the beginning of a module's state


def called_method() -> bytes:
    """getattr(module, "forward")(), where the class of the module could be any."""
    state = MODULE + FIELDS + b"}ub"
    return b"\x80\x02" + b"cbuiltins\ngetattr\n" + state + text_opcode("forward") + b"\x86R)R."


def many_objects() -> bytes:
    return b"\x80\x02cmine\nNet\nq\x010(" + b"h\x01)\x81" * 300_000 + b"l."


def many_texts() -> bytes:
    """Four megabytes of text that are encoded 300,000 times."""
    start = b"\x80\x02c_codecs\nencode\nq\x010" + text_opcode("a" * 4_000_000) + b"q\x020("
    return start + b"h\x01h\x02\x85R" * 300_000 + b"l."


def endless_modules() -> bytes:
    return b"\x80\x02" + MODULE + b"q\x01" + FIELDS + b"}" + text_opcode("a") + b"h\x01sub."


def doubled_modules(levels: int = 40) -> bytes:
    """Each level has the one below it twice: 2⁴⁰ names in 4 KB."""
    content = b"\x80\x02Nq\x050"
    for _ in range(levels):
        content += MODULE + FIELDS + b"}(" + text_opcode("a") + b"h\x05" + text_opcode("b") + b"h\x05uubq\x050"
    return content + b"h\x05."


def bare_pickle(protocol: int) -> Maker:
    return lambda path, canary: path.write_bytes(pickle.dumps({"w": shell(canary)}, protocol))


def as_bytes(content: bytes) -> Maker:
    return lambda path, _canary: path.write_bytes(content)


def as_saved(content: Callable[[], object], zipped: bool = True) -> Maker:
    return lambda path, _canary: torch.save(content(), path, _use_new_zipfile_serialization=zipped)


def torchscript(path: Path, _canary: Path) -> None:
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)), path)


def truncated(form: str, share: float) -> Maker:
    def make(path: Path, _canary: Path) -> None:
        state = filled("lenet5").state_dict()
        if form == "safetensors":
            save_file(state, path)
        else:
            torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    return make


def safetensors(header: dict[str, object], data: int = 16, length: int | None = None) -> Maker:
    """A safetensors file with any header; `length` may lie about the header's size."""

    def make(path: Path, _canary: Path) -> None:
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + bytes(data))

    return make


def floats(start: int, end: int, count: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": [count], "data_offsets": [start, end]}


def zipped(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Maker:
    def make(path: Path, _canary: Path) -> None:
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, data in entries.items():
                archive.writestr(name, data)

    return make


def deflated(path: Path, _canary: Path) -> None:
    """20 KB that inflate to 20 MB of honest zeros."""
    torch.save({"conv.weight": torch.zeros(5_000_000)}, path)
    rewrite_zip(path, zipfile.ZIP_DEFLATED)


def forgery(**declared: object) -> Maker:
    return lambda path, _canary: forged(path, **declared)


def legacy_overdeclared(path: Path, _canary: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"w": torch.zeros(77_777)}, buffer, _use_new_zipfile_serialization=False)
    old, new = struct.pack("<i", 77_777), struct.pack("<i", 2_000_000_000)
    path.write_bytes(buffer.getvalue().replace(old, new))


def one_storage_for_all(path: Path, _canary: Path) -> None:
    """4 MB of zeros under 1,100 names: 4.6 GB of weights, each tensor honest in itself."""
    zeros = torch.zeros(2**20)
    torch.save({f"conv{i}.weight": zeros.view(64, -1) if i % 2 else zeros for i in range(1100)}, path)


def with_pickle(content: bytes) -> Maker:
    """A torch archive with a list of contents of our own."""
    return zipped({"archive/data.pkl": content, "archive/byteorder": b"little", "archive/version": b"3\n"})


def doubled_tuples(times: int = 60) -> bytes:
    """A dict whose key is a tuple of a tuple twice, and so on: 2⁶⁰ steps to hash it, in 200 bytes."""
    return b"\x80\x02}(X\x01\x00\x00\x00a" + b"2\x86" * times + b"K\x01u."


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 60)).save(buffer, "JPEG")
    return buffer.getvalue()


def changed(name: str = "resnet20_cifar", **tensors: torch.Tensor) -> dict[str, torch.Tensor]:
    """A network's tensors, some replaced; "__" in a name stands for a dot."""
    return filled(name).state_dict() | {key.replace("__", "."): value for key, value in tensors.items()}


def widened() -> dict[str, torch.Tensor]:
    """ResNet-20 whose last stage has 5×5 filters: six tensors of a wrong shape."""
    state = filled("resnet20_cifar").state_dict()
    return {
        key: torch.ones(*value.shape[:2], 5, 5) if key.startswith("layer3") and value.ndim == 4 else value
        for key, value in state.items()
    }


def optimizer() -> dict[str, object]:
    net = nn.Linear(3, 2)
    descent = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    net(torch.ones(1, 3)).sum().backward()
    descent.step()
    return descent.state_dict()


def quantized() -> torch.Tensor:
    return torch.quantize_per_tensor(torch.ones(6, 1, 5, 5), 0.1, 0, torch.qint8)
