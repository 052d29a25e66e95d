"""A deeper network with a shallower one's answers, by construction: its blocks, and identities between them.

So a deeper network can do at least as well on its training images; that its training does not find such weights is the
degradation problem. Source: He, Zhang, Ren, Sun, CVPR 2016 (arXiv:1512.03385), section 1."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel

if TYPE_CHECKING:
    from torch import nn

_BLOCK = re.compile(r"(layer[0-9]+)\.([0-9]+)")


@dataclass(frozen=True, slots=True, repr=False)
class Construction(Summarised):
    """A deeper network that was built of a shallower one. `copied`, `added`: names of its blocks, those of the
    shallower network and the identities."""

    model: LoadedModel
    copied: tuple[str, ...]
    added: tuple[str, ...]


def build_deeper(model: LoadedModel, deeper: str) -> Construction:
    """The network `deeper` of the catalogue with the answers of `model`.

    In each stage the blocks of `model` come first; those that the deeper network has beyond them are identities: with
    a shortcut the branch is 0 (the weight of its last norm), without one both convolutions copy every channel (a kernel
    of one 1 in the middle). Each then gives ReLU(x), which is x since x has left a ReLU.
    Raises UnknownName for a network the catalogue has not, BadInput for one with other stages or no more blocks."""
    import torch

    from cnnviz.models.catalogue.registry import build

    target = build(deeper, len(model.class_names))
    state, given = target.state_dict(), model.module.state_dict()
    blocks, own = _list_blocks(target), _list_blocks(model.module)
    added = [name for name in blocks if name not in own]
    fits = own.items() <= blocks.items() and given.keys() <= state.keys()
    if not fits or not added or any(state[key].shape != value.shape for key, value in given.items()):
        raise BadInput(
            f"{deeper} does not hold {model.name}: a deeper network of the same kind has the same stages, each with as "
            "many blocks or more. Try plain20_cifar and plain56_cifar."
        )
    state.update({key: value.detach().cpu().clone() for key, value in given.items()})
    target.load_state_dict(state)
    with torch.no_grad():
        for name in added:
            _make_identity(target.get_submodule(name))
    names, prepared = list(model.class_names), copy.copy(model.preprocessing)
    made = LoadedModel(target.eval(), deeper, prepared, names, model.device, "constructed", known=True)
    return Construction(made, tuple(name for name in blocks if name in own), tuple(added))


def _list_blocks(module: nn.Module) -> dict[str, tuple[str, str]]:
    """{block: its kind and that of its shortcut}, in order."""
    found = {name: child for name, child in module.named_modules() if _BLOCK.fullmatch(name)}
    return {
        name: (type(child).__name__, type(getattr(child, "shortcut", None)).__name__) for name, child in found.items()
    }


def _make_identity(block: Any) -> None:
    from torch import nn

    for norm in (block.bn1, block.bn2):
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0)
        norm.weight.fill_((1.0 + norm.eps) ** 0.5)
        norm.bias.zero_()
    if block.shortcut is not None or block.downsample is not None:
        block.bn2.weight.zero_()
        return
    for conv in (block.conv1, block.conv2):
        if conv.in_channels != conv.out_channels or conv.stride != (1, 1):
            raise BadInput("A block that changes the shape is no identity.")
        nn.init.dirac_(conv.weight)


@dataclass(frozen=True, slots=True, repr=False)
class ConstructionCheck(Summarised):
    """Answers of a network and of the deeper one built of it. `logits`, `deeper` (N, classes). `same`: share of images
    with the same answer, 0..1. `trained`: the same for the deeper network as it was trained; None without it."""

    logits: np.ndarray
    deeper: np.ndarray
    same: float
    trained: float | None

    @property
    def difference(self) -> float:
        """The largest of any logit."""
        return float(np.abs(self.logits - self.deeper).max())


def check_construction(
    model: LoadedModel, deeper: LoadedModel, images: Any, trained: LoadedModel | None = None
) -> ConstructionCheck:
    """Compare the answers of a network, of the deeper one that was built of it, and of the deeper one as trained, on
    `images`: as for `LoadedModel.predict`."""
    first, second = (np.asarray(one.logits(images)) for one in (model, deeper))
    same = float((first.argmax(1) == second.argmax(1)).mean())
    learnt = (
        None if trained is None else float((first.argmax(1) == np.asarray(trained.logits(images)).argmax(1)).mean())
    )
    return ConstructionCheck(first, second, same, learnt)
