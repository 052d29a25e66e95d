"""Layers that a training leaves as they are, to the bit: their parameters, their running statistics."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnnviz.errors import BadInput
from cnnviz.probes.axes import find_record
from cnnviz.probes.classifier import WEIGHTED
from cnnviz.probes.upstream import find_upstream

ALL_BUT_HEAD = "all-but-head"


@dataclass(frozen=True, slots=True)
class FrozenLayers:
    """`parameters`: names of those that are not trained. `modules`: names of the modules that stay in eval mode, so
    that their buffers, such as the running statistics of batch normalisation, stay too."""

    parameters: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()

    def hold(self, module: nn.Module) -> None:
        """Put `module` into training mode, but for its frozen layers."""
        module.train()
        for name, part in module.named_modules():
            if name and name in self.modules:  # the network itself says whether it is trained
                part.training = False


def freeze_layers(
    module: nn.Module,
    freeze: str,
    input_size: tuple[int, int, int],
    head: Collection[str] = (),
    fresh: Collection[str] = (),
) -> FrozenLayers:
    """Take the gradients from all parameters up to and including the layer `freeze`, by the order in which the network
    runs; "all-but-head": from all but the classifier's; "": from none.

    `head`: names of the classifier's tensors, those whose shapes depend on the number of classes; where no parameter is
    among them, the last linear or 1×1 convolution to run is taken. `fresh`: names of tensors that start anew, where all
    others begin with trained values: "all-but-head" leaves them in training, whatever they belong to. Raises
    UnknownName for a layer that is not there, BadInput if nothing would be left to train."""
    if not freeze:
        return FrozenLayers()
    images, owners = torch.zeros(1, *input_size), {name for name, part in module.named_modules() if _owns_any(part)}
    if freeze == ALL_BUT_HEAD:
        learnt = [name for name, _ in module.named_parameters() if name in head]  # LeNet-5's codes of 1998 are not
        modules = owners - _find_owners(learnt or _find_last(module, images)) - _find_owners(fresh)
        parameters = {name for name, _ in module.named_parameters() if name.rpartition(".")[0] in modules}
    else:
        upstream = find_upstream(module, images, freeze)
        modules, parameters = owners & upstream.modules, set(upstream.parameters)
    named = dict(module.named_parameters())
    frozen = frozenset(name for name in named if name in parameters)
    if len(frozen) == len(named):
        raise BadInput(f"Freezing {freeze!r} leaves nothing to train. Name a layer before the classifier.")
    for name in frozen:
        named[name].requires_grad_(False)
    return FrozenLayers(frozen, frozenset(modules))


def _find_owners(tensors: Collection[str]) -> set[str]:
    """Names of the modules that own these tensors."""
    return {name.rpartition(".")[0] for name in tensors}


def _find_last(module: nn.Module, images: Tensor) -> list[str]:
    """Parameters of the last layer with weights to run. Raises BadInput if it is no classifier."""
    modules = dict(module.eval().named_modules())
    last = next((n for n in reversed(find_record(module, images).order) if isinstance(modules.get(n), WEIGHTED)), "")
    part = modules[last]
    if not isinstance(part, nn.Linear) and not (isinstance(part, nn.Conv2d) and part.kernel_size == (1, 1)):
        raise BadInput(
            "The network ends in neither a linear layer nor a 1×1 convolution, so that its head is not known. Name the "
            "last layer that shall stay as it is: --freeze LAYER."
        )
    return [f"{last}.{name}" for name, _ in part.named_parameters(recurse=False)]


def _owns_any(part: nn.Module) -> bool:
    return bool([*part.parameters(recurse=False), *part.buffers(recurse=False)])
