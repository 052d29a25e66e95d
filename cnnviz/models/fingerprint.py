"""Fingerprint of a network beyond its saved tensors: code, constants and options that change what it computes."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cnnviz.models.catalogue import architecture, plugins
from cnnviz.models.variants.description import find_base
from cnnviz.models.zoo import zoos

if TYPE_CHECKING:
    from torch import nn

PUBLISHED = ("torch", "torchvision", "timm", "pytorchcv", "cnnviz")  # packages whose code a name and tensors identify


def extra_bytes(module: nn.Module, name: str) -> Iterator[bytes]:
    """Bytes for the fingerprint of `module`, loaded as `name`. None for an ordinary network of the catalogue, so that
    fingerprints, and the indexes and surfaces that name them, stay what they are.

    Buffers that are not saved (the kernels of a blur-pooled copy); a true `transform_input` (GoogLeNet and Inception
    rescale their input); the file of a plugin, as it was run; of a network that no catalogue has, what PyTorch prints
    of it; and the source of every class that is the user's own, where Python finds it, as it does in a notebook."""
    yield from _unsaved(module)
    if getattr(module, "transform_input", False):
        yield b"transform_input"
    yield from _code(module, name)


def hash_tensors(module: nn.Module) -> str:
    """sha256, hex, of every saved tensor with its name: the same for one file however its images are prepared."""
    digest = hashlib.sha256()
    for key, tensor in module.state_dict().items():
        for part in tensor_bytes(key, tensor):
            digest.update(part)
    return digest.hexdigest()


def tensor_bytes(key: str, tensor: Any) -> Iterator[Any]:
    """Bytes of an entry of a state_dict: its name, shape and type, and its values. Quantised layers save packed values
    and types beside tensors."""
    import torch

    if not isinstance(tensor, torch.Tensor):
        parts = tensor if isinstance(tensor, tuple | list) else ()
        yield f"{key}{type(tensor).__name__}{'' if parts else tensor}".encode()
        for index, part in enumerate(parts):
            yield from tensor_bytes(f"{key}.{index}", part)
        return
    yield f"{key}{tuple(tensor.shape)}{tensor.dtype}".encode()
    values = tensor.detach().cpu()
    if values.is_quantized:
        yield str(values.qscheme()).encode()
        values = values.int_repr()
    values = values.contiguous()
    yield (values.view(-1).view(torch.uint8) if values.dtype is torch.bfloat16 else values).numpy().data


def _unsaved(module: nn.Module) -> Iterator[bytes]:
    saved = module.state_dict().keys()
    for key, buffer in module.named_buffers(remove_duplicate=False):
        if key not in saved:
            yield from tensor_bytes(key, buffer)


def _code(module: nn.Module, name: str) -> Iterator[bytes]:
    if find_base(name) not in architecture.published() and not zoos.is_prefixed(find_base(name)):
        yield re.sub(r" at 0x[0-9a-fA-F]+", "", repr(module)).encode()  # of a function, its place in memory
    if digest := plugins.find_digest(find_base(name)):
        yield digest.encode()
    own = {type(child) for child in module.modules() if _is_own(type(child))}
    for source in sorted(_source(kind) for kind in own):
        yield source.encode()


def _is_own(kind: type) -> bool:
    package = kind.__module__.split(".")[0]
    return package not in PUBLISHED and not package.startswith("cnnviz_plugin_")  # of a plugin the file counts


def _source(kind: type) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):  # typed at the prompt
        return ""
