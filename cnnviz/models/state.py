"""Telling whether a network has been changed since something was found out about it, and a cache that asks that."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from torch import Tensor, nn

Found = TypeVar("Found")
_WHOLE, _SAMPLE = 1 << 16, 1 << 14  # elements up to which a tensor is read whole; those read of a larger one
_IGNORED = frozenset(("training", "_parameters", "_buffers", "_modules"))
_PLAIN = frozenset((bool, int, float, str))
_NO_SETTING = frozenset((dict, OrderedDict, set, type(None)))  # of which a module has a dozen, its hooks among them


class NetworkCache(Generic[Found]):
    """What was found out about networks, by network and key; forgotten when the network goes or is changed.

    What a network changes about itself while something is found out, such as a count of its passes, is no change."""

    def __init__(self) -> None:
        self._found: WeakKeyDictionary[nn.Module, tuple[int, dict[Hashable, Found]]] = WeakKeyDictionary()
        self._own: WeakKeyDictionary[nn.Module, frozenset[Hashable]] = WeakKeyDictionary()

    def get(self, module: nn.Module, find: Callable[[], Found], key: Hashable = None) -> Found:
        """What `find()` returned for the network as it is, called if that is not known yet."""
        token = structure_token(module, self._own.get(module, frozenset()))
        known = self._found.get(module)
        if known is None or known[0] != token:
            known = self._found[module] = (token, {})
        if key not in known[1]:
            before = dict(_describe_structure(module))
            found = find()
            after = dict(_describe_structure(module))
            changed = {name for name in after if before.get(name) != after[name]}
            if changed:
                self._own[module] = self._own.get(module, frozenset()) | changed
                known = self._found[module] = (structure_token(module, self._own[module]), known[1])
            known[1][key] = found
        return known[1][key]


def structure_token(module: nn.Module, ignored: frozenset[Hashable] = frozenset()) -> int:
    """A number that changes when a sub-module is put in, taken out or set otherwise, or when a tensor is replaced or
    written to other than through `.data`. It tells nothing beyond this process. Takes microseconds a layer."""
    return hash(tuple(hash(entry) for entry in _describe_structure(module) if entry[0] not in ignored))


def state_token(module: nn.Module) -> tuple[int, int]:
    """`structure_token`, and a checksum of the tensors, of which the large ones are sampled: so it also changes with
    what PyTorch does not count, writing through `.data`."""
    checksum = 0
    for tensor in _list_tensors(module):
        for values in _sample(tensor):
            checksum = zlib.crc32(values.cpu().contiguous().numpy().data, checksum)
    return structure_token(module), checksum


def _describe_structure(module: nn.Module) -> Iterator[tuple[Hashable, Hashable]]:
    """What a network consists of, as (name, value)."""
    for name, child in module.named_modules(remove_duplicate=False):
        yield name, (id(child), type(child))
        for key, value in vars(child).items():
            kind = type(value)
            if kind in _NO_SETTING or key in _IGNORED or key.endswith("_hooks"):
                continue
            plain = (kind, value) if kind in _PLAIN else _as_plain(value)
            if plain is not None:
                yield (name, key), plain
        for tensor in (*child._parameters.values(), *child._buffers.values()):
            if tensor is not None:
                yield id(tensor), (tuple(tensor.shape), tensor.dtype, _read_version(tensor))


def _as_plain(value: Any) -> Hashable:
    """A setting of a module, as something that can be compared; None for what is no setting."""
    if isinstance(value, bool | int | float | str):
        return type(value), value
    if isinstance(value, tuple | list) and all(isinstance(one, bool | int | float | str) for one in value):
        return tuple(value)
    return id(value) if callable(value) and not isinstance(value, type) else None


def _list_tensors(module: nn.Module) -> Iterator[Tensor]:
    for child in module.modules():
        for tensor in (*child._parameters.values(), *child._buffers.values()):
            if tensor is not None:
                yield tensor


def _read_version(tensor: Tensor) -> tuple[int, int]:
    if tensor.is_meta or tensor.is_quantized or _is_lazy(tensor):
        return 0, 0
    return tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version


def _is_lazy(tensor: Tensor) -> bool:
    import torch

    return type(tensor) not in (torch.Tensor, torch.nn.Parameter) and torch.nn.parameter.is_lazy(tensor)


def _sample(tensor: Tensor) -> Iterator[Tensor]:
    """Flat values of a tensor as integers of their bits: all, or some that are spread evenly."""
    import torch

    if tensor.is_meta or _is_lazy(tensor) or not tensor.numel():
        return
    tensor = tensor.detach()
    tensor = tensor.int_repr() if tensor.is_quantized else tensor
    count = tensor.numel()
    step = 1 if count <= _WHOLE else count // _SAMPLE
    dense = tensor.untyped_storage().nbytes() >= (tensor.storage_offset() + count) * tensor.element_size()
    if tensor.is_sparse or not dense:
        tensor = tensor.to_dense().contiguous()
    flat = torch.as_strided(tensor, (count // step,), (step,), tensor.storage_offset())
    yield flat.clone().view(torch.uint8)


def settle(module: nn.Module) -> None:
    """Cut tensors that a pass has left in attributes of modules off its graph, and make ordinary ones of those of
    inference mode: else the graph stays in memory, the network cannot be copied, and the next gradient fails."""
    import torch

    with torch.inference_mode(False):
        for child in module.modules():
            for key, value in list(vars(child).items()):
                if key not in _IGNORED and not key.startswith("_forward") and (kept := _settled(value)) is not value:
                    vars(child)[key] = kept
            for key, buffer in child._buffers.items():
                child._buffers[key] = _settled(buffer)


def _settled(value: Any, depth: int = 3) -> Any:
    """`value` with the tensors in it, lists, tuples and dicts included, cut off; itself if there are none to cut."""
    import torch

    if isinstance(value, torch.Tensor):
        if isinstance(value, torch.nn.Parameter) or (value.grad_fn is None and not value.is_inference()):
            return value
        return value.clone().detach() if value.is_inference() else value.detach()
    if not depth or type(value) not in (list, tuple, dict):
        return value
    parts = list(value.values() if isinstance(value, dict) else value)
    kept = [_settled(part, depth - 1) for part in parts]
    if all(new is old for new, old in zip(kept, parts, strict=True)):
        return value
    return dict(zip(value, kept, strict=True)) if isinstance(value, dict) else type(value)(kept)
