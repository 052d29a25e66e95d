"""Helpers: small weights files, honest and hostile, as several programs would write them."""

import io
import json
import pickle
import struct
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cnnviz.models.catalogue.registry import build


def filled(name: str, classes: int | None = None, seed: int = 1) -> nn.Module:
    """A network of the catalogue whose every tensor, buffers too, holds values of its own."""
    generator = torch.Generator().manual_seed(seed)
    module = build(name, classes).eval()
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.2 + 0.01)
    return module


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in state.items()}


def anonymous(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors in the same order, their layers called stage.0, stage.1, …"""
    layers: dict[str, int] = {}
    return {
        f"stage.{layers.setdefault(key.rpartition('.')[0], len(layers))}.{key.rpartition('.')[2]}": value
        for key, value in state.items()
    }


def rewrite_zip(path: Path, compression: int = zipfile.ZIP_STORED, add: dict[str, bytes] | None = None) -> None:
    """Pack a torch archive again, with another compression or with entries added."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    top = next(iter(entries)).partition("/")[0]
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in (entries | {f"{top}/{name}": data for name, data in (add or {}).items()}).items():
            archive.writestr(name, data)


class _Declared:
    """Pickles as a tensor of any size over a storage of any size, as torch.save would write it."""

    def __init__(self, size: tuple[int, ...], stride: tuple[int, ...], stored: int) -> None:
        self.parts = (size, stride, stored)

    def __reduce__(self):
        size, stride, stored = self.parts
        arguments = (_Storage(stored), 0, size, stride, False, {})
        return torch._utils._rebuild_tensor_v2, arguments


class _Storage:
    def __init__(self, count: int) -> None:
        self.count = count


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return ("storage", torch.FloatStorage, "0", "cpu", obj.count) if isinstance(obj, _Storage) else None


def forged(path: Path, size: tuple[int, ...], stride: tuple[int, ...], declared: int, held: int = 4) -> None:
    """A torch archive whose tensor and storage declare more than the `held` floats in it."""
    buffer = io.BytesIO()
    _Pickler(buffer, 2).dump({"weight": _Declared(size, stride, declared)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", buffer.getvalue())
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/data/0", struct.pack(f"<{held}f", *range(held)))
        archive.writestr("archive/version", "3\n")


@dataclass(frozen=True)
class Bare:
    """A state_dict without values of its own: every tensor is a view of one storage of zeros."""

    state: dict[str, Tensor]
    size: int  # number of parameters


@cache
def bare(name: str, classes: int | None = None) -> Bare:
    """The tensors of a network of the catalogue, as small in a file as its largest tensor in half precision."""
    with torch.device("meta"):
        module = build(name, classes)
    state = module.state_dict()
    zeros = torch.zeros(max(tensor.numel() for tensor in state.values()), dtype=torch.half)
    views = {key: zeros[: tensor.numel()].view(tensor.shape) for key, tensor in state.items()}
    return Bare(views, sum(parameter.numel() for parameter in module.parameters()))


def write_snapshot(folder: Path, architecture: str, epoch: int, module: nn.Module) -> Path:
    """Weights after `epoch` epochs as they come with cnnviz: float16, named by the epoch."""
    small = {key: value.half() if value.is_floating_point() else value for key, value in module.state_dict().items()}
    target = folder / f"epoch-{epoch:03}.safetensors"
    notes = {"architecture": architecture, "epoch": epoch}
    save_file({key: value.contiguous() for key, value in small.items()}, target, {"cnnviz": json.dumps(notes)})
    return target
