"""Prefixes of tensor names that wrappers add ("module.", "model."), and entries that are no weights: strip them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

PREFIXES = ("module.", "model.", "_orig_mod.", "net.")
BOOKKEEPING = ("num_batches_tracked", "n_averaged", "total_ops", "total_params")  # counters, no weights
# what a module of Lightning holds beside its network: losses, metrics, class weights, averaged copies; MoCo's queue
TRAINING = re.compile(
    r"^(criterion|\w*loss|\w*loss_f(n|unc|unction)|\w*metrics?|(train|val|valid|test)_(acc|accuracy|f1)\w*"
    r"|ema|ema_model|model_ema|teacher)\.|^(class_weights?|pos_weight|queue|queue_ptr)$"
)
# wrappers that torch puts into the middle of names, too: torch.compile, FSDP, activation checkpointing
_INSIDE = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
AVERAGE = re.compile(r"(^|_)(k|key|teacher|target|momentum|ema|averaged?)(_|$)")  # part of a name
LEAST = 4  # tensors of a copy
T = TypeVar("T")


def is_bookkeeping(key: str) -> bool:
    """True for counters that travel with weights and change no output."""
    return key.rpartition(".")[2] in BOOKKEEPING


def strip_prefixes(tensors: Mapping[str, T]) -> dict[str, T]:
    """Remove PREFIXES, repeatedly, as long as all keys but counters and parts of a training share one."""
    whole = {_INSIDE.sub("", key): value for key, value in tensors.items()}
    known = whole if len(whole) == len(tensors) else dict(tensors)
    return _strip(known, lambda first: first in PREFIXES)


def strip_shared(tensors: Mapping[str, T]) -> dict[str, T]:
    """As `strip_prefixes`, for first parts of any name."""
    return _strip(tensors, lambda _first: True)


def drop_average(tensors: Mapping[str, T], warnings: list[str]) -> dict[str, T]:
    """Without the slowly moving copy that self-supervised training keeps beside the network it trains: MoCo's
    encoder_k, BYOL's target_network, DINO's teacher. It has no names and shapes that the other has not."""
    parts: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, value in tensors.items():
        first, dot, rest = key.partition(".")
        if dot:
            parts.setdefault(first, {})[rest] = tuple(getattr(value, "shape", ()))
    found = dict(tensors)
    for name, own in parts.items():
        others = [other for other, theirs in parts.items() if other != name and own.items() <= theirs.items()]
        if len(own) >= LEAST and AVERAGE.search(name) and others and not AVERAGE.search(others[0]):
            found = {key: value for key, value in found.items() if not key.startswith(name + ".")}
            warnings.append(f"The file holds {others[0]!r} and {name!r}, an average of it; {others[0]!r} was taken.")
    return found


def align_names(tensors: Mapping[str, T], ours: Iterable[str]) -> dict[str, T]:
    """`tensors` under the network's names `ours`, where the names differ in their first parts alone.

    "backbone.conv1.weight" becomes "conv1.weight", also beside a head that is called "fc.weight" or
    "head.weight"; "0.weight" becomes "features.0.weight" for a network whose every name begins so.
    Unchanged where that makes no more names equal."""
    wanted = dict.fromkeys(ours)
    first = next(iter(wanted), "")
    before = first.removesuffix(next(iter(strip_shared(wanted)), ""))  # what all names of the network share
    bare = strip_shared(tensors).items()
    full = {key if TRAINING.match(key) else before + key: value for key, value in bare}
    readings = (dict(tensors), full, _drop_commonest(tensors))
    return max(readings, key=lambda names: len(names.keys() & wanted.keys()))


def _drop_commonest(tensors: Mapping[str, T]) -> dict[str, T]:
    """Without the first part that most keys share: a network that was made the backbone of another."""
    first, count = Counter(key[: key.find(".") + 1] for key in tensors).most_common(1)[0] if tensors else ("", 0)
    bare = {key.removeprefix(first): value for key, value in tensors.items()}
    return bare if 2 * count > len(tensors) == len(bare) else dict(tensors)


def _strip(tensors: Mapping[str, T], may_go: Callable[[str], bool]) -> dict[str, T]:
    found = dict(tensors)
    while True:
        named = [key for key in found if not is_bookkeeping(key)]
        weights = [key for key in named if not TRAINING.match(key)] or named
        firsts = {key[: key.find(".") + 1] for key in weights}  # "" for a key without a dot
        shared = firsts.pop() if len(firsts) == 1 else ""
        if not shared or not may_go(shared):
            return found
        if len({key.removeprefix(shared) for key in named}) < len(named):  # a part of the training bears the name
            return found  # of one of the network
        found = {key.removeprefix(shared): value for key, value in found.items()}
