"""One backward pass of the cross-entropy, with what enters and leaves chosen layers still in the graph of autograd."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from cnnviz.errors import BadInput
from cnnviz.interventions.batch_statistics import BatchStatisticsMode
from cnnviz.models.model import LoadedModel
from cnnviz.models.output import LOG_SIGMOID, SIGMOID, find_scores, to_logits
from cnnviz.probes.forward import find_modules
from cnnviz.wording import plural


@dataclass(frozen=True, slots=True)
class BackwardPass:
    """A forward pass whose graph is there until the `with` of `run_backward` ends. `loss`: mean cross-entropy, nats.
    `logits`: (N, classes). `image`: the batch, a leaf. `weights`: {parameter: leaf}. `inputs`, `outputs`: {layer: what
    entered and left it at its last call}; of a layer that did not run, or with no tensor that has a gradient, none."""

    loss: Tensor
    logits: Tensor
    image: Tensor
    weights: dict[str, Tensor]
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]

    def gradients(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """∂loss/∂t of each tensor, zeros where the loss does not depend on it."""
        found = torch.autograd.grad(self.loss, list(tensors), retain_graph=True, allow_unused=True)
        return [torch.zeros_like(t) if g is None else g for t, g in zip(tensors, found, strict=True)]


@contextmanager
def run_backward(
    model: LoadedModel, batch: Tensor, labels: Tensor, layers: Sequence[str] = (), statistics: str = "running"
) -> Iterator[BackwardPass]:
    """One pass over `batch` (N, C, H, W), normalised, with `labels` (N,) int64, for gradients.

    `statistics`: of the batch norms, "running" as in evaluation, or "batch" as in training. Everything else, dropout
    too, is as in evaluation. The network is locked meanwhile, and left as it was: leaves share the memory of its
    parameters, buffers are copies. A network that ends in a sigmoid has the binary cross-entropy. Raises BadInput for
    labels that it has no class for, for an answer without gradient, and where a batch norm cannot normalise so few
    values; UnknownName for a layer."""
    if statistics not in ("running", "batch"):
        raise BadInput(f'statistics is "running" or "batch", got {statistics!r}.')
    labels = labels.to(model.device)
    wanted = find_modules(model.module, list(layers))
    inputs: dict[str, Tensor] = {}
    outputs: dict[str, Tensor] = {}
    with model.gradients(), ExitStack() as stack:
        for layer, child in wanted.items():
            _watch(stack, layer, child, inputs, outputs)
        if statistics == "batch":
            stack.enter_context(BatchStatisticsMode())
        weights = {
            name: parameter.detach().requires_grad_()
            for name, parameter in model.module.named_parameters()
            if parameter.is_floating_point()
        }
        buffers = {name: buffer.clone() for name, buffer in model.module.named_buffers()}
        leaf = batch.clone().requires_grad_()
        try:
            scores = functional_call(model.module, {**weights, **buffers}, (leaf.clone(),))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise BadInput(
                f"A batch norm of {model.name} gets one value a channel from this batch, whose variance is 0. Give "
                "more images, or take the running statistics."
            ) from error
        logits = to_logits(find_scores(scores, len(batch)), model.trial.ending)
        loss = _cross_entropy(logits, labels, model)
        if not loss.requires_grad:
            raise BadInput(f"The answer of {model.name} does not depend on its weights in a differentiable way.")
        for found in (inputs, outputs):
            for layer in [name for name, tensor in found.items() if not tensor.requires_grad]:
                del found[layer]
        yield BackwardPass(loss, logits, leaf, weights, inputs, outputs)


def _cross_entropy(logits: Tensor, labels: Tensor, model: LoadedModel) -> Tensor:
    classes = logits.shape[1]
    most = max(classes, 2)
    if labels.shape != logits.shape[:1] or not bool(((labels >= 0) & (labels < most)).all()):
        raise BadInput(
            f"{model.name} needs {plural(len(logits), 'label')} from 0 to {most - 1}, got shape {tuple(labels.shape)} "
            f"from {int(labels.min())} to {int(labels.max())}."
        )
    if classes == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype))
    if model.trial.ending in (SIGMOID, LOG_SIGMOID):
        return F.binary_cross_entropy_with_logits(logits, F.one_hot(labels, classes).to(logits.dtype))
    return F.cross_entropy(logits, labels)


def _watch(
    stack: ExitStack, layer: str, child: nn.Module, inputs: dict[str, Tensor], outputs: dict[str, Tensor]
) -> None:
    """Keep what enters and leaves a module; the pass goes on with copies, so that in-place layers do not change it."""

    def enter(_module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not given or not isinstance(given[0], Tensor):
            return None
        inputs[layer] = given[0]
        return (given[0].clone(), *given[1:])

    def leave(_module: nn.Module, _given: Any, output: Any) -> Tensor | None:
        if not isinstance(output, Tensor):
            return None
        outputs[layer] = output
        return output.clone()

    stack.callback(child.register_forward_pre_hook(enter).remove)
    stack.callback(child.register_forward_hook(leave).remove)
