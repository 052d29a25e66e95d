"""What a network returns: its scores, whether they are probabilities already, and the softmax of those that are not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

SOFTMAX, LOG_SOFTMAX, SIGMOID, LOG_SIGMOID = "softmax", "log-softmax", "sigmoid", "log-sigmoid"
SCORES = ("logits", "out", "output", "scores", "predictions")  # keys or fields that hold the scores, likeliest first
_FUNCTIONS = {"Softmax": SOFTMAX, "LogSoftmax": LOG_SOFTMAX, "Sigmoid": SIGMOID, "LogSigmoid": LOG_SIGMOID}
_OF_OTHERS = {("Exp", LOG_SOFTMAX): SOFTMAX, ("Log", SOFTMAX): LOG_SOFTMAX}
_OF_OTHERS |= {("Exp", LOG_SIGMOID): SIGMOID, ("Log", SIGMOID): LOG_SIGMOID}
_SHAPING = frozenset(  # nodes of a graph of autograd that move values and do not change them
    "View UnsafeView ReshapeAlias Squeeze Unsqueeze Clone Alias Permute Transpose T Select Slice AsStrided ToCopy "
    "Expand Unfold Index CopySlices Detach Flatten".split()
)
_DEEPEST = 4  # levels of nested outputs that are looked through
_ROUNDING = 1e-4  # of the sum of probabilities


def walk_tensors(output: Any, depth: int = _DEEPEST) -> Iterator[Tensor]:
    """The tensors of what a module returned, in order: itself, or those in tuples, lists, dicts and the fields of
    objects, nested too. Numbers as tensors are among them."""
    from torch import Tensor

    if isinstance(output, Tensor):
        yield output
    elif depth:
        for part in _list_parts(output):
            yield from walk_tensors(part, depth - 1)


def _list_parts(output: Any) -> list[Any]:
    if isinstance(output, Mapping):
        return list(output.values())
    if isinstance(output, tuple | list):
        return list(output)
    if is_dataclass(output) and not isinstance(output, type):
        return [getattr(output, each.name, None) for each in fields(output)]
    if isinstance(output, str | bytes | int | float | complex | None) or isinstance(output, type):
        return []
    return list(getattr(output, "__dict__", {}).values())


def find_scores(output: Any, images: int) -> Tensor:
    """(N, classes) scores in what a network returned for N `images`: what is called `logits`, `out`, `output`,
    `scores` or `predictions` in a dict or object, else the first tensor that is more than a number.

    One score an image may come as (N,), and the scores of one image as (classes,). Raises BadInput if there is
    nothing of the kind, or if the scores are complex numbers."""
    found = next((tensor for tensor in walk_tensors(_find_named(output)) if tensor.ndim or images == 1), None)
    if found is None:
        raise BadInput(f"The network returned {describe_output(output)}; expected scores of shape (N, classes).")
    if found.is_complex():
        raise BadInput(
            "The network returned complex numbers; expected real scores. Return their magnitude, e.g. .abs()."
        )
    if found.ndim < 2:
        found = found.reshape(images, -1) if found.numel() % images == 0 else found[None]
    return found.flatten(1)


def _find_named(output: Any) -> Any:
    """The part of an output that is named as scores are, else the output itself."""
    for key in SCORES:
        value = output.get(key) if isinstance(output, Mapping) else None
        if not isinstance(output, Mapping | tuple | list) or hasattr(output, "_fields"):
            value = getattr(output, key, None)
        if next(walk_tensors(value), None) is not None:
            return value
    return output


def describe_output(output: Any) -> str:
    """What a module returned, in a few words, e.g. "tuple of NoneType, str"."""
    parts = ", ".join(type(part).__name__ for part in _list_parts(output)[:4])
    return type(output).__name__ + (f" of {parts}" if parts else "")


def find_ending(scores: Tensor) -> str:
    """The function that a network ends in: "softmax", "log-softmax", "sigmoid", "log-sigmoid", or "" for another.

    `scores`: (N, classes), with their graph of autograd where they have one: the last function that computed them
    counts, however it was written. Rows that are no probabilities are taken for scores whatever their function is, and
    rows that are, to rounding, for a softmax also where the network wrote it out itself."""
    import torch

    name, values = _read_graph(scores.grad_fn), scores.detach().float()
    if name in (SIGMOID, LOG_SIGMOID):
        return name
    sums = values.sum(1)
    if values.shape[1] > 1 and bool((values >= 0).all()) and bool(((sums - 1).abs() < _ROUNDING).all()):
        return SOFTMAX
    if name == LOG_SOFTMAX and bool((torch.logsumexp(values, 1).abs() < _ROUNDING).all()):
        return LOG_SOFTMAX
    return ""


def _read_graph(node: Any) -> str:
    """The ending that a graph of autograd tells, "" for another."""
    outer = ""
    while node is not None:
        kind = re.sub(r"Backward\d*$", "", type(node).__name__.replace("SafeSoftmax", "Softmax"))
        if kind in _FUNCTIONS:
            return _OF_OTHERS.get((outer, _FUNCTIONS[kind]), "") if outer else _FUNCTIONS[kind]
        if kind in ("Exp", "Log") and not outer:
            outer = kind
        elif kind not in _SHAPING:
            return ""
        node = next((parent for parent, _ in node.next_functions if parent is not None), None)
    return ""


def to_logits(scores: Tensor, ending: str) -> Tensor:
    """(N, classes) logits, float32 or wider, of the scores of a network that ends in `ending`: what the softmax, or for
    each output the logistic function, turns back into its answers.

    Of a softmax its logarithm, of a sigmoid log(p / (1 − p)); probabilities that were rounded to 0 or 1 stay finite."""
    import torch

    scores = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
    if ending in ("", LOG_SOFTMAX):
        return scores
    if ending == LOG_SIGMOID:
        scores = scores.exp()
    limits = torch.finfo(scores.dtype)
    log = scores.clamp_min(limits.tiny).log()
    return log if ending == SOFTMAX else log - (1 - scores).clamp_min(limits.eps / 2).log()


def probabilities(logits: np.ndarray, ending: str = "") -> np.ndarray:
    """Softmax over the last axis, float64; the logistic function of a single logit, as it is trained with, and of each
    logit of a network that ends in a sigmoid, whose outputs are answers of their own: they need not sum to 1."""
    scores = logits.astype(np.float64)
    if scores.shape[-1] == 1 or ending in (SIGMOID, LOG_SIGMOID):
        return np.exp(-np.logaddexp(0.0, -scores))
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return scores / scores.sum(axis=-1, keepdims=True)


def decided(shares: np.ndarray) -> np.ndarray:
    """The most probable class along the last axis of `probabilities`; of a single output 1, yes, from a half on, else
    0, no: its only class would always win."""
    return (shares[..., 0] >= 0.5).astype(np.int64) if shares.shape[-1] == 1 else shares.argmax(axis=-1)
